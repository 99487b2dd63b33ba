"""Read PDFs with liteparse, and correct the guesses that it is known to get wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from batcher.common.formatting import pluralize
from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.keyvalues import as_key_values
from batcher.service.parsing.pages import (
    Box,
    DocumentProblem,
    Page,
    PageBlock,
    Word,
    corrupt,
    empty,
    table,
)
from batcher.service.parsing.pdf.attachments import attachments_of
from batcher.service.parsing.pdf.damage import is_damaged
from batcher.service.parsing.pdf.drawing import illustrated, pictures_of
from batcher.service.parsing.pdf.figures import count_wordless
from batcher.service.parsing.pdf.forms import attached, beside_text
from batcher.service.parsing.pdf.garbled import is_odd, with_doubts
from batcher.service.parsing.pdf.leftovers import completed, merged
from batcher.service.parsing.pdf.liteparse_runs import listed, problem_of, reader_for, run
from batcher.service.parsing.pdf.mending import FARTHEST, mended
from batcher.service.parsing.pdf.rewording import with_unknown_signs
from batcher.service.parsing.pdf.turning import (
    Reading,
    is_as_full,
    is_partly_upside_down,
    reading_of,
    together,
    turn_of,
    turned_back,
)
from batcher.service.parsing.scans.ocr import (
    NO_ENGINE,
    Scan,
    has_engine,
    recognised_pages,
)
from batcher.service.parsing.scans.page_ranges import Read, Recognised
from batcher.service.parsing.scans.paragraphs import blocks_of, lines_of, words_of
from batcher.service.parsing.scans.plausibility import worth
from batcher.service.parsing.selection import selected

Boxed = Callable[[Any], Box]  # converts a box of liteparse's

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
# How much more text OCR must find than a page has by itself to replace it.
BETTER: Final = 1.1
# The hosted service documents no limit; this one keeps a document within its worker's memory.
MOST_PAGES: Final = 5000
# Of the reasons that liteparse gives for OCR, those for which it is worth its seconds.
BLIND: Final = frozenset({"scanned", "no-text", "garbled"})
FEW: Final = 60  # letters; with fewer, a page may be a scan with a stamp
_IMAGE: Final = re.compile(rb"/Subtype\s*/Image\b")
# Without these in its bytes no page of a PDF has annotations or form fields: it neither names them
# nor has objects that are compressed. A "#" may write any of their letters.
_MAY_BE_ANNOTATED: Final = re.compile(rb"/Annots\b|/ObjStm\b|/[A-Za-z]{0,6}#")
# Signs that liteparse escapes in text, as Markdown would have it.
_ESCAPED: Final = re.compile(r"\\([\\*_])")
RANGE: Final = "page_range"
# The settings that need the box of each word.
WORDED: Final = (
    "return_ocr_data",
    "return_citations",
    "embed_pdf_metadata",
)
# the settings that need the page's picture
PICTURED: Final = ("return_images", "embed_pdf_metadata")
UNREAD: Final = PageBlock("Figure", "", sure=False)
UNKNOWN: Final = "written as \ufffd: its fonts do not say what they show"
DAMAGED: Final = "perhaps not read: nothing is seen on it, and parts of the file are damaged"
VAST: Final = "may be incomplete: it is too large to be read to its edges"
GARBLED: Final = "may be wrong: its fonts do not say which letters they show"
PARTLY: Final = "may be wrong in places: a font does not say which letters it shows"
ADOBE: Final = "not read: an XFA form, which only Adobe's reader shows; print it to a PDF there"


def read_pdf(path: Path, options: Mapping[str, Any]) -> list[Page]:
    """Read the PDF at `path`; see `read_content`.

    Files that are attached to it are named as not read.
    """
    content = mended(path.read_bytes())
    pages = read_content(content, options)
    told = [f"attachment '{name}' is not opened" for name in attachments_of(content)]
    new = [note for note in told if not any(note in page.unread for page in pages)]
    return [replace(pages[0], unread=(*pages[0].unread, *new)), *pages[1:]] if new else pages


def read_content(content: bytes, options: Mapping[str, Any]) -> list[Page]:
    """Return the pages of a PDF.

    Pages without usable text are read by OCR if an engine is installed, and otherwise returned as
    figures with low confidence. All pages are returned, whatever `settings.page_range` says; the
    range only limits which of them are worth OCR and pictures.

    Raises DocumentProblem if the content is broken, protected, empty or has more than `MOST_PAGES`
    pages.
    """
    settings = options.get("settings") or {}
    result, laid_out = _laid_out(content, settings)
    readings = {page.page_num: reading_of(page) for page in laid_out}
    turns = {number: turn for number, reading in readings.items() if (turn := turn_of(reading))}
    raw = _upright(content, settings, laid_out, turns)
    readings |= _together(content, settings, laid_out, raw, turns, readings)
    wanted = [
        page.original
        for page in selected([Page(1, page.page_num, []) for page in raw], settings.get(RANGE))
    ]
    asked = set(wanted)
    blind = _blind(content, settings, [page for page in raw if page.page_num in asked])
    with_words = any(settings.get(name) for name in WORDED)
    pages = [
        _page(
            page,
            readings[page.page_num],
            with_words=with_words,
            turn=turns.get(page.page_num, 0),
        )
        for page in raw
    ]
    if blind:
        scan = _scan(content, settings)
        pages = _recognised(pages, blind, scan, with_words=with_words)
    pages = _with_damage(pages, content)
    if any(settings.get(name) for name in PICTURED):
        pages = illustrated(pages, wanted, pictures_of(content, settings, wanted))
    return with_running_lines(_all_pages(pages, laid_out, result))


def _with_damage(pages: list[Page], content: bytes) -> list[Page]:
    """Say of pages of which nothing is seen that this may be for damage, if there is any."""
    blank = {page.original for page in pages if page.blocks == [UNREAD] and not page.unread}
    if not blank or not is_damaged(content):
        return pages
    return [replace(page, unread=(DAMAGED,)) if page.original in blank else page for page in pages]


def recognised_in_pdf(path: Path, settings: Mapping[str, Any], numbers: Sequence[int]) -> Read:
    """Return what OCR reads on these pages of the PDF at `path`, by number."""
    return recognised_pages(_scan(mended(path.read_bytes()), settings), numbers)


def _scan(content: bytes, settings: Mapping[str, Any]) -> Scan:
    password = settings.get("document_password")
    return Scan(content, password, partial(pictures_of, content, settings))


def _laid_out(content: bytes, settings: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """Return liteparse's result and its pages; its `page_errors` name the pages that it lacks.

    The pages are made anew each time that the result is asked for them.
    """
    result = _parsed(
        content,
        settings,
        extract_xfa_packets=True,
        max_pages=MOST_PAGES + 1,
    )
    pages = result.pages
    if not pages and result.page_errors:
        raise corrupt(f"none of its pages can be read: {result.page_errors[0].message}")
    if not pages:
        raise empty("the document has no pages")
    if len(pages) > MOST_PAGES:
        raise DocumentProblem(
            ErrorName.DOCUMENT_TOO_LARGE, f"more than {MOST_PAGES} pages are not read here", 413
        )
    return result, pages


def _upright(
    content: bytes, settings: Mapping[str, Any], pages: list[Any], turns: dict[int, int]
) -> list[Any]:
    """Read the pages of `turns` anew, as if they were upright; leave those in it that were."""
    if not turns:
        return pages
    anew = {page.page_num: page for page in _turned(content, settings, turns)}
    read = []
    for page in pages:
        upright = anew.get(page.page_num)
        if upright is None or not is_as_full(upright, page):
            turns.pop(page.page_num, None)
            upright = page
        read.append(upright)
    return read


def _together(
    content: bytes,
    settings: Mapping[str, Any],
    pages: Sequence[Any],
    upright: Sequence[Any],
    turns: Mapping[int, int],
    readings: Mapping[int, Reading],
) -> dict[int, Reading]:
    """Return the readings of pages whose words stand in several ways, by page number.

    `upright` are the pages of which those in `turns` were read anew, and `pages` all as they were,
    with their `readings`.
    """
    several = {
        page.page_num: together(anew, page, -turns[page.page_num] % 360)
        for page, anew in zip(pages, upright, strict=True)
        if page.page_num in turns
    }
    inverted = {
        page.page_num: page
        for page in pages
        if page.page_num not in turns and is_partly_upside_down(readings[page.page_num])
    }
    for page in _turned(content, settings, dict.fromkeys(inverted, 180)):
        several[page.page_num] = together(inverted[page.page_num], page, 180)
    return several


def _turned(content: bytes, settings: Mapping[str, Any], turns: Mapping[int, int]) -> list[Any]:
    """Read the pages of `turns` as if they were turned back by so many degrees."""
    if not turns:
        return []
    result = _parsed(
        content,
        settings,
        page_orientation_corrections=tuple(turns.items()),
        target_pages=listed(list(turns)),
    )
    return list(result.pages)


def _parsed(content: bytes, settings: Mapping[str, Any], **how: Any) -> Any:
    """Run liteparse; extract the blocks of each page, and what stands beside them."""
    # to look for it takes a twentieth of the time
    may_be_annotated = _MAY_BE_ANNOTATED.search(content) is not None
    return run(
        content,
        password=settings.get("document_password"),
        continue_on_page_error=True,
        extract_blocks=True,
        extract_annotations=may_be_annotated,
        extract_form_fields=may_be_annotated,
        extract_content_bounds=True,
        # The addresses of links are no text of the page.
        extract_links=False,
        output_format="text",  # it would make Markdown of the blocks, which is not needed
        keep_headers_footers=True,
        emit_word_boxes=any(settings.get(name) for name in WORDED),
        **how,
    )


def _blind(
    content: bytes, settings: Mapping[str, Any], pages: Sequence[Any]
) -> dict[int, frozenset[str]]:
    """Return the numbers of the pages to which OCR could add text, with liteparse's reasons."""
    # liteparse makes a page's text anew each time that it is asked for it
    painted = {page.page_num: page.text for page in pages if page.content_bounds is not None}
    blank = [number for number, text in painted.items() if not text.strip()]
    # No more than `FEW` words are parted: so many have enough letters.
    short = [n for n, text in painted.items() if 0 < _letters(text.split(None, FEW)) < FEW]
    if short and not _has_images(content):
        short = []
    odd = [number for number, text in painted.items() if is_odd(text)]
    found = dict.fromkeys(blank, frozenset({"no-text"}))
    doubtful = sorted({*short, *odd} - found.keys())
    if not doubtful:
        return found
    numbers = None if len(doubtful) == len(pages) else doubtful
    return found | _judged(content, settings, numbers)


