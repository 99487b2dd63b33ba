"""Queues documents again that earlier runs failed to process for a reason that may have passed.

Only documents for which nothing was paid are taken up. It sends nothing, and doesn't touch
documents that this run's scan hasn't found.
"""

from __future__ import annotations

from collections.abc import Mapping

from batcher.core import events
from batcher.ledger.ledger import Ledger, groups


async def take_up(ledger: Ledger, before: Mapping[int, int], *, runs: int) -> int:
    """Queue what this run's scan has found and fewer than `runs` runs have tried.

    `before` gives the number of runs that had tried each document when this run began: if it has
    failed since, this run has tried it. What another document of the same bytes has got meanwhile
    is copied, however often it was tried. Return the number of documents, including their copies.
    """
    passing = ledger.reporting.passing(runs=runs, scan=ledger.scan)
    tried = {document: number for document, number in passing if before.get(document) == number}
    payers = ledger.repair.payers_of(ledger.repair.candidates(list(tried)))
    free = dict(ledger.sharing.failed_beside_a_result(ledger.scan))
    joined = free | {one: payer for one, payer in payers.items() if payer != one}
    paying = [events.TakenUp(one, tried[one]) for one in payers if one not in joined]
    copies = [events.Rejoined(document, payer) for document, payer in joined.items()]
    # copies come last: by then the documents that they wait for are queued
    happened = [*paying, *copies]
    for group in groups(happened):
        await ledger.record(*group)
    return len(happened)
