"""How fast calls go out: one lane for each kind, so that a submission held back never holds back a fetch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from asyncio_throttle.throttler import Throttler

SLOWER: Final = 0.7  # times the rate after a refusal
FASTER: Final = 1.01  # times the rate after an acceptance: a doubling takes some seventy of them
SLOWEST: Final = 0.2  # calls per second


class Lane:
    """`await lane.turn()` before each call. `rate` in calls per second; None: as fast as they come."""

    def __init__(self, rate: float | None = None) -> None:
        self._ceiling = rate
        self._rate = rate
        self._free_at = 0.0
        self._gate = asyncio.Lock()  # the throttle's waiters poll, each on its own: behind the lock only one does
        self._throttle = Throttler(rate_limit=1, period=1 / rate) if rate else None

    async def turn(self) -> None:
        loop = asyncio.get_running_loop()
        while (wait := self._free_at - loop.time()) > 0:  # noqa: ASYNC110 (a moment is waited for, not a change)
            await asyncio.sleep(wait)
        if self._throttle is not None:
            async with self._gate:
                await self._throttle.acquire()  # type: ignore[no-untyped-call]

    def pause(self, seconds: float) -> None:
        """Hold this lane, and no other, for at least so long."""
        self._free_at = max(self._free_at, asyncio.get_running_loop().time() + seconds)

    def slower(self) -> None:
        self._set(max(SLOWEST, (self._rate or 50.0) * SLOWER))

    def faster(self) -> None:
        if self._rate is not None:
            self._set(min(self._rate * FASTER, self._ceiling or 1000.0))

    def _set(self, rate: float) -> None:
        self._rate = rate
        if self._throttle is None:
            self._throttle = Throttler(rate_limit=1, period=1 / rate)
        self._throttle.period = 1 / rate


@dataclass(frozen=True, slots=True)
class Pace:
    upload: Lane = field(default_factory=Lane)
    submit: Lane = field(default_factory=Lane)
    list: Lane = field(default_factory=Lane)
    fetch: Lane = field(default_factory=Lane)
