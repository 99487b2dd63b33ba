"""Shows a run's progress as lines of a log, at most one a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from batcher.views.standing import Standing

EVERY: Final = 60.0  # seconds
SILENT: Final = 10  # of so many lines one is written while nothing happens


class ProgressLines:
    """Says a line each `every` seconds until `close`, and fewer while nothing happens.

    It belongs to the running event loop.
    """

    def __init__(
        self, standing: Standing, say: Callable[[str], None], *, every: float = EVERY
    ) -> None:
        self._standing = standing
        self._say = say
        self._every = every
        self._state = standing.state()
        self._left_out = 0
        self._wait()

    def close(self) -> None:
        self._next.cancel()

    def _wait(self) -> None:
        self._next = asyncio.get_running_loop().call_later(self._every, self._tell)

    def _tell(self) -> None:
        self._wait()
        state = self._standing.state()
        if state == self._state and self._left_out < SILENT - 1:
            self._left_out += 1
            return
        self._state = state
        self._left_out = 0
        self._say(f"batcher: {self._standing.line()}")
