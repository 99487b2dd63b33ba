"""What every stage of a run has in common: it runs, and it says how much it still has to do.

Which stages a run is made of, and which of them it waits for, is not known here.
"""

from __future__ import annotations

from typing import Protocol


class Outstanding(Protocol):
    """Something that a run may have to wait for."""

    def outstanding(self) -> int:
        """How much is still to be done as things stand; 0 means nothing.

        It changes nothing and may be asked at any time. Documents are counted in the ledger by
        their state, so a stage counts only what it has in hand beside that. Where a number would
        cost more than a glance, 1 stands for any.
        """


class Stage(Outstanding, Protocol):
    """A part of a run that works beside the others, in a task of its own."""

    async def run(self) -> None:
        """Work for as long as the run lasts, or until nothing more can come.

        The run cancels it at its end.
        """
