"""Parse one document into the shape of the API's answer.

Blocking, for a worker process. It opens no file but the document, and never invents content: what
it can't read as well as a hosted model would is marked with low confidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.chunking import chunks_of, ocr_of
from batcher.service.parsing.kinds import kind_of
from batcher.service.parsing.mail.message import read_mail
from batcher.service.parsing.mail.outlook import read_msg
from batcher.service.parsing.markup.epub import read_epub
from batcher.service.parsing.markup.html import read_html
from batcher.service.parsing.office.old_office import read_doc, read_ppt, read_wpd
from batcher.service.parsing.opendocument.document import read_opendocument
from batcher.service.parsing.pages import (
    DocumentProblem,
    Page,
    Parsed,
    empty,
    unread_of,
    unsupported,
)
from batcher.service.parsing.pdf import searchable
from batcher.service.parsing.pdf.document import read_pdf, recognised_in_pdf
from batcher.service.parsing.pdf.liteparse_runs import DPI
from batcher.service.parsing.pictures import illustrated
from batcher.service.parsing.properties import properties_of
from batcher.service.parsing.rtf.document import read_rtf
from batcher.service.parsing.scans.images import read_image, recognised_in_image
from batcher.service.parsing.scans.ocr import NO_ENGINE, has_engine
from batcher.service.parsing.scans.page_ranges import Read
from batcher.service.parsing.selection import absent, selected
from batcher.service.parsing.sheets.pages import read_sheets
from batcher.service.parsing.slides.deck import read_pptx
from batcher.service.parsing.tables import formatted
from batcher.service.parsing.text.delimited import read_csv
from batcher.service.parsing.text.markdown import read_markdown
from batcher.service.parsing.text.plain import read_text
from batcher.service.parsing.word.document import read_docx
from batcher.service.unserved import PLACED, unserved_by_parse

__all__ = ["DocumentProblem", "Parsed", "parse", "recognise"]

Reader = Callable[[Path, Mapping[str, Any]], list[Page]]

READERS: Final[Mapping[str, Reader]] = {
    "pdf": read_pdf,
    "image": read_image,
    "html": read_html,
    "csv": read_csv,
    "md": read_markdown,
    "txt": read_text,
    "mail": read_mail,
    "opendocument": read_opendocument,
    "epub": read_epub,
    "docx": read_docx,
    "pptx": read_pptx,
    "sheet": read_sheets,
    "rtf": read_rtf,
    "doc": read_doc,
    "ppt": read_ppt,
    "wpd": read_wpd,
    "msg": read_msg,
}
HINTS: Final = {
    "svg": "; save it as PDF or PNG",
    "ppt": " as what they hold, which is no presentation of PowerPoint; save it as PPTX",
    "wpd": " as what they hold, which is no document of WordPerfect; save it as DOCX or PDF",
    "qpw": "; save it as XLSX",
    **dict.fromkeys(
        ("xml", "json"),
        '; with force_file_extension = "txt" (in parse.settings) it is read as text',
    ),
}
EMBEDDED_DPI: Final = 100  # the API's default for `settings.embed_pdf_metadata_dpi`
# Credits per page; other kinds cost one per page, sheets and CSV by their cells.
PER_PAGE: Final = {
    "html": 0.5,
    "md": 0.5,
    "txt": 0.5,
}
# The API's names for what pages are billed as; those of other kinds are billed as "page".
BILLED: Final = {
    "html": "html_page",
    "sheet": "spreadsheet_cells",
    "csv": "spreadsheet_cells",
}


def parse(path: Path, *, extension: str, options: Mapping[str, Any]) -> Parsed:
    """Parse the document at `path` and return the API's result with its pages, credits and images.

    `extension` is the upload's file extension, used where the first bytes don't show the type;
    `options` is the body of the parse request.

    Raises DocumentProblem, with the API's error name, if the document or an option can't be served.
    """
    if path.stat().st_size == 0:
        raise empty("the file is empty")
    settings = options.get("settings") or {}
    kind = kind_of(path, settings.get("force_file_extension") or extension)
    if kind is None:
        raise unsupported(
            f"files of type {extension or 'unknown'!r} are not read here"
            + HINTS.get(extension.lower().lstrip("."), "")
        )
    wanted = settings.get("page_range")
    whole = READERS[kind](path, options)
    pages = selected(whole, wanted)
    _check_cells(pages, options)
    pages, images = illustrated(pages, settings.get("return_images") or ())
    if settings.get("embed_pdf_metadata") and kind in PLACED:
        dpi = settings.get("embed_pdf_metadata_dpi") or EMBEDDED_DPI
        images[searchable.NAME] = searchable.searchable(pages, dpi=dpi, rendered_at=DPI)
    ocr = ocr_of(pages) if settings.get("return_ocr_data") and kind in PLACED else None
    chunks = chunks_of(formatted(pages, options), options)
    return Parsed(
        result={"type": "full", "chunks": chunks, "ocr": ocr, "custom": None},
        num_pages=len(pages),
        credits=_credits(kind, pages),
        images=images,
        document_properties=_properties(path, kind, settings),
        notes=[*unserved_by_parse(options, kind), *absent(whole, wanted), *unread_of(pages)],
        billed=[BILLED.get(kind, "page")] * len(pages),
    )


def recognise(
    path: Path, *, extension: str, settings: Mapping[str, Any], numbers: Sequence[int]
) -> Read:
    """Return what OCR reads on these pages of a document that `parse` reads elsewhere, by number.

    Raises DocumentProblem if that isn't possible here.
    """
    if not has_engine():
        raise unsupported(NO_ENGINE)
    kind = kind_of(path, settings.get("force_file_extension") or extension)
    recognised = recognised_in_image if kind == "image" else recognised_in_pdf
    return recognised(path, settings, numbers)


def _properties(path: Path, kind: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    if not settings.get("extract_document_properties"):
        return None
    return properties_of(path, kind, password=settings.get("document_password"))


def _check_cells(pages: list[Page], options: Mapping[str, Any]) -> None:
    limit = (options.get("spreadsheet") or {}).get("max_cell_count")
    cells = sum(page.cells for page in pages)
    if limit and cells > limit:
        message = f"{cells} cells, and no more than {limit} are allowed"
        raise DocumentProblem(ErrorName.CELL_COUNT_EXCEEDED, message, 422)


def _credits(kind: str, pages: list[Page]) -> float:
    """Return the credits by the rate card that was valid before 2026-09-01."""
    if kind in ("sheet", "csv"):
        return float(max(1, -(-sum(page.cells for page in pages) // 1000)))
    return PER_PAGE.get(kind, 1.0) * len(pages)
