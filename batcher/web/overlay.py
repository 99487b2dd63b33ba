"""A page of a document beside its result: what is drawn on its picture, and the texts beside it.

Whatever a result holds is text here. Tables are cells; no HTML of a document gets into a page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from batcher.common.secrets import redact_urls
from batcher.outputs.tables import cells_of
from batcher.reducto.result_content import Content, ShownBlock
from batcher.reducto.result_fields import Citation, ShownField
from batcher.reducto.result_places import Box, Confidence
from batcher.views.status import plain

ROWS_AT_MOST: Final = 200
COLUMNS_AT_MOST: Final = 40
CELLS_AT_MOST: Final = 6_000  # of all tables of a page
CITED: Final = "cited"
# Places that the cells of one table may fill: a text as long as is shown has not as many cells, but
# a cell may say that it spans a million places.
PLACES_AT_MOST: Final = 20_000
WHOLE_PAGE: Final = 0.98  # a box of this width and height tells nothing about the place
# A class of the styles, and so a colour, for each type of block.
TONES: Final[Mapping[str, str]] = {
    "Title": "title",
    "Section Header": "heading",
    "Text": "text",
    "List Item": "listed",
    "Table": "table",
    "Key Value": "pairs",
    "Figure": "figure",
    "Header": "margin",
    "Footer": "margin",
    "Page Number": "margin",
}
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A box on the picture, in thousandths of its width and height; `mark` is of its text, too."""

    mark: str
    tone: str
    words: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Cells:
    """A table; `is_cut` if there are more rows or columns."""

    head: list[str]
    rows: list[list[str]]
    is_cut: bool

    @property
    def number(self) -> int:
        return len(self.head) * (len(self.rows) + 1)


@dataclass(frozen=True, slots=True)
class Text:
    """A block beside the picture; `mark` is empty where nothing of it is drawn."""

    mark: str
    type: str
    tone: str
    text: str
    cells: Cells | None
    confidence: str
    is_low: bool
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Value:
    """An extracted value with the places it was read from: (mark, page, text)."""

    path: tuple[str, ...]
    text: str | None
    places: tuple[tuple[str, int | None, str], ...]
    is_low: bool


@dataclass(slots=True)
class Side:
    """Both sides of one page: boxes for the picture, and texts and values beside it.

    `legend` has the tone and the number of blocks by type.
    """

    boxes: list[Drawn] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    legend: Mapping[str, tuple[str, int]] = field(default_factory=dict)


def side_of(content: Content, page: int | None) -> Side:
    """Return both sides of a page of a document."""
    side = Side()
    left = CELLS_AT_MOST
    for block in content.blocks:
        drawn = _drawn(f"b{block.number}", _tone(block.type), block.type, block.box)
        side.boxes += drawn
        text = _text(block, drawn[0].mark if drawn else "", left)
        left -= text.cells.number if text.cells else 0
        side.texts.append(text)
    places = _Places(page)
    side.values = [_value(one, places) for one in content.fields]
    side.boxes += places.boxes
    side.boxes.sort(key=lambda box: -box.width * box.height)  # small ones lie on top
    counted = Counter(text.type for text in side.texts)
    side.legend = {kind: (_tone(kind), number) for kind, number in counted.most_common()}
    return side


def pages_cited(content: Content) -> list[int]:
    """Return the pages from which values were read."""
    pages = {c.page for one in content.fields for c in one.citations}
    return sorted(page for page in pages if page is not None)


def shown(text: str) -> str:
    """Return text of a document as a page may show it: no signed links, no odd characters."""
    return plain(redact_urls(text), keep="\n\t")


def _tone(kind: str) -> str:
    return TONES.get(kind, OTHER)


def _drawn(mark: str, tone: str, words: str, box: Box | None) -> list[Drawn]:
    if box is None or (box.width > WHOLE_PAGE and box.height > WHOLE_PAGE):
        return []
    sides = (round(side * 1000, 1) for side in box)
    return [Drawn(mark, tone, words, *sides)]


def _text(block: ShownBlock, mark: str, most: int) -> Text:
    cells = _cells(block.text, most) if block.type == "Table" and most > 0 else None
    return Text(
        mark=mark,
        type=plain(block.type),
        tone=_tone(block.type),
        text=shown(block.text),
        cells=cells,
        confidence=_words_of(block.confidence),
        is_low=block.confidence.is_low,
        is_cut=block.is_cut,
    )


def _cells(text: str, most: int) -> Cells | None:
    """Return the cells of a table, `most` of them; None if it is none, or makes itself huge."""
    rows = cells_of(text, most=PLACES_AT_MOST)
    if not rows or not rows[0]:
        return None
    width = min(len(rows[0]), COLUMNS_AT_MOST)
    height = min(len(rows), ROWS_AT_MOST, max(2, most // width))
    kept = [[shown(cell) for cell in row[:width]] for row in rows[:height]]
    return Cells(kept[0], kept[1:], is_cut=height < len(rows) or width < len(rows[0]))


def _words_of(confidence: Confidence) -> str:
    """Return the confidence if there is a number, or else if it isn't high."""
    if confidence.score is not None:
        return f"confidence {confidence.score:.2f}"
    is_worth_saying = confidence.word and confidence.word != "high"
    return f"{plain(confidence.word or '')} confidence" if is_worth_saying else ""


class _Places:
    """The boxes of the places that are cited on a page; equal ones are drawn once."""

    def __init__(self, page: int | None) -> None:
        self._page = page
        self._drawn: dict[Box, Drawn] = {}

    @property
    def boxes(self) -> list[Drawn]:
        return list(self._drawn.values())

    def mark_of(self, citation: Citation, words: str) -> str:
        """Return the mark of a citation's box, or nothing if it isn't drawn on this page."""
        box = citation.box
        if box is None or citation.page not in (None, self._page):
            return ""
        if box not in self._drawn:
            for drawn in _drawn(f"c{len(self._drawn) + 1}", CITED, words, box):
                self._drawn[box] = drawn
        return self._drawn[box].mark if box in self._drawn else ""


def _value(one: ShownField, places: _Places) -> Value:
    name = plain(one.name)
    return Value(
        path=tuple(plain(name) for name in one.path),
        text=None if one.value is None else shown(one.value),
        places=tuple(
            (places.mark_of(citation, name), citation.page, shown(citation.text))
            for citation in one.citations
        ),
        is_low=any(citation.confidence.is_low for citation in one.citations),
    )
