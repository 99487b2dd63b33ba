"""Blocks made of the text that OCR found: paragraphs, headings, tables, labels with values."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final, NamedTuple

from batcher.service.parsing.keyvalues import are_key_values
from batcher.service.parsing.pages import Box, PageBlock, Word, table
from batcher.service.parsing.scans.columns import Piece, Row, line_height, regions_of, spaces

SURE: Final = 0.8  # lowest mean confidence at which recognised text counts as sure
DOUBTFUL: Final = 0.5  # a word of less makes its block doubtful
# A line begins a paragraph if it is further below the last one than these heights of a line, or
# than so many times the usual distance between lines.
FAR: Final = 2.2
FURTHER: Final = 1.3
NEAR: Final = 1.5  # heights of a line; lines that are closer are never parted
# A heading's words and its line are this many times as high as is usual: both, since the height of
# either depends on which letters it has.
LARGE: Final = 1.5
LONGEST_HEADING: Final = 200  # characters
FEWEST_ROWS: Final = 3  # of a table
FULLEST: Final = 0.6  # fraction of a table's cells that must be filled
# A column of these is the marks of a list and no column of a table.
_MARK: Final = re.compile(r"[-–—•·*oO»>▪■]|[(\[]?(\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})[.)\]]")


class _Usual(NamedTuple):
    """The usual height of the page's lines, and that of their words."""

    height: float
    size: float


def blocks_of(pieces: Sequence[Piece]) -> list[PageBlock]:
    """Return the blocks of a page in reading order.

    A block is sure if the mean confidence of its words is at least `SURE` and that of none is under
    `DOUBTFUL`.
    """
    if not pieces:
        return []
    size = statistics.median(piece.size for piece in pieces)
    usual = _Usual(line_height(pieces), size)
    return [block for rows in regions_of(pieces) for block in _blocks(rows, usual)]


def words_of(pieces: Sequence[Piece]) -> tuple[Word, ...]:
    """Return all words; with RapidOCR these are lines."""
    return tuple(word for piece in pieces for word in piece.words)


def lines_of(pieces: Sequence[Piece]) -> tuple[Word, ...]:
    """Return each piece as one, with the mean confidence of its words."""
    return tuple(_line(piece) for piece in pieces)


def surely(confidences: Sequence[float]) -> bool:
    """Tell whether recognised text with these confidences counts as sure; True without any."""
    return not confidences or (
        statistics.fmean(confidences) >= SURE and min(confidences) >= DOUBTFUL
    )


def _line(piece: Piece) -> Word:
    told = [word.confidence for word in piece.words if word.confidence is not None]
    return Word(piece.text, _around(piece.words), statistics.fmean(told) if told else None)


def _blocks(rows: Sequence[Row], usual: _Usual) -> Iterator[PageBlock]:
    """Yield a table for each run of rows with cells, and paragraphs of what is between them."""
    lines: list[Row] = []
    for has_cells, group in groupby(rows, key=lambda row: len(row) > 1):
        run = list(group)
        found = _table(run, usual.height) if has_cells else None
        if found is None:
            lines += run
            continue
        yield from _paragraphs(lines, usual)
        lines = []
        yield found
    yield from _paragraphs(lines, usual)


def _table(rows: Sequence[Row], height: float) -> PageBlock | None:
    """Return the rows as a table, or None if they have no columns in common."""
    if len(rows) < FEWEST_ROWS:
        return None
    gutters = spaces(rows, height)
    if not gutters:
        return None
    grid = [_cells(row, gutters) for row in rows]
    cells = [cell for line in grid for cell in line]
    if sum(map(bool, cells)) < FULLEST * len(cells) or _is_list(grid):
        return None
    words = [word for row in rows for piece in row for word in piece.words]
    texts = [[" ".join(piece.text for piece in cell) for cell in line] for line in grid]
    places = [[_box_of(cell) for cell in line] for line in grid]
    made = table(texts, _around(words), places)
    return PageBlock(
        made.type, made.content, made.box, _is_sure(words), rows=made.rows, places=made.places
    )


def _cells(row: Row, gutters: Sequence[float]) -> list[list[Piece]]:
    edges = [float("-inf"), *gutters, float("inf")]
    return [
        [piece for piece in row if left < piece.left <= right] for left, right in pairwise(edges)
    ]


def _is_list(grid: Sequence[Sequence[Sequence[Piece]]]) -> bool:
    marks = [" ".join(piece.text for piece in line[0]) for line in grid if line[0]]
    return len(grid[0]) == 2 and all(map(_MARK.fullmatch, marks))


def _box_of(cell: Sequence[Piece]) -> Box | None:
    return _around([word for piece in cell for word in piece.words]) if cell else None


def _paragraphs(rows: Sequence[Row], usual: _Usual) -> Iterator[PageBlock]:
    farthest = _farthest(rows, usual.height)
    group: list[Row] = []
    for row in rows:
        if group and (
            _middle(row) - _middle(group[-1]) > farthest
            or _is_large(row, usual) != _is_large(group[-1], usual)
        ):
            yield _paragraph(group, usual)
            group = []
        group.append(row)
    if group:
        yield _paragraph(group, usual)


def _farthest(rows: Sequence[Row], height: float) -> float:
    """Return the longest way from the middle of a line to that of the next in a paragraph."""
    steps = [_middle(row) - _middle(above) for above, row in pairwise(rows)]
    step = statistics.median(steps) if steps else 0.0
    return min(FAR * height, max(NEAR * height, FURTHER * step))


def _middle(row: Row) -> float:
    return statistics.fmean(piece.middle for piece in row)


def _is_large(row: Row, usual: _Usual) -> bool:
    size = statistics.median(piece.size for piece in row)
    return size >= LARGE * usual.size and line_height(row) >= LARGE * usual.height


def _paragraph(rows: Sequence[Row], usual: _Usual) -> PageBlock:
    lines = [" ".join(piece.text for piece in row) for row in rows]
    words = [word for row in rows for piece in row for word in piece.words]
    content = "\n".join(lines)
    kind = "Text"
    if are_key_values(lines):
        kind = "Key Value"
    elif _is_large(rows[0], usual) and len(content) <= LONGEST_HEADING:
        kind = "Section Header"
        content = " ".join(lines)
    return PageBlock(kind, content, _around(words), _is_sure(words))


def _is_sure(words: Sequence[Word]) -> bool:
    return surely([word.confidence for word in words if word.confidence is not None])


def _around(words: Sequence[Word]) -> Box:
    left = min(word.box[0] for word in words)
    top = min(word.box[1] for word in words)
    right = max(word.box[0] + word.box[2] for word in words)
    bottom = max(word.box[1] + word.box[3] for word in words)
    return left, top, right - left, bottom - top
