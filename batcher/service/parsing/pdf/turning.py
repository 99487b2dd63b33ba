"""Find pages whose text runs sideways or upside down, and turn the boxes of such pages back.

liteparse tears words apart that don't run from left to right, unless it is told how the page is
turned; then it reads it as if it were upright.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

from batcher.service.parsing.pages import Box

_ROTATION: Final = attrgetter("rotation")
_SAMPLE: Final = 40  # pieces of text of a page that are looked at
_SLANT: Final = 2.0  # degrees by which a scanned page may be off
# Fraction of a page's letters that must still be there when it is read anew.
_SAME: Final = 0.95


def turn_of(page: Any) -> int:
    """Return by how many degrees most of a page's text is turned clockwise: 0, 90, 180 or 270.

    `page` is liteparse's.
    """
    items = page.text_items
    sample = items[:: max(1, len(items) // _SAMPLE)]
    if not any(map(_ROTATION, sample)):
        return 0
    turns: Counter[int] = Counter()
    for item in sample:
        nearest = round(item.rotation / 90) * 90
        if abs(item.rotation - nearest) <= _SLANT:
            turns[nearest % 360] += len(item.text)
        else:
            turns[0] += len(item.text)  # slanted text is no reason to turn the page
    if not turns:
        return 0
    turn, letters = turns.most_common(1)[0]
    return turn if 2 * letters > turns.total() else 0


def turned_back(box: Box, turn: int) -> Box:
    """Return where a box of a page that was read upright lies on the page as it is."""
    left, top, width, height = box
    match turn:
        case 90:
            box = (1 - top - height, left, height, width)
        case 180:
            box = (1 - left - width, 1 - top - height, width, height)
        case 270:
            box = (top, 1 - left - width, height, width)
    return (max(0.0, round(box[0], 6)), max(0.0, round(box[1], 6)), box[2], box[3])


def is_as_full(upright: Any, page: Any) -> bool:
    """Tell whether the page that was read anew has the letters of the one that it replaces."""
    return _letters(upright.text_items) >= _SAME * _letters(page.text_items)


def _letters(items: Sequence[Any]) -> int:
    return sum(len("".join(item.text.split())) for item in items)
