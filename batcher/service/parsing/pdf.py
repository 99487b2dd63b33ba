"""Read PDFs with liteparse, and correct the guesses that it is known to get wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.keyvalues import as_key_values
from batcher.service.parsing.ocr import NO_ENGINE, Recognised, Scan, has_engine, recognised_pages
from batcher.service.parsing.pages import (
    Box,
    DocumentProblem,
    Page,
    PageBlock,
    Word,
    corrupt,
    empty,
    protected,
    table,
)
from batcher.service.parsing.paragraphs import blocks_of, lines_of, words_of
from batcher.service.parsing.plausibility import worth
from batcher.service.parsing.selection import selected

KINDS: Final = {
    "paragraph": "Text",
    "list_item": "List Item",
    "figure": "Figure",
    "code": "Text",
    "grid_fallback": "Text",
}
LONGEST_HEADING: Final = 200  # characters; a longer bold line is a paragraph
# Fraction of a table's cells that must be filled; liteparse often takes indented text for a sparse
# table.
FULLEST: Final = 0.4
# fraction of the page's height at the top and bottom where running headers and footers stand
EDGE: Final = 0.08
REPEATED: Final = 3  # pages that must share a line before it counts as a running header or footer
_CJK: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
DPI: Final = 150  # for both the pictures of pages and OCR
# How much more text OCR must find than a page has by itself to replace it.
BETTER: Final = 1.1
# The hosted service documents no limit; this one keeps a document within its worker's memory.
MOST_PAGES: Final = 5000
# Of the reasons that liteparse gives for OCR, those for which it is worth its seconds.
BLIND: Final = frozenset({"scanned", "no-text", "garbled"})
RANGE: Final = "page_range"
# The settings that need the box of each word.
WORDED: Final = (
    "return_ocr_data",
    "return_citations",
    "embed_pdf_metadata",
)
# the settings that need the page's picture
PICTURED: Final = ("return_images", "embed_pdf_metadata")


def read_pdf(path: Path, options: Mapping[str, Any]) -> list[Page]:
    """Read the PDF at `path`; see `read_content`."""
    return read_content(path.read_bytes(), options)


def read_content(content: bytes, options: Mapping[str, Any]) -> list[Page]:
    """Return the pages of a PDF or an image.

    Pages without usable text are read by OCR if an engine is installed, and otherwise returned as
    figures with low confidence. All pages are returned, whatever `settings.page_range` says; the
    range only limits which of them are worth OCR and pictures.

    Raises DocumentProblem if the content is broken, protected, empty or has more than `MOST_PAGES`
    pages.
    """
    settings = options.get("settings") or {}
    raw = _laid_out(content, settings)
    wanted = [
        page.original
        for page in selected([Page(1, page.page_num, []) for page in raw], settings.get(RANGE))
    ]
    blind = [page.page_num for page in raw if page.page_num in set(wanted) and _is_blind(page)]
    with_words = any(settings.get(name) for name in WORDED)
    pages = [_page(number, page, with_words=with_words) for number, page in enumerate(raw, start=1)]
    if blind:
        scan = Scan(
            content, settings.get("document_password"), partial(_pictures, content, settings)
        )
        pages = _recognised(pages, blind, scan, with_words=with_words)
    if any(settings.get(name) for name in PICTURED):
        pictures = _pictures(content, settings, wanted)
        pages = [replace(page, picture=pictures.get(page.original, b"")) for page in pages]
    return with_running_lines(pages)


def _laid_out(content: bytes, settings: Mapping[str, Any]) -> list[Any]:
    pages = _parsed(
        content, settings, ocr_enabled=False, include_complexity=True, max_pages=MOST_PAGES + 1
    )
    if not pages:
        raise empty("the document has no pages")
    if len(pages) > MOST_PAGES:
        raise DocumentProblem(
            ErrorName.DOCUMENT_TOO_LARGE, f"more than {MOST_PAGES} pages are not read here", 413
        )
    return pages


def _parsed(content: bytes, settings: Mapping[str, Any], **how: Any) -> list[Any]:
    """Run liteparse on the bytes; by path it would rely on the extension, which uploads lack."""
    import liteparse

    try:
        return list(
            liteparse.LiteParse(
                quiet=True,
                extract_blocks=True,
                output_format="markdown",
                keep_headers_footers=True,
                password=settings.get("document_password"),
                emit_word_boxes=any(settings.get(name) for name in WORDED),
                dpi=DPI,
                **how,
            )
            .parse(content)
            .pages
        )
    except liteparse.ParseError as error:
        raise _problem(str(error)) from error


def _pictures(
    content: bytes, settings: Mapping[str, Any], numbers: Sequence[int]
) -> dict[int, bytes]:
    """Return the pages' pictures as PNG, by page number."""
    import liteparse

    reader = liteparse.LiteParse(
        ocr_enabled=False,  # without its OCR data liteparse would try to download it
        quiet=True,
        password=settings.get("document_password"),
        extract_screenshots=True,
        target_pages=_listed(numbers),
        dpi=DPI,
    )
    try:
        return {
            picture.page_num: picture.image_bytes for picture in reader.parse(content).screenshots
        }
    except liteparse.ParseError as error:
        raise _problem(str(error)) from error


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def _is_blind(page: Any) -> bool:
    """Tell whether OCR could add text to the page.

    liteparse also flags sparse text and drawings, for which OCR rarely finds more.
    """
    return bool(BLIND & set(page.complexity.reasons)) if page.complexity else False


