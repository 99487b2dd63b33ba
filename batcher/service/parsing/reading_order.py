"""Put what stands on a slide into the order in which it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from batcher.service.parsing.pages import Box

_OVERLAP: Final = 0.01  # of the page: boxes that touch, or overlap by less, are apart
# A slide that is cut into rows and columns more often than this is ordered by top and left.
_DEEPEST: Final = 12
_EVEN: Final = 1.5  # how much higher than the others a row of a regular grid may be

Strips = list[list[int]]


def reading_order(boxes: Sequence[Box]) -> list[int]:
    """Return the indices of `boxes` in reading order.

    Space that crosses the whole area cuts it into rows or columns, each of which is read for
    itself. Where it can be cut both ways the wider space decides, as in columns that each have a
    heading; a regular grid is read row by row.
    """
    return _ordered(list(range(len(boxes))), boxes, 0)


def _ordered(chosen: list[int], boxes: Sequence[Box], depth: int) -> list[int]:
    """Recursive, to a limited depth."""
    if len(chosen) < 2:
        return chosen
    strips = _strips(chosen, boxes) if depth < _DEEPEST else []
    if len(strips) < 2:
        return sorted(chosen, key=lambda n: (round(boxes[n][1], 2), boxes[n][0], n))
    return [n for strip in strips for n in _ordered(strip, boxes, depth + 1)]


def _strips(chosen: list[int], boxes: Sequence[Box]) -> Strips:
    """Return the rows or the columns into which the boxes fall; one if there are neither."""
    rows, between_rows = _cut(chosen, boxes, 1)
    columns, between_columns = _cut(chosen, boxes, 0)
    if len(rows) < 2 or len(columns) < 2:
        return columns if len(rows) < 2 else rows
    if between_columns > between_rows and not _are_even(rows, boxes):
        return columns
    return rows


def _cut(chosen: list[int], boxes: Sequence[Box], side: int) -> tuple[Strips, float]:
    """Cut across `side` (0: left to right, 1: top to bottom) and return the widest space too."""
    strips: Strips = []
    widest = 0.0
    reach = 0.0
    for n in sorted(chosen, key=lambda n: (boxes[n][side], n)):
        start = boxes[n][side]
        if strips and start < reach - _OVERLAP:
            strips[-1].append(n)
        else:
            widest = max(widest, start - reach) if strips else 0.0
            strips.append([n])
        reach = max(reach, start + boxes[n][side + 2])
    return strips, widest


def _are_even(rows: Strips, boxes: Sequence[Box]) -> bool:
    heights = [max(boxes[n][3] for n in row) for row in rows]
    return max(heights) <= _EVEN * min(heights)