def _judged(
    content: bytes, settings: Mapping[str, Any], numbers: Sequence[int] | None
) -> dict[int, frozenset[str]]:
    """Return which of the pages liteparse finds blind, and why; it takes as long as to read them.

    None stands for all pages. It also flags sparse text and drawings, for which OCR rarely finds
    more.
    """
    import liteparse

    how = {"target_pages": listed(numbers)} if numbers else {"max_pages": MOST_PAGES}
    reader = reader_for(settings.get("document_password"), continue_on_page_error=True, **how)
    try:
        told = reader.is_complex(content)
    except liteparse.ParseError as error:
        raise problem_of(str(error)) from error
    reasons = {page.page_number: BLIND.intersection(page.reasons) for page in told}
    return {number: found for number, found in reasons.items() if found}


def _letters(words: Sequence[str]) -> int:
    return sum(map(len, words))


def _has_images(content: bytes) -> bool:
    """Tell whether a PDF shows pictures; any other content is one."""
    return not content.startswith(b"%PDF") or _IMAGE.search(content) is not None


def _recognised(
    pages: list[Page], blind: Mapping[int, frozenset[str]], scan: Scan, *, with_words: bool
) -> list[Page]:
    """Return the pages with what OCR reads on those that are blind, or why it doesn't."""
    if not has_engine():
        return [
            _unseen(page, blind[page.original]) if page.original in blind else page
            for page in pages
        ]
    seen = recognised_pages(scan, list(blind))
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
        unread=(*_without_doubts(page), *seen.unread),
        pictures=0,
    )


