"""The later steps for which room is kept below the limits, as far as the selection goes by them.

What they may cost is summed up in the ledger (`ledger.run_spend`), whose writer alone sees it. Here
stands which documents they are: those are sent first, and near a limit nothing else is begun.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from batcher.core.lifecycle import FOLLOWED, OUT, TO_SUBMIT, State
from batcher.ledger.ledger import Due, Ledger, Transition


class KeptRoom:
    """False while no room is kept."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger: Final = ledger
        self._before: dict[int, int] = {}  # by later step, the document of the step before it
        self._released: set[int] = set()  # the later steps that can be sent
        self._may_shrink = False
        self.limit = ""  # the one that leaves room for nothing but those steps

    def __bool__(self) -> bool:
        return bool(self._before)

    def hear(self, change: Transition) -> None:
        """Take in an event of the ledger, which frees the room by the same rules."""
        document = change.event.document
        if document in self._before:
            if change.after in TO_SUBMIT:
                self._released.add(document)
            elif change.after is not State.FOLLOWING:
                self._forget(document)
        elif self._before and change.before in OUT and change.after not in FOLLOWED:
            for step in self._steps_after(document):
                self._forget(step)

    def keep(self, steps: Iterable[int], *, after: int) -> None:
        """Note that room is kept for the documents `steps`, which follow the document `after`."""
        self._before.update(dict.fromkeys(steps, after))

    async def free(self, document: int) -> None:
        """Keep no room any more for a document that doesn't fit, nor for what would follow it."""
        for step, before in list(self._before.items()):
            if document in (step, before):
                await self._ledger.free_room(step)
                self._forget(step)

    def wait(self, *, may_shrink: bool) -> None:
        """Begin no other document until one of those steps is sent, if it may cost less."""
        self._may_shrink = may_shrink

    def due(self, now: float, limit: int) -> list[Due]:
        """Return the documents that may be sent, and are due, with what room is kept for first.

        At least `limit` of them, if there are so many.
        """
        scan = self._ledger.scan
        queries = self._ledger.sending
        if self.limit or (self._may_shrink and self._before):
            begun = {*self._before, *self._before.values()}
            return queries.due_among(begun, now, scan=scan)
        if not self._released:
            return queries.due(now, limit, scan=scan)
        first = queries.due_among(self._released, now, scan=scan)
        known = {row.id for row in first}
        either = queries.due(now, limit + len(first), scan=scan)
        rest = [row for row in either if row.id not in known]
        return first + rest

    def _steps_after(self, document: int) -> list[int]:
        return [step for step, before in self._before.items() if before == document]

    def _forget(self, step: int) -> None:
        del self._before[step]
        self._released.discard(step)
        self._may_shrink = False
