"""Run work that outlives the request that caused it, such as webhooks, in a task group.

It doesn't know what the work is. Work that is unfinished when the service ends is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

Errand = Callable[[], Awaitable[object]]

log = logging.getLogger(__name__)


class Errands:
    """A queue of background work. `run` until cancelled; call `send` on the same event loop."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[float, Errand]] = asyncio.Queue()

    def send(self, errand: Errand, *, delay: float = 0) -> None:
        """Run `errand` after `delay` seconds; its exceptions are logged."""
        self._waiting.put_nowait((delay, errand))

    async def run(self) -> None:
        """Run what is sent, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                delay, errand = await self._waiting.get()
                group.create_task(_do(errand, delay))


async def _do(errand: Errand, delay: float) -> None:
    await asyncio.sleep(delay)
    try:
        await errand()
    except Exception:
        log.exception("an errand failed")
