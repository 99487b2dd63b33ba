"""When a run has ended: the one rule, and what it counts beside the stages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from batcher.core.lifecycle import State
from batcher.ledger.ledger import Ledger
from batcher.stages.stage import Outstanding


def has_ended(awaited: Iterable[Outstanding]) -> bool:
    """Whether nothing of all that is `awaited` has anything outstanding.

    It is asked in order and no further than the first that has, so the cheap ones stand first.
    """
    return not any(one.outstanding() for one in awaited)


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents in some states, as something that a run waits for."""

    ledger: Ledger
    states: frozenset[State]

    def outstanding(self) -> int:
        """Documents in one of the states now."""
        return sum(self.ledger.tally[state] for state in self.states)
