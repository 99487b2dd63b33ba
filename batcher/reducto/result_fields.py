"""The values of a result with the places they were read from, and the sections of a split. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import msgspec

from batcher.reducto import citations
from batcher.reducto.result_places import UNSAID, Box, Confidence, box_of, confidence_of
from batcher.reducto.results import (
    EXTRACTS,
    Block,
    Result,
    citations_beside,
    extracts_of,
    plain,
    records_of,
    value_of,
)

TEXT_AT_MOST: Final = 20_000  # characters of a value or a citation
PAGES_AT_MOST: Final = 100  # of one section
CITATIONS_AT_MOST: Final = 5  # of one value
DEEPEST: Final = 40  # levels of a value; what is nested more deeply is shown as JSON


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


def fields_of(result: Result) -> Iterator[ShownField]:
    """Yield the values of an extract, a category and the like; nothing of a parse or a split."""
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
    block = Block(bbox=said["bbox"])
    confidence = confidence_of(said.get("confidence"), said.get("granular_confidence"))
    return Citation(block.page, box_of(block.bbox), said["content"][:TEXT_AT_MOST], confidence)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value and value[:TEXT_AT_MOST]
    try:
        return msgspec.json.encode(value).decode()[:TEXT_AT_MOST]
    except (RecursionError, msgspec.MsgspecError):
        return "…"


def sections_of(result: Result) -> Iterator[Section]:
    """Yield the sections of a split, each before its partitions."""
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
