"""What a result shows of its document, for people: blocks with their places, fields with the places
they were read from, sections. Pure.

A part is read at a time, that of one page, so that a result of thousands of pages can be leafed
through. Whatever is too much is cut, and `Content` says so. Nothing here is checked against the
API's description: odd shapes are left out, and described in `left_out`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from batcher.reducto.result_fields import Section, ShownField, fields_of, sections_of
from batcher.reducto.result_places import UNSAID, Box, Confidence, box_of, confidence_of
from batcher.reducto.results import Block as RawBlock
from batcher.reducto.results import Buffer, Chunk, chunks_of, read_result

BLOCKS_AT_MOST: Final = 400  # of one page
TEXT_AT_MOST: Final = 20_000  # characters of a block
PAGE_TEXT_AT_MOST: Final = 120_000  # characters of all blocks of a page
FIELDS_AT_MOST: Final = 500
EDITS: Final = "edit"


@dataclass(frozen=True, slots=True)
class ShownBlock:
    """A part of a page: a paragraph, title, table and so on, as `type` says.

    `text` is the document's own, as HTML, Markdown or plain; it is never to be trusted. `is_cut`
    says whether there is more of it.
    """

    number: int
    type: str
    page: int | None
    box: Box | None
    text: str
    confidence: Confidence = UNSAID
    is_cut: bool = False


@dataclass(slots=True)
class Content:
    """What is shown of a result: all fields and sections, and the blocks of one page.

    `pages` has the number of blocks by page; None stands for blocks that name no page.
    `low_blocks` of `all_blocks` have low confidence. `left_out` says what couldn't be read, or is
    too much to be shown.
    """

    kind: str
    page: int | None = None
    blocks: list[ShownBlock] = field(default_factory=list)
    pages: Counter[int | None] = field(default_factory=Counter)
    fields: list[ShownField] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    all_blocks: int = 0
    low_blocks: int = 0
    left_out: list[str] = field(default_factory=list)

    @property
    def page_numbers(self) -> list[int]:
        return sorted(page for page in self.pages if page is not None)

    @property
    def is_doubtful(self) -> bool:
        """Whether the service is unsure of a value, a section or a tenth of the blocks."""
        is_low_value = any(one.confidence.is_low for f in self.fields for one in f.citations)
        is_low_section = any(one.confidence == "low" for one in self.sections)
        return is_low_value or is_low_section or self.low_blocks * 10 > self.all_blocks


def content_of(body: Buffer, page: int | None = None) -> Content:
    """Return what a result shows, with the blocks of `page`, by default of the first one.

    Blocks that name no page are shown with the first one.
    """
    result = read_result(body)
    content = Content(result.kind, left_out=result.left_out)
    shown = _PageReader(content, page)
    for chunk in chunks_of(result):
        shown.take(chunk)
    if result.kind == EDITS:
        shown.take_widgets(_widgets(body))
    shown.finish()
    content.fields = _bounded(content, fields_of(result))
    content.sections = list(sections_of(result))
    return content


# --- blocks ---------------------------------------------------------------------------------------


class _PageReader:
    """Keeps the blocks of one page, and counts those of all.

    Without a wanted page, that is the first of those that have come so far.
    """

    def __init__(self, content: Content, page: int | None) -> None:
        self._content = content
        self._is_given = page is not None
        self._page = page
        self._kept: list[ShownBlock] = []
        self._characters = 0
        self._is_full = False

    def take(self, chunk: Chunk) -> None:
        for block in chunk.blocks:
            self._take(block)
        if not chunk.blocks and chunk.text:
            self._take(RawBlock(type="Text", content=chunk.text))

    def take_widgets(self, widgets: Iterable[Mapping[str, Any]]) -> None:
        """Show the fields of a form that the service filled in."""
        for widget in widgets:
            said = (widget.get("description"), widget.get("value"))
            words = ": ".join(one for one in said if isinstance(one, str) and one)
            kind = f"Form {widget.get('type')}" if isinstance(widget.get("type"), str) else "Form"
            self._take(RawBlock(type=kind, content=words, bbox=widget.get("bbox")))

    def finish(self) -> None:
        content = self._content
        content.page = self._page
        first = min(content.page_numbers, default=None)
        with_others = not self._is_given or first is None or self._page == first
        content.blocks = [b for b in self._kept if b.page is not None or with_others]
        if self._is_full:
            content.left_out.append(f"all but {len(self._kept)} blocks, as the page has more")

    def _take(self, block: RawBlock) -> None:
        content = self._content
        content.all_blocks += 1
        content.pages[block.page] += 1
        confidence = confidence_of(block.confidence, block.granular_confidence)
        content.low_blocks += confidence.is_low
        if block.page is not None and not self._is_given:
            self._turn_to(block.page)
        if block.page is None or block.page == self._page:
            self._keep(block, confidence)

    def _turn_to(self, page: int) -> None:
        """Begin again with this page if it comes before the one that seemed to be the first."""
        if self._page is not None and page >= self._page:
            return
        self._page = page
        self._kept = [block for block in self._kept if block.page is None]
        self._characters = sum(len(block.text) for block in self._kept)
        self._is_full = False

    def _keep(self, block: RawBlock, confidence: Confidence) -> None:
        if len(self._kept) >= BLOCKS_AT_MOST or self._characters >= PAGE_TEXT_AT_MOST:
            self._is_full = True
            return
        text = block.content if isinstance(block.content, str) else ""
        self._characters += min(len(text), TEXT_AT_MOST)
        self._kept.append(
            ShownBlock(
                number=self._content.all_blocks,
                type=block.type if isinstance(block.type, str) else "Text",
                page=block.page,
                box=box_of(block.bbox),
                text=text[:TEXT_AT_MOST],
                confidence=confidence,
                is_cut=len(text) > TEXT_AT_MOST,
            )
        )


def _widgets(body: Buffer) -> list[Mapping[str, Any]]:
    try:
        found = msgspec.json.decode(body, type=_Form).form_schema
    except msgspec.MsgspecError:
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


class _Form(msgspec.Struct):
    form_schema: Any = None


def _bounded(content: Content, fields: Iterable[ShownField]) -> list[ShownField]:
    found: list[ShownField] = []
    for one in fields:
        if len(found) == FIELDS_AT_MOST:
            content.left_out.append(f"all but {FIELDS_AT_MOST} values, as there are more")
            break
        found.append(one)
    return found
