"""What every stage of a run has in common: it runs, and it reports how much is left to do.

It doesn't say which stages a run has, and which of them it waits for.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol


class Outstanding(Protocol):
    """Something that says how much it still has to do."""

    def outstanding(self) -> int:
        """Return how much is left to do right now; 0 means nothing.

        It changes nothing and may be called at any time. The ledger counts documents by state, so a
        stage counts only what it has in hand besides. If an exact number is expensive, 1 stands for
        any.
        """


class Awaited(Outstanding, Protocol):
    """Something that a run may have to wait for."""

    def settled(self) -> Coroutine[Any, Any, object]:
        """Return what waits until nothing may be outstanding any more.

        It may end earlier, so ask `outstanding` again; but never later: whatever makes that 0 after
        this call ends the wait.
        """


class Stage(Outstanding, Protocol):
    """A part of a run that works beside the others, in its own task."""

    async def run(self) -> None:
        """Work for as long as the run lasts, or until nothing more can come.

        The run cancels it at its end.
        """
