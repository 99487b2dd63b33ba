"""Choose the reader for a file, by its first bytes or else by its extension."""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path
from typing import Final

START: Final = b"{\\rtf"  # of RTF
_BY_START: Final = (
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF87a", "image"),
    (b"GIF89a", "image"),
    (b"II*\x00", "image"),
    (b"MM\x00*", "image"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"PK\x03\x04", "zip"),
    (START, "rtf"),
    (b"\xffWPC", "wpd"),
)
_IMAGES: Final = (
    "png apng jpg jpeg gif bmp tif tiff heic heif webp psd pcx ppm pgm pbm dcx cur ftex pixar"
).split()
EXTENSIONS: Final = {
    **dict.fromkeys(("pdf",), "pdf"),
    **dict.fromkeys(_IMAGES, "image"),
    **dict.fromkeys(("html", "htm"), "html"),
    **dict.fromkeys(("csv", "tsv"), "csv"),
    **dict.fromkeys(("md", "markdown"), "md"),
    **dict.fromkeys(("txt", "text", "log"), "txt"),
    **dict.fromkeys(("rtf",), "rtf"),
    **dict.fromkeys(("doc", "dot"), "doc"),
    **dict.fromkeys(("ppt", "pot", "pps"), "ppt"),
    **dict.fromkeys(("wpd",), "wpd"),
    **dict.fromkeys(("msg",), "msg"),
    **dict.fromkeys(("eml",), "mail"),
    **dict.fromkeys(("odt", "ott", "fodt", "odp", "otp", "fodp"), "opendocument"),
    **dict.fromkeys(("epub",), "epub"),
    **dict.fromkeys(("docx", "dotx", "docm", "dotm"), "docx"),
    **dict.fromkeys(("pptx", "pptm", "potx", "potm", "ppsx", "ppsm"), "pptx"),
    **dict.fromkeys(("xlsx", "xlsm", "xlsb", "xls", "xltx", "xltm", "ods"), "sheet"),
}
_IN_ZIP: Final = (
    ("word/", "docx"),
    ("ppt/", "pptx"),
    ("xl/", "sheet"),
    ("content.xml", "opendocument"),
    ("encrypted-package", "opendocument"),
    ("META-INF/container.xml", "epub"),
)
# streams by which the formats within OLE files are told
_IN_OLE: Final = (
    ("PowerPoint Document", "ppt"),
    ("WordDocument", "doc"),
    ("Workbook", "sheet"),
    ("Book", "sheet"),
    ("__properties_version1.0", "msg"),
)
# Today's Office formats (docx, pptx, xlsx) are OLE files only if they are encrypted.
_MAYBE_OLE: Final = frozenset({"sheet", "docx", "pptx", "doc", "ppt", "msg"})
_MAYBE_RTF: Final = frozenset((None, "rtf", "doc"))
_MIMETYPE: Final = "mimetype"  # the member in which OpenDocument files and EPUB tell their type
_HTML_START: Final = re.compile(rb"<(?:!doctype html|html|head|meta|table|body)\b", re.IGNORECASE)
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_PDF_WITHIN: Final = 1024  # bytes; PDF readers accept a header that starts this far into the file


def kind_of(path: Path, extension: str) -> str | None:
    """Return the kind of the file at `path`, a key of `READERS`, or None if no reader handles it.

    `extension` may have a leading dot and any case.
    """
    named = EXTENSIONS.get(extension.lower().lstrip("."))
    with path.open("rb") as file:
        start = file.read(_PDF_WITHIN)
    if b"%PDF-" in start:
        return "pdf"
    if start.startswith(b"BM") and named == "image":
        return "image"
    if START in start and named in _MAYBE_RTF:
        return "rtf"  # with something before it, such as a gateway's lines or a byte order mark
    told = next((kind for magic, kind in _BY_START if start.startswith(magic)), None)
    if told == "zip":
        return _in_zip(path, named)
    if told == "ole":
        return _in_ole(path) or (named if named in _MAYBE_OLE else None)
    if named in ("ppt", "wpd"):  # by their first bytes they would be something else
        return told
    if named == "sheet" and told is None:
        return _called_sheet(start)
    return told or named


def _in_ole(path: Path) -> str | None:
    """Return the kind that the streams of an OLE file show, or None if they show none."""
    import olefile

    # The exceptions of olefile have no common base.
    try:
        with olefile.OleFileIO(str(path)) as file:
            return next((kind for stream, kind in _IN_OLE if file.exists(stream)), None)
    except Exception:
        return None


def _called_sheet(start: bytes) -> str:
    """Return the kind of a file whose name is that of a workbook, and which is text.

    Many programs export HTML or lines of cells under the name of XLS.
    """
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _HTML_START.match(text):
        return "html"
    is_text = text[:1] not in b"<" and not _CONTROLS.search(text)
    return "csv" if is_text and re.search(rb"[\t,;]", text) else "sheet"


def _in_zip(path: Path, named: str | None) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.replace("\\", "/") for name in archive.namelist()]
            declared = _declared(archive) if _MIMETYPE in names else b""
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError):
        return named
    for prefix, kind in _IN_ZIP:
        if any(name.startswith(prefix) for name in names):
            return _of_opendocument(declared, named) if kind == "opendocument" else kind
    # The main part of a Word document or a workbook may be in any folder, by references.
    if named == "sheet" and "[Content_Types].xml" in names:
        return named
    return named if named == "docx" else None


def _declared(archive: zipfile.ZipFile) -> bytes:
    with archive.open(_MIMETYPE) as member:
        return member.read(100)


def _of_opendocument(declared: bytes, named: str | None) -> str | None:
    """Return the kind of an OpenDocument file by the type that it declares, else by its name."""
    told = declared.removeprefix(b"application/vnd.oasis.opendocument.")
    if told.startswith((b"text", b"presentation")):
        return "opendocument"
    if told.startswith(b"spreadsheet"):
        return "sheet"
    return named if named in ("sheet", "opendocument") else None
