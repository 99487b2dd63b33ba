"""Takes up again what earlier runs failed to get done for a reason that may have passed, where
nothing was paid for it.

It sends nothing, and leaves the verdict of what this run's scan didn't find alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from batcher.core import events
from batcher.ledger.ledger import Ledger, groups


async def take_up(ledger: Ledger, before: Mapping[int, int], *, runs: int) -> int:
    """Put back in the queue what this run's scan has found and fewer than `runs` runs have tried.

    `before` says by how many runs each document had been tried when this one began: what has failed
    since then has been tried by this run. Return the number of documents, their copies included.
    """
    passing = ledger.reporting.passing(runs=runs, scan=ledger.scan)
    tried = {document: number for document, number in passing if before.get(document) == number}
    payers = ledger.repair.payers_of(ledger.repair.candidates(list(tried)))
    paying = [
        events.TakenUp(document, tried[document])
        for document, payer in payers.items()
        if payer == document
    ]
    copies = [
        events.Rejoined(document, payer) for document, payer in payers.items() if payer != document
    ]
    happened = [*paying, *copies]  # copies wait for whom is in the queue by then
    for group in groups(happened):
        await ledger.record(*group)
    return len(happened)
