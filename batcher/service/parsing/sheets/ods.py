"""Read ODS: cells as they are shown, which the file tells beside their values, and what lies on
them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any, Final

from batcher.service.parsing.office.package import local
from batcher.service.parsing.pages import PageBlock, protected
from batcher.service.parsing.sheets.number_format import general
from batcher.service.parsing.sheets.package import BROKEN, Package
from batcher.service.parsing.sheets.workbook import COLUMNS, ROWS, Limits, Sheet, cell_name, comment

_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_DRAW: Final = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_FORM: Final = "{urn:oasis:names:tc:opendocument:xmlns:form:1.0}"
_LINK: Final = "{http://www.w3.org/1999/xlink}href"
_ROW: Final = f"{_TABLE}table-row"
_CELLS: Final = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_HIDDEN: Final = ("collapse", "filter")
# Fields of headers and footers; what the file holds of them is not what is shown.
_FIELDS: Final = frozenset(
    "page-number page-count sheet-name title file-name date time print-date print-time".split()
)
# tables within a chart hold its data, those in a link or a list of changes aren't shown
_UNSHOWN: Final = frozenset({"tracked-changes", "dde-links", "dde-link"})


def read_ods(package: Package, *, with_hidden: bool) -> list[Sheet]:
    """Return the sheets, hidden ones only if `with_hidden`.

    Raises one of BROKEN if there is no content at all, and DocumentProblem if the document is
    encrypted or too large.
    """
    manifest = "META-INF/manifest.xml"
    if manifest in package and b"encryption-data" in package.read(manifest):
        raise protected("the document is encrypted")
    reader = _Reader(package)
    try:
        with package.open("content.xml") as part:
            reader.read(part)
    except BROKEN as error:
        reader.note(f"the document can't be read after this: {error}")
    return reader.finished(with_hidden=with_hidden)


class _Reader:
    def __init__(self, package: Package) -> None:
        self._package = package
        self._limits = Limits()
        self._sheets: dict[Any, Sheet] = {}  # by the elements that they were read from
        self._next_row: dict[Any, int] = {}
        self._shown: list[tuple[Any, Sheet, bool]] = []  # the element, and whether it is hidden
        self._masters: dict[str, str] = {}  # master pages by the styles of tables
        self._unseen: set[str] = set()  # styles of hidden tables

    def read(self, part: Any) -> None:
        """Read the content row by row."""
        for node in self._package.elements(part, "table-row", "table", "style"):
            if node.tag == _ROW:
                self._row(node)
            elif node.tag == f"{_STYLE}style":
                self._style(node)
            elif node.tag == f"{_TABLE}table" and local(node.getparent()) == "spreadsheet":
                self._table(node)

    def note(self, reason: str) -> None:
        """Add a reason to the sheet that was read last, complete or not."""
        started = list(self._sheets.items())
        complete = [node for node, _, _ in self._shown]
        for node, sheet in started:
            if node not in complete:
                self._name(node, sheet)
                self._shown.append((node, sheet, False))
        if not self._shown:
            raise ValueError(reason)
        self._shown[-1][1].unread.append(reason)

    def finished(self, *, with_hidden: bool) -> list[Sheet]:
        """Return the sheets with their headers and footers."""
        masters = self._master_pages()
        for node, sheet, _ in self._shown:
            style = self._masters.get(node.get(f"{_TABLE}style-name", ""), "Default")
            for type_, text in masters.get(style, ()):
                block = PageBlock(type_, text)
                (sheet.above if type_ == "Header" else sheet.below).append(block)
                self._limits.count(len(text))
        return [sheet for _, sheet, hidden in self._shown if with_hidden or not hidden]

    # --- styles -----------------------------------------------------------------------------------

    def _style(self, node: Any) -> None:
        if node.get(f"{_STYLE}family") != "table":
            return
        name = node.get(f"{_STYLE}name", "")
        self._masters[name] = node.get(f"{_STYLE}master-page-name") or "Default"
        for child in node:
            if child.get(f"{_TABLE}display") == "false":
                self._unseen.add(name)

    def _master_pages(self) -> dict[str, list[tuple[str, str]]]:
        """Return the texts of headers and footers by the names of their pages' styles."""
        found: dict[str, list[tuple[str, str]]] = {}
        if "styles.xml" not in self._package:
            return found
        try:
            root = self._package.tree("styles.xml")
        except BROKEN as error:
            self._shown[0][1].unread.append(f"headers and footers can't be read: {error}")
            return found
        for page in root.iter(f"{_STYLE}master-page"):
            texts: dict[tuple[str, str], None] = {}
            for node in page:
                kind = "Header" if local(node).startswith("header") else "Footer"
                if node.get(f"{_STYLE}display") != "false":
                    texts[kind, _lines(node, fields=False)] = None
            found[page.get(f"{_STYLE}name", "")] = [pair for pair in texts if pair[1]]
        return found

    # --- rows -------------------------------------------------------------------------------------

    def _row(self, node: Any) -> None:
        table = _table_around(node)
        if table is None:
            return
        if table not in self._sheets:
            self._sheets[table] = Sheet(table.get(f"{_TABLE}name", ""))
        sheet = self._sheets[table]
        start = self._next_row.get(table, 0)
        times = min(_number(node, "number-rows-repeated"), ROWS - start)
        self._next_row[table] = start + times
        cells = self._cells(node, sheet, start)
        if node.get(f"{_TABLE}visibility") in _HIDDEN:
            sheet.hidden_rows.update(range(start, start + times))
        for number in range(start, start + times if cells else start):
            row = self._limits.row(number, cells)
            if row is not None:
                sheet.rows.append(row)
        _clear(node)

    def _cells(self, row: Any, sheet: Sheet, number: int) -> list[tuple[int, str]]:
        cells: list[tuple[int, str]] = []
        column = 0
        for node in row:
            if node.tag not in _CELLS:
                continue
            times = min(_number(node, "number-columns-repeated"), COLUMNS - column)
            text = self._cell(node, sheet, number, column)
            if text:
                self._limits.count(len(text) * (times - 1))
                cells += [(column + n, text) for n in range(times)]
            column += times
        return cells

    def _cell(self, node: Any, sheet: Sheet, row: int, column: int) -> str:
        texts: list[str] = []
        for child in node:
            if child.tag == f"{_OFFICE}annotation":
                author = next((n.text or "" for n in child if local(n) == "creator"), "")
                text = _lines(child)
                sheet.below.append(comment(cell_name(row, column), author, text))
                self._limits.count(len(text))
            elif child.tag.startswith(_DRAW) if isinstance(child.tag, str) else False:
                self._drawn(child, sheet)
            elif child.tag in (f"{_TEXT}p", f"{_TEXT}h", f"{_TEXT}list"):
                texts.append(_words(child))
                for shape in _outermost_shapes(child):
                    self._drawn(shape, sheet)
        text = "\n".join(filter(None, texts))
        if text:
            return text
        kind = node.get(f"{_OFFICE}value-type")
        if kind is None and node.get(f"{_TABLE}formula"):
            sheet.without_value.append((row, column))
        return _bare_value(node, kind)

    # --- tables and what lies on them -------------------------------------------------------------

    def _table(self, node: Any) -> None:
        if any(local(child) == "table-source" for child in node):
            self._sheets.pop(node, None)  # what another document was asked for
            return
        sheet = self._sheets.setdefault(node, Sheet(""))
        self._name(node, sheet)
        hidden = node.get(f"{_TABLE}style-name") in self._unseen
        self._shown.append((node, sheet, hidden))
        columns = [
            column for column in node.iter(f"{_TABLE}table-column") if _table_around(column) is node
        ]
        start = 0
        for column in columns:
            end = min(start + _number(column, "number-columns-repeated"), COLUMNS)
            if column.get(f"{_TABLE}visibility") in _HIDDEN:
                sheet.hidden_columns.update(range(start, end))
            start = end
        for child in node:
            if local(child) == "shapes":
                for shape in child:
                    self._drawn(shape, sheet)
            elif local(child) == "forms":
                self._controls(child, sheet)
        sheet.note_cells()

    def _name(self, node: Any, sheet: Sheet) -> None:
        sheet.name = node.get(f"{_TABLE}name", "")

    def _controls(self, forms: Any, sheet: Sheet) -> None:
        for node in forms.iter():
            for name in ("label", "value", "current-value"):
                text = node.get(f"{_FORM}{name}")
                if text and local(node) not in ("property", "item", "option"):
                    self._add(sheet, "Text", text)
            if local(node) in ("item", "option"):
                self._add(sheet, "Text", node.get(f"{_FORM}label") or "")

    def _drawn(self, shape: Any, sheet: Sheet) -> None:
        """Add the texts of a shape, the words that describe it, and those of a chart."""
        if not isinstance(shape.tag, str):
            return
        for node in shape.iter(
            f"{_TEXT}p", "{*}desc", "{*}title", f"{_DRAW}object", f"{_DRAW}image"
        ):
            name = local(node)
            if name == "p":
                self._add(sheet, "Text", _words(node))
            elif name in ("desc", "title"):
                self._add(sheet, "Figure", node.text or "")
            elif name == "object":
                self._object(node, sheet)
            elif not any(local(n) == "object" for n in node.getparent()):
                sheet.pictures += not _is_described(node.getparent())

    def _object(self, node: Any, sheet: Sheet) -> None:
        part = posixpath.normpath(posixpath.join(node.get(_LINK) or "", "content.xml"))
        try:
            root = self._package.tree(part)
        except BROKEN as error:
            sheet.unread.append(f"an object on a sheet can't be read: {error}")
            return
        texts = []
        for found in root.iter(f"{_TEXT}p"):
            above = {local(parent) for parent in found.iterancestors()}
            if "table" not in above:  # its data stand in cells
                texts.append(_words(found))
        self._add(sheet, "Figure", "\n".join(filter(None, texts)))

    def _add(self, sheet: Sheet, type_: str, text: str) -> None:
        self._limits.count(len(text))
        if text.strip():
            sheet.below.append(PageBlock(type_, text.strip()))


