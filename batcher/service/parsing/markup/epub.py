"""Read EPUB: a zip archive of XHTML documents, each a page, in the order that the book lists."""

from __future__ import annotations

import posixpath
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.flow import Flow
from batcher.service.parsing.markup.html import HtmlWriter
from batcher.service.parsing.pages import DocumentProblem, Page, corrupt, empty, protected
from batcher.service.parsing.zipped_xml import opened, part, xml

# bytes of all chapters after decompression
MOST: Final = 256 << 20
_CONTAINER: Final = "META-INF/container.xml"
_ENCRYPTION: Final = "META-INF/encryption.xml"
_READ: Final = ("html", "svg", "dtbook", "xml")  # what the media types of chapters contain
_NAMED: Final = (".html", ".xhtml", ".htm")


def read_epub(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the chapters in the order of the book's spine; chapters without text are left out.

    Raises DocumentProblem if the book is broken or encrypted, or has no text.
    """
    with opened(path) as archive:
        book = _Book(archive)
        flow = Flow()
        for name in book.chapters():
            book.write(name, flow)
            flow.break_page()
    filled = [(number, page) for number, page in enumerate(flow.pages, start=1) if page]
    if not filled:
        raise empty("; ".join(["the book has no text", *book.unread]))
    pictures = book.pictures
    pages = [
        Page(number, original, page, pictures=pictures[original])
        for number, (original, page) in enumerate(filled, 1)
    ]
    rest = pictures.total() - sum(page.pictures for page in pages)  # of chapters without text
    first = pages[0]
    told = tuple(book.unread)
    return [replace(first, unread=told, pictures=first.pictures + rest), *pages[1:]]


class _Book:
    """The archive's chapters, and what of them can't be read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._held = {name.lower(): name for name in archive.namelist()}
        self._hidden = self._encrypted()
        self._left = MOST
        self._missing: list[str] = []
        self._writers: list[HtmlWriter] = []

    @property
    def unread(self) -> list[str]:
        told = [sentence for writer in self._writers for sentence in writer.unread]
        return list(dict.fromkeys([*self._missing, *told]))

    @property
    def pictures(self) -> Counter[int]:
        """Return the number of pictures without an alternative text, by page of the flow."""
        return sum((writer.pictures for writer in self._writers), Counter())

    def write(self, name: str, flow: Flow) -> None:
        """Write a chapter to `flow`, or note why it can't be read."""
        if name in self._hidden:
            raise protected("the book is encrypted; books with copy protection are not opened here")
        try:
            raw = part(self._archive, name)
        except DocumentProblem as problem:
            self._missing.append(f"chapter {problem.message}")
            return
        self._left -= len(raw)
        if self._left < 0:
            message = f"its chapters hold more than {MOST >> 20} MB"
            raise DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, message, 413)
        if not self._writers:
            self._writers.append(HtmlWriter(flow))
        self._writers[0].write(raw, "utf-8", is_xml=True)

    def chapters(self) -> Iterator[str]:
        """Yield the names of the chapters' files that the archive holds, and note the others.

        If the book's list of them is broken, all its documents are chapters, in order of name.
        """
        try:
            package = self._package()
            listed = list(_spine(xml(self._archive, package)))
        except DocumentProblem as problem:
            self._missing.append(f"the book's order of chapters: {problem.message}")
            yield from sorted(name for name in self._held.values() if name.endswith(_NAMED))
            return
        for address, media in listed:
            wanted = posixpath.join(posixpath.dirname(package), unquote(urlsplit(address).path))
            name = self._held.get(posixpath.normpath(wanted).lower())
            if name is None:
                self._missing.append(f"chapter {address} is missing in the archive")
            elif media and not any(known in media for known in _READ):
                self._missing.append(f"chapter {address} is not read: it is of type {media}")
            else:
                yield name

    def _package(self) -> str:
        """Return the name of the file that lists the book's parts."""
        try:
            container = xml(self._archive, _CONTAINER)
            named = container.xpath("//*[local-name()='rootfile']/@full-path")
        except DocumentProblem:
            named = []
        lists = [name for name in self._held.values() if name.lower().endswith(".opf")]
        for name in (*named, *lists):
            if name.lower() in self._held:
                return self._held[name.lower()]
        raise corrupt("the archive holds no list of chapters")

    def _encrypted(self) -> frozenset[str]:
        """Return the names of the encrypted files. Most books with any encrypt only fonts."""
        if _ENCRYPTION.lower() not in self._held:
            return frozenset()
        try:
            found = xml(self._archive, _ENCRYPTION).xpath(
                "//*[local-name()='CipherReference']/@URI"
            )
        except DocumentProblem:
            return frozenset()
        return frozenset(unquote(name) for name in found)


def _spine(book: Any) -> Iterator[tuple[str, str]]:
    """Yield the address and the media type of each chapter, in reading order."""
    files = {
        item.get("id"): (item.get("href") or "", item.get("media-type") or "")
        for item in book.xpath("//*[local-name()='item']")
    }
    for name in book.xpath("//*[local-name()='itemref']/@idref"):
        yield files.get(name, (name, ""))
