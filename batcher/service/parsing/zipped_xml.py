"""Open zip archives of XML, as EPUB and OpenDocument files are.

An archive is never unpacked to disk, none of its members may be larger than `LARGEST`, and XML
never makes another file be opened.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.pages import corrupt

# bytes of one member after decompression; a small archive can hold a huge one
LARGEST: Final = 64 << 20


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
