"""Takes up again what earlier runs didn't get done for a reason that may have passed, and that
nothing was paid for.

It sends nothing: what it puts back in the queue is sent where this run's scan finds it.
"""

from __future__ import annotations

from batcher.core import events
from batcher.ledger.ledger import Ledger, groups


async def take_up(ledger: Ledger, *, runs: int) -> int:
    """How many documents are in the queue again, their copies included: of those that fewer than
    `runs` have tried.
    """
    tried = dict(ledger.reporting.passing(runs=runs))
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
