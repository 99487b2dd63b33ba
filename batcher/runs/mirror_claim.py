"""The claim in a mirror: it keeps two ledgers from filling one object store by turns.

It is a copy of the claim beside the results (`ledger.claim`), read before a run begins and put when
the run begins and ends. It can't be adopted: a person decides by deleting it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from batcher.errors import LedgerForeign, LedgerOutdated
from batcher.ledger.claim import NAME, Claim
from batcher.ledger.ledger import Ledger
from batcher.manifest.model import Manifest
from batcher.outputs.mirror import Mirror

# On record until a ledger that was started over has claimed its mirror: that one's address.
_TAKES_OVER: Final = "takes over the mirror"


async def refuse_foreign_mirror(manifest: Manifest, ledger: Ledger) -> None:
    """Check that the mirror isn't another ledger's, unless this one was told to start over.

    Raises LedgerForeign, LedgerOutdated if this ledger is an older copy, and MirrorError if the
    mirror can't be read.
    """
    url = manifest.output.mirror
    own = ledger.claim
    if url and own is None and manifest.output.start_over:
        await ledger.note(_TAKES_OVER, url)
    if not url or ledger.noted(_TAKES_OVER) == url:
        return
    body = await Mirror(url).read(NAME)
    if body is None:
        return
    where = f"{url.rstrip('/')}/{NAME}"
    claim = _understood(body, where)
    path = manifest.output.ledger_path
    anyway = (
        "To go on with this ledger all the same, and pay again for what it doesn't know of, "
        f"delete {where}"
    )
    if own is None or own.ledger != claim.ledger:
        raise LedgerForeign(
            f"{path}: the mirror {url} belongs to another ledger; nothing is submitted. Put that "
            f"ledger back, or name another output.mirror. {anyway}"
        )
    if own.generation < claim.generation:
        raise LedgerOutdated(
            f"{path}: it is an older copy (it is at {own.generation}, the mirror {url} at "
            f"{claim.generation}); nothing is submitted. Put the newer ledger and its results "
            f"back, or name another output.mirror. {anyway}"
        )


async def claim_mirror(manifest: Manifest, ledger: Ledger) -> None:
    """Put the claim beside the results into the mirror, too. Raises MirrorError."""
    output = manifest.output
    if output.mirror:
        await Mirror(output.mirror).put(NAME, output.directory / NAME)
        if ledger.noted(_TAKES_OVER) is not None:
            await ledger.note(_TAKES_OVER, None)


def _understood(body: bytes, where: str) -> Claim:
    try:
        return msgspec.json.decode(body, type=Claim)
    except msgspec.MsgspecError as error:
        raise LedgerForeign(
            f"{where}: it says which ledger this mirror belongs to, and can't be understood; if "
            "the ledger is the newest one, delete it there and run again"
        ) from error
