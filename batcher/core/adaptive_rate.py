"""Learns how many calls per second a service accepts, from its answers and refusals.

Pure: times are passed in. The rate drops only if the share of refusals can be explained by our own
pace: otherwise a service that refuses at random, at any pace, would bring us to a standstill.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

SLOWER: Final = 0.95  # times the calls answered in the second before a refusal
LEAST_OF_BEST: Final = 0.85  # times the best recent second, below which a few refusals don't cut
MUCH_SLOWER: Final = 0.5  # the largest cut in one step, as a factor of the current rate
WAVE: Final = 6  # Refusals in one second; fewer may be chance.
# Refusals for each call answered in the last second, from which on the limit counts as reached.
TOO_FAST: Final = 0.2
FAR_TOO_FAST: Final = 0.25  # from here on, the answers of the last second are the limit
SLOWEST: Final = 0.2  # calls per second
FASTEST: Final = 1000.0  # the API's limit for one key
# Calls per second that remain after a first refusal, however few were made before it.
AT_FIRST: Final = 10.0
FEW: Final = 5.0  # calls per second; with so few, those of one second mean nothing
SLOWER_OF_FEW: Final = 0.7
ONE_WAVE: Final = 1.0  # seconds during which further refusals belong to the first one
FASTER: Final = 1.01  # factor for the rate after an answer, until the first refusal
# Calls per second added after each answer until the limit is found: seventy per cent per second.
TO_FIND: Final = 0.7
STEADILY: Final = 0.01  # the same near the limit: one per cent per second …
# … and doubled after each span of this many seconds without a refusal: the limit may have changed.
DOUBLES_IN: Final = 10.0
MOST_DOUBLINGS: Final = 4.0
IN_USE: Final = 0.7  # share of the rate that calls must use before it grows
BEST_OF: Final = 15.0  # seconds; the best second is taken from the last one or two such spans


@dataclass(slots=True)
class AdaptiveRate:
    """The rate of calls to one service, adjusted after each answer and refusal.

    `now` is in calls per second, or None as long as nothing was refused, when calls aren't limited.
    It never exceeds `ceiling`.
    """

    now: float | None = None
    ceiling: float = FASTEST
    _cut_at: float | None = None
    _has_met_limit: bool = False
    _answers: deque[float] = field(default_factory=deque)  # times within the last second
    _refusals: deque[float] = field(default_factory=deque)
    _best: float = 0.0
    _best_before: float = 0.0
    _best_since: float = -math.inf

    def answered(self, at: float) -> None:
        """Take in a call that was answered, at the moment `at` in seconds."""
        self._answers.append(at)
        of_late = _in_last_second(self._answers, at)
        self._remember_best(of_late, at)
        if self.now is not None:
            self.now = min(self._faster(self.now, of_late, at), self.ceiling)

    def refused(self, at: float) -> None:
        """Take in a call that was refused as too fast."""
        self._refusals.append(at)
        of_late = _in_last_second(self._answers, at)
        refused = _in_last_second(self._refusals, at)
        if self._cut_at is not None and at - self._cut_at < ONE_WAVE:
            return
        if self.now is None:
            self._cut(max(AT_FIRST, of_late * SLOWER), at)
            self._forget_best(at)
            return
        is_wave = refused >= WAVE
        self._has_met_limit = (
            self._has_met_limit or self.now <= FEW or (is_wave and refused >= TOO_FAST * of_late)
        )
        if not self._has_met_limit:
            return
        if self.now <= FEW:
            self._cut(self.now * SLOWER_OF_FEW, at)
        elif is_wave and refused >= FAR_TOO_FAST * of_late:
            self._cut(min(self.now, of_late) * SLOWER, at)
            self._forget_best(at)
        elif of_late + refused >= IN_USE * self.now:  # otherwise our pace wasn't the cause
            self._cut(max(of_late * SLOWER, max(self._best, self._best_before) * LEAST_OF_BEST), at)

    def _faster(self, rate: float, of_late: int, at: float) -> float:
        if self._cut_at is None:
            return rate * FASTER
        if not self._has_met_limit:
            return rate + TO_FIND
        if of_late < IN_USE * rate:
            return rate
        return rate + STEADILY * math.pow(
            2.0, min((at - self._cut_at) / DOUBLES_IN, MOST_DOUBLINGS)
        )

    def _cut(self, rate: float, at: float) -> None:
        self._cut_at = at
        if self.now is not None:
            rate = min(self.now, max(rate, self.now * MUCH_SLOWER))
        self.now = min(max(rate, SLOWEST), self.ceiling)

    def _remember_best(self, of_late: int, at: float) -> None:
        if at - self._best_since > BEST_OF:
            self._best_before = self._best
            self._best = 0.0
            self._best_since = at
        self._best = max(self._best, float(of_late))

    def _forget_best(self, at: float) -> None:
        """Forget the best second: what a burst was granted doesn't show what can be sustained."""
        self._best = 0.0
        self._best_before = 0.0
        self._best_since = at


def _in_last_second(moments: deque[float], now: float) -> int:
    while moments and now - moments[0] > 1.0:
        moments.popleft()
    return len(moments)
