"""The clock for deadlines: it isn't affected when the machine's clock is set during a run."""

from __future__ import annotations

import time
from typing import Final

# Seconds of difference to the service's clock that are ignored; its `Date` header is coarse.
TOLERANCE: Final = 60.0


class SteadyClock:
    """Seconds since the epoch: the machine's clock read once, continued by a monotonic one.

    Time in which the machine is suspended counts.
    """

    def __init__(self) -> None:
        self._offset = time.time() - _counted()
        self._correction = 0.0

    def __call__(self) -> float:
        return self._offset + _counted()

    def wall(self) -> float:
        """Return the machine's clock as it is now, with the correction taken over by `go_by`."""
        return time.time() + self._correction

    def go_by(self, service_time: float | None) -> float:
        """Take over the service's clock if ours is far off; return by how many seconds it was.

        The service deletes by its own clock: with a wrong one last night's jobs would seem a day
        younger, or older, than they are.
        """
        off = 0.0 if service_time is None else self() - service_time
        if abs(off) <= TOLERANCE:
            return 0.0
        self._offset -= off
        self._correction -= off
        return off


def _counted() -> float:
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()  # on macOS it includes time in which the machine is suspended
