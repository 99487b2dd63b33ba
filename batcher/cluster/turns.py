"""Gives hands out strictly in order of asking.

A queue of asyncio's lets whoever gave a hand back take it again before those who wait: one document
waited seven seconds so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """The things that are free, and who waits for one."""

    def __init__(self) -> None:
        self._free: deque[T] = deque()
        self._waiting: deque[asyncio.Future[T]] = deque()

    async def take(self) -> T:
        """Return a free thing; those who asked before get theirs first."""
        if self._free:
            return self._free.popleft()
        mine: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            return await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self.give(mine.result())
            raise

    def give(self, thing: T) -> None:
        """Hand it to the one who has waited longest, or keep it."""
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():
                first.set_result(thing)
                return
        self._free.append(thing)

    def withdraw(self, thing: T) -> None:
        """Forget a free thing that is gone; one that was taken is the taker's to drop."""
        if thing in self._free:
            self._free.remove(thing)
