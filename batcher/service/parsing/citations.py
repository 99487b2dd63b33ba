"""Where each word of a block, and each cell of a table, stands on its page:
`settings.return_citations`.

Knows words and cells only where the reader found their places; else a place is null, as the API has
it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from batcher.service.parsing.pages import Box, Page, PageBlock, Word

_TOKENS: Final = re.compile(r"<[^<>]*>|[^\s<>|]+")
# words of the page that may be missing in the block's content before one is given up
_AHEAD: Final = 40
_SLACK: Final = 0.005  # of the page, by which a word may stand out of its block

Boxed = Callable[[Page, Box], dict[str, Any]]


def citations_of(page: Page, block: PageBlock, boxed: Boxed) -> dict[str, Any]:
    """The block's `extra`."""
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
    """Each word of the content, in order, with the place of the page's next word that reads the
    same.
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
