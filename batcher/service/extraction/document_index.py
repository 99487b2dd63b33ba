"""Index a parse result for extraction: lines of text with boxes, and tables as grids of cells.

It works on the API's answer to a parse, so it serves earlier jobs' results as well. It does no
matching.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import msgspec

# left, top, right, bottom, as fractions of the page; parsing has width and height instead
Box = tuple[float, float, float, float]
Rows = list[list[str]]

WORD_GAP: Final = 1.2  # widths of a letter; a wider gap separates two pieces of a line
# Fraction of the page's height; a block no higher than this is one line, and its box is the line's.
LINE_HEIGHT: Final = 0.025
LONGEST_CAPTION: Final = 200  # characters of a text above a table that speaks of the table
_CELL: Final = re.compile(r"(?<!\\)\|")
_CONTINUED: Final = re.compile(
    r"[\s(\[–—,.-]{0,3}\b(?:continued|cont(?:'|’)?d|cont|fortsetzung)\b.*$"
)
_RULE: Final = re.compile(r":?-{3,}:?")
_BETWEEN: Final = re.compile(r"(?<!\s)\s{1,2}[·•|¦]\s+|\t+|\s{3,}")


@dataclass(frozen=True, slots=True)
class Spot:
    """The place of a text: its own box if that is known, otherwise its block's."""

    page: int
    box: Box
    block: Mapping[str, Any]
    confidence: float | None = None  # OCR's, from 0 to 1


@dataclass(frozen=True, slots=True)
class TextLine:
    """A piece of text without a wide gap in it. `placed` is True if the box is its own."""

    text: str
    spot: Spot
    placed: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. Its first row may be a header; `heading` is the nearest heading above it.

    `above` is the text right above it, "" if that is a passage. A table over several pages has
    `spots`, one for each of its rows.
    """

    rows: Rows
    spot: Spot
    heading: str = ""
    above: str = ""
    spots: tuple[Spot, ...] = ()

    def spot_of_row(self, number: int) -> Spot:
        """Return the place of the part of the table in which a row stands."""
        return self.spots[number] if self.spots else self.spot


@dataclass(frozen=True)
class Evidence:
    """The lines, tables and blocks of one document, in reading order."""

    lines: list[TextLine]
    grids: list[Grid]
    blocks: list[Mapping[str, Any]]
    pieces: list[TextLine]  # text with its own box, also inside tables

    @cached_property
    def by_text(self) -> Mapping[tuple[int, str], list[Spot]]:
        """The boxes of the pieces, by page and text."""
        found: dict[tuple[int, str], list[Spot]] = {}
        for piece in self.pieces:
            found.setdefault((piece.spot.page, piece.text), []).append(piece.spot)
        return found

    @cached_property
    def by_block(self) -> Mapping[int, list[TextLine]]:
        """The pieces by the `id` of their block."""
        found: dict[int, list[TextLine]] = {}
        for piece in self.pieces:
            found.setdefault(id(piece.spot.block), []).append(piece)
        return found

    @cached_property
    def tables(self) -> list[Grid]:
        """The tables, each whole though it may go over several pages."""
        return joined_across_pages(self.grids)

    def spot_of(self, text: str, around: Spot) -> Spot:
        """Return the place of a cell's text within the block `around`.

        Returns `around` itself unless the text occurs there exactly once.
        """
        inside = [
            s
            for s in self.by_text.get((around.page, text.strip()), [])
            if _within(s.box, around.box)
        ]
        return replace(inside[0], block=around.block) if len(inside) == 1 else around


def gather(result: Mapping[str, Any], pages: frozenset[int] | None = None) -> Evidence:
    """Return the evidence of a parse's FullResult, of all pages or only of `pages`."""
    blocks = [block for chunk in result["chunks"] for block in chunk["blocks"]]
    blocks = [block for block in blocks if pages is None or block["bbox"]["page"] in pages]
    pieces = _pieces(result.get("ocr"), blocks)
    return Evidence(list(_lines(blocks, pieces)), list(_grids(blocks)), blocks, pieces)


