"""Documents that a person may want to do again, and what doing them again would cost.

Nothing is sent to the service here; the next run fetches or pays for what is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from batcher.adapters.clock import SteadyClock
from batcher.core import events
from batcher.core.lifecycle import State
from batcher.ledger.ledger import Ledger, lock, open_existing
from batcher.ledger.queries.rows import Candidate


@dataclass(frozen=True, slots=True)
class Requeued:
    """How many documents were requeued, and what paying for them again is expected to cost.

    `credits` is that cost. `at_risk` of them may have been paid for already. `recalled` of them are
    sent again only after their old job has been cancelled, or has ended without a result. `unasked`
    were meant as well, but are held or stuck, and stay so unless they are asked for by that word.
    """

    documents: int
    credits: float
    at_risk: int
    recalled: int = 0
    unasked: int = 0


def again(candidate: Candidate) -> events.Event:
    """Return the event that requeues a document."""
    if candidate.state is State.STUCK:
        return events.Recalled(candidate.id)
    return (
        events.Retried(candidate.id) if candidate.upstream is None else events.Follows(candidate.id)
    )


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    """Lock the ledger and open it for writing during the block. Raises LedgerError."""
    with ExitStack() as stack:
        stack.callback(os.close, lock(path))
        ledger = open_existing(path, clock=SteadyClock())
        stack.callback(ledger.close)
        yield ledger
