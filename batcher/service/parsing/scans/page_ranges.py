"""Short ranges of a scan's pages: read here, on as many cores as there are, or by other hands.

Who has other hands sets `SHARE`; by itself everything is read here. Recognises nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from batcher.service.parsing.scans.columns import Piece

# Pages of a range. A PDF is opened again for each, which takes as long as a tenth of a page; who
# waits for a hand waits for the end of one.
LONGEST: Final = 3
FEWEST: Final = 4  # ranges of a scan that other hands may read, if it has so many pages


@dataclass(frozen=True, slots=True)
class Recognised:
    """What OCR read on a page, and a sentence for each thing that it could not read."""

    pieces: tuple[Piece, ...] = ()
    unread: tuple[str, ...] = ()


Read = dict[int, Recognised]  # by the page's number
ReadRange = Callable[[Sequence[int]], Read]


@dataclass(frozen=True, slots=True)
class Given:
    """What comes next: pages to read here, or what another hand has read."""

    pages: Sequence[int] = ()
    read: Read | None = None


Take = Callable[[], Given | None]  # returns None once all ranges have been read; for any thread


def alone(ranges: Sequence[Sequence[int]]) -> Take:
    """Have all ranges read here."""
    left = deque(ranges)

    def take() -> Given | None:
        try:
            return Given(left.popleft())
        except IndexError:
            return None

    return take


SHARE: ContextVar[Callable[[list[list[int]]], Take]] = ContextVar("SHARE", default=alone)
CORES: ContextVar[int] = ContextVar("CORES", default=1)  # how many may be kept busy here


def read_in_ranges(numbers: Sequence[int], read: ReadRange, *, most: int) -> Read:
    """Return what is on these pages, of which `read` reads a range, in up to `most` threads."""
    share = SHARE.get()
    cores = min(most, CORES.get())
    fewest = cores if share is alone else FEWEST
    length = min(LONGEST, max(1, len(numbers) // fewest))
    ranges = [list(numbers[at : at + length]) for at in range(0, len(numbers), length)]
    take = share(ranges) if len(ranges) > 1 else alone(ranges)
    threads = min(cores, len(ranges))
    if threads <= 1:
        return _all_taken(take, read)
    found: Read = {}
    with ThreadPoolExecutor(threads) as pool:
        for part in pool.map(lambda _: _all_taken(take, read), range(threads)):
            found |= part
    return found


def _all_taken(take: Take, read: ReadRange) -> Read:
    found: Read = {}
    while (given := take()) is not None:
        found |= read(given.pages) if given.read is None else given.read
    return found