def rows_of(content: str) -> Rows:
    """Return a table's cells from any of the formats in which a parse may write it.

    The format is told by the whole text: the first sign may be a cell's.
    """
    text = content.strip()
    if text.startswith("<") and text.endswith(">") and "</tr>" in text.casefold():
        return _html_rows(text)
    if text.startswith("[[") and text.endswith("]]"):
        with contextlib.suppress(msgspec.DecodeError):
            rows = msgspec.json.decode(text, type=list[list[Any]])
            return [[str(cell) for cell in row] for row in rows]
    if all(line.startswith("|") and line.endswith("|") for line in _first_lines(text)):
        return _markdown_rows(text)
    return [row for row in csv.reader(io.StringIO(text)) if row]


def _first_lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n", 2)[:2]]


def box_of(bbox: Mapping[str, Any]) -> Box:
    """Convert the API's bounding box into a `Box`."""
    return bbox["left"], bbox["top"], bbox["left"] + bbox["width"], bbox["top"] + bbox["height"]


# --- lines ----------------------------------------------------------------------------------------


def _lines(blocks: list[Mapping[str, Any]], pieces: list[TextLine]) -> Iterator[TextLine]:
    """Yield lines in reading order: a block's own pieces if it has any, else its lines of text."""
    own: dict[int, list[TextLine]] = {}
    for piece in pieces:
        own.setdefault(id(piece.spot.block), []).append(piece)
    for block in blocks:
        if block["type"] == "Table" or not block["content"]:
            continue
        spot = spot_of_block(block)
        alone = "\n" not in block["content"] and block["bbox"]["height"] <= LINE_HEIGHT
        yield from own.get(id(block)) or [
            TextLine(part, spot, placed=alone)
            for text in block["content"].split("\n")
            for part in _BETWEEN.split(text.strip())
            if part.strip()
        ]


def _pieces(ocr: Mapping[str, Any] | None, blocks: list[Mapping[str, Any]]) -> list[TextLine]:
    found = [_piece(line) for line in (ocr or {}).get("lines") or [] if line["text"].strip()]
    rows = sorted(found, key=lambda line: (line.spot.page, _middle(line.spot.box)))
    joined = [line for row in _rows(rows) for line in _joined(row)]
    by_page: dict[int, list[Mapping[str, Any]]] = {}
    for block in blocks:
        by_page.setdefault(block["bbox"]["page"], []).append(block)
    placed = [(line, _block_at(line.spot, by_page.get(line.spot.page, []))) for line in joined]
    return [part for line, block in placed if block is not None for part in _parts(line, block)]


def _piece(line: Mapping[str, Any]) -> TextLine:
    bbox = line["bbox"]
    return TextLine(
        " ".join(line["text"].split()),
        Spot(bbox["page"], box_of(bbox), {}, line.get("confidence")),
        True,
    )


def _rows(lines: list[TextLine]) -> Iterator[list[TextLine]]:
    """Group lines that are side by side: their middles differ by at most half a line's height."""
    row: list[TextLine] = []
    for line in lines:
        if row and not _beside(row[-1], line):
            yield sorted(row, key=lambda one: one.spot.box[0])
            row = []
        row.append(line)
    if row:
        yield sorted(row, key=lambda one: one.spot.box[0])


def _beside(first: TextLine, second: TextLine) -> bool:
    if first.spot.page != second.spot.page:
        return False
    height = min(_height(first.spot.box), _height(second.spot.box))
    return abs(_middle(first.spot.box) - _middle(second.spot.box)) <= height / 2


