"""Watches the time that is left to fetch results, and warns early. It doesn't change the order.

It also notices when the machine was asleep, and has all jobs checked again, and when the machine's
clock was set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from batcher.common.formatting import format_duration
from batcher.stages.context import StageContext
from batcher.stages.poller import Poller

GLANCE: Final = 60.0  # seconds between two checks
MARKS: Final = (1.0, 0.9, 0.75, 0.5)  # shares of the retention after which it warns
# seconds by which our clock got ahead of the loop's, which stands still while the machine sleeps
ASLEEP: Final = 30.0


class DeadlineMonitor:
    def __init__(
        self,
        context: StageContext,
        poller: Poller,
        *,
        retention: float,
        wall: Callable[[], float],
    ) -> None:
        self._ledger = context.ledger
        self._control = context.control
        self._poller = poller
        self._retention = retention
        self._clock = context.clock
        self._wall = wall  # the machine's clock, which people can set; `clock` doesn't follow it
        self._set_by = 0.0
        self._told = 0.0  # the highest mark reported so far

    async def run(self) -> None:
        """Watch for as long as the run lasts."""
        loop = asyncio.get_running_loop()
        while True:
            before = self._clock() - loop.time()
            await asyncio.sleep(GLANCE)
            self._notice_sleep(self._clock() - loop.time() - before)
            self._notice_setting(self._wall() - self._clock())
            self._notice_time()

    def outstanding(self) -> int:
        """Return 0: no run waits for this."""
        return 0

    def _notice_sleep(self, asleep: float) -> None:
        if asleep > ASLEEP:
            self._control.warn(
                f"the machine was asleep for {format_duration(asleep)}: everything is checked again"
            )
            self._poller.look_at_all()

    def _notice_setting(self, off: float) -> None:
        if abs(off - self._set_by) > ASLEEP:
            how = "forward" if off > self._set_by else "back"
            words = (
                f"this machine's clock was set {how} by "
                f"{format_duration(abs(off - self._set_by))}: this run keeps its own time"
            )
            self._control.warn(words)
            self._set_by = off

    def _notice_time(self) -> None:
        deadline = self._ledger.tracking.nearest_deadline_at()
        if deadline is None:
            self._told = 0.0
            return
        gone = 1.0 - (deadline - self._clock()) / self._retention
        mark = next((mark for mark in MARKS if gone >= mark), 0.0)
        if mark > self._told:
            self._control.warn(_words(mark, deadline - self._clock()))
        self._told = mark


def _words(mark: float, left: float) -> str:
    if mark >= 1.0:
        return "the time of the oldest job in flight is over: its result may be gone"
    return (
        f"{mark:.0%} of its time is over for the oldest job in flight: {format_duration(left)} "
        "are left"
    )
