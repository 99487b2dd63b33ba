"""Shows a run's progress on a terminal, as a tqdm bar. Elsewhere `progress_lines` does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn, TextIO

from tqdm import tqdm

from batcher.views.standing import Standing

REDRAWN: Final = 0.25  # seconds
NARROWEST: Final = 10  # columns of the bar itself


def write_above(words: str, stream: TextIO) -> None:
    """Write a line to a terminal, above the bar if there is one."""
    tqdm.write(words, file=stream)


class Bar:
    """A bar that is redrawn in place until `close`, which removes it.

    It belongs to the running event loop.
    """

    def __init__(self, standing: Standing, *, stream: TextIO) -> None:
        self._standing = standing
        self._stream = stream
        self._bar: tqdm[NoReturn] = tqdm(
            file=stream,
            dynamic_ncols=True,
            leave=False,
            bar_format="{percentage:3.0f}%|{bar}| {desc}",
        )
        self._draw()

    def close(self) -> None:
        self._next.cancel()
        self._bar.close()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Leave the last line of the terminal to somebody else during the block."""
        self._next.cancel()
        self._bar.clear()
        try:
            yield
        finally:
            self._draw()

    def _draw(self) -> None:
        """Draw the bar now and, since the time left changes by itself, in a moment again."""
        self._next = asyncio.get_running_loop().call_later(REDRAWN, self._draw)
        self._bar.total = self._standing.known or 1
        self._bar.n = self._standing.done
        counts = f"{self._standing.done:,}/{self._standing.known:,}"
        room = _columns(self._stream) - len("100%|| ") - NARROWEST
        self._bar.set_description_str(
            fitting([counts, *self._standing.parts()], room), refresh=False
        )
        self._bar.refresh()


def fitting(parts: Iterable[str], room: int) -> str:
    """Return as many of the first parts as fit into `room` columns, and at least one."""
    first, *others = parts
    words = first
    for part in others:
        if len(words) + len(part) + 2 > room:
            break
        words = f"{words}, {part}"
    return words


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 80
