"""Open zip archives of XML, as EPUB and OpenDocument files are, and read EPUB.

An archive is never unpacked to disk, none of its members may be larger than `LARGEST`, and XML
never makes another file be opened.
"""

from __future__ import annotations

import posixpath
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from batcher.service.parsing.pages import Page, corrupt, empty
from batcher.service.parsing.text import html_blocks

# bytes of one member after decompression; a small archive can hold a huge one
LARGEST: Final = 64 << 20


def read_epub(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the chapters in the order of the book's spine; chapters without text are left out.

    Raises DocumentProblem if the book is broken or has no text.
    """
    with opened(path) as archive:
        chapters = [html_blocks(part(archive, name), "utf-8") for name in _spine(archive)]
    filled = [(number, blocks) for number, blocks in enumerate(chapters, start=1) if blocks]
    if not filled:
        raise empty("the book has no text")
    return [
        Page(number, original, blocks) for number, (original, blocks) in enumerate(filled, start=1)
    ]


def _spine(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the chapters' files, without those that the archive doesn't hold."""
    (package,) = xml(archive, "META-INF/container.xml").xpath(
        "//*[local-name()='rootfile']/@full-path"
    )[:1] or [""]
    book = xml(archive, package)
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


def xml(archive: zipfile.ZipFile, name: str) -> Any:
    """Return the root of a member; raises DocumentProblem if it can't be read or is no XML."""
    from lxml import etree

    # Entities could refer to other files, or expand without limit.
    reader = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        return etree.fromstring(part(archive, name), reader)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise corrupt(f"{name} is no XML: {error}") from error


def xml_of(raw: bytes, name: str) -> tuple[Any, list[str]]:
    """Return the root of damaged XML as far as it can be read, and a sentence on the damage if any.

    `name` is what the sentence calls it. Raises DocumentProblem if nothing of it can be read.
    """
    from lxml import etree

    safe: dict[str, Any] = {"resolve_entities": False, "no_network": True, "huge_tree": True}
    try:
        return etree.fromstring(raw, etree.XMLParser(**safe)), []
    except (etree.XMLSyntaxError, ValueError) as error:
        told = str(error)
    root = etree.fromstring(raw, etree.XMLParser(recover=True, **safe)) if raw else None
    if root is None or not len(root):
        raise corrupt(f"{name} is no XML: {told}")
    return root, [f"{name} is damaged, and what follows may be missing: {told}"]


def part(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member's bytes; raises DocumentProblem if it is missing, broken or too large."""
    try:
        if archive.getinfo(name).file_size > LARGEST:
            raise corrupt(f"{name} is larger than {LARGEST >> 20} MB")
        with archive.open(name) as member:
            return member.read(LARGEST)
    except (
        KeyError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        RuntimeError,
        NotImplementedError,
        EOFError,
    ) as error:
        raise corrupt(f"{name} can't be unpacked: {error}") from error


def opened(path: Path) -> zipfile.ZipFile:
    """Return the archive; raises DocumentProblem if it is broken."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise corrupt(f"the document can't be read: {error}") from error
