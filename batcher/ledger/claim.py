"""Which ledger the results in an output directory belong to, and how far it had got.

A file beside the results bears the ledger's id and its generation, a number that grows when a run
begins and when it ends. A ledger and a journal that were put back together from an older copy agree
with each other; the claim shows that they are older than the results.

The ledger always records a generation before the file does, so a crash in between leaves a ledger
that is ahead, which is accepted. An output without a claim is accepted, too: it is new, or was made
before there were claims.
"""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path
from typing import Final

import msgspec

from batcher.common.private_files import replace_file
from batcher.errors import LedgerForeign, LedgerOutdated, OutputError
from batcher.ledger.queries.notes import noted

NAME: Final = ".batcher-claim"
_IDENTIFY: Final = "INSERT OR IGNORE INTO meta VALUES ('ledger', ?)"
_ADVANCE: Final = (
    "INSERT INTO meta VALUES ('generation', '1')"
    " ON CONFLICT (key) DO UPDATE SET value = CAST(value + 1 AS TEXT)"
)
_ADOPT: Final = "INSERT OR REPLACE INTO meta VALUES ('ledger', ?), ('generation', ?)"


class Claim(msgspec.Struct, frozen=True):
    """The id of a ledger and its generation."""

    ledger: str
    generation: int


def claim_of(connection: sqlite3.Connection) -> Claim | None:
    """Return what the ledger says of itself; None before its first run."""
    ledger = noted(connection, "ledger")
    return None if ledger is None else Claim(ledger, int(noted(connection, "generation") or 0))


def advance(connection: sqlite3.Connection) -> Claim:
    """Raise the ledger's generation in the transaction under way; give it an id if it has none."""
    connection.execute(_IDENTIFY, (uuid.uuid4().hex,))
    connection.execute(_ADVANCE)
    claim = claim_of(connection)
    assert claim is not None, "it was just recorded"
    return claim


def adopt(connection: sqlite3.Connection, claim: Claim) -> None:
    """Let a ledger that was made anew take over the claim of the results."""
    connection.execute(_ADOPT, (claim.ledger, str(claim.generation)))


def read_claim(output: Path) -> Claim | None:
    """Return the claim beside the results, or None if there is none.

    Raises LedgerForeign if it can't be understood, and OutputError if it can't be read.
    """
    path = output / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Claim)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; nothing was submitted") from error
    except msgspec.MsgspecError as error:
        raise LedgerForeign(
            f"{path}: it says which ledger these results belong to, and can't be understood; if "
            "the ledger is the newest one, delete this file and run again"
        ) from error


def write_claim(output: Path, claim: Claim, access: str = "owner") -> None:
    """Write the claim beside the results, durable and whole. Raises OutputError."""
    path = output / NAME
    try:
        replace_file(path, msgspec.json.encode(claim) + b"\n", access)
    except OSError as error:
        raise OutputError(
            f"{path}: {error.strerror}; make the output writable and run again: "
            "nothing was submitted"
        ) from error


def forget_claim(output: Path) -> None:
    """Remove the claim, since the ledger is started over. Raises OutputError."""
    path = output / NAME
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; nothing was submitted") from error


def refuse_outdated(ledger: Path, own: Claim | None, output: Path) -> None:
    """Raise LedgerForeign or LedgerOutdated if the results belong to another or a newer ledger.

    `own` is what the ledger says of itself.
    """
    claim = read_claim(output)
    if claim is None or (own is not None and own.ledger == claim.ledger and _is_ahead(own, claim)):
        return
    anyway = (
        f"To go on with this ledger all the same, and pay again for what it doesn't know of, "
        f"delete {output / NAME}"
    )
    if own is None or own.ledger != claim.ledger:
        raise LedgerForeign(
            f"{ledger}: the results in {output} belong to another ledger, or to a newer one than "
            "this copy; nothing is submitted. Put that ledger back, or name another "
            f"output.directory, or let `batcher rebuild MANIFEST` make it anew. {anyway}"
        )
    raise LedgerOutdated(
        f"{ledger}: {_behind(own, claim)}. Nothing is submitted on its word. `batcher rebuild "
        f"MANIFEST` brings it up to date from the service's job list and the results. {anyway}"
    )


def outdated(own: Claim | None, output: Path) -> str | None:
    """Return why the ledger isn't the one that the results belong to; None if it is."""
    try:
        refuse_outdated(Path("the ledger"), own, output)
    except (LedgerForeign, LedgerOutdated) as error:
        return str(error)
    return None


def _is_ahead(own: Claim, claim: Claim) -> bool:
    return own.generation >= claim.generation


def _behind(own: Claim, claim: Claim) -> str:
    missed = claim.generation - own.generation
    return (
        "it is an older copy: runs began or ended since that it knows nothing of "
        f"(it is at {own.generation}, the results at {claim.generation}, {missed} behind)"
    )
