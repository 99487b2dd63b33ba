"""Watches the time that results have left, and says so in time. It hurries nobody: the order of fetching is the rule.

It also notices when the machine was asleep, and has everything looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from batcher.edges.ledger import Ledger
from batcher.stages.course import Course
from batcher.stages.poller import Poller

GLANCE: Final = 60.0  # seconds
MARKS: Final = (0.9, 0.75, 0.5)  # of the retention
ASLEEP: Final = 30.0  # seconds that our clock ran ahead of the loop's, which stands still while the machine sleeps


class Hourglass:
    def __init__(
        self, ledger: Ledger, course: Course, poller: Poller, *, retention: float, clock: Callable[[], float]
    ) -> None:
        self._ledger = ledger
        self._course = course
        self._poller = poller
        self._retention = retention
        self._clock = clock
        self._told = 0.0  # the highest mark that was told of

    async def run(self) -> None:
        """For as long as the run lasts."""
        loop = asyncio.get_running_loop()
        while True:
            before = self._clock() - loop.time()
            await asyncio.sleep(GLANCE)
            self._notice_sleep(self._clock() - loop.time() - before)
            self._notice_time()

    def _notice_sleep(self, asleep: float) -> None:
        if asleep > ASLEEP:
            self._course.warn(f"the machine was asleep for {asleep / 60:.0f} min: everything is looked at again")
            self._poller.look_at_all()

    def _notice_time(self) -> None:
        deadline = self._ledger.nearest_deadline_at()
        if deadline is None:
            self._told = 0.0
            return
        gone = 1.0 - (deadline - self._clock()) / self._retention
        mark = next((mark for mark in MARKS if gone >= mark), 0.0)
        if mark > self._told:
            left = max(0.0, deadline - self._clock()) / 60
            self._course.warn(f"{mark:.0%} of its time is over for the oldest job that is out: {left:.0f} min are left")
        self._told = mark
