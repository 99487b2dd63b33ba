"""How fast calls go out: one lane for each kind, so that a submission held back never holds back a fetch.

A lane learns its rate from what is refused, steady rather than in bursts, because the API rewards that.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from asyncio_throttle.throttler import Throttler

from batcher.errors import Busy, ServiceError

SLOWER: Final = 0.9  # times what was answered in the second before a refusal
MUCH_SLOWER: Final = 0.7  # times its own rate, at most, once it has one
FASTER: Final = 1.002  # times the rate after an answer: at 60 a second, an eighth more in each second
FASTER_AT_FIRST: Final = 1.01  # the same as long as nothing has been refused
AT_FIRST: Final = 10.0  # calls per second that a lane is left with after its first refusal, however little it asked for
SLOWEST: Final = 0.2  # calls per second
SLOWEST_STEP: Final = 0.01
FASTEST: Final = 1000.0  # the API's limit for one key
ONE_WAVE: Final = 1.0  # seconds in which further refusals belong to the first
FIRST_HOLD: Final = 0.5  # seconds after a failure; twice as long after each further one
FIRST_HOLD_OF_TOO_FAST: Final = 0.1
LONGEST_HOLD: Final = 60.0
STIRS: Final = 60.0  # seconds between two looks at whether a hold still lasts as long as it was to
WORTH_A_WORD: Final = 60.0  # seconds


class Lane:
    """`await lane.turn()` before each call. `rate` in calls per second; None: as fast as they come.

    `adapts`: a rate that was given is where to begin, not a ceiling.
    """

    def __init__(
        self, rate: float | None = None, *, adapts: bool = False, throttler: type[Throttler] = Throttler
    ) -> None:
        self._ceiling = None if adapts else rate
        self._rate = rate
        self._throttler = throttler
        self._throttle: Throttler | None = None
        self._gate = asyncio.Lock()  # the throttle's waiters poll, each on its own: behind the lock only one does
        self._free_at = 0.0
        self._freed = asyncio.Event()  # before its time
        self._closed = asyncio.Event()
        self._told_until = 0.0
        self._failing_since: float | None = None
        self._told_that_it_lasts = False
        self.tell: Callable[[float, str], None] = lambda seconds, why: None  # of each wait that is worth a word
        self._failures = 0
        self._slowed_at: float | None = None
        self._answered: deque[float] = deque(maxlen=int(FASTEST))
        if rate:
            self._set(rate)

    async def turn(self, *, most: float = math.inf) -> bool:
        """Returns when the next call may go out, or at once where the lane is closed.

        False, and no turn, where it is held for longer than `most` seconds.
        """
        while (wait := self._free_at - _now()) > 0 and not self._closed.is_set():
            if wait > most:
                return False
            await self._rest(min(wait, STIRS))
        if self._throttle is not None and not self._closed.is_set():
            async with self._gate:
                if not self._closed.is_set():
                    await self._throttle.acquire()  # type: ignore[no-untyped-call]
        return True

    async def _rest(self, wait: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._freed.wait()

    def close(self) -> None:
        """Nobody waits in this lane any more: whoever has his turn from now on makes no call."""
        self._closed.set()
        self._freed.set()

    def try_once_more(self) -> None:
        """What it was asked to wait is over: for a last call, after which it may be asked to wait again."""
        self._free_at = 0.0
        self._freed.set()
        self._freed = asyncio.Event()

    @property
    def held_for(self) -> float:
        return max(0.0, self._free_at - _now())

    @property
    def answered_at(self) -> float:
        """When a call was last answered, by the loop's time."""
        return self._answered[-1] if self._answered else float("-inf")

    def pause(self, seconds: float) -> None:
        """Hold this lane, and no other, for at least so long."""
        self._free_at = max(self._free_at, _now() + seconds)

    def shorten(self, most: float) -> None:
        """From now on it is held for no longer than so many seconds."""
        self._free_at = min(self._free_at, _now() + most)

    def hold(self, error: ServiceError, *, most: float = math.inf) -> None:
        """A call failed: wait as long as the service asks, or else longer from failure to failure.

        At `most` so many seconds, whatever it asks: for lanes where a wait can cost a result, and a look costs nothing.
        """
        first = FIRST_HOLD
        if isinstance(error, Busy) and error.status == 429:
            self._slow_down()
            first = FIRST_HOLD_OF_TOO_FAST
        if isinstance(error, Busy) and error.retry_after is not None:
            self.pause(min(error.retry_after, most))
        elif _now() >= self._free_at:  # the others of a wave that fails together change nothing
            self.pause(min(LONGEST_HOLD, first * 2.0 ** min(self._failures, 10)))
            self._failures += 1
        self._tell_of(error)

    def _tell_of(self, error: ServiceError) -> None:
        """Once for each wait of more than a minute, and once for failures that go on for so long."""
        now = _now()
        if self._failing_since is None:
            self._failing_since = now
        lasting = now - self._failing_since > WORTH_A_WORD and not self._told_that_it_lasts
        if lasting or (self.held_for > WORTH_A_WORD and now >= self._told_until):
            self._told_that_it_lasts = self._told_that_it_lasts or lasting
            self._told_until = self._free_at
            self.tell(self.held_for, str(error))

    def answered(self) -> None:
        """A call was answered: the next failure is a first one, and the next calls may come a little faster."""
        self._failures, self._failing_since, self._told_that_it_lasts = 0, None, False
        self._answered.append(_now())
        if self._rate is not None:
            step = FASTER_AT_FIRST if self._slowed_at is None else FASTER
            self._set(min(max(self._rate * step, self._rate + SLOWEST_STEP), self._ceiling or FASTEST))

    def _slow_down(self) -> None:
        """What was answered in the second before is what the service takes."""
        now = _now()
        if self._slowed_at is not None and now - self._slowed_at < ONE_WAVE:
            return
        self._slowed_at = now
        of_late = float(sum(1 for moment in self._answered if now - moment <= 1.0))
        if self._rate is None:
            self._set(max(AT_FIRST, of_late * SLOWER))
        else:  # a lane that asked for little isn't to be held to that: the calls of others count too
            self._set(max(SLOWEST, self._rate * MUCH_SLOWER, min(self._rate, of_late) * SLOWER))

    def _set(self, rate: float) -> None:
        self._rate, period = rate, 1 / rate
        if self._throttle is None:
            self._throttle = self._throttler(rate_limit=1)
        self._throttle.period = period
        self._throttle.retry_interval = min(0.25, period / 8)  # how often it looks at its clock


@dataclass(frozen=True, slots=True)
class Pace:
    upload: Lane = field(default_factory=Lane)
    submit: Lane = field(default_factory=Lane)
    list: Lane = field(default_factory=Lane)
    fetch: Lane = field(default_factory=Lane)
    clean: Lane = field(default_factory=Lane)


def _now() -> float:
    return asyncio.get_running_loop().time()
