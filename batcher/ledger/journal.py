"""A second record of paid attempts: one line of JSON per step, synced before the ledger's commit.

`batcher rebuild` restores a lost or damaged ledger from it. The file is only ever appended to. A
line whose commit failed after all does no harm: it stands for an attempt of unknown outcome, which
is searched for at the service before anything is sent.

With each commit the ledger records how long its journal is and how it ends, so that it can tell its
own journal from another.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from batcher.common.private_files import sync_folder
from batcher.core import events as e
from batcher.core.reasons import error_name_in
from batcher.ledger.claim import Claim

KEPT: Final = (
    e.Sending,
    e.Accepted,
    e.RefusedForNow,
    e.Rejected,
    e.ReplyLost,
    e.Fenced,
    e.Adopted,
    e.ProvenAbsent,
    e.GivenUp,
    e.Held,
    e.Ended,
    e.Saved,
    e.JobFailed,
    e.JobToRepeat,
    e.JobVoided,
    e.Expired,
    e.Lost,
    e.Stuck,
    e.Cancelled,
    e.Retried,
    e.TakenUp,
    e.Recalled,
    e.FileMissed,
    e.JobExchanged,
    e.WrongInput,
    e.DeletionStarted,
    e.Cleaned,
)
KINDS: Final = {kind.__name__: kind for kind in KEPT}
FACTS: Final = (
    "source",
    "folder",
    "job",
    "step",
    "content",
    "size",
    "mtime_ns",
    "inode",
    "output",
    "file_id",
)
RARE: Final = ("upstream", "options", "metadata", "place")  # written only if they have a value
_FACTS: Final = (
    f"SELECT {', '.join(FACTS)}, (SELECT u.job FROM documents u WHERE u.id = documents.upstream), "
    "options, metadata,"
    " place"
    " FROM documents WHERE id = ?"
)

END: Final = 256  # bytes before a position, by whose hash the journal is recognised
CLAIMED: Final = "Claimed"  # no event of a document: how far the ledger had got
_MARK: Final = "INSERT OR REPLACE INTO meta VALUES ('journal', ?)"


class JournalEntry(msgspec.Struct, omit_defaults=True):
    """One event with its values; of a submission and a copy also the `facts` of its document."""

    at: float
    event: str
    values: dict[str, Any]
    facts: dict[str, Any] = {}

    def happened(self, document: int) -> e.Event:
        """Return the event, with `document` as the number of its document.

        In lines from before events had an error name, it is read from the words of the reason.
        """
        kind = KINDS[self.event]
        values = {**self.values, "document": document}
        if "error_name" in kind.__struct_fields__:
            values.setdefault("error_name", error_name_in(values.get("reason") or ""))
        event: e.Event = kind(**values)
        return event


class Journal:
    """Appends events to the file.

    Call `begin` before each transaction, `note` within it, and `sync` before its commit.
    """

    def __init__(self, path: Path) -> None:
        is_new = not path.exists()
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if is_new:
            # a ledger whose journal got lost in a power cut would not be trusted
            sync_folder(path.parent)
        self._lines: list[bytes] = []
        self._size = os.fstat(self._fd).st_size
        self._end = end_of(path, self._size)
        if self._end and not self._end.endswith(b"\n"):
            self._append(b"\n")  # else a line that a crash cut off would swallow the next one

    def begin(self) -> None:
        self._lines.clear()

    def note(self, connection: sqlite3.Connection, event: e.Event, at: float) -> None:
        """Add a line for `event` to the transaction under way, if it is one of `KEPT`."""
        if not isinstance(event, KEPT):
            return
        entry: dict[str, Any] = {"at": at, "event": type(event).__name__, "values": event}
        if isinstance(event, e.Sending) or (
            isinstance(event, e.Saved) and _is_copy(connection, event.document)
        ):
            entry["facts"] = _facts(connection, event.document)
        # encoded like a `JournalEntry`, without first copying each event
        self._lines.append(msgspec.json.encode(entry) + b"\n")

    def note_claim(self, claim: Claim, at: float) -> None:
        """Add a line for the ledger's own claim to the transaction under way."""
        entry = {"at": at, "event": CLAIMED, "values": claim}
        self._lines.append(msgspec.json.encode(entry) + b"\n")

    def sync(self, connection: sqlite3.Connection) -> None:
        """Make the noted events durable, and record the new end of the journal in the ledger.

        Raises OSError.
        """
        if not self._lines:
            return
        self._append(b"".join(self._lines))
        os.fsync(self._fd)
        connection.execute(_MARK, (_mark(self._size, self._end),))

    def close(self) -> None:
        os.close(self._fd)

    def _append(self, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._size += len(lines)
        self._end = (self._end + lines)[-END:]


def end_of(path: Path, size: int) -> bytes:
    """Return the last `END` bytes, at most, of the first `size` bytes of the file."""
    with path.open("rb") as file:
        file.seek(max(0, size - END))
        return file.read(min(size, END))


def _mark(size: int, end: bytes) -> str:
    return f"{size} {sha256(end).hexdigest()[:16]}"


def mark(connection: sqlite3.Connection, ledger: Path) -> None:
    """Record the end of the journal in a ledger that was written before ledgers recorded it."""
    path = journal_of(ledger)
    if (
        path.exists()
        and connection.execute("SELECT 1 FROM meta WHERE key = 'journal'").fetchone() is None
    ):
        size = path.stat().st_size
        connection.execute(_MARK, (_mark(size, end_of(path, size)),))


def discontinuity(connection: sqlite3.Connection, ledger: Path) -> str | None:
    """Return why the journal isn't the one that this ledger was written with; None if it is.

    A ledger that never recorded a journal is accepted: it is new, or older than that record.
    """
    row = connection.execute("SELECT value FROM meta WHERE key = 'journal'").fetchone()
    if row is None:
        return None
    path = journal_of(ledger)
    size = int(row[0].split()[0])
    if not path.exists():
        return "its journal is gone, and without it nobody can tell whether this is an older ledger"
    if path.stat().st_size < size:
        return (
            "its journal ends before what this ledger remembers of it: one of them is an older copy"
        )
    if row[0] != _mark(size, end_of(path, size)):
        return "the journal beside it was written with another ledger"
    return None


def journal_of(ledger: Path) -> Path:
    """Return the path of the journal of a ledger, which lies beside it."""
    return ledger.with_suffix(".journal.jsonl")


def set_aside(ledger: Path) -> None:
    """Rename the journal of a ledger that is started over, so that nothing of it is used."""
    journal = journal_of(ledger)
    if journal.exists():
        number = next(
            n for n in range(1, 10_000) if not ledger.with_suffix(f".journal-{n}.jsonl").exists()
        )
        journal.replace(ledger.with_suffix(f".journal-{number}.jsonl"))


def entries(path: Path, *, tail: int | None = None) -> Iterator[JournalEntry]:
    """Yield every whole line in order; with `tail`, only those in the last `tail` bytes."""
    decoder = msgspec.json.Decoder(JournalEntry)
    with path.open("rb") as file:
        if tail is not None:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - tail))
        for line in file:
            try:
                entry = decoder.decode(line)
            except msgspec.MsgspecError:
                continue  # torn by a crash or a power cut, or its beginning isn't read
            if entry.event in KINDS:
                yield entry


