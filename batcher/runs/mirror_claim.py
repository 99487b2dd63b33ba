"""The claim in a mirror: it keeps two ledgers from filling one object store by turns.

It is a copy of the claim beside the results (`ledger.claim`), read before a run begins and put when
the run begins and ends. It can't be adopted: a person decides by deleting it.
"""

from __future__ import annotations

import msgspec

from batcher.errors import LedgerForeign, LedgerOutdated
from batcher.ledger.claim import NAME, Claim
from batcher.manifest.model import Manifest
from batcher.outputs.mirror import Mirror


async def refuse_foreign_mirror(manifest: Manifest, own: Claim | None) -> None:
    """Check that the mirror isn't another ledger's. `own` is what the ledger says of itself.

    Raises LedgerForeign, LedgerOutdated if this ledger is an older copy, and MirrorError if the
    mirror can't be read.
    """
    url = manifest.output.mirror
    if not url or (own is None and manifest.output.start_over):
        return
    body = await Mirror(url).read(NAME)
    if body is None:
        return
    where = f"{url.rstrip('/')}/{NAME}"
    claim = _understood(body, where)
    ledger = manifest.output.ledger_path
    anyway = (
        "To go on with this ledger all the same, and pay again for what it doesn't know of, "
        f"delete {where}"
    )
    if own is None or own.ledger != claim.ledger:
        raise LedgerForeign(
            f"{ledger}: the mirror {url} belongs to another ledger; nothing is submitted. Put that "
            f"ledger back, or name another output.mirror. {anyway}"
        )
    if own.generation < claim.generation:
        raise LedgerOutdated(
            f"{ledger}: it is an older copy (it is at {own.generation}, the mirror {url} at "
            f"{claim.generation}); nothing is submitted. Put the newer ledger and its results "
            f"back, or name another output.mirror. {anyway}"
        )


async def claim_mirror(manifest: Manifest) -> None:
    """Put the claim beside the results into the mirror, too. Raises MirrorError."""
    output = manifest.output
    if output.mirror:
        await Mirror(output.mirror).put(NAME, output.directory / NAME)


def _understood(body: bytes, where: str) -> Claim:
    try:
        return msgspec.json.decode(body, type=Claim)
    except msgspec.MsgspecError as error:
        raise LedgerForeign(
            f"{where}: it says which ledger this mirror belongs to, and can't be understood; if "
            "the ledger is the newest one, delete it there and run again"
        ) from error
