"""When a run has ended: the single rule for it, and documents as something to wait for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from batcher.core.lifecycle import State
from batcher.ledger.ledger import Ledger
from batcher.stages.stage import Outstanding


def has_ended(awaited: Iterable[Outstanding]) -> bool:
    """Return whether none of `awaited` has anything outstanding.

    They are checked in order up to the first that has, so put the cheap ones first.
    """
    return not any(one.outstanding() for one in awaited)


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents in some states, as something that a run waits for."""

    ledger: Ledger
    states: frozenset[State]

    def outstanding(self) -> int:
        """Return how many documents are in one of the states now."""
        return sum(self.ledger.tally[state] for state in self.states)