def _without_doubts(page: Page) -> list[str]:
    return [note for note in page.unread if note != PARTLY]


def _unseen(page: Page, reasons: frozenset[str]) -> Page:
    """Return a page that needs OCR where there is none, with what it says in spite of that."""
    has_text = any(block.content for block in page.blocks)
    if has_text and "garbled" in reasons:
        blocks = [replace(block, sure=False) for block in page.blocks]
        return replace(page, blocks=blocks, unread=(*_without_doubts(page), GARBLED))
    if has_text and "scanned" not in reasons:
        return page  # it has few words
    return replace(page, unread=(*page.unread, NO_ENGINE), pictures=0)


def _all_pages(pages: list[Page], laid_out: Sequence[Any], result: Any) -> list[Page]:
    """Return the pages with those that liteparse could not read, and notes on the document."""
    lost = [
        Page(0, error.page_num, [UNREAD], unread=(f"not read: {error.message}",))
        for error in result.page_errors
    ]
    whole = sorted([*pages, *lost], key=lambda page: page.original)
    if result.xfa_packets and not any(page.form_fields for page in laid_out):
        whole[0] = replace(whole[0], unread=(*whole[0].unread, ADOBE))
    return [
        page if page.number == number else replace(page, number=number)
        for number, page in enumerate(whole, start=1)
    ]


