"""What a result shows of its document, for people: blocks with their places, fields with the places
they were read from, sections. Pure.

A part is read at a time, that of one page, so that a result of thousands of pages can be leafed
through. Whatever is too much is cut, and `Content` says so. Nothing here is checked against the
API's description: odd shapes are left out, and described in `left_out`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec

from batcher.reducto import citations
from batcher.reducto.results import (
    EXTRACTS,
    Buffer,
    Chunk,
    Result,
    chunks_of,
    citations_beside,
    extracts_of,
    plain,
    read_result,
    records_of,
    value_of,
)
from batcher.reducto.results import Block as RawBlock

BLOCKS_AT_MOST: Final = 400  # of one page
TEXT_AT_MOST: Final = 20_000  # characters of a block, a value or a citation
PAGE_TEXT_AT_MOST: Final = 120_000  # characters of all blocks of a page
FIELDS_AT_MOST: Final = 500
PAGES_AT_MOST: Final = 100  # of one section
CITATIONS_AT_MOST: Final = 5  # of one field
DEEPEST: Final = 40  # levels of a value; what is nested more deeply is shown as JSON
# How far a box may stick out of its page; spreadsheets count rows and columns instead.
SLACK: Final = 0.02
EDITS: Final = "edit"


class Box(NamedTuple):
    """A place on a page, as fractions of its width and height from the upper left corner."""

    left: float
    top: float
    width: float
    height: float


class Confidence(NamedTuple):
    """How sure the service is: in a word (`high`, `low`), or from 0 to 1; None if it didn't say."""

    word: str | None = None
    score: float | None = None

    @property
    def is_low(self) -> bool:
        return self.word == "low" or (self.score is not None and self.score < 0.5)


UNSAID: Final = Confidence()


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


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in the document from which a value was read."""

    page: int | None
    box: Box | None
    text: str
    confidence: Confidence = UNSAID


@dataclass(frozen=True, slots=True)
class ShownField:
    """A value that was extracted, by its path: names, and positions in lists from 1."""

    path: tuple[str, ...]
    value: str | None  # None for null
    citations: tuple[Citation, ...] = ()

    @property
    def name(self) -> str:
        return self.path[-1] if self.path else "value"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the document that a split found, with its first pages."""

    name: str
    partition: str | None
    pages: tuple[int, ...]
    confidence: str | None


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
        """Whether the service itself is unsure of a tenth of the result, or of a field."""
        low_fields = any(one.confidence.is_low for f in self.fields for one in f.citations)
        return low_fields or self.low_blocks * 10 > self.all_blocks


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
    content.fields = _bounded(content, _fields(result))
    content.sections = list(_sections(result))
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
        confidence = _confidence(block.confidence, block.granular_confidence)
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
                box=_box(block.bbox),
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


def _box(said: Any) -> Box | None:
    """Return the box if it lies on its page."""
    if not isinstance(said, Mapping):
        return None
    sides = [_number(said.get(name)) for name in Box._fields]
    if None in sides:
        return None
    left, top, width, height = (side or 0.0 for side in sides)
    right, bottom = left + width, top + height
    inside = -SLACK <= left < right <= 1 + SLACK and -SLACK <= top < bottom <= 1 + SLACK
    if not inside:
        return None
    left, top = max(left, 0.0), max(top, 0.0)
    return Box(left, top, min(right, 1.0) - left, min(bottom, 1.0) - top)


def _confidence(word: Any, granular: Any) -> Confidence:
    score = None
    if isinstance(granular, Mapping):
        said = (granular.get("extract_confidence"), granular.get("parse_confidence"))
        score = next((number for one in said if (number := _number(one)) is not None), None)
    return Confidence(word.lower() if isinstance(word, str) else None, score)


def _number(said: Any) -> float | None:
    is_number = isinstance(said, int | float) and not isinstance(said, bool)
    return float(said) if is_number else None


# --- fields ---------------------------------------------------------------------------------------


def _fields(result: Result) -> Iterator[ShownField]:
    for part in extracts_of(result):
        yield from _extracted(part)
    if result.kind not in ("parse", "split", "pipeline", *EXTRACTS):
        for record in records_of(result):
            yield from _leaves(record, (), None, 0)


