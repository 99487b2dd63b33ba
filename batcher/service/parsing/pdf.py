"""PDF and images, by liteparse: its blocks as ours, with the corrections that its guesses need."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from batcher.core.wire import ErrorName
from batcher.service.parsing.pages import (
    Block,
    DocumentProblem,
    Page,
    Word,
    corrupt,
    protected,
    table,
)

KINDS: Final = {
    "paragraph": "Text",
    "list_item": "List Item",
    "figure": "Figure",
    "code": "Text",
    "grid_fallback": "Text",
}
LONGEST_HEADING: Final = 200  # characters; a longer bold line is a paragraph
FULLEST: Final = 0.4  # share of cells that must hold something: indented text is often taken for a sparse table
EDGE: Final = 0.08  # of the page's height: where running headers and footers stand
REPEATED: Final = 3  # pages that must share a line before it counts as running
_CJK: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
DPI: Final = 150  # of pictures and of OCR alike


def read_pdf(path: Path, options: Mapping[str, Any]) -> list[Page]:
    settings = options.get("settings") or {}
    result = _parsed(path, settings)
    pictures = {picture.page_num: picture.image_bytes for picture in result.screenshots or []}
    pages = [_page(number, page) for number, page in enumerate(result.pages, start=1)]
    if settings.get("return_ocr_data"):
        pages = [_with_words(page, read) for page, read in zip(pages, result.pages, strict=True)]
    pages = [replace(page, picture=pictures.get(page.original, b"")) for page in pages]
    return _with_running_lines(pages)


def read_image(path: Path, options: Mapping[str, Any]) -> list[Page]:
    """An image is a page without text of its own: read by OCR where there is one, else shown as a figure."""
    return read_pdf(path, options)


def _parsed(path: Path, settings: Mapping[str, Any]) -> Any:
    import liteparse

    reader = liteparse.LiteParse(
        ocr_enabled=_tessdata() is not None,  # without its data liteparse would look for it on the network
        tessdata_path=_tessdata(),
        quiet=True,
        extract_blocks=True,
        output_format="markdown",
        keep_headers_footers=True,
        password=settings.get("document_password"),
        extract_screenshots=bool(settings.get("return_images")),
        emit_word_boxes=bool(settings.get("return_ocr_data")),
        dpi=DPI,
    )
    try:
        return reader.parse(path.read_bytes())  # by path it would go by the extension, and uploads have none
    except liteparse.ParseError as error:
        raise _problem(str(error)) from error


def _tessdata() -> str | None:
    if shutil.which("tesseract") is None:
        return None
    places = sorted(Path("/usr/share").glob("tesseract-ocr/*/tessdata/eng.traineddata"))
    return str(places[-1].parent) if places else None


def _problem(message: str) -> DocumentProblem:
    said = message.lower()
    if "password" in said or "encrypt" in said:
        return protected()
    if "too large" in said or "dimension" in said:
        return DocumentProblem(ErrorName.IMAGE_TOO_LARGE, message, 413)
    return corrupt(message)


def _page(number: int, page: Any) -> Page:
    blocks = [block for raw in page.blocks or [] if (block := _block(raw, page)) is not None]
    if not any(block.content for block in blocks):
        blocks = [Block("Figure", "", sure=False)]  # a scan, or a drawing: said to be there, and not read
    return Page(number, page.page_num, blocks)


def _with_words(page: Page, read: Any) -> Page:
    """Only where asked for: handing every word over costs as much as reading the page."""
    items = read.text_items or []
    words = tuple(_word(word, read, item.confidence) for item in items for word in item.words or [])
    return replace(page, words=words, lines=tuple(_word(item, read, item.confidence) for item in items))


def _word(found: Any, page: Any, confidence: float | None) -> Word:
    return Word(found.text, _box(found, page), confidence)


def _block(raw: Any, page: Any) -> Block | None:
    box = _box(raw.bbox, page)
    if raw.kind == "table":
        return _table(raw, box)
    content = (raw.text or "\n".join(raw.lines or [])).strip()
    if raw.kind == "heading" and len(content) <= LONGEST_HEADING:
        return Block("Title" if raw.level == 1 and page.page_num == 1 else "Section Header", content, box)
    if raw.kind == "rule" or (not content and raw.kind != "figure"):
        return None
    if raw.kind == "code" and not _CJK.search(content):
        content = f"```\n{content}\n```"
    return Block(KINDS.get(raw.kind, "Text"), content, box, sure=bool(content))


def _table(raw: Any, box: tuple[float, float, float, float]) -> Block | None:
    rows = [[cell.text or "" for cell in row] for row in [raw.header or [], *(raw.rows or [])] if row]
    cells = [cell.strip() for row in rows for cell in row]
    filled = sum(map(bool, cells))
    if not filled:
        return None
    if max(map(len, rows)) < 2 or filled / len(cells) < FULLEST:
        return Block("Text", "\n".join("  ".join(filter(None, row)) for row in rows), box)
    return table(rows, box)


def _box(box: Any, page: Any) -> tuple[float, float, float, float]:
    """Points from the top left as shares of the page, cut off at its edges."""
    wide, high = page.width or 1.0, page.height or 1.0
    left, top = _share(box.x / wide), _share(box.y / high)
    right, bottom = _share((box.x + box.width) / wide), _share((box.y + box.height) / high)
    return left, top, max(0.0, right - left), max(0.0, bottom - top)


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 6)


def _with_running_lines(pages: list[Page]) -> list[Page]:
    """Lines at the edge that many pages share, numbers aside, are headers and footers; a lone number is a page's."""
    seen = Counter(_running(block) for page in pages for block in page.blocks if _at_edge(block))
    running = {words for words, times in seen.items() if times >= REPEATED}
    return [replace(page, blocks=[_renamed(block, running) for block in page.blocks]) for page in pages]


def _renamed(block: Block, running: set[str]) -> Block:
    if not _at_edge(block) or not block.content:
        return block
    if re.fullmatch(r"\W*(page )?\d{1,4}( (of|/) \d{1,4})?\W*", block.content, re.IGNORECASE):
        return replace(block, type="Page Number")
    if _running(block) in running and block.type != "Table":
        return replace(block, type="Header" if block.box[1] < 0.5 else "Footer")
    return block


def _running(block: Block) -> str:
    return re.sub(r"\d+", "#", block.content)


def _at_edge(block: Block) -> bool:
    return block.box[1] + block.box[3] <= EDGE or block.box[1] >= 1 - EDGE
