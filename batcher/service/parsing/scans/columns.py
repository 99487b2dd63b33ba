"""The reading order of text that OCR found: columns before lines, and the rows of tables whole.

Works on places only, in any unit of length that is the same across and down the page.
"""

from __future__ import annotations

import statistics
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from batcher.service.parsing.pages import Word

POSITIONS: Final = 200  # places across a region that are tried for a gutter
DEEPEST: Final = 12  # columns are looked for in columns; each cut makes the regions smaller
# All in heights of a line: the narrowest gutter, the shortest line that tells how the scan slopes,
# and the row pitch and the gap that lines of one column of prose don't have.
GUTTER: Final = 0.8
LONG: Final = 10.0
PITCH: Final = 2.6
APART: Final = 3.0
PROSE: Final = 17  # characters of a line of prose, at the median; cells of tables have fewer
FEWEST: Final = 3  # lines on each side of a gutter
ALIGNED: Final = 0.6  # share of lines that have one beside them, as the cells of a table do
SLOPE: Final = 0.004  # a scan that is turned by less needs no straightening


@dataclass(frozen=True, slots=True)
class Piece:
    """A line of text, or the part of it up to a wide gap, with its words.

    The corners are those on the upright page; `slope` is how much the line falls there for each
    unit to the right, and `size` the usual height of its words, which tells the size of the
    letters. The words' boxes are fractions of the page as it is.
    """

    words: tuple[Word, ...]
    left: float
    top: float
    right: float
    bottom: float
    size: float
    slope: float = 0.0

    @property
    def text(self) -> str:
        """The words with single spaces."""
        return " ".join(word.text for word in self.words)

    @property
    def middle(self) -> float:
        """Half-way between top and bottom."""
        return (self.top + self.bottom) / 2


Row = list[Piece]  # pieces beside each other, from left to right


@dataclass(frozen=True, slots=True)
class _Cut:
    """Columns in rows `first` to `last` (not included), left and right of `place`."""

    first: int
    last: int
    place: float
    weight: int  # lines on the side that has fewer


def line_height(pieces: Sequence[Piece]) -> float:
    """Return the usual height of a line; `pieces` must not be empty."""
    return statistics.median(piece.bottom - piece.top for piece in pieces)


def regions_of(pieces: Sequence[Piece]) -> list[list[Row]]:
    """Return the regions of a page in reading order, each as its rows from top to bottom.

    A region is the page, or a part of it that is one column wide.
    """
    if not pieces:
        return []
    height = line_height(pieces) or 1.0
    found: list[list[Row]] = []
    waiting = [([_joined(row, height) for row in _rows(_straightened(pieces, height))], 0)]
    while waiting:
        rows, depth = waiting.pop()
        cut = _best_cut(rows, height) if depth < DEEPEST else None
        if cut is None:
            found.append(rows)
            continue
        parts = [part for part in _parts(rows, cut) if part]
        waiting += [(part, depth + 1) for part in reversed(parts)]
    return found


def spaces(rows: Sequence[Row], height: float) -> list[float]:
    """Return places, at most one for each gutter, that no piece of the rows comes near."""
    edges = sorted((piece.left, piece.right) for row in rows for piece in row)
    places = []
    reached = edges[0][1]
    for left, right in edges[1:]:
        if left - reached >= GUTTER * height:
            places.append((reached + left) / 2)
        reached = max(reached, right)
    return places


def _straightened(pieces: Sequence[Piece], height: float) -> list[Piece]:
    """Shift the pieces of a scan that lies slightly askew, so that rows are level."""
    long = [piece.slope for piece in pieces if piece.right - piece.left >= LONG * height]
    slope = statistics.median(long) if len(long) >= FEWEST else 0.0
    if abs(slope) < SLOPE:
        return list(pieces)
    return [_lifted(piece, slope * (piece.left + piece.right) / 2, height) for piece in pieces]


def _lifted(piece: Piece, by: float, height: float) -> Piece:
    middle = piece.middle - by
    return replace(piece, top=middle - height / 2, bottom=middle + height / 2)


def _rows(pieces: Sequence[Piece]) -> list[Row]:
    rows: list[Row] = []
    for piece in sorted(pieces, key=lambda piece: piece.middle):
        if rows and rows[-1][0].top <= piece.middle <= rows[-1][0].bottom:
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [sorted(row, key=lambda piece: piece.left) for row in rows]


def _joined(row: Row, height: float) -> Row:
    """Join neighbours between which there is no wider space than between words."""
    joined = row[:1]
    for piece in row[1:]:
        last = joined[-1]
        if piece.left - last.right < GUTTER * height:
            joined[-1] = _one(last, piece)
        else:
            joined.append(piece)
    return joined


