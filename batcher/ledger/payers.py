"""Who pays for documents that are to be done again: of those with the same bytes and step, one does
for all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from batcher.core.lifecycle import OPEN, OUT, State
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


def candidates(ledger: Queries, documents: Sequence[int]) -> list[Candidate]:
    sql = f"{CANDIDATE} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
    return [candidate_of(row) for row in ledger.reader.execute(sql, (json.dumps(documents),))]


CANDIDATE: Final = "SELECT id, source, state, kind, payer, upstream FROM documents"


def candidate_of(row: tuple[int, str, str, str | None, int | None, int | None]) -> Candidate:
    return Candidate(row[0], row[1], State(row[2]), *row[3:])


def payers_of(ledger: Queries, chosen: Sequence[Candidate]) -> dict[int, int]:
    """By document the one that pays for its bytes and step, or has, or perhaps has: itself, for one
    of each among them.

    What is in doubt shares the verdict of the one in doubt: its bytes can't be sent beside an open
    submission.
    """
    again = {c.id for c in chosen}
    payers = dict[int, int]()
    first = dict[tuple[str, str], int]()
    for candidate in sorted(
        chosen, key=lambda c: (c.state not in _IN_DOUBT, c.payer is not None, c.id)
    ):
        same = ledger.reader.execute(
            "SELECT content, step FROM documents WHERE id = ?", (candidate.id,)
        ).fetchone()
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


def groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), GROUP):
        yield items[start : start + GROUP]
