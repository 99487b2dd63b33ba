"""When a run has ended: the single rule for it, and documents as something to wait for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from batcher.core.lifecycle import State
from batcher.ledger.ledger import Ledger, Transition
from batcher.stages.stage import Awaited, Outstanding


def has_ended(awaited: Iterable[Outstanding]) -> bool:
    """Return whether none of `awaited` has anything outstanding.

    They are checked in order up to the first that has, so put the cheap ones first.
    """
    return not any(one.outstanding() for one in awaited)


async def until_ended(
    awaited: Iterable[Awaited], *, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Return once none of `awaited` has anything outstanding, all of them at the same moment.

    Each is asked again only after the one that was waited for has settled. `meanwhile` is called
    before each wait.
    """
    awaited = tuple(awaited)
    while (one := next((one for one in awaited if one.outstanding()), None)) is not None:
        meanwhile()
        await one.settled()


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents in some states, as something that a run waits for."""

    ledger: Ledger
    states: frozenset[State]

    def outstanding(self) -> int:
        """Return how many documents are in one of the states now."""
        return sum(self.ledger.tally[state] for state in self.states)

    def settled(self) -> Coroutine[Any, Any, object]:
        """Wait for the next change in the ledger."""
        return self.ledger.change()


class SomeDocuments:
    """The same for some documents, by their numbers, whatever becomes of the others."""

    def __init__(self, ledger: Ledger, documents: Iterable[int], states: frozenset[State]) -> None:
        self._ledger = ledger
        self._documents = frozenset(documents)
        self._states = states
        tracking = ledger.tracking
        self._left = {one for one in self._documents if tracking.state_of(one) in states}
        ledger.listeners.append(self._hear)

    def outstanding(self) -> int:
        """Return how many of them are in one of the states now."""
        return len(self._left)

    def settled(self) -> Coroutine[Any, Any, object]:
        """Wait for the next change in the ledger."""
        return self._ledger.change()

    def _hear(self, change: Transition) -> None:
        document = change.event.document
        if document not in self._documents:
            return
        if change.after in self._states:
            self._left.add(document)
        else:
            self._left.discard(document)
