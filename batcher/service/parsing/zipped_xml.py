"""Read ODT and EPUB, which are zip archives of XML.

ODT is one page, EPUB has one page for each chapter.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from batcher.service.parsing.pages import Page, PageBlock, corrupt, empty, table
from batcher.service.parsing.text import html_blocks, one_page

# bytes of one member after decompression; a small archive can hold a huge one
LARGEST: Final = 64 << 20
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"


def read_odt(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return paragraphs, headings, list items and tables in order, as one page.

    Raises DocumentProblem if the document is broken or has no text.
    """
    with _opened(path) as archive:
        return one_page(list(_odt_blocks(_xml(archive, "content.xml"))))


def read_epub(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the chapters in the order of the book's spine; chapters without text are left out.

    Raises DocumentProblem if the book is broken or has no text.
    """
    with _opened(path) as archive:
        chapters = [html_blocks(_part(archive, name), "utf-8") for name in _spine(archive)]
    filled = [(number, blocks) for number, blocks in enumerate(chapters, start=1) if blocks]
    if not filled:
        raise empty("the book has no text")
    return [
        Page(number, original, blocks) for number, (original, blocks) in enumerate(filled, start=1)
    ]


def _odt_blocks(root: Any) -> Iterator[PageBlock]:
    for node in root.iter(f"{_TEXT}p", f"{_TEXT}h", f"{_TABLE}table"):
        above = {parent.tag for parent in node.iterancestors()}
        if f"{_TABLE}table" in above:
            continue  # its text belongs to the table
        if node.tag == f"{_TABLE}table":
            rows = [
                [_words(cell) for cell in row.iter(f"{_TABLE}table-cell")]
                for row in node.iter(f"{_TABLE}table-row")
            ]
            yield table(rows) if any(map(any, rows)) else PageBlock("Text", "")
        elif node.tag == f"{_TEXT}h":
            yield PageBlock("Section Header", _words(node))
        else:
            yield PageBlock("List Item" if f"{_TEXT}list-item" in above else "Text", _words(node))


def _words(node: Any) -> str:
    return " ".join(" ".join(node.itertext()).split())


def _spine(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the chapters' files, without those that the archive doesn't hold."""
    (package,) = _xml(archive, "META-INF/container.xml").xpath(
        "//*[local-name()='rootfile']/@full-path"
    )[:1] or [""]
    book = _xml(archive, package)
    files = {
        item.get("id"): item.get("href") or "" for item in book.xpath("//*[local-name()='item']")
    }
    order = [files.get(name, "") for name in book.xpath("//*[local-name()='itemref']/@idref")]
    found = [
        posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(href)))
        for href in order
        if href
    ]
    held = set(archive.namelist())
    return [name for name in found if name in held]


def _xml(archive: zipfile.ZipFile, name: str) -> Any:
    from lxml import etree

    # Entities could refer to other files, or expand without limit.
    reader = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        return etree.fromstring(_part(archive, name), reader)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise corrupt(f"{name} is no XML: {error}") from error


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        if archive.getinfo(name).file_size > LARGEST:
            raise corrupt(f"{name} is larger than {LARGEST >> 20} MB")
        with archive.open(name) as part:
            return part.read(LARGEST)
    except (
        KeyError,
        zipfile.BadZipFile,
        OSError,
        RuntimeError,
        NotImplementedError,
        EOFError,
    ) as error:
        raise corrupt(f"{name} can't be unpacked: {error}") from error


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise corrupt(f"the document can't be read: {error}") from error
