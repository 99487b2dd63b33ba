"""Count the pictures of a PDF's page of which nothing is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from batcher.service.parsing.pages import PageBlock

SEEN: Final = 0.01  # fraction of a page from which on a picture counts; most logos are smaller
# A limit that keeps the time linear on pages made to be slow; beyond it all pictures count.
_MOST_COMPARED: Final = 1_000_000  # pairs of a picture and a text


def count_wordless(blocks: Sequence[PageBlock]) -> int:
    """Return how many of a page's blocks are pictures of some size in which no words stand.

    The words of a chart that is drawn, or of a scan with its text behind it, are read.
    """
    figures = [block for block in blocks if _is_seen(block)]
    texts = [block for block in blocks if block.content]
    if len(figures) * len(texts) > _MOST_COMPARED:
        return len(figures)
    return sum(not any(_lies_in(text, figure) for text in texts) for figure in figures)


def _is_seen(block: PageBlock) -> bool:
    return block.type == "Figure" and not block.content and block.box[2] * block.box[3] >= SEEN


def _lies_in(text: PageBlock, figure: PageBlock) -> bool:
    left, top, width, height = figure.box
    across = text.box[0] + text.box[2] / 2
    down = text.box[1] + text.box[3] / 2
    return left <= across <= left + width and top <= down <= top + height
