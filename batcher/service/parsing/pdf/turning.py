"""Find text that runs sideways or upside down, and read it as if it were upright.

liteparse tears words apart that don't run from left to right, unless it is told how the page is
turned; then it tears those apart that run otherwise. So each is taken from the reading in which it
is upright.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from batcher.service.parsing.pages import Box

_ROTATION: Final = attrgetter("rotation")
_SAMPLE: Final = 40  # pieces of text of a page that are looked at
_SLANT: Final = 2.0  # degrees by which a scanned page may be off
# Fraction of a page's letters that must still be there when it is read anew.
_SAME: Final = 0.95


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of text of another reading, with the attributes of liteparse's own.

    `x`, `y`, `width` and `height` are in points of the reading that it is added to.
    """

    text: str
    x: float
    y: float
    width: float
    height: float
    rotation: float
    words: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A page's text and its pieces, as liteparse read them or put together of several readings.

    `torn` are pieces that others of `items` replace; the page's blocks may have them.
    """

    text: str
    items: Sequence[Any]
    torn: Sequence[Any] = ()


def turn_of(reading: Reading) -> int:
    """Return by how many degrees most of a page's text is turned clockwise: 0, 90, 180 or 270."""
    items = reading.items
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


def is_partly_upside_down(reading: Reading) -> bool:
    """Tell whether any of the page's text stands on its head."""
    turns = set(map(_ROTATION, reading.items))
    return any(abs(turn - 180) <= _SLANT for turn in turns)


def reading_of(page: Any) -> Reading:
    """Return liteparse's reading of a page."""
    return Reading(page.text, page.text_items)


def together(page: Any, other: Any, turn: int) -> Reading:
    """Return the reading of a page with the text that is upright only in the `other` reading.

    `turn` says by how many degrees clockwise the content of `other` stands turned when it is seen
    in `page`.
    """
    own = reading_of(page)
    torn = [item for item in own.items if _is_turned(item, turn)]
    whole = [item for item in other.text_items if _is_turned(item, 0)]
    if not torn or _letters(whole) < _SAME * _letters(torn):
        return own
    kept = [item for item in own.items if not _is_turned(item, turn)]
    added = [_placed(item, other, page, turn) for item in whole]
    items = [*kept, *added]
    return Reading("\n".join(item.text for item in items), items, torn)


def _is_turned(item: Any, turn: int) -> bool:
    off = (item.rotation - turn) % 360
    return bool(min(off, 360 - off) <= _SLANT)


def _placed(item: Any, other: Any, page: Any, turn: int) -> Item:
    box = _in_page(item, other, page, turn)
    words = tuple(
        Item(word.text, *_in_page(word, other, page, turn), turn, ()) for word in item.words
    )
    return Item(item.text, *box, turn, words)


def _in_page(place: Any, other: Any, page: Any, turn: int) -> Box:
    wide = other.width or 1.0
    high = other.height or 1.0
    box = (place.x / wide, place.y / high, place.width / wide, place.height / high)
    left, top, width, height = turned_back(box, turn)
    return left * page.width, top * page.height, width * page.width, height * page.height


def is_as_full(upright: Any, page: Any) -> bool:
    """Tell whether the page that was read anew has the letters of the one that it replaces."""
    return _letters(upright.text_items) >= _SAME * _letters(page.text_items)


def _letters(items: Sequence[Any]) -> int:
    return sum(len("".join(item.text.split())) for item in items)
