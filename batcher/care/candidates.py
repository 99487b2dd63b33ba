"""Documents that a person may want done again, and who of those with the same bytes would pay for it.

Nothing here is sent to the service; what must be fetched or paid again, the next run does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from batcher.core import events
from batcher.core.lifecycle import OPEN, OUT, VERDICTS, State
from batcher.edges.clock import SteadyClock
from batcher.ledger.ledger import Ledger, lock, open_existing
from batcher.ledger.queries import Queries, listed

GROUP: Final = 500  # put down together: one commit serves many
T = TypeVar("T")


class Candidate(NamedTuple):
    """A document that came to a verdict, or whose result isn't what was saved."""

    id: int
    source: str
    state: State
    kind: str | None
    payer: int | None
    upstream: int | None


@dataclass(frozen=True, slots=True)
class Requeued:
    """`credits` is what paying for them anew is expected to cost; `at_risk` of them were perhaps paid already.

    `recalled` of them are sent again only once their old job has been cancelled, or has ended without a result.
    """

    documents: int
    credits: float
    at_risk: int
    recalled: int = 0


def with_verdict(ledger: Queries) -> Iterator[Candidate]:
    sql = f"{_CANDIDATE} WHERE current = 1 AND state IN ({listed(VERDICTS)}) ORDER BY id"
    yield from map(_candidate, ledger.reader.execute(sql))


_CANDIDATE: Final = "SELECT id, source, state, kind, payer, upstream FROM documents"


def _candidate(row: tuple[int, str, str, str | None, int | None, int | None]) -> Candidate:
    return Candidate(row[0], row[1], State(row[2]), *row[3:])


def of_result(ledger: Queries, output: str) -> Candidate:
    """The document whose result is to lie there."""
    sql = f"{_CANDIDATE} WHERE current = 1 AND output = ? AND output_sha256 IS NOT NULL"  # as the index has it
    return _candidate(ledger.reader.execute(sql, (output,)).fetchone())


def again(candidate: Candidate) -> events.Event:
    if candidate.state is State.STUCK:
        return events.Recalled(candidate.id)
    return events.Retried(candidate.id) if candidate.upstream is None else events.Follows(candidate.id)


def payers_of(ledger: Queries, chosen: Sequence[Candidate]) -> dict[int, int]:
    """By document the one that pays for its bytes and step, or has, or perhaps has: itself, for one of each among them.

    What is in doubt shares the verdict of the one in doubt: its bytes can't be sent beside an open submission.
    """
    again = {c.id for c in chosen}
    payers, first = dict[int, int](), dict[tuple[str, str], int]()
    for candidate in sorted(chosen, key=lambda c: (c.state not in _IN_DOUBT, c.payer is not None, c.id)):
        same = ledger.reader.execute("SELECT content, step FROM documents WHERE id = ?", (candidate.id,)).fetchone()
        others = (row[0] for row in ledger.reader.execute(_OTHERS, (candidate.id,)))
        other = next((document for document in others if document not in again), None)
        payers[candidate.id] = first.setdefault(same, candidate.id) if other is None else other
    return payers


_IN_DOUBT: Final = frozenset({State.HELD, State.STUCK})
# Of the same bytes and step. None that waits for the document itself: both would wait for ever.
_OTHERS: Final = f"""
    SELECT o.id FROM documents d JOIN documents o ON o.content = d.content AND o.step = d.step AND o.id <> d.id
    WHERE d.id = ? AND o.payer IS NOT d.id AND (o.state <> 'duplicate' OR o.id = d.payer)
    AND (o.state IN ({listed(OUT)}) OR o.current = 1 AND o.state IN ({listed(OPEN | _IN_DOUBT | {State.SAVED})}))
    ORDER BY o.id"""


def price(ledger: Queries, document: int) -> float:
    """What its last attempt cost, or a page's worth."""
    sql = "SELECT coalesce(credits, cost) FROM attempts WHERE document = ? ORDER BY number DESC LIMIT 1"
    row = ledger.reader.execute(sql, (document,)).fetchone()
    return float(row[0]) if row and row[0] else 1.0


def groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), GROUP):
        yield items[start : start + GROUP]


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    """The ledger, held and open for writing. Raises LedgerError."""
    with ExitStack() as stack:
        stack.callback(os.close, lock(path))
        ledger = open_existing(path, clock=SteadyClock())
        stack.callback(ledger.close)
        yield ledger
