"""Read XLSX and its kin (XLSM, XLTX, Strict OOXML): cells as they are shown, and what lies by them.

A part that is broken costs itself: the sheet's `unread` names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from batcher.service.parsing.office.package import local
from batcher.service.parsing.sheets.number_format import (
    BUILT_IN,
    GENERAL,
    NumberFormat,
    general,
    number_format,
)
from batcher.service.parsing.sheets.package import (
    BROKEN,
    Package,
    attribute,
    rich_text,
    unescaped,
)
from batcher.service.parsing.sheets.page_setup import add_headers
from batcher.service.parsing.sheets.parts import attempt, read_parts, xml_notes
from batcher.service.parsing.sheets.workbook import (
    COLUMNS,
    ROWS,
    Limits,
    Sheet,
    cell_name,
    column_of,
    comment,
    numbers_in,
)

_EPOCH: Final = datetime(1899, 12, 30)
_DAYS_TO_1904: Final = 1462
_ROOTS: Final = frozenset({"worksheet", "chartsheet", "dialogsheet", "macrosheet"})
_LONGEST_NAME: Final = 20  # of a cell that isn't one, in a note
_BESIDE: Final = ("headerFooter", "dataValidation", "oleObject")


@dataclass(slots=True)
class Book:
    """What the cells of all sheets refer to. `unread` names what of it could not be read."""

    strings: list[str] = field(default_factory=list)
    formats: list[NumberFormat | None] = field(default_factory=list)
    persons: dict[str, str] = field(default_factory=dict)
    since_1904: bool = False
    unread: list[str] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)


def read_xlsx(package: Package, *, with_hidden: bool) -> list[Sheet]:
    """Return the sheets, hidden ones only if `with_hidden`.

    Raises one of BROKEN if the list of sheets can't be read, and DocumentProblem if the workbook
    is too large.
    """
    part = main_part(package, "xl/workbook.xml")
    root = package.tree(part)
    links = package.links(part)
    listed = [
        (node.get("name", ""), links[attribute(node, "id")].target)
        for node in root.iterfind("{*}sheets/{*}sheet")
        if attribute(node, "id") in links
        and (with_hidden or node.get("state") in (None, "visible"))
    ]
    book = Book(since_1904=_is_since_1904(root))
    by_kind = {link.kind: link.target for link in links.values()}
    attempt(book.unread, "the texts of cells", _read_strings, package, by_kind, book)
    attempt(book.unread, "the formats of numbers", _read_formats, package, by_kind, book)
    attempt(book.unread, "the authors of comments", read_persons, package, by_kind, book)
    names = frozenset(name for name, _ in listed)
    sheets = [_SheetReader(package, book, name, target, names).read() for name, target in listed]
    if sheets:
        sheets[0].unread[:0] = book.unread
    return sheets


def main_part(package: Package, usual: str) -> str:
    """Return the name of the part that lists the sheets."""
    for link in package.links("").values():
        if link.kind == "officeDocument" and link.target in package:
            return link.target
    return usual


def _is_since_1904(root: Any) -> bool:
    found = root.find("{*}workbookPr")
    return found is not None and _is_set(found, "date1904")


def _is_set(node: Any, name: str) -> bool:
    return node.get(name) in ("1", "true")


# --- what cells refer to --------------------------------------------------------------------------


def _read_strings(package: Package, by_kind: dict[str, str], book: Book) -> None:
    if "sharedStrings" not in by_kind:
        return
    with package.open(by_kind["sharedStrings"]) as part:
        for node in package.elements(part, "si"):
            book.strings.append(rich_text(node))
            _drop(node)


def _drop(node: Any) -> None:
    """Free an element that was read, and what stood before it."""
    node.clear()
    parent = node.getparent()
    if parent is not None:
        while node.getprevious() is not None:
            del parent[0]


def _read_formats(package: Package, by_kind: dict[str, str], book: Book) -> None:
    if "styles" not in by_kind:
        return
    root = package.tree(by_kind["styles"])
    codes = dict(BUILT_IN)
    for node in root.iterfind("{*}numFmts/{*}numFmt"):
        codes[int(node.get("numFmtId"))] = unescaped(node.get("formatCode", ""))
    for node in root.iterfind("{*}cellXfs/{*}xf"):
        code = codes.get(int(node.get("numFmtId") or 0), GENERAL)
        book.formats.append(format_of(code, since_1904=book.since_1904))


def format_of(code: str, *, since_1904: bool) -> NumberFormat | None:
    """Return the format of a code, or None if it is General or nothing."""
    if code.lower() in ("", "general", "@"):
        return None
    return number_format(code, since_1904)


def read_persons(package: Package, by_kind: dict[str, str], book: Book) -> None:
    """Read the authors of threaded comments."""
    if "person" in by_kind:
        for node in package.tree(by_kind["person"]).iter("{*}person"):
            book.persons[node.get("id", "")] = node.get("displayName", "")


def _place_of(number: str) -> int:
    """Return the number, from 0, of what is counted from 1; -1 for none."""
    return int(number) - 1 if number.isdecimal() and len(number) < 10 else -1


# --- one sheet ------------------------------------------------------------------------------------


class _SheetReader:
    """Reads one sheet and the parts that belong to it."""

    def __init__(
        self, package: Package, book: Book, name: str, part: str, names: frozenset[str]
    ) -> None:
        self._package = package
        self._book = book
        self._part = part
        self._names = names
        self._sheet = Sheet(name)
        self._columns: dict[str, int] = {}
        self._beside: dict[str, list[Any]] = {}
        self._next_row = 0
        self._hidden: list[tuple[int, int]] = []  # the first and last of columns

    def read(self) -> Sheet:
        """Return the sheet."""
        sheet = self._sheet
        try:
            with self._package.open(self._part) as part:
                self._read_part(part)
        except BROKEN as error:
            sheet.note_break(error)
        sheet.hidden_columns = numbers_in(self._hidden, COLUMNS)
        sheet.note_cells()
        self._note_embedded()
        what = f"what belongs to the sheet {sheet.name!r}"
        attempt(sheet.unread, what, self._read_parts)
        self._prompts()
        add_headers(sheet, self._headers())
        for block in (*sheet.above, *sheet.below):
            self._book.limits.count(len(block.content))
        return sheet

    def _read_part(self, part: Any) -> None:
        for node in self._package.elements(part, "row", "col", *_BESIDE):
            name = local(node)
            if name == "row":
                self._row(node)
                _drop(node)
            elif name == "col":
                self._column(node)
            elif name in ("dataValidation", "oleObject") or local(node.getparent()) in _ROOTS:
                self._beside.setdefault(name, []).append(node)

    def _row(self, node: Any) -> None:
        named = node.get("r") or ""
        number = _place_of(named) if named else self._next_row
        if not 0 <= number < ROWS:
            self._sheet.broken_cells.append(f"row {named[:_LONGEST_NAME]}")
            return
        self._next_row = number + 1
        if _is_set(node, "hidden"):
            self._sheet.hidden_rows.add(number)
        cells: list[tuple[int, str]] = []
        column = -1
        for cell in node:
            if local(cell) != "c":
                continue
            named = cell.get("r") or ""
            found = self._column_of(named) if named else column + 1
            if not 0 <= found < COLUMNS:
                self._sheet.broken_cells.append(named[:_LONGEST_NAME] or f"row {number + 1}")
                continue
            column = found
            try:
                text = self._text(cell, number, column)
            except (LookupError, ValueError, OverflowError):
                self._sheet.broken_cells.append(cell_name(number, column))
                continue
            if text:
                cells.append((column, text))
        row = self._book.limits.row(number, cells)
        if row is not None:
            self._sheet.rows.append(row)

    def _column_of(self, name: str) -> int:
        letters = name.rstrip("0123456789")
        if letters not in self._columns:
            self._columns[letters] = column_of(letters) if letters.isascii() else -1
        return self._columns[letters]

    def _text(self, cell: Any, row: int, column: int) -> str:
        value = None
        has_formula = False
        kind = cell.get("t") or "n"
        for child in cell:
            match local(child):
                case "v":
                    value = child.text
                case "f":
                    has_formula = True
                case "is":
                    return self._styled(cell, rich_text(child))
        if value is None:
            if has_formula and kind != "str":
                self._sheet.without_value.append((row, column))
            return ""
        if kind == "n":
            return self._number(cell, value)
        return self._other(cell, kind, value)

    def _other(self, cell: Any, kind: str, value: str) -> str:
        match kind:
            case "s":
                index = int(value)
                strings = self._book.strings
                if not 0 <= index < len(strings):
                    raise ValueError("it has a text that isn't there")
                return self._styled(cell, strings[index])
            case "b":
                return "TRUE" if value.strip() in ("1", "true") else "FALSE"
            case "d":
                return self._moment(cell, value)
            case "e":
                return value
        return self._styled(cell, unescaped(value))

    def _format(self, cell: Any) -> NumberFormat | None:
        style = cell.get("s") or ""
        if not style.isdecimal():
            return None
        index = int(style)
        return self._book.formats[index] if index < len(self._book.formats) else None

    def _styled(self, cell: Any, text: str) -> str:
        found = self._format(cell)
        return text if found is None else found.text(text)

    def _number(self, cell: Any, value: str) -> str:
        try:
            number = float(value)
        except ValueError:
            return value
        found = self._format(cell)
        return general(number) if found is None else found.number(number)

    def _moment(self, cell: Any, value: str) -> str:
        """Write a date that stands as ISO 8601 in the file, which Strict OOXML allows."""
        found = self._format(cell)
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            return value
        if found is None:
            return value
        days = (moment.replace(tzinfo=None) - _EPOCH).total_seconds() / 86_400
        return found.number(days - _DAYS_TO_1904 if self._book.since_1904 else days)

    def _column(self, node: Any) -> None:
        first = _place_of(node.get("min") or "")
        last = _place_of(node.get("max") or "")
        if _is_set(node, "hidden") and first >= 0:
            self._hidden.append((first, last))

    # --- beside the cells -------------------------------------------------------------------------

    def _note_embedded(self) -> None:
        kinds = {node.get("progId") or "unknown" for node in self._beside.get("oleObject", ())}
        if kinds:
            named = ", ".join(sorted(kinds))
            self._sheet.unread.append(
                f"embedded objects of the sheet {self._sheet.name!r} are not opened: {named}"
            )

    def _read_parts(self) -> None:
        read_parts(
            self._package,
            self._part,
            self._sheet,
            names=self._names,
            persons=self._book.persons,
            notes=xml_notes,
        )

    def _headers(self) -> Iterator[tuple[str, str]]:
        for node in self._beside.get("headerFooter", ()):
            for child in node:
                name = local(child)
                if name.startswith("even") and not _is_set(node, "differentOddEven"):
                    continue
                if name.startswith("first") and not _is_set(node, "differentFirst"):
                    continue
                yield "Header" if name.endswith("Header") else "Footer", unescaped(child.text or "")

    def _prompts(self) -> None:
        """Add what cells say when they are selected, as comments."""
        for node in self._beside.get("dataValidation", ()):
            texts = [unescaped(node.get(name) or "") for name in ("promptTitle", "prompt")]
            place = node.get("sqref") or node.findtext("{*}sqref") or ""
            self._sheet.below.append(comment(place, "", "\n".join(filter(None, texts))))