def _one(left: Piece, right: Piece) -> Piece:
    longer = max(left, right, key=lambda piece: piece.right - piece.left)
    return Piece(
        (*left.words, *right.words),
        left.left,
        min(left.top, right.top),
        max(left.right, right.right),
        max(left.bottom, right.bottom),
        min(left.size, right.size),
        longer.slope,
    )


def _parts(rows: Sequence[Row], cut: _Cut) -> list[list[Row]]:
    """Return what is above the columns, the left and the right column, and what is below."""
    inside = [piece for row in rows[cut.first : cut.last] for piece in row]
    return [
        list(rows[: cut.first]),
        _rows([piece for piece in inside if piece.right <= cut.place]),
        _rows([piece for piece in inside if piece.right > cut.place]),
        list(rows[cut.last :]),
    ]


def _best_cut(rows: Sequence[Row], height: float) -> _Cut | None:
    """Return the cut that has most lines on both sides, or None if there is but one column."""
    left = min((row[0].left for row in rows), default=0.0)
    right = max((piece.right for row in rows for piece in row), default=0.0)
    step = (right - left) / POSITIONS
    cuts = [
        cut
        for number in range(1, POSITIONS)
        for cut in _cuts_at(left + number * step, rows, height)
    ]
    return max(cuts, key=lambda cut: cut.weight, default=None)


def _cuts_at(place: float, rows: Sequence[Row], height: float) -> Iterator[_Cut]:
    """Yield the runs of rows that have text left and right of the place and none across it."""
    margin = GUTTER * height / 2
    first = 0
    for number in range(len(rows) + 1):
        crossed = number == len(rows) or any(
            piece.left < place + margin and piece.right > place - margin for piece in rows[number]
        )
        if not crossed:
            continue
        cut = _trimmed(place, rows, first, number, height)
        if cut is not None:
            yield cut
        first = number + 1


def _trimmed(
    place: float, rows: Sequence[Row], first: int, last: int, height: float
) -> _Cut | None:
    """Return the run as a cut if it has two columns of prose or such that aren't in step."""
    while first < last and _stands_alone(rows[first : first + 2], height):
        first += 1
    while first < last and _stands_alone(rows[last - 2 : last], height):
        last -= 1
    left = [[p for p in row if p.right <= place] for row in rows[first:last]]
    right = [[p for p in row if p.right > place] for row in rows[first:last]]
    weight = min(sum(map(bool, left)), sum(map(bool, right)))
    if weight < FEWEST or not _are_columns(left, right, height):
        return None
    return _Cut(first, last, place, weight)


def _stands_alone(pair: Sequence[Row], height: float) -> bool:
    """Tell whether the first and the second of two rows are far apart, and one holds one piece."""
    if len(pair) < 2 or min(map(len, pair)) > 1:
        return False
    return pair[1][0].top - pair[0][0].bottom > APART * height


def _are_columns(left: Sequence[Row], right: Sequence[Row], height: float) -> bool:
    """Tell columns of prose from the cells of a table, by which rows are filled, and how."""
    if not _overlap(left, right):
        return False
    beside = sum(bool(a and b) for a, b in zip(left, right, strict=True))
    if beside < ALIGNED * min(sum(map(bool, left)), sum(map(bool, right))):
        return True
    tops = [min(p.top for p in (*a, *b)) for a, b in zip(left, right, strict=True) if a or b]
    pitch = statistics.median(lower - upper for upper, lower in pairwise(tops))
    return pitch <= PITCH * height and _is_prose(left, height) and _is_prose(right, height)


def _overlap(left: Sequence[Row], right: Sequence[Row]) -> bool:
    """Tell whether the sides stand beside each other for half of the shorter one."""
    spans = [
        (min(p.top for row in side for p in row), max(p.bottom for row in side for p in row))
        for side in (left, right)
    ]
    shared = min(bottom for _, bottom in spans) - max(top for top, _ in spans)
    return shared >= min(bottom - top for top, bottom in spans) / 2


def _is_prose(side: Sequence[Row], height: float) -> bool:
    lengths = [[_characters(piece.text) for piece in row] for row in side if row]
    parted = [row for row in side if len(row) > 1]
    if len(parted) >= FEWEST and not spaces(parted, height):
        # Lines that are stretched to the column's width: their gaps aren't below each other, as
        # those between cells are.
        return statistics.median(map(sum, lengths)) >= PROSE
    return statistics.median(length for row in lengths for length in row) >= PROSE


def _characters(text: str) -> int:
    """Count characters, ideographs twice: they are as wide as two letters, and say as much."""
    return len(text) + sum(unicodedata.east_asian_width(sign) == "W" for sign in text)
