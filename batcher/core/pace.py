"""How fast documents come to an end, and how long the rest will take. Pure.

The rate is that of the last minutes, and of a longer time where few documents ended in these: a
rate of the last seconds would make a promise that changes with every line.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

WINDOW: Final = 300.0  # seconds
ENOUGH: Final = 20  # documents that suffice for a rate; with fewer, a longer past is taken
STEP: Final = 5.0  # seconds between two counts that are kept


class _Count(NamedTuple):
    at: float
    ended: int


@dataclass(slots=True)
class Pace:
    """Learns from how many documents have ended at which moment. The caller passes the time."""

    _counts: deque[_Count] = field(default_factory=deque)

    def learn(self, now: float, ended: int) -> None:
        """Take in that `ended` documents have come to an end so far."""
        if not self._counts or now - self._counts[-1].at >= STEP:
            self._counts.append(_Count(now, ended))
        while len(self._counts) > 2 and self._suffices(self._counts[1], now, ended):
            self._counts.popleft()

    def per_second(self, now: float, ended: int) -> float | None:
        """Return how many documents end in a second; None before any has."""
        if not self._counts:
            return None
        first = self._counts[0]
        if ended <= first.ended or now <= first.at:
            return None
        return (ended - first.ended) / (now - first.at)

    def seconds_left(
        self, now: float, ended: int, *, to_do: int, to_fetch: int, fetches: float | None
    ) -> float | None:
        """Return how long `to_do` documents take; None while that can't be told.

        `to_fetch` of them have a job, and `fetches` is how many results can be fetched in a second,
        if known: however fast jobs complete, their results aren't on disk sooner.
        """
        rate = self.per_second(now, ended)
        if not to_do:
            return 0.0
        if rate is None:
            return None
        least = to_fetch / fetches if fetches else 0.0
        return max(to_do / rate, least)

    @staticmethod
    def _suffices(count: _Count, now: float, ended: int) -> bool:
        return now - count.at >= WINDOW and ended - count.ended >= ENOUGH