def _table_around(node: Any) -> Any:
    """Return the sheet that a row or column belongs to, or None if that isn't shown as a sheet."""
    for parent in node.iterancestors():
        if parent.tag == f"{_TABLE}table":
            return parent if local(parent.getparent()) == "spreadsheet" else None
        if local(parent) in _UNSHOWN:
            return None
    return None


def _is_described(frame: Any) -> bool:
    return any(local(node) in ("desc", "title") and (node.text or "").strip() for node in frame)


def _number(node: Any, name: str) -> int:
    written = node.get(f"{_TABLE}{name}") or "1"
    return max(1, int(written)) if written.isdigit() else 1


def _clear(row: Any) -> None:
    """Free a row that was read, but leave its place: lxml goes on from there."""
    row.clear()
    previous = row.getprevious()
    if previous is not None and previous.tag == _ROW:
        row.getparent().remove(previous)


def _bare_value(node: Any, kind: str | None) -> str:
    """Return the value of a cell without text, as some programs write them."""
    if kind == "boolean":
        return str(node.get(f"{_OFFICE}boolean-value", "")).upper()
    if kind in ("float", "percentage", "currency"):
        try:
            value = float(node.get(f"{_OFFICE}value", ""))
        except ValueError:
            return str(node.get(f"{_OFFICE}value", ""))
        return general(value * 100) + "%" if kind == "percentage" else general(value)
    for name in ("string-value", "date-value", "time-value"):
        if node.get(f"{_OFFICE}{name}"):
            return str(node.get(f"{_OFFICE}{name}"))
    return ""