def _page(page: Any, reading: Reading, *, with_words: bool, turn: int) -> Page:
    """Convert a page of liteparse's; what of it can't be converted is named as not read.

    `reading` has its words; `turn` says by how many degrees the page was turned to be read upright.
    Words, and the places of cells, are converted only if asked for: that costs as much time as
    reading the page.
    """

    def boxed(place: Any) -> Box:
        box = _box(place, page)
        return turned_back(box, turn) if turn else box

    blocks, unread = _blocks(page, reading.items, boxed, with_places=with_words)
    blocks = completed(blocks, reading, boxed)
    blocks, unknown = with_unknown_signs(blocks, reading.text)
    blocks, doubted = with_doubts(blocks)
    pictures = count_wordless(blocks)
    beside, too_much = beside_text(page, boxed)
    blocks = merged(blocks, beside)
    pinned = [f"attachment '{name}' is not opened" for name in attached(page)]
    if not any(block.content for block in blocks):
        # A scan or a drawing: show that it is there, and that it wasn't read.
        blocks = [UNREAD]
        pictures = 0
    signs = [f"{pluralize(unknown, 'sign')} {UNKNOWN}"] if unknown else []
    vast = [VAST] if max(page.width, page.height) >= FARTHEST else []
    number = page.page_num
    partly = [PARTLY] if doubted else []
    told = (*unread, *too_much, *pinned, *vast, *signs, *partly)
    found = Page(number, number, blocks, unread=told, pictures=pictures)
    return _with_words(found, reading.items, beside, boxed) if with_words else found


def _with_words(
    found: Page, items: Sequence[Any], beside: Sequence[PageBlock], boxed: Boxed
) -> Page:
    extra = [Word(block.content, block.box, None) for block in beside]
    lines = [Word(item.text, boxed(item), None) for item in items]
    words = [Word(word.text, boxed(word), None) for item in items for word in item.words]
    return replace(found, words=(*words, *extra), lines=(*lines, *extra))


