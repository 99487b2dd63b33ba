"""Limit the rate of calls: one limiter per kind, so that delayed submissions don't delay fetches.

A limiter adapts its rate to refusals. If the service says that all calls share a limit, all of them
adapt together.
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

# Seconds of calls that may go out together, so that a late one doesn't delay the next.
GRAIN: Final = 0.05
TOGETHER: Final = 10  # calls at most
# Seconds to pause after failures, doubled each time until a call is answered.
FIRST_HOLD: Final = 0.5
FIRST_HOLD_OF_TOO_FAST: Final = 0.1
LONGEST_HOLD: Final = 60.0
STIRS: Final = 60.0  # seconds between checks whether a pause was shortened
# Seconds; a longer wait is reported.
WORTH_A_WORD: Final = 60.0
JUDGED_BY: Final = 10  # the last calls by which failures are judged …
JUDGED_FOR: Final = 5.0  # … within so many seconds
# Fraction of them that must fail before the limiter pauses; single failures delay nothing.
NEARLY_ALL: Final = 0.65


class RateLimiter:
    """Delays calls: `await limiter.acquire()` before each of them.

    `rate` is in calls per second; None means no limit at first. With `adapts` a given rate is only
    where to begin, and not a ceiling.
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
        # The throttler's waiters poll, each on its own; behind this lock only one of them does.
        self._gate = asyncio.Lock()
        self._free_at = 0.0
        self._freed = asyncio.Event()  # set when a pause ends early
        self._closed = asyncio.Event()
        # Called with the seconds and the reason of each wait that is worth reporting.
        self.tell: Callable[[float, str], None] = lambda seconds, why: None
        self._told_until = 0.0
        self._told_that_it_lasts = False
        self._failing_since: float | None = None
        self.answered_at = float("-inf")  # when a call was last answered, by the loop's clock
        self._failures = 0
        # For each call when it ended and whether it failed.
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=JUDGED_BY)
        self._whole: RateLimiter | None = None
        self._keep_to_rate()

    def join(self, whole: RateLimiter) -> None:
        """Make this limiter a part of `whole`, which counts the calls of all its parts."""
        self._whole = whole

    async def acquire(self, *, most: float = math.inf) -> bool:
        """Wait until the next call may go out; return at once if the limiter is closed.

        Returns False, without permission for a call, if the limiter pauses for more than `most`
        seconds.
        """
        while await self._until_free(most):
            if self._closed.is_set():
                return True
            # one waiter per limiter, so that they alternate under a shared limit
            async with self._gate:
                if self._free_at > _now():
                    continue  # a pause began while this call waited for the lock
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
        """End all waiting; callers must check for themselves that they make no more calls."""
        self._closed.set()
        self._freed.set()

    def try_once_more(self) -> None:
        """End the present pause, for one last call; its failure may start another pause."""
        self._free_at = 0.0
        self._freed.set()
        self._freed = asyncio.Event()
        if self._whole is not None:
            self._whole.try_once_more()

    @property
    def held_for(self) -> float:
        """The seconds for which this limiter, or the one for all calls, still pauses."""
        own = max(0.0, self._free_at - _now())
        return own if self._whole is None else max(own, self._whole.held_for)

    def pause(self, seconds: float) -> None:
        """Pause this limiter, and no other, for at least so many seconds."""
        self._free_at = max(self._free_at, _now() + seconds)

    def shorten(self, most: float) -> None:
        """Shorten the present pause to at most so many seconds."""
        self._free_at = min(self._free_at, _now() + most)

    def hold(self, error: ServiceError, *, most: float = math.inf) -> None:
        """Record a failed call, and pause.

        The pause is as long as the service asks for, or, if nearly all calls fail, gets longer each
        time. It is at most `most` seconds, for calls where a wait can cost a result and a try costs
        nothing.
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
        """Report each wait of more than a minute, and once that failures have lasted as long."""
        now = _now()
        if self._failing_since is None:
            self._failing_since = now
        lasting = now - self._failing_since > WORTH_A_WORD and not self._told_that_it_lasts
        if lasting or (self.held_for > WORTH_A_WORD and now >= self._told_until):
            self._told_that_it_lasts = self._told_that_it_lasts or lasting
            self._told_until = now + self.held_for
            self.tell(self.held_for, str(error))

    def answered(self) -> None:
        """Record an answered call; the next pause is short again, and the rate may rise."""
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
            return  # the other calls of a wave that fails together change nothing
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
        # how often the throttler checks its clock
        self._throttle.retry_interval = min(0.25, self._throttle.period / 16)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """A limiter for each kind of call.

    `whole` is for all of them together, and unlimited until a limit on all calls is met.
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