def _outermost_shapes(node: Any) -> Iterator[Any]:
    for found in node.iter():
        if not isinstance(found.tag, str) or not found.tag.startswith(_DRAW):
            continue
        between = found.getparent()
        while between is not node and not str(between.tag).startswith(_DRAW):
            between = between.getparent()
        if between is node:
            yield found


def _lines(node: Any, *, fields: bool = True) -> str:
    """Return the paragraphs within an element, each a line."""
    texts = (_words(p, fields=fields) for p in node.iter(f"{_TEXT}p", f"{_TEXT}h"))
    return "\n".join(text for text in texts if text)


def _words(node: Any, *, fields: bool = True) -> str:
    """Return the text of a paragraph, without shapes, notes and the readings of characters."""
    texts: list[str] = []
    stack: list[tuple[Any, bool]] = [(node, True)]
    while stack:
        current, enters = stack.pop()
        if not enters:
            texts.append(current.tail or "")
            continue
        if current is not node:
            stack.append((current, False))
        if not isinstance(current.tag, str):
            continue
        name = local(current)
        if current.tag.startswith(_DRAW) or name in ("annotation", "ruby-text"):
            continue
        if not fields and name in _FIELDS:
            continue
        match name:
            case "s":
                texts.append(" ")
            case "tab" | "line-break":
                texts.append("\n" if name == "line-break" else "\t")
        texts.append(current.text or "")
        stack.extend((child, True) for child in reversed(current))
    return "".join(texts).strip()
