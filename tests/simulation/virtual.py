"""A loop whose time is a number: with nothing ready it jumps to the next timer; threads' work is
done on the spot.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import fields
from typing import Any, TypeVar

from asyncio_throttle.throttler import Throttler

from batcher.adapters.rate_limits import RateLimiter, RateLimits

T = TypeVar("T")


class Deadlock(AssertionError):
    """Nothing is ready and no timer is set: whoever waits would wait for ever."""


class Spinning(AssertionError):
    """Something is always ready though no time passes: outside it would take a whole processor."""


AT_ONCE = 200_000  # turns of the loop at one moment; a run of all tests stays far below


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.now = start
        self._turns = 0  # at this moment
        super().__init__(_NoWaiting())
        self._clock_resolution = 1e-6  # a float as large as a date is no finer

    def time(self) -> float:
        return self.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def _run_once(self) -> None:
        if not self._ready:  # type: ignore[attr-defined]
            self._jump()
        self._turns += 1
        if self._turns > AT_ONCE:
            raise Spinning(f"{AT_ONCE} turns without a moment passing")
        super()._run_once()  # type: ignore[misc]

    def _jump(self) -> None:
        scheduled = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False
        if not scheduled:
            raise Deadlock("nothing will ever happen again")
        if scheduled[0]._when > self.now:
            self.now = scheduled[0]._when
            self._turns = 0


class _NoWaiting(selectors.SelectSelector):
    """Time never passes in it; nothing outside the loop is ever waited for."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return []


class LoopThrottler(Throttler):
    """asyncio-throttle, with the loop's time instead of the machine's."""

    def flush(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._task_logs and now - self._task_logs[0] > self.period:
            self._task_logs.popleft()

    async def acquire(self) -> None:
        await super().acquire()
        self._task_logs[-1] = asyncio.get_running_loop().time()


def unhurried() -> RateLimits:
    """Lanes without a rate until something is refused, in the loop's time."""
    return RateLimits(*(RateLimiter(throttler=LoopThrottler) for _ in fields(RateLimits)))


def run_virtually(work: Coroutine[Any, Any, T], *, start: float = 1_800_000_000.0) -> T:
    loop = VirtualLoop(start)
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