def _blocks(
    page: Any, items: Sequence[Any], boxed: Boxed, *, with_places: bool
) -> tuple[list[PageBlock], list[str]]:
    """Return the page's blocks, and why some could not be converted.

    `with_places` asks for the boxes of cells.
    """
    blocks: list[PageBlock] = []
    unread: list[str] = []
    for raw in page.blocks or []:
        try:
            block = _typed(raw, page, boxed, with_places=with_places)
            if block is not None:
                blocks.append(as_key_values(block, raw.bbox, items))
        except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
            # Its words are in the page's text, by which they are completed.
            unread.append(f"the place of a {raw.kind} is not known: {error}")
    return blocks, unread


def _typed(raw: Any, page: Any, boxed: Boxed, *, with_places: bool) -> PageBlock | None:
    box = boxed(raw.bbox)
    if raw.kind == "table":
        return _table(raw, box, boxed if with_places else None)
    content = _plain(raw.text) or "\n".join(raw.lines or []).strip()
    if raw.kind == "heading" and len(content) <= LONGEST_HEADING:
        return PageBlock(
            "Title" if raw.level == 1 and page.page_num == 1 else "Section Header", content, box
        )
    if raw.ordered and raw.marker:
        content = f"{raw.marker} {content}"
    if raw.kind == "rule" or (not content and raw.kind != "figure"):
        return None
    if raw.kind == "code" and not _CJK.search(content):
        content = f"```\n{content}\n```"
    return PageBlock(KINDS.get(raw.kind, "Text"), content, box, sure=bool(content))


def _plain(text: str | None) -> str:
    """Return the text without the backslashes of Markdown; its emphasis stays."""
    plain = (text or "").strip()
    return _ESCAPED.sub(r"\1", plain) if "\\" in plain else plain


def _table(raw: Any, box: Box, boxed: Boxed | None) -> PageBlock | None:
    kept = [row for row in [raw.header or [], *(raw.rows or [])] if row]
    rows = [[cell.text or "" for cell in row] for row in kept]
    cells = [cell.strip() for row in rows for cell in row]
    filled = sum(map(bool, cells))
    if not filled:
        return None
    if max(map(len, rows)) < 2 or filled / len(cells) < FULLEST:
        return PageBlock("Text", "\n".join("  ".join(_shown_once(row)) for row in rows), box)
    if boxed is None:
        return table(rows, box)
    places = [[boxed(cell.bbox) if cell.bbox else None for cell in row] for row in kept]
    return table(rows, box, places)


def _shown_once(row: Sequence[str]) -> list[str]:
    """Return the texts of a row; liteparse repeats that of merged cells in each of them.

    Single words are left as they are: two columns may well show the same number.
    """
    shown: list[str] = []
    for cell in filter(None, row):
        if not shown or cell != shown[-1] or " " not in cell:
            shown.append(cell)
    return shown


def _box(box: Any, page: Any) -> Box:
    """Convert a box in points from the top left into fractions of the page, clipped to it."""
    wide = page.width or 1.0
    high = page.height or 1.0
    x = box.x
    y = box.y
    left = _share(x / wide)
    top = _share(y / high)
    right = _share((x + box.width) / wide)
    bottom = _share((y + box.height) / high)
    return left, top, max(0.0, right - left), max(0.0, bottom - top)


def _share(value: float) -> float:
    if value <= 0.0:
        return 0.0
    return round(value, 6) if value < 1.0 else 1.0


def with_running_lines(pages: list[Page]) -> list[Page]:
    """Mark lines at the edges as headers and footers if enough pages share them, apart from digits.

    A number that stands alone at an edge is a page number.
    """
    seen = Counter(_running(block) for page in pages for block in page.blocks if _at_edge(block))
    running = {words for words, times in seen.items() if times >= REPEATED}
    if not seen:
        return pages
    return [_with_names(page, running) for page in pages]


def _with_names(page: Page, running: set[str]) -> Page:
    blocks = [_renamed(block, running) for block in page.blocks]
    return page if blocks == page.blocks else replace(page, blocks=blocks)


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
