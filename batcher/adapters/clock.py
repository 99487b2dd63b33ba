"""The time that deadlines are counted in: one that no adjustment of the machine's clock bends while
a run lasts.
"""

from __future__ import annotations

import time
from typing import Final

# seconds between our clock and the service's that are left alone: its `Date` is coarse
TOLERANCE: Final = 60.0


class SteadyClock:
    """Seconds since the epoch: the machine's clock read once, carried on by one that only counts,
    suspends included.
    """

    def __init__(self) -> None:
        self._offset = time.time() - _counted()
        self._correction = 0.0

    def __call__(self) -> float:
        return self._offset + _counted()

    def wall(self) -> float:
        """The machine's clock as it stands now, with the correction that this one took over."""
        return time.time() + self._correction

    def go_by(self, service_time: float | None) -> float:
        """Take over the service's clock where ours is far off: it is the service that deletes.
        Returns how far it was.

        A wrong clock would otherwise make last night's jobs look a day younger, or older, than they
        are.
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
    return time.monotonic()  # on macOS it counts suspends too