def claim_in(path: Path) -> Claim | None:
    """Return the last claim that a journal records; None if it records none."""
    decoder = msgspec.json.Decoder(JournalEntry)
    last: Claim | None = None
    with path.open("rb") as file:
        for line in file:
            if CLAIMED.encode() in line:
                with suppress(msgspec.MsgspecError):  # torn, or another line that has the word
                    entry = decoder.decode(line)
                    if entry.event == CLAIMED:
                        last = msgspec.convert(entry.values, Claim)
    return last


def retold(connection: sqlite3.Connection) -> Iterator[JournalEntry]:
    """Yield the entries that a journal of this ledger would have, in order, from its events.

    This is for a ledger whose journal is lost.
    """
    uploads: dict[int, str] = {}
    for at, document, event, detail in connection.execute(_EVENTS):
        told = msgspec.json.decode(detail) if detail and detail.startswith("{") else {}
        if event == "Uploaded":
            uploads[document] = told.get("file_id", "")
        elif event in KINDS:
            fields = KINDS[event].__struct_fields__
            values = {name: told.get(name) for name in fields if name != "error_name"}
            values["document"] = document
            if "error_name" in told:
                values["error_name"] = told["error_name"]
            facts: dict[str, Any] = {}
            if event == "Sending":
                facts = _facts_of(connection, document, values, uploads)
            elif event == "Saved" and _is_copy(connection, document):
                facts = _facts(connection, document)
            yield JournalEntry(at, event, values, facts)


_EVENTS: Final = "SELECT at, document, event, detail FROM events ORDER BY rowid"
_HOME: Final = "SELECT service, key_print FROM attempts WHERE nonce = ?"


def _is_copy(connection: sqlite3.Connection, document: int) -> bool:
    """Whether its result is another's, so that nothing else in the journal tells of it."""
    sql = "SELECT 1 FROM documents WHERE id = ? AND payer IS NOT NULL"
    return connection.execute(sql, (document,)).fetchone() is not None


def _facts(connection: sqlite3.Connection, document: int) -> dict[str, Any]:
    row = connection.execute(_FACTS, (document,)).fetchone()
    facts = zip((*FACTS, *RARE), row, strict=True)
    return {name: value for name, value in facts if name in FACTS or value}


def _facts_of(
    connection: sqlite3.Connection, document: int, values: dict[str, Any], uploads: dict[int, str]
) -> dict[str, Any]:
    """Return the facts of a submission, and add `service` and `key_print` to `values`.

    The ledger keeps those two in columns of their own.
    """
    row = connection.execute(_HOME, (values["nonce"],)).fetchone() or ("", "")
    values["service"], values["key_print"] = row
    facts = _facts(connection, document)
    facts["file_id"] = uploads.get(document) or facts["file_id"] or ""
    return facts
