"""Read PPT, WPD and DOC as LibreOffice converts them.

Without LibreOffice the text of DOC is read by `ole`, and the others can't be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.office import libreoffice, ole
from batcher.service.parsing.office.encryption import ENCRYPTED
from batcher.service.parsing.pages import DocumentProblem, Page, protected
from batcher.service.parsing.slides.deck import read_pptx
from batcher.service.parsing.word.document import read_docx

# [MS-PPT] 2.3.2: what the stream "Current User" of an encrypted presentation says, and where
_ENCRYPTED: Final = bytes.fromhex("dfc4d1f3")
_TOKEN: Final = slice(12, 16)


def read_ppt(path: Path, options: Mapping[str, Any]) -> list[Page]:
    """Return the slides of PowerPoint 97 to 2003.

    Raises DocumentProblem if the document is broken or encrypted, or LibreOffice isn't installed.
    """
    if _is_encrypted(path):
        raise protected(ENCRYPTED)
    with libreoffice.converted(path, source="ppt", target="pptx") as found:
        return read_pptx(found, options)


def read_wpd(path: Path, options: Mapping[str, Any]) -> list[Page]:
    """Return the text of a WordPerfect document.

    Raises DocumentProblem if the document is broken, or LibreOffice isn't installed.
    """
    with libreoffice.converted(path, source="wpd", target="docx") as found:
        return read_docx(found, options)


def read_doc(path: Path, options: Mapping[str, Any]) -> list[Page]:
    """Return the text of a Word document from before 2007.

    If LibreOffice can't convert it, its text is read without.

    Raises DocumentProblem if the document is broken, encrypted or has no text.
    """
    if libreoffice.program() is None:
        return ole.read_doc(path, options)
    try:
        with libreoffice.converted(path, source="doc", target="docx") as found:
            return read_docx(found, options)
    except DocumentProblem as problem:
        first, *others = ole.read_doc(path, options)
        return [replace(first, unread=(*first.unread, problem.message)), *others]


def _is_encrypted(path: Path) -> bool:
    """Tell whether a presentation is encrypted; one that is broken is left to LibreOffice."""
    import olefile

    # The exceptions of olefile have no common base.
    try:
        with olefile.OleFileIO(str(path)) as file:
            user: bytes = file.openstream("Current User").read()
    except Exception:
        return False
    return user[_TOKEN] == _ENCRYPTED
