"""Tables as rows of text: written in the requested format, merged across pages, split if long."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from batcher.service.parsing.pages import Page, PageBlock, Rows, markdown_table, misconfigured

# Blocks that may stand between two parts of one table.
BETWEEN: Final = frozenset({"Header", "Footer", "Page Number"})
LONGEST: Final = 50  # rows of a sheet's table; the API's default for `split_large_tables.size`


def formatted(pages: list[Page], options: Mapping[str, Any]) -> list[Page]:
    """Apply `formatting.merge_tables` and `formatting.table_output_format`.

    Raises DocumentProblem INVALID_CONFIG if the format is unknown.
    """
    formatting = options.get("formatting") or {}
    name = formatting.get("table_output_format") or "dynamic"
    if name not in FORMATS:
        raise misconfigured(f"table_output_format {name!r} is not one of {', '.join(FORMATS)}")
    write = FORMATS[name]
    if formatting.get("merge_tables"):
        pages = _merged(pages)
    elif write is markdown_table:  # as tables are written when they are read
        return pages
    return [
        replace(page, blocks=[_written(block, write) for block in page.blocks]) for page in pages
    ]


def split_large(rows: Rows, spreadsheet: Mapping[str, Any]) -> Iterator[Rows]:
    """Split a sheet's table into parts of `split_large_tables.size`, each with the same header row.

    The size is a number of rows, or `{row, column}`.
    """
    wanted = spreadsheet.get("split_large_tables") or {}
    size = wanted.get("size") or LONGEST
    high, wide = (
        (size.get("row"), size.get("column")) if isinstance(size, Mapping) else (size, None)
    )
    if wanted.get("enabled") is False or not rows:
        yield rows
        return
    for part in _in_height(rows, high or LONGEST):
        yield from _in_width(part, wide or max(map(len, rows)))


def _in_height(rows: Rows, size: int) -> Iterator[Rows]:
    head, *body = rows
    for start in range(0, max(1, len(body)), max(1, size)):
        yield [head, *body[start : start + size]]


def _in_width(rows: Rows, size: int) -> Iterator[Rows]:
    for start in range(0, max(map(len, rows)), max(1, size)):
        yield [row[start : start + size] for row in rows]


def _merged(pages: list[Page]) -> list[Page]:
    """Merge consecutive tables of equal width into the first one, without repeated headers."""
    result: list[list[PageBlock]] = []
    last: tuple[int, int] | None = None
    for number, page in enumerate(pages):
        result.append([])
        for block in page.blocks:
            if block.rows and last is not None and _fits(result[last[0]][last[1]], block):
                above = pages[last[0]], result[last[0]][last[1]]
                result[last[0]][last[1]] = _joined(above, (page, block))
                continue
            result[-1].append(block)
            if block.type not in BETWEEN:
                last = (number, len(result[-1]) - 1) if block.rows else None
    return [replace(page, blocks=blocks) for page, blocks in zip(pages, result, strict=True)]


def _fits(first: PageBlock, second: PageBlock) -> bool:
    return _width(first.rows) == _width(second.rows)


def _width(rows: Rows | None) -> int:
    return max(map(len, rows or [[]]))


def _joined(first: tuple[Page, PageBlock], second: tuple[Page, PageBlock]) -> PageBlock:
    """Merge two tables; the boxes of their cells are dropped, since they lie on several pages."""
    above = first[1].rows or []
    below = second[1].rows or []
    rows = above + (below[1:] if below[:1] == above[:1] else below)
    return replace(first[1], rows=rows, places=None, parts=(*(first[1].parts or (first,)), second))


def _written(block: PageBlock, write: Callable[[Rows], str]) -> PageBlock:
    if not block.rows or (write is markdown_table and not block.parts):
        return block  # a table is written as Markdown when it is read
    parts = tuple((page, _written(part, write)) for page, part in block.parts)
    return replace(block, content=write(block.rows), parts=parts)


def _html(rows: Rows) -> str:
    head, *body = [
        "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row) for row, tag in _tagged(rows)
    ]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in [head, *body]) + "</table>"


def _tagged(rows: Rows) -> Iterator[tuple[list[str], str]]:
    for number, row in enumerate(rows):
        yield row, "td" if number else "th"


def _csv(rows: Rows) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().rstrip("\n")


def _json(rows: Rows) -> str:
    return json.dumps(rows, ensure_ascii=False)


FORMATS: Final[Mapping[str, Callable[[Rows], str]]] = {
    # The API: Markdown for simple tables. No merged cells are known here, so every table is simple.
    "dynamic": markdown_table,
    "md": markdown_table,
    "html": _html,
    "csv": _csv,
    "json": _json,
    "jsonbbox": _json,
}
