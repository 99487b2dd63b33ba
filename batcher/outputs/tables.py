"""The cells of a table in a parse's result, from the text in which the service wrote it. Pure.

That is HTML, Markdown, JSON or CSV, by the job's `table_output_format`. A cell that spans several
rows or columns fills each of them. Text that is no table has no rows.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, Final

Rows = list[list[str]]

_MOST_SPANNED: Final = 1_000  # as browsers have it, so that a hostile table stays small
_MOST_CELLS: Final = 2_000_000
_HTML: Final = re.compile(r"<t[rdh]\b", re.IGNORECASE)
_CELL_END: Final = re.compile(r"(?<!\\)\|")
_RULE: Final = re.compile(r"\s*:?-+:?\s*")


def cells_of(content: str, *, most: int = _MOST_CELLS) -> Rows:
    """Return the rows of the table, each with the text of its cells; all have the same length.

    There are none if cells that span several places would fill more than `most` of them.
    """
    text = content.strip()
    if _HTML.search(text):
        rows = _of_html(text, most)
    elif text.startswith(("[", "{")):
        rows = _of_json(text)
    elif "|" in text.partition("\n")[0]:
        rows = _of_markdown(text)
    else:
        rows = list(csv.reader(text.splitlines())) if "," in text else []
    width = max(map(len, rows), default=0)
    return [row + [""] * (width - len(row)) for row in rows]


# --- HTML -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Cell:
    rows: int
    columns: int
    text: str = ""


class _Reader(HTMLParser):
    """Collects the cells of each row as they are written, with how far they span."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[_Cell]] = []
        self._is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr" or (tag in ("td", "th") and not self.rows):
            self.rows.append([])
            self._is_open = False
        if tag in ("td", "th"):
            said = dict(attrs)
            spans = (_span(said.get("rowspan")), _span(said.get("colspan")))
            self.rows[-1].append(_Cell(*spans))
            self._is_open = True
        elif tag == "br":
            self.handle_data("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._is_open = False

    def handle_data(self, data: str) -> None:
        if self._is_open:
            self.rows[-1][-1].text += data


def _of_html(text: str, most: int) -> Rows:
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return _laid_out([row for row in reader.rows if row], most)


def _laid_out(rows: list[list[_Cell]], left: int) -> Rows:
    """Put each cell into every place that it spans, of which there are `left` at most."""
    grid: list[dict[int, str]] = [{} for _ in rows]
    for number, row in enumerate(rows):
        column = 0
        for cell in row:
            while column in grid[number]:
                column += 1
            below = grid[number : number + cell.rows]
            left -= len(below) * cell.columns
            if left < 0:
                return []
            for line in below:
                line.update(dict.fromkeys(range(column, column + cell.columns), _tidy(cell.text)))
            column += cell.columns
    return [[line.get(at, "") for at in range(max(line) + 1)] for line in grid if line]


def _span(said: str | None) -> int:
    is_number = said is not None and said.isascii() and said.isdigit() and len(said) < 6
    return min(max(int(said or 1), 1), _MOST_SPANNED) if is_number else 1


def _tidy(text: str) -> str:
    return " ".join(text.split())


# --- the other forms ------------------------------------------------------------------------------


def _of_markdown(text: str) -> Rows:
    lines = [line.strip() for line in text.splitlines()]
    rows = [_of_line(line) for line in lines if "|" in line]
    return [row for row in rows if not all(map(_RULE.fullmatch, row))]


def _of_line(line: str) -> list[str]:
    inside = line.removeprefix("|")
    cells = _CELL_END.split(inside)
    if cells and not cells[-1].strip():
        cells.pop()
    return [_tidy(cell.replace("\\|", "|").replace("<br>", " ")) for cell in cells]


def _of_json(text: str) -> Rows:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    rows = value if isinstance(value, list) else []
    if rows and all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        return [names, *([_of_value(row.get(name)) for name in names] for row in rows)]
    return [[_of_value(cell) for cell in row] for row in rows if isinstance(row, list)]


def _of_value(cell: Any) -> str:
    if isinstance(cell, dict):  # with its place on the page beside the text
        cell = cell.get("text", cell.get("content"))
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
