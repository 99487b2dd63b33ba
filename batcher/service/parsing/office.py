"""Office documents. Slides have places; text and sheets have none that could be known without printing them."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batcher.service.parsing.pages import WHOLE_PAGE, Block, Page, Rows, corrupt, empty, protected, table
from batcher.service.parsing.tables import split_large

_OLE = b"\xd0\xcf\x11\xe0"


def read_docx(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Paragraphs and tables in order; pages by the breaks that are written down."""
    import docx

    document = _opened(path, docx.Document)
    pages: list[list[Block]] = [[]]
    for item in document.iter_inner_content():
        if hasattr(item, "rows"):
            rows = [[cell.text for cell in row.cells] for row in item.rows]
            pages[-1].append(table(rows)) if any(map(any, rows)) else None
            continue
        if item.text.strip():
            pages[-1].append(Block(_docx_type(item.style.name if item.style else ""), item.text.strip()))
        pages += [[] for _ in range(_breaks_in(item))]
    return _numbered(pages)


def read_pptx(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    import pptx

    deck = _opened(path, pptx.Presentation)
    size = (deck.slide_width or 1, deck.slide_height or 1)
    return _numbered([list(_shapes(slide.shapes, slide.shapes.title, size)) for slide in deck.slides])


def read_sheets(path: Path, options: Mapping[str, Any]) -> list[Page]:
    """Each sheet a page. Empty rows part its tables, unless clustering is disabled; long tables are cut."""
    import python_calamine

    if _is_encrypted(path):
        raise protected()
    try:
        book = python_calamine.load_workbook(str(path))
        sheets = [(name, book.get_sheet_by_name(name).to_python()) for name in book.sheet_names]
    except python_calamine.PasswordError as error:
        raise protected() from error
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise corrupt(f"the workbook can't be read: {error}") from error
    asked = options.get("spreadsheet") or {}
    pages = [_sheet(number, name, cells, asked) for number, (name, cells) in enumerate(sheets, start=1)]
    if not any(page.cells for page in pages):
        raise empty("the workbook has no cells with anything in them")
    return pages


def _sheet(number: int, name: str, cells: list[list[Any]], asked: Mapping[str, Any]) -> Page:
    rows = [[_text(cell) for cell in row] for row in cells]
    blocks = [table(part) for group in _clusters(rows, asked) for part in split_large(group, asked)]
    return Page(number, number, blocks, cells=sum(bool(cell) for row in rows for cell in row), name=name)


def _clusters(rows: Rows, asked: Mapping[str, Any]) -> Iterator[Rows]:
    if asked.get("clustering") == "disabled":
        rows = [row for row in rows if any(row)]
    for filled, group in itertools.groupby(rows, key=any):
        if filled:
            yield list(group)


def _opened(path: Path, open_: Any) -> Any:
    if _is_encrypted(path):
        raise protected()
    try:
        return open_(str(path))
    except (KeyError, ValueError, zipfile.BadZipFile, OSError) as error:
        raise corrupt(f"the document can't be read: {error}") from error
    except Exception as error:  # what the XML library makes of a broken part has no common base
        raise corrupt(f"the document can't be read: {type(error).__name__}: {error}") from error


def _is_encrypted(path: Path) -> bool:
    """An encrypted Office file of today is one of the old kind that holds a stream of this name."""
    content = path.read_bytes()
    return content.startswith(_OLE) and "EncryptedPackage".encode("utf-16-le") in content


def _docx_type(style: str) -> str:
    if style.startswith("Title"):
        return "Title"
    if style.startswith(("Heading", "Subtitle")):
        return "Section Header"
    return "List Item" if style.startswith("List") else "Text"


def _breaks_in(paragraph: Any) -> int:
    return len(paragraph._p.xpath('.//w:br[@w:type="page"] | .//w:lastRenderedPageBreak'))


def _shapes(shapes: Any, title: Any, size: tuple[int, int]) -> Iterator[Block]:
    for shape in sorted(shapes, key=lambda s: (s.top or 0, s.left or 0)):
        if hasattr(shape, "shapes"):  # a group
            yield from _shapes(shape.shapes, title, size)
        elif getattr(shape, "has_table", False):
            rows = [[cell.text for cell in row.cells] for row in shape.table.rows]
            yield table(rows, _box(shape, size))
        elif getattr(shape, "has_text_frame", False) and shape.text_frame.text.strip():
            is_title = title is not None and shape.shape_id == title.shape_id
            yield Block("Title" if is_title else "Text", shape.text_frame.text.strip(), _box(shape, size))
        elif hasattr(shape, "image"):
            yield Block("Figure", "", _box(shape, size), sure=False)


def _box(shape: Any, size: tuple[int, int]) -> tuple[float, float, float, float]:
    if shape.left is None or shape.width is None:
        return WHOLE_PAGE
    left, top = _share(shape.left / size[0]), _share(shape.top / size[1])
    right, bottom = _share((shape.left + shape.width) / size[0]), _share((shape.top + shape.height) / size[1])
    return left, top, right - left, bottom - top


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 6)


def _numbered(pages: list[list[Block]]) -> list[Page]:
    if not any(pages):
        raise empty("the document has no text")
    return [Page(number, number, blocks) for number, blocks in enumerate(pages, start=1)]


def _text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
