"""Work that outlives the request that caused it, such as late acceptances and webhooks: structured
all the same.

Knows nothing of what the errands are. What has not been done when the service ends is not done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

Errand = Callable[[], Awaitable[object]]

log = logging.getLogger(__name__)


class Errands:
    """`run` until cancelled; `send` from anywhere on the loop."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[float, Errand]] = asyncio.Queue()

    def send(self, errand: Errand, *, delay: float = 0) -> None:
        self._waiting.put_nowait((delay, errand))

    async def run(self) -> None:
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