def _extracted(part: Result) -> Iterator[ShownField]:
    """Yield the values of an extract; of several objects each has its number in their paths."""
    value = value_of(part)
    beside = citations_beside(part)
    is_cited = beside is None and citations.is_cited(value)
    objects = value if isinstance(value, list) else [value]
    for number, one in enumerate(objects):
        path = (*part.section, str(number + 1)) if len(objects) > 1 else part.section
        if is_cited:
            yield from _cited_leaves(one, path, 0)
        else:
            cited = _at(beside, number) if isinstance(beside, list) else beside
            yield from _leaves(plain(one), path, cited, 0)


def _cited_leaves(value: Any, path: tuple[str, ...], depth: int) -> Iterator[ShownField]:
    """Yield the values that have their citations around them."""
    if isinstance(value, Mapping) and citations.is_leaf(value):
        yield from _leaves(value["value"], path, value["citations"], depth)
        return
    if isinstance(value, Mapping | list) and depth < DEEPEST:
        for name, inner in _members(value):
            yield from _cited_leaves(inner, (*path, name), depth + 1)


def _leaves(value: Any, path: tuple[str, ...], cited: Any, depth: int) -> Iterator[ShownField]:
    """Yield the values within a value; `cited` are the citations at its place, if there are any."""
    here = _citations(cited)
    if not isinstance(value, Mapping | list) or depth >= DEEPEST or not value:
        yield ShownField(path, _text(value), here)
        return
    for number, (name, inner) in enumerate(_members(value)):
        below = cited if here else _at(cited, number if isinstance(value, list) else name)
        yield from _leaves(inner, (*path, name), below, depth + 1)


def _members(value: Mapping[str, Any] | list[Any]) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    return ((str(number), inner) for number, inner in enumerate(value, start=1))


def _at(cited: Any, place: str | int) -> Any:
    if isinstance(cited, Mapping):
        inner = cited.get("citations") if "citations" in cited and place not in cited else None
        return cited.get(place) if inner is None else _at(inner, place)
    is_in = isinstance(cited, list) and isinstance(place, int) and place < len(cited)
    return cited[place] if is_in else None


def _citations(said: Any) -> tuple[Citation, ...]:
    if isinstance(said, Mapping) and isinstance(said.get("citations"), list):
        said = said["citations"]
    found = said if isinstance(said, list) else [said]
    if not found or not all(map(citations.is_citation, found)):
        return ()
    return tuple(_citation(one) for one in found[:CITATIONS_AT_MOST])


def _citation(said: Mapping[str, Any]) -> Citation:
    block = RawBlock(bbox=said["bbox"])
    confidence = _confidence(said.get("confidence"), said.get("granular_confidence"))
    return Citation(block.page, _box(block.bbox), said["content"][:TEXT_AT_MOST], confidence)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value and value[:TEXT_AT_MOST]
    try:
        return msgspec.json.encode(value).decode()[:TEXT_AT_MOST]
    except (RecursionError, msgspec.MsgspecError):
        return "…"


def _bounded(content: Content, fields: Iterable[ShownField]) -> list[ShownField]:
    found: list[ShownField] = []
    for one in fields:
        if len(found) == FIELDS_AT_MOST:
            content.left_out.append(f"all but {FIELDS_AT_MOST} values, as there are more")
            break
        found.append(one)
    return found


# --- sections -------------------------------------------------------------------------------------


def _sections(result: Result) -> Iterator[Section]:
    if result.kind not in ("split", "pipeline"):
        return
    for record in records_of(result):
        if "section" in record:
            yield Section(
                name=str(record["section"]),
                partition=_text(record["partition"]),
                pages=_pages(record["pages"]),
                confidence=_text(record["conf"]),
            )


def _pages(said: Any) -> tuple[int, ...]:
    """Return the pages of a section; a deep split gives a reason for each of them."""
    try:
        found = msgspec.json.decode(said) if isinstance(said, str) else said
    except msgspec.MsgspecError:
        return ()
    if not isinstance(found, list):
        return ()
    numbers = (one.get("page_number") if isinstance(one, dict) else one for one in found)
    pages = (number for number in numbers if isinstance(number, int))
    return tuple(islice(pages, PAGES_AT_MOST))
