"""How many calls a second a service takes, learned from what it answers and what it refuses. Pure:
times are passed in.

Only a share of refusals that its own pace explains makes it slower: a service that refuses at
random, whatever the pace, would otherwise bring it to a standstill.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

SLOWER: Final = 0.95  # times what was answered in the second before a refusal
LEAST_OF_BEST: Final = 0.85  # times the best second of late: no slower for a few refusals
MUCH_SLOWER: Final = 0.5  # times its own rate, at most, in one step
WAVE: Final = 6  # refusals in a second: fewer may be chance
# refused for each one that was answered in the last second: the limit is met
TOO_FAST: Final = 0.15
FAR_TOO_FAST: Final = 0.25  # the same: what was answered meanwhile is the limit
SLOWEST: Final = 0.2  # calls per second
FASTEST: Final = 1000.0  # the API's limit for one key
# calls per second that are left after a first refusal, however few were asked for before it
AT_FIRST: Final = 10.0
FEW: Final = 5.0  # calls per second: with so few, those of one second say nothing
SLOWER_OF_FEW: Final = 0.7
ONE_WAVE: Final = 1.0  # seconds in which further refusals belong to the first
FASTER: Final = 1.01  # times the rate after an answer, while nothing has ever been refused
# calls per second more after an answer, until the limit was met: seventy per cent in each second
TO_FIND: Final = 0.7
STEADILY: Final = 0.01  # the same near the limit: one per cent in each second …
# … and twice as many for so many seconds without a refusal: the limit may be another by now
DOUBLES_IN: Final = 10.0
MOST_DOUBLINGS: Final = 4.0
IN_USE: Final = 0.7  # share of the rate that calls must make use of before it grows
BEST_OF: Final = 15.0  # seconds; the best second is of the last one or two such spans


@dataclass(slots=True)
class AdaptiveRate:
    """`now` is calls per second; None: as fast as they come, for nothing was refused yet.

    Never above `ceiling`.
    """

    now: float | None = None
    ceiling: float = FASTEST
    _cut_at: float | None = None
    _has_met_limit: bool = False
    _answers: deque[float] = field(default_factory=deque)  # of the last second
    _refusals: deque[float] = field(default_factory=deque)
    _best: float = 0.0
    _best_before: float = 0.0
    _best_since: float = -math.inf

    def answered(self, at: float) -> None:
        self._answers.append(at)
        of_late = _in_last_second(self._answers, at)
        self._remember_best(of_late, at)
        if self.now is not None:
            self.now = min(self._faster(self.now, of_late, at), self.ceiling)

    def refused(self, at: float) -> None:
        """It was too fast, or so the service says."""
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
        elif of_late + refused >= IN_USE * self.now:  # else it wasn't our pace
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
        """What a burst was granted before says nothing of what lasts."""
        self._best = 0.0
        self._best_before = 0.0
        self._best_since = at


def _in_last_second(moments: deque[float], now: float) -> int:
    while moments and now - moments[0] > 1.0:
        moments.popleft()
    return len(moments)
