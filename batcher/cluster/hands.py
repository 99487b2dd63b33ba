"""What a hand is: it reads one document at a time, or moves files, here or on another machine.

Two kinds exist, `cluster.local` and `cluster.on_ray`, and `tests/cluster` holds both to the same
contract. A hand's work is free and may be done again: whoever lends one may do a task twice, unless
it is a PUT.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from batcher.cluster.file_tasks import FileReport, FileTask
from batcher.service.tasks import Report, Share, Task


class Hand(Protocol):
    """Reads one document at a time, or some pages of one that another hand has.

    `cores` is how many it keeps busy where there are pages enough.
    """

    @property
    def cores(self) -> int: ...

    async def warm_up(self) -> None:
        """Get ready, if that takes time. Raises OSError where it can't."""

    async def read(
        self,
        task: Task,
        *,
        seconds: float,
        on_stage: Callable[[str], None],
        share: Share | None = None,
    ) -> Report:
        """Do the task and return its report; the files that the task names are durable by then.

        `seconds` is the wall-clock time allowed from the moment the task begins, of which
        `on_stage` is told as "InProgress". Of a long scan `share` says which pages to read, and
        what others have read; without it all are read. What goes wrong is a Report: TIMEOUT, or
        SUBPROCESS_CRASHED for a process that died.
        """

    def kill(self) -> None:
        """End the task in progress, if any, whose report is then a failure."""

    async def close(self) -> None:
        """End the task in progress at once, and free what the hand holds."""


class Hands(Protocol):
    """All that can be borrowed at a time."""

    def each(self) -> AsyncIterator[Hand]:
        """Yield every hand, and wait for more of them where more may come."""


class FileHands(Protocol):
    """Hands that hash files, and put them at signed addresses."""

    @property
    def worth_handing_over(self) -> int:
        """The bytes from which a file takes less of this machine's time if a hand has it."""

    async def do(self, task: FileTask) -> FileReport:
        """Do the task, and report how it ended.

        What goes wrong is a report. Nothing is put twice at one address: where it isn't known what
        became of a PUT, that is LOST or NO_ANSWER, and the bytes may still arrive later.
        """
