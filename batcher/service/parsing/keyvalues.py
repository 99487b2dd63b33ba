"""Recognise blocks of labels with their values, one to a line.

liteparse runs such lines together as if they were a paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from batcher.service.parsing.pages import PageBlock

LONGEST: Final = 600  # characters; a longer block is a paragraph
FEWEST: Final = 2  # lines
_HINT: Final = re.compile(r"\w:\s|\d[.,]\d\d(?!\d)")
_LINE: Final = re.compile(
    r"[^\W\d_][^:]{0,48}:\s+\S.*"
    r"|[^\W\d_][^:.;]{0,48}\s[^\w\s]?\d[\d.,'’ ]*(?:\s?[%€$£]|\s[A-Z]{3})?"
)


def as_key_values(block: PageBlock, box: Any, items: Sequence[Any]) -> PageBlock:
    """Return the block as "Key Value", line by line, if each line is a label with a value.

    Any other block is returned unchanged. `box` and `items` are liteparse's bounding box of the
    block and text items of the page.
    """
    if block.type != "Text" or not _may_be(block.content):
        return block
    lines = list(_lines([item for item in items if _lies_in(item, box)]))
    if not _are_all(lines):
        return block
    return replace(block, type="Key Value", content="\n".join(lines))


def are_key_values(lines: Sequence[str]) -> bool:
    """Tell whether each line is a label with a value, and there are several."""
    return _may_be("\n".join(lines)) and _are_all(lines)


def _may_be(content: str) -> bool:
    return len(content) <= LONGEST and len(_HINT.findall(content)) >= FEWEST


def _are_all(lines: Sequence[str]) -> bool:
    return len(lines) >= FEWEST and all(map(_LINE.fullmatch, lines))


def _lines(items: list[Any]) -> Iterator[str]:
    row: list[Any] = []
    for item in sorted(items, key=lambda item: item.y + item.height / 2):
        if (
            row
            and item.y + item.height / 2 - row[-1].y - row[-1].height / 2
            > min(item.height, row[-1].height) / 2
        ):
            yield _text(row)
            row = []
        row.append(item)
    if row:
        yield _text(row)


def _text(row: list[Any]) -> str:
    return " ".join(" ".join(item.text for item in sorted(row, key=lambda item: item.x)).split())


def _lies_in(item: Any, box: Any) -> bool:
    across = item.x + item.width / 2
    down = item.y + item.height / 2
    return bool(box.x <= across <= box.x + box.width and box.y <= down <= box.y + box.height)
