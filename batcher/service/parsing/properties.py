"""Read a document's own metadata for `settings.extract_document_properties`.

Covers author, title, software and dates of PDF, DOCX, PPTX, XLSX and HTML.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.markup.tree import declared_charset, parsed
from batcher.service.parsing.office.package import BrokenPart, opened
from batcher.service.parsing.pdf.info import info_of
from batcher.service.parsing.pdf.mending import mended
from batcher.service.parsing.text.decoding import decode

NAMES: Final = (
    "title author subject keywords creator producer last_modified_by created_at modified_at".split()
)
XMP: Final = {
    "title": "title",
    "author": "creator",
    "subject": "description",
    "keywords": "Keywords",
}
CORE: Final = {
    "title": "title",
    "author": "creator",
    "subject": "subject",
    "keywords": "keywords",
    "last_modified_by": "lastModifiedBy",
    "created_at": "created",
    "modified_at": "modified",
}
HTML: Final = {
    "author": "author",
    "subject": "description",
    "keywords": "keywords",
    "creator": "generator",
}
_PDF_DATE: Final = re.compile(r"D:(\d{14})(?:([+-]\d\d)'?(\d\d)|Z)?")


def properties_of(path: Path, kind: str, *, password: str | None) -> dict[str, Any] | None:
    """Return a value or None for each name of the API's DocumentProperties.

    Returns None if documents of this kind have no such properties. Dates are ISO 8601 with a time
    zone.
    """
    if kind not in READERS:
        return None
    return dict.fromkeys(NAMES) | {
        name: value for name, value in READERS[kind](path, password).items() if value
    }


def _of_pdf(path: Path, password: str | None) -> dict[str, Any]:
    import liteparse

    reader = liteparse.LiteParse(
        ocr_enabled=False,
        quiet=True,
        target_pages="1",
        extract_document_metadata=True,
        password=password,
    )
    content = mended(path.read_bytes())
    result = reader.parse(content)
    told = result.doc_meta
    info = {} if told and told.is_encrypted else info_of(content)
    # XMP is the newer of the two, and what the standard asks readers to prefer.
    xmp = {name: text for name, text in _of_xmp((told and told.xmp) or "").items() if text}
    return {
        **info,
        **xmp,
        "creator": None if result.creator == "(unspecified)" else result.creator,
        "producer": result.producer,
        "created_at": _moment(told and told.creation_date),
        "modified_at": _moment(told and told.mod_date),
    }


def _of_xmp(packet: str) -> dict[str, Any]:
    """Return title, author, subject and keywords from a PDF's XMP packet."""
    from lxml import etree

    if not packet:
        return {}
    reader = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    root = etree.fromstring(packet.encode(), reader)
    if root is None:
        return {}
    found = {name: root.iterfind(f".//{{*}}{tag}") for name, tag in XMP.items()}
    return {name: _joined(next(nodes, None)) for name, nodes in found.items()}


def _joined(node: Any) -> str:
    """Return the text of a node, with the items of a list joined by commas."""
    return (
        "" if node is None else ", ".join(filter(None, (text.strip() for text in node.itertext())))
    )


def _moment(written: str | None) -> str | None:
    """Return a PDF date as ISO 8601, in UTC if it names no zone."""
    found = _PDF_DATE.match(written or "")
    if found is None:
        return None
    try:
        zone = f"{found[2]}{found[3]}" if found[2] else "+0000"
        return datetime.strptime(found[1] + zone, "%Y%m%d%H%M%S%z").isoformat()
    except ValueError:  # no real date, such as a thirteenth month
        return None


def _of_package(path: Path, _password: str | None) -> dict[str, Any]:
    """Return the properties of DOCX, PPTX and XLSX; those of older formats are not read."""
    if not zipfile.is_zipfile(path):
        return {}
    package = opened(path)
    with package.archive:
        try:
            root = package.xml("docProps/core.xml")
        except BrokenPart:
            return {}
    return {name: root.findtext(f"{{*}}{tag}") for name, tag in CORE.items()}


def _of_html(path: Path, _password: str | None) -> dict[str, Any]:
    """Return what the head of a page says: browsers show its title on the window, not the page."""
    raw = path.read_bytes()
    tree = parsed(decode(raw, declared_charset(raw)).text)
    title = tree.css_first("head > title")
    named = {
        (node.attributes.get("name") or "").lower(): node.attributes.get("content")
        for node in tree.css("meta[name][content]")
    }
    found = {name: named.get(label) for name, label in HTML.items()}
    return found | {"title": title and " ".join(title.text().split())}


READERS: Final[Mapping[str, Callable[[Path, str | None], dict[str, Any]]]] = {
    "pdf": _of_pdf,
    "docx": _of_package,
    "pptx": _of_package,
    "sheet": _of_package,
    "html": _of_html,
}
