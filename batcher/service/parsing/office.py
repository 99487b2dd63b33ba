"""Read DOCX documents.

Blocks have no boxes: they would be known only by laying out the document.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batcher.service.parsing.pages import (
    Page,
    PageBlock,
    corrupt,
    numbered,
    protected,
    table,
)

ENCRYPTED = (
    "the document is encrypted; encrypted Office documents are not opened here, even with "
    "their password"
)
_OLE = b"\xd0\xcf\x11\xe0"


def read_docx(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return paragraphs and tables in order; pages end at the page breaks that the file holds.

    Raises DocumentProblem if the document is broken, encrypted or has no text.
    """
    import docx

    document = _opened(path, docx.Document)
    pages: list[list[PageBlock]] = [[]]
    for item in document.iter_inner_content():
        if hasattr(item, "rows"):
            rows = [[cell.text for cell in row.cells] for row in item.rows]
            pages[-1].append(table(rows)) if any(map(any, rows)) else None
            continue
        if item.text.strip():
            pages[-1].append(
                PageBlock(_docx_type(item.style.name if item.style else ""), item.text.strip())
            )
        pages += [[] for _ in range(_breaks_in(item))]
    return numbered(pages)


def _opened(path: Path, open_: Any) -> Any:
    if is_encrypted(path):
        raise protected(ENCRYPTED)
    try:
        return open_(str(path))
    except (KeyError, ValueError, zipfile.BadZipFile, OSError) as error:
        raise corrupt(f"the document can't be read: {error}") from error
    # The exceptions of the XML library for broken parts have no common base.
    except Exception as error:
        raise corrupt(f"the document can't be read: {type(error).__name__}: {error}") from error


def is_encrypted(path: Path) -> bool:
    """Tell whether the file is an encrypted Office document.

    Office writes these as an OLE file with a stream of this name.
    """
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
