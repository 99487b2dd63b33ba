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
from batcher.core.lifecycle import VERDICTS, State
from batcher.ledger.ledger import Ledger, lock, open_existing
from batcher.ledger.payers import CANDIDATE, Candidate, candidate_of, groups, payers_of
from batcher.ledger.queries import Queries, listed

__all__ = ["Candidate", "Requeued", "groups", "payers_of"]


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


def with_verdict(ledger: Queries) -> Iterator[Candidate]:
    sql = f"{CANDIDATE} WHERE current = 1 AND state IN ({listed(VERDICTS)}) ORDER BY id"
    yield from map(candidate_of, ledger.reader.execute(sql))


def of_result(ledger: Queries, output: str) -> Candidate:
    """The document whose result is to lie there."""
    # as the index has it
    sql = f"{CANDIDATE} WHERE current = 1 AND output = ? AND output_sha256 IS NOT NULL"
    return candidate_of(ledger.reader.execute(sql, (output,)).fetchone())


def again(candidate: Candidate) -> events.Event:
    if candidate.state is State.STUCK:
        return events.Recalled(candidate.id)
    return (
        events.Retried(candidate.id) if candidate.upstream is None else events.Follows(candidate.id)
    )


def price(ledger: Queries, document: int) -> float:
    """What its last attempt cost, or a page's worth."""
    sql = (
        "SELECT coalesce(credits, cost) FROM attempts WHERE document = ? ORDER BY number DESC "
        "LIMIT 1"
    )
    row = ledger.reader.execute(sql, (document,)).fetchone()
    return float(row[0]) if row and row[0] else 1.0


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    """The ledger, held and open for writing. Raises LedgerError."""
    with ExitStack() as stack:
        stack.callback(os.close, lock(path))
        ledger = open_existing(path, clock=SteadyClock())
        stack.callback(ledger.close)
        yield ledger
