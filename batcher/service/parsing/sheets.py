"""Read workbooks: each sheet is a page, and empty rows separate its tables. Only values are read.

What is hidden is left out if `spreadsheet.exclude` says so: hidden sheets of any workbook, hidden
rows and columns of XLSX only.
"""

from __future__ import annotations

import itertools
import posixpath
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.office import ENCRYPTED, is_encrypted
from batcher.service.parsing.pages import Page, Rows, corrupt, empty, protected, table
from batcher.service.parsing.tables import split_large

LARGEST: Final = 256 << 20  # bytes of one sheet's XML after decompression
_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINKS: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


@dataclass(frozen=True, slots=True)
class Hidden:
    """The indexes, from 0, of a sheet's hidden rows and columns."""

    rows: frozenset[int] = frozenset()
    columns: frozenset[int] = frozenset()


def read_sheets(path: Path, options: Mapping[str, Any]) -> list[Page]:
    """Return one page for each sheet.

    Empty rows separate tables unless `spreadsheet.clustering` is "disabled"; long tables are split.
    Raises DocumentProblem if the workbook is broken, encrypted or empty.
    """
    import python_calamine

    if is_encrypted(path):
        raise protected(ENCRYPTED)
    asked = options.get("spreadsheet") or {}
    excluded = frozenset(asked.get("exclude") or ())
    try:
        book = python_calamine.load_workbook(str(path))
        seen = python_calamine.SheetVisibleEnum.Visible
        names = [
            s.name
            for s in book.sheets_metadata
            if s.visible == seen or "hidden_sheets" not in excluded
        ]
        sheets = [(name, *_cells(book.get_sheet_by_name(name))) for name in names]
    except python_calamine.PasswordError as error:
        raise protected() from error
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise corrupt(f"the workbook can't be read: {error}") from error
    hidden = _hidden_in(path, excluded) if excluded & {"hidden_rows", "hidden_cols"} else {}
    shown = [
        (name, _visible(rows, start, hidden.get(name, Hidden()))) for name, rows, start in sheets
    ]
    pages = [
        _sheet(number, name, rows, asked) for number, (name, rows) in enumerate(shown, start=1)
    ]
    if not any(page.cells for page in pages):
        raise empty("the workbook has no cells with anything in them")
    return pages


def _cells(sheet: Any) -> tuple[list[list[Any]], tuple[int, int]]:
    """Return the rows from the first that isn't empty, and the row and column where they start."""
    return sheet.to_python(), sheet.start or (0, 0)


def _visible(rows: list[list[Any]], start: tuple[int, int], hidden: Hidden) -> list[list[Any]]:
    if not hidden.rows and not hidden.columns:
        return rows
    kept = [row for number, row in enumerate(rows, start=start[0]) if number not in hidden.rows]
    return [
        [cell for number, cell in enumerate(row, start=start[1]) if number not in hidden.columns]
        for row in kept
    ]


def _sheet(number: int, name: str, cells: list[list[Any]], asked: Mapping[str, Any]) -> Page:
    rows = [[_text(cell) for cell in row] for row in cells]
    blocks = [table(part) for group in _clusters(rows, asked) for part in split_large(group, asked)]
    return Page(
        number, number, blocks, cells=sum(bool(cell) for row in rows for cell in row), name=name
    )


def _clusters(rows: Rows, asked: Mapping[str, Any]) -> Iterator[Rows]:
    if asked.get("clustering") == "disabled":
        rows = [row for row in rows if any(row)]
    for filled, group in itertools.groupby(rows, key=any):
        if filled:
            yield list(group)


def _text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


# --- what is hidden in XLSX -----------------------------------------------------------------------


def _hidden_in(path: Path, excluded: frozenset[str]) -> dict[str, Hidden]:
    """Return the hidden rows and columns by the sheet's name.

    Only XLSX is read for them; other workbooks hide nothing.
    """
    if not zipfile.is_zipfile(path):
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                return {}
            return {name: _hidden(archive, part, excluded) for name, part in _parts(archive)}
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise corrupt(f"the workbook can't be read: {error}") from error


def _parts(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Yield each sheet's name and the archive member that holds it."""
    links = {
        link.get("Id"): link.get("Target", "")
        for link in _xml(archive, "xl/_rels/workbook.xml.rels").iter("{*}Relationship")
    }
    for sheet in _xml(archive, "xl/workbook.xml").iter(f"{_MAIN}sheet"):
        target = links.get(sheet.get(f"{_LINKS}id"), "")
        yield sheet.get("name"), posixpath.normpath(posixpath.join("xl", target)).lstrip("/")


def _hidden(archive: zipfile.ZipFile, part: str, excluded: frozenset[str]) -> Hidden:
    root = _xml(archive, part)
    rows = [int(row.get("r")) - 1 for row in root.iter(f"{_MAIN}row") if _is_set(row)]
    spans = [
        (int(col.get("min")), int(col.get("max")))
        for col in root.iter(f"{_MAIN}col")
        if _is_set(col)
    ]
    columns = [
        number - 1 for first, last in spans for number in range(first, min(last, 16_384) + 1)
    ]
    return Hidden(
        frozenset(rows if "hidden_rows" in excluded else ()),
        frozenset(columns if "hidden_cols" in excluded else ()),
    )


def _is_set(node: Any) -> bool:
    return node.get("hidden") in ("1", "true")


def _xml(archive: zipfile.ZipFile, name: str) -> Any:
    from lxml import etree

    if archive.getinfo(name).file_size > LARGEST:
        raise corrupt(f"{name} is larger than {LARGEST >> 20} MB")
    reader = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        return etree.fromstring(archive.read(name), reader)
    except etree.XMLSyntaxError as error:
        raise corrupt(f"{name} is no XML: {error}") from error
