"""Read workbooks: each sheet is a page that begins with its name, and empty rows separate tables.

What is hidden is left out if `spreadsheet.exclude` says so: sheets, rows and columns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batcher.service.parsing.office.encryption import ENCRYPTED, is_encrypted
from batcher.service.parsing.pages import (
    Page,
    PageBlock,
    Rows,
    corrupt,
    empty,
    protected,
    table,
)
from batcher.service.parsing.sheets import ods, xls, xlsb, xlsx
from batcher.service.parsing.sheets.package import BROKEN, Package
from batcher.service.parsing.sheets.workbook import Limits, Row, Sheet
from batcher.service.parsing.tables import split_large


def read_sheets(path: Path, options: Mapping[str, Any]) -> list[Page]:
    """Return one page for each sheet.

    Empty rows separate tables unless `spreadsheet.clustering` is "disabled"; long tables are split.
    Raises DocumentProblem if the workbook is broken, encrypted, empty or too large.
    """
    if is_encrypted(path):
        raise protected(ENCRYPTED)
    asked = options.get("spreadsheet") or {}
    excluded = frozenset(asked.get("exclude") or ())
    sheets = _sheets(path, with_hidden="hidden_sheets" not in excluded)
    limits = Limits()
    pages = [_page(number, sheet, asked, limits) for number, sheet in enumerate(sheets, start=1)]
    if not any(page.cells or len(page.blocks) > 1 for page in pages):
        reasons = [reason for page in pages for reason in page.unread]
        if any(sheet.is_broken for sheet in sheets):
            raise corrupt("; ".join(reasons))
        raise empty("; ".join(["the workbook has no cells with anything in them", *reasons]))
    return pages


def _sheets(path: Path, *, with_hidden: bool) -> list[Sheet]:
    with path.open("rb") as file:
        start = file.read(4)
    if start != b"PK\x03\x04":
        return xls.read_xls(path, with_hidden=with_hidden)
    try:
        with Package(path) as package:
            if "content.xml" in package:
                return ods.read_ods(package, with_hidden=with_hidden)
            main = xlsx.main_part(package, "xl/workbook.xml")
            if main.endswith(".bin") or "xl/workbook.bin" in package:
                return xlsb.read_xlsb(package, with_hidden=with_hidden)
            return xlsx.read_xlsx(package, with_hidden=with_hidden)
    except BROKEN as error:
        raise corrupt(f"the workbook can't be read: {error}") from error


def _page(number: int, sheet: Sheet, asked: Mapping[str, Any], limits: Limits) -> Page:
    rows = list(_visible(sheet, frozenset(asked.get("exclude") or ())))
    tables = [
        table(part)
        for group in _clusters(rows, asked, limits)
        for part in split_large(group, asked)
    ]
    name = PageBlock("Section Header", sheet.name)
    blocks = [name, *sheet.above, *tables, *sheet.below]
    return Page(
        number,
        number,
        [block for block in blocks if block.content],
        cells=sum(sum(map(bool, row.cells)) for row in rows),
        name=sheet.name,
        unread=tuple(sheet.unread),
        pictures=sheet.pictures,
    )


def _visible(sheet: Sheet, excluded: frozenset[str]) -> Iterator[Row]:
    """Yield the rows in order, without what is to be left out, as if that weren't in the sheet."""
    hidden_rows = sorted(sheet.hidden_rows) if "hidden_rows" in excluded else []
    hidden = sorted(sheet.hidden_columns) if "hidden_cols" in excluded else []
    for row in sorted(sheet.rows, key=lambda row: row.number):
        above = bisect_left(hidden_rows, row.number)
        if hidden_rows[above : above + 1] == [row.number]:
            continue
        left = bisect_left(hidden, row.first)
        within = set(hidden[left : bisect_left(hidden, row.first + len(row.cells))])
        cells = [cell for n, cell in enumerate(row.cells, start=row.first) if n not in within]
        if any(cells):
            yield Row(row.number - above, row.first - left, cells)


def _clusters(rows: list[Row], asked: Mapping[str, Any], limits: Limits) -> Iterator[Rows]:
    """Yield the tables: rows without an empty one between them, from their first column on."""
    group: list[Row] = []
    for row in rows:
        apart = bool(group) and row.number > group[-1].number + 1
        if apart and asked.get("clustering") != "disabled":
            yield _aligned(group, limits)
            group = []
        group.append(row)
    if group:
        yield _aligned(group, limits)


def _aligned(group: list[Row], limits: Limits) -> Rows:
    """Return the cells of rows, all from the first column that one of them has to the last."""
    first = min(row.first for row in group)
    last = max(row.first + len(row.cells) for row in group)
    limits.count(0, sum(last - first - len(row.cells) for row in group))
    return [
        [""] * (row.first - first) + row.cells + [""] * (last - row.first - len(row.cells))
        for row in group
    ]
