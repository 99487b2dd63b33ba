"""Waiting for something to happen, without asking again and again whether it has."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


class Signal:
    """Wakes everybody who waits at the moment it is given; later ones wait for the next time."""

    def __init__(self) -> None:
        self._given = asyncio.Event()

    def give(self) -> None:
        self._given.set()
        self._given = asyncio.Event()

    def wait(self, *, within: float | None = None) -> Coroutine[Any, Any, None]:
        """Return what waits for the next time, or for `within` seconds.

        The next time is counted from this call, not from when its result is awaited.
        """
        return _wait(self._given, within)


async def _wait(given: asyncio.Event, within: float | None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await given.wait()


async def until_any(*ends: Coroutine[Any, Any, object]) -> None:
    """Wait until one of `ends` has come, and cancel the others. Raises what it raised."""
    waits = [asyncio.ensure_future(end) for end in ends]
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    for wait in done:
        wait.result()
