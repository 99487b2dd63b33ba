"""Locate each word of a block and each cell of a table for `settings.return_citations`.

Only words and cells whose boxes the reader found can be located; the box of any other is null, as
in the API.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from batcher.service.parsing.pages import Box, Page, PageBlock, Word

_TOKENS: Final = re.compile(r"<[^<>]*>|[^\s<>|]+")
# how many words of the page are skipped in search of the one that comes next in the content
_AHEAD: Final = 40
_SLACK: Final = 0.005  # fraction of the page by which a word may stand outside its block

Boxed = Callable[[Page, Box], dict[str, Any]]


def citations_of(page: Page, block: PageBlock, boxed: Boxed) -> dict[str, Any]:
    """Return the block's `extra`: `word_citations`, and `cell_citations` of a table.

    `boxed` converts a box into the API's form.
    """
    found = [word for word in page.words if _lies_in(word.box, block.box)]
    words = [
        {
            "text": text,
            "char_start": start,
            "char_end": end,
            "bbox": boxed(page, box) if box else None,
        }
        for text, start, end, box in _placed(block.content, found)
    ]
    if block.rows is None:
        return {"word_citations": words}
    return {"word_citations": words, "cell_citations": list(_cells(page, block, boxed))}


def _placed(content: str, found: list[Word]) -> Iterator[tuple[str, int, int, Box | None]]:
    """Yield each word of the content with its start, end and box.

    The box is that of the page's next word with the same text, or None if none follows soon.
    """
    at = 0
    for token in _TOKENS.finditer(content):
        text = token[0]
        if text.startswith("<") or not any(map(str.isalnum, text)):
            continue
        plain = html.unescape(text)
        match = next(
            (n for n in range(at, min(at + _AHEAD, len(found))) if _same(found[n].text, plain)),
            None,
        )
        if match is not None:
            at = match + 1
        yield text, token.start(), token.end(), None if match is None else found[match].box


def _same(first: str, second: str) -> bool:
    return first == second or first.strip("*_`") == second.strip("*_`\\")


def _cells(page: Page, block: PageBlock, boxed: Boxed) -> Iterator[dict[str, Any]]:
    for row, cells in enumerate(block.rows or []):
        for column, text in enumerate(cells):
            if text.strip():
                place = _place(block, row, column)
                yield {
                    "text": text,
                    "row_idx": [row],
                    "col_idx": [column],
                    "bbox": boxed(page, place) if place else None,
                }


def _place(block: PageBlock, row: int, column: int) -> Box | None:
    if block.places is None or row >= len(block.places) or column >= len(block.places[row]):
        return None
    return block.places[row][column]


def _lies_in(box: Box, outer: Box) -> bool:
    across = box[0] + box[2] / 2
    down = box[1] + box[3] / 2
    right = outer[0] + outer[2]
    bottom = outer[1] + outer[3]
    return (
        outer[0] - _SLACK <= across <= right + _SLACK
        and outer[1] - _SLACK <= down <= bottom + _SLACK
    )
