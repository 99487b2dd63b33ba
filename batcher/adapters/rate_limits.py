"""How fast calls go out: one lane for each kind, so that a submission held back never holds back a
fetch.

A lane learns its rate from what is refused. Where the service says that all calls share a limit,
they learn together.
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

from batcher.core.adaptive_rate import AdaptiveRate
from batcher.errors import Busy, ServiceError

# seconds of calls that may go together, so that one that comes late costs the next ones nothing
GRAIN: Final = 0.05
TOGETHER: Final = 10  # calls at most
# seconds after failures; twice as long each time, until something is answered
FIRST_HOLD: Final = 0.5
FIRST_HOLD_OF_TOO_FAST: Final = 0.1
LONGEST_HOLD: Final = 60.0
STIRS: Final = 60.0  # seconds between two looks at whether a hold still lasts as long as it was to
WORTH_A_WORD: Final = 60.0  # seconds
JUDGED_BY: Final = 10  # calls, the last ones …
JUDGED_FOR: Final = 5.0  # … within so many seconds
# share of them that has to fail before the lane is held: single failures hold up nobody
NEARLY_ALL: Final = 0.65


class RateLimiter:
    """`await lane.turn()` before each call. `rate` in calls per second; None: as fast as they come.

    `adapts`: a rate that was given is where to begin, not a ceiling.
    """

    def __init__(
        self,
        rate: float | None = None,
        *,
        adapts: bool = False,
        throttler: type[Throttler] = Throttler,
    ) -> None:
        self._rate = (
            AdaptiveRate(rate) if adapts or rate is None else AdaptiveRate(rate, ceiling=rate)
        )
        self._throttler = throttler
        self._throttle: Throttler | None = None
        # the throttle's waiters poll, each on its own: behind the lock only one does
        self._gate = asyncio.Lock()
        self._free_at = 0.0
        self._freed = asyncio.Event()  # before its time
        self._closed = asyncio.Event()
        # of each wait that is worth a word
        self.tell: Callable[[float, str], None] = lambda seconds, why: None
        self._told_until = 0.0
        self._told_that_it_lasts = False
        self._failing_since: float | None = None
        self.answered_at = float("-inf")  # when a call was last answered, by the loop's time
        self._failures = 0
        # when, and whether it failed
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=JUDGED_BY)
        self._whole: RateLimiter | None = None
        self._keep_to_rate()

    def join(self, whole: RateLimiter) -> None:
        """From now on it is a part of `whole`, which counts the calls of all its lanes."""
        self._whole = whole

    async def acquire(self, *, most: float = math.inf) -> bool:
        """Returns when the next call may go out, or at once where the lane is closed.

        False, and no turn, where it is held for longer than `most` seconds.
        """
        while await self._until_free(most):
            if self._closed.is_set():
                return True
            async with self._gate:  # one of each lane: so they take turns where they share a limit
                if self._free_at > _now():
                    continue  # it was told to wait while this one stood at the gate
                if self._throttle is not None and not self._closed.is_set():
                    await self._throttle.acquire()  # type: ignore[no-untyped-call]
                return (
                    self._whole is None
                    or self._closed.is_set()
                    or await self._whole.acquire(most=most)
                )
        return False

    async def _until_free(self, most: float) -> bool:
        while (wait := self.held_for) > 0 and not self._closed.is_set():
            if wait > most:
                return False
            await self._rest(min(wait, STIRS))
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
        """What it was asked to wait is over: for a last call, after which it may be asked to wait
        again.
        """
        self._free_at = 0.0
        self._freed.set()
        self._freed = asyncio.Event()
        if self._whole is not None:
            self._whole.try_once_more()

    @property
    def held_for(self) -> float:
        own = max(0.0, self._free_at - _now())
        return own if self._whole is None else max(own, self._whole.held_for)

    def pause(self, seconds: float) -> None:
        """Hold this lane, and no other, for at least so long."""
        self._free_at = max(self._free_at, _now() + seconds)

    def shorten(self, most: float) -> None:
        """From now on it is held for no longer than so many seconds."""
        self._free_at = min(self._free_at, _now() + most)

    def hold(self, error: ServiceError, *, most: float = math.inf) -> None:
        """A call failed: wait as long as the service asks, or else, where nearly all fail, longer
        from time to time.

        At `most` so many seconds, whatever it asks: for lanes where a wait can cost a result, and a
        look costs nothing.
        """
        asked_for = error.retry_after if isinstance(error, Busy) else None
        if asked_for is not None:
            self.pause(min(asked_for, most))
        if not isinstance(error, Busy) or not error.is_too_fast:
            self._failed(FIRST_HOLD, rests=asked_for is None)
        elif error.is_of_all_calls and self._whole is not None:
            self._whole._too_fast(rests=asked_for is None)
        else:
            self._too_fast(rests=asked_for is None)
        self._tell_of(error)

    def _tell_of(self, error: ServiceError) -> None:
        """Once for each wait of more than a minute, and once for failures that go on for so
        long.
        """
        now = _now()
        if self._failing_since is None:
            self._failing_since = now
        lasting = now - self._failing_since > WORTH_A_WORD and not self._told_that_it_lasts
        if lasting or (self.held_for > WORTH_A_WORD and now >= self._told_until):
            self._told_that_it_lasts = self._told_that_it_lasts or lasting
            self._told_until = now + self.held_for
            self.tell(self.held_for, str(error))

    def answered(self) -> None:
        """A call was answered: the next failure is a first one, and the next calls may come a
        little faster.
        """
        now = self.answered_at = _now()
        self._failures = 0
        self._failing_since = None
        self._told_that_it_lasts = False
        self._outcomes.append((now, False))
        self._rate.answered(now)
        self._keep_to_rate()
        if self._whole is not None:
            self._whole.answered()

    def _too_fast(self, *, rests: bool) -> None:
        self._rate.refused(_now())
        self._keep_to_rate()
        self._failed(FIRST_HOLD_OF_TOO_FAST, rests=rests)

    def _failed(self, first: float, *, rests: bool) -> None:
        now = _now()
        self._outcomes.append((now, True))
        if not rests or now < self._free_at or not self._nearly_all_fail(now):
            return  # the others of a wave that fails together change nothing
        self.pause(min(LONGEST_HOLD, first * 2.0 ** min(self._failures, 10)))
        self._failures += 1

    def _nearly_all_fail(self, now: float) -> bool:
        of_late = [failed for moment, failed in self._outcomes if now - moment <= JUDGED_FOR]
        return sum(of_late) >= NEARLY_ALL * len(of_late)

    def _keep_to_rate(self) -> None:
        rate = self._rate.now
        if rate is None:
            return
        if self._throttle is None:
            self._throttle = self._throttler(rate_limit=1)
        together = max(1, min(TOGETHER, int(rate * GRAIN)))
        self._throttle.rate_limit = together
        self._throttle.period = together / rate
        # how often it looks at its clock
        self._throttle.retry_interval = min(0.25, self._throttle.period / 16)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """A lane for each kind of call; `whole` is all of them together, and free until a limit on all
    calls is met.
    """

    upload: RateLimiter = field(default_factory=RateLimiter)
    submit: RateLimiter = field(default_factory=RateLimiter)
    list: RateLimiter = field(default_factory=RateLimiter)
    fetch: RateLimiter = field(default_factory=RateLimiter)
    clean: RateLimiter = field(default_factory=RateLimiter)
    whole: RateLimiter = field(default_factory=RateLimiter)

    def __post_init__(self) -> None:
        for lane in (self.upload, self.submit, self.list, self.fetch, self.clean):
            lane.join(self.whole)


def _now() -> float:
    return asyncio.get_running_loop().time()