def _recognised(
    pages: list[Page], blind: Sequence[int], scan: Scan, *, with_words: bool
) -> list[Page]:
    """Return the pages with what OCR reads on those that are blind, or why it doesn't."""
    if has_engine():
        seen = recognised_pages(scan, blind)
    else:
        seen = dict.fromkeys(blind, Recognised(unread=(NO_ENGINE,)))
    return [
        _better(page, seen[page.original], with_words=with_words) if page.original in seen else page
        for page in pages
    ]


def _better(page: Page, seen: Recognised, *, with_words: bool) -> Page:
    """Return the page with the text that OCR found, if that is more than what it had."""
    own = worth(block.content for block in page.blocks)
    read = worth(piece.text for piece in seen.pieces)
    if read <= own * BETTER:
        unread = seen.unread if own == 0 else ()
        return replace(page, unread=(*page.unread, *unread))
    return replace(
        page,
        blocks=blocks_of(seen.pieces),
        words=words_of(seen.pieces) if with_words else (),
        lines=lines_of(seen.pieces) if with_words else (),
        unread=(*page.unread, *seen.unread),
    )


def _problem(message: str) -> DocumentProblem:
    said = message.lower()
    if "password" in said or "encrypt" in said:
        return protected()
    if "too large" in said or "dimension" in said:
        return DocumentProblem(ErrorName.IMAGE_TOO_LARGE, message, 413)
    return corrupt(message)


def _page(number: int, page: Any, *, with_words: bool) -> Page:
    """Convert a page of liteparse's.

    Words are converted only if asked for: that costs as much time as reading the page.
    """
    items = page.text_items or []
    read = [(raw, _typed(raw, page, _box(raw.bbox, page))) for raw in page.blocks or []]
    blocks = [as_key_values(block, raw.bbox, items) for raw, block in read if block is not None]
    if not any(block.content for block in blocks):
        # A scan or a drawing: show that it is there, and that it wasn't read.
        blocks = [PageBlock("Figure", "", sure=False)]
    if not with_words:
        return Page(number, page.page_num, blocks)
    words = tuple(_word(word, page) for item in items for word in item.words or [])
    lines = tuple(_word(item, page) for item in items)
    return Page(number, page.page_num, blocks, words=words, lines=lines)


def _word(found: Any, page: Any) -> Word:
    return Word(found.text, _box(found, page), None)


def _typed(raw: Any, page: Any, box: Box) -> PageBlock | None:
    if raw.kind == "table":
        return _table(raw, page, box)
    content = (raw.text or "\n".join(raw.lines or [])).strip()
    if raw.kind == "heading" and len(content) <= LONGEST_HEADING:
        return PageBlock(
            "Title" if raw.level == 1 and page.page_num == 1 else "Section Header", content, box
        )
    if raw.kind == "rule" or (not content and raw.kind != "figure"):
        return None
    if raw.kind == "code" and not _CJK.search(content):
        content = f"```\n{content}\n```"
    return PageBlock(KINDS.get(raw.kind, "Text"), content, box, sure=bool(content))


def _table(raw: Any, page: Any, box: Box) -> PageBlock | None:
    kept = [row for row in [raw.header or [], *(raw.rows or [])] if row]
    rows = [[cell.text or "" for cell in row] for row in kept]
    cells = [cell.strip() for row in rows for cell in row]
    filled = sum(map(bool, cells))
    if not filled:
        return None
    if max(map(len, rows)) < 2 or filled / len(cells) < FULLEST:
        return PageBlock("Text", "\n".join("  ".join(filter(None, row)) for row in rows), box)
    places = [[_box(cell.bbox, page) if cell.bbox else None for cell in row] for row in kept]
    return table(rows, box, places)


def _box(box: Any, page: Any) -> Box:
    """Convert a box in points from the top left into fractions of the page, clipped to it."""
    wide = page.width or 1.0
    high = page.height or 1.0
    left = _share(box.x / wide)
    top = _share(box.y / high)
    right = _share((box.x + box.width) / wide)
    bottom = _share((box.y + box.height) / high)
    return left, top, max(0.0, right - left), max(0.0, bottom - top)


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 6)


def with_running_lines(pages: list[Page]) -> list[Page]:
    """Mark lines at the edges as headers and footers if enough pages share them, apart from digits.

    A number that stands alone at an edge is a page number.
    """
    seen = Counter(_running(block) for page in pages for block in page.blocks if _at_edge(block))
    running = {words for words, times in seen.items() if times >= REPEATED}
    return [
        replace(page, blocks=[_renamed(block, running) for block in page.blocks]) for page in pages
    ]


def _renamed(block: PageBlock, running: set[str]) -> PageBlock:
    if not _at_edge(block) or not block.content:
        return block
    if re.fullmatch(r"\W*(page )?\d{1,4}( (of|/) \d{1,4})?\W*", block.content, re.IGNORECASE):
        return replace(block, type="Page Number")
    if _running(block) in running and block.type != "Table":
        return replace(block, type="Header" if block.box[1] < 0.5 else "Footer")
    return block


def _running(block: PageBlock) -> str:
    return re.sub(r"\d+", "#", block.content)


def _at_edge(block: PageBlock) -> bool:
    return block.box[1] + block.box[3] <= EDGE or block.box[1] >= 1 - EDGE
