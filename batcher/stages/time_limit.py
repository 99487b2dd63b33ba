"""Ends a run's submissions when its time is up. Results of jobs in flight are still fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from batcher.core.budget import next_occurrence
from batcher.manifest.model import Limits
from batcher.stages.run_control import RunControl

# seconds between two checks of the clock: it may jump, and the machine may sleep
GLANCE: Final = 20.0


class TimeLimit:
    """The limits on a run's duration, counted from when this object is made."""

    def __init__(self, limits: Limits, control: RunControl, *, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._control = control
        self._clock = clock
        self._began_at = clock()
        here_and_now = datetime.fromtimestamp(self._began_at)
        self._stop_at = (
            next_occurrence(limits.stop_at, here_and_now).timestamp() if limits.stop_at else None
        )

    def look(self) -> None:
        """Stop the run if its time is up."""
        if self._left() <= 0:
            self._control.reach(self._words())

    async def run(self) -> None:
        """Check until the time is up, or for as long as the run lasts."""
        while not self._control.stopped.is_set() and (left := self._left()) < float("inf"):
            await asyncio.sleep(min(GLANCE, max(0.0, left)))
            self.look()

    def outstanding(self) -> int:
        """Return 0: no run waits for this."""
        return 0

    def _left(self) -> float:
        return min(self._left_of_duration(), self._left_of_night())

    def _left_of_duration(self) -> float:
        most = self._limits.max_duration
        return float("inf") if most is None else self._began_at + most - self._clock()

    def _left_of_night(self) -> float:
        return float("inf") if self._stop_at is None else self._stop_at - self._clock()

    def _words(self) -> str:
        if self._left_of_duration() <= 0:
            return f"limits.max_duration = {self._limits.max_duration:g} s is over"
        return f"limits.stop_at = {self._limits.stop_at:%H:%M} is past"
