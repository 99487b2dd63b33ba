"""Documents that a person may want done again, and who of those with the same bytes would pay for
it.

Nothing here is sent to the service; what must be fetched or paid again, the next run does.
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
    """`credits` is what paying for them anew is expected to cost; `at_risk` of them were perhaps
    paid already.

    `recalled` of them are sent again only once their old job has been cancelled, or has ended
    without a result.
    """

    documents: int
    credits: float
    at_risk: int
    recalled: int = 0


def again(candidate: Candidate) -> events.Event:
    if candidate.state is State.STUCK:
        return events.Recalled(candidate.id)
    return (
        events.Retried(candidate.id) if candidate.upstream is None else events.Follows(candidate.id)
    )


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    """The ledger, held and open for writing. Raises LedgerError."""
    with ExitStack() as stack:
        stack.callback(os.close, lock(path))
        ledger = open_existing(path, clock=SteadyClock())
        stack.callback(ledger.close)
        yield ledger