def _joined(row: list[TextLine]) -> Iterator[TextLine]:
    """Join words that are no more than a space apart, since OCR returns single words."""
    whole = row[0]
    for line in row[1:]:
        letter = (whole.spot.box[2] - whole.spot.box[0]) / max(1, len(whole.text))
        if line.spot.box[0] - whole.spot.box[2] > WORD_GAP * letter:
            yield whole
            whole = line
        else:
            whole = _merged(whole, line)
    yield whole


def _merged(first: TextLine, second: TextLine) -> TextLine:
    a = first.spot
    b = second.spot
    box = (
        min(a.box[0], b.box[0]),
        min(a.box[1], b.box[1]),
        max(a.box[2], b.box[2]),
        max(a.box[3], b.box[3]),
    )
    known = [c for c in (a.confidence, b.confidence) if c is not None]
    return TextLine(
        f"{first.text} {second.text}", Spot(a.page, box, {}, min(known, default=None)), True
    )


def _block_at(spot: Spot, blocks: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    x = (spot.box[0] + spot.box[2]) / 2
    y = _middle(spot.box)
    for block in blocks:
        left, top, right, bottom = box_of(block["bbox"])
        if left - 0.005 <= x <= right + 0.005 and top - 0.005 <= y <= bottom + 0.005:
            return block
    return None


def _parts(line: TextLine, block: Mapping[str, Any]) -> Iterator[TextLine]:
    for text in _BETWEEN.split(line.text):
        if text.strip():
            yield replace(line, text=text.strip(), spot=replace(line.spot, block=block))


def _middle(box: Box) -> float:
    return (box[1] + box[3]) / 2


def _height(box: Box) -> float:
    return box[3] - box[1]


def _within(inner: Box, outer: Box) -> bool:
    x = (inner[0] + inner[2]) / 2
    y = _middle(inner)
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


# --- tables ---------------------------------------------------------------------------------------


def _grids(blocks: Iterable[Mapping[str, Any]]) -> Iterator[Grid]:
    title = heading = above = ""
    page = 0
    has_tables = False  # the title itself, which then is the heading of a section
    for block in blocks:
        text = block["content"]
        if block["type"] in ("Title", "Section Header"):
            title = title or text
            repeats = text == title and block["bbox"]["page"] != page and not has_tables
            if not (repeats and heading):
                heading = text
        if block["type"] == "Table" and (rows := rows_of(text)):
            has_tables = has_tables or heading == title
            yield Grid(rows, spot_of_block(block), heading, above)
        above = "" if block["type"] == "Table" or len(text) > LONGEST_CAPTION else text
        page = block["bbox"]["page"]


def spot_of_block(block: Mapping[str, Any]) -> Spot:
    """Return the place of a whole block."""
    return Spot(block["bbox"]["page"], box_of(block["bbox"]), block)


def _markdown_rows(text: str) -> Rows:
    rows = [
        [cell.strip().replace("\\|", "|") for cell in _CELL.split(line.strip())[1:-1]]
        for line in text.split("\n")
    ]
    return [row for row in rows if row and not all(_RULE.fullmatch(cell) for cell in row)]


def _html_rows(text: str) -> Rows:
    from selectolax.lexbor import LexborHTMLParser

    rows = [
        [" ".join(cell.text(separator=" ").split()) for cell in row.css("th, td")]
        for row in LexborHTMLParser(text).css("tr")
    ]
    return [row for row in rows if row]


def joined_across_pages(grids: list[Grid]) -> list[Grid]:
    """Merge consecutive tables that have the same header row and stand below the same heading."""
    result: list[Grid] = []
    for _, group in itertools.groupby(grids, key=lambda grid: (grid.rows[0], _section(grid))):
        first, *more = group
        parts = [(first.rows, first.spot), *((grid.rows[1:], grid.spot) for grid in more)]
        rows = [row for part, _ in parts for row in part]
        spots = tuple(spot for part, spot in parts for _ in part)
        result.append(replace(first, rows=rows, spots=spots))
    return result


def _section(grid: Grid) -> str:
    return _CONTINUED.sub("", grid.heading.casefold()).strip()
