"""Split a document into sections by their descriptions, page by page; a page may fit no section.

Partitions follow the value of their key, read from each page in the way of an extraction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from batcher.service.classification.relevance import Text, Topic, scores, support, text_of, topic
from batcher.service.extraction.document_index import gather
from batcher.service.extraction.filling import fill
from batcher.service.extraction.schema import Field

# times the second best score; from here on a page surely belongs to the best section
CLEAR: Final = 1.5
EVEN: Final = 1.1  # times the second best score; within this a page may belong to either
LEAST: Final = 0.12  # fraction of the best score of any page; less is a word in passing
BEFORE: Final = ""  # the name of the partition of pages before the first value
BRIDGED: Final = 1  # pages with words between two of a section that may belong to it
SUPPORTED: Final = 0.4  # least support of a page for a section, whatever the other pages are


@dataclass(frozen=True, slots=True)
class PageText:
    """The words and blocks of one page."""

    number: int  # page of what was read, from 1, as the API counts
    text: Text
    blocks: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class _Part:
    page: int
    section: int
    sure: bool


def split(result: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the API's SplitResult for a parse's FullResult."""
    categories = request["split_description"]
    overlap = (request.get("settings") or {}).get("allow_page_overlap", True)
    pages = pages_of(result)
    topics = [topic(category["name"], category["description"]) for category in categories]
    parts = list(_bridged(list(_parts(pages, topics, overlap)), pages))
    splits = [
        _split(category, [p for p in parts if p.section == n], pages)
        for n, category in enumerate(categories)
    ]
    mapping: dict[str, list[int]] = {}
    for one in splits:  # the description lets two have the same name
        mapping[one["name"]] = sorted({*mapping.get(one["name"], ()), *one["pages"]})
    return {"section_mapping": mapping, "splits": splits}


def pages_of(result: Mapping[str, Any]) -> list[PageText]:
    """Return the pages of a FullResult in order; pages without blocks are missing."""
    by_page: dict[int, list[Mapping[str, Any]]] = {}
    for chunk in result["chunks"]:
        for block in chunk["blocks"]:
            by_page.setdefault(block["bbox"]["page"], []).append(block)
    return [
        PageText(number, text_of(blocks), tuple(blocks))
        for number, blocks in sorted(by_page.items())
    ]


def _parts(pages: list[PageText], topics: Sequence[Topic], overlap: bool) -> Iterator[_Part]:
    table = [
        [
            score if support(one, page.text) >= SUPPORTED else 0.0
            for one, score in zip(topics, row, strict=True)
        ]
        for page, row in zip(pages, scores([page.text for page in pages], topics), strict=True)
    ]
    least = LEAST * max((score for row in table for score in row), default=0.0)
    for page, row in zip(pages, table, strict=True):
        best, second = sorted([*row, 0.0, 0.0], reverse=True)[:2]
        for section, score in enumerate(row):
            if score > least and score == best:
                yield _Part(page.number, section, best >= CLEAR * second)
                if not overlap:
                    break
            elif overlap and score > least and score * EVEN >= best:
                yield _Part(page.number, section, False)


def _bridged(parts: list[_Part], pages: list[PageText]) -> Iterator[_Part]:
    """Add pages that fit nothing to the section of both their neighbours, with low confidence.

    Of those with words it may be one, such as the back of a page; more are something else.
    """
    by_page: dict[int, list[_Part]] = {}
    for part in parts:
        by_page.setdefault(part.page, []).append(part)
    before: set[int] = set()
    silent: list[PageText] = []
    for page in pages:
        here = by_page.get(page.number)
        if here is None:
            silent.append(page)
            continue
        sections = {part.section for part in here}
        if sum(bool(one.text.counts) for one in silent) <= BRIDGED:
            yield from (
                _Part(one.number, section, False)
                for section in sorted(before & sections)
                for one in silent
            )
        yield from here
        before = sections
        silent = []


def _split(
    category: Mapping[str, Any], parts: list[_Part], pages: list[PageText]
) -> dict[str, Any]:
    numbers = sorted({part.page for part in parts})
    sure = bool(parts) and all(part.sure for part in parts)
    key = category.get("partition_key")
    inside = [page for page in pages if page.number in numbers]
    return {
        "name": category["name"],
        "pages": numbers,
        "conf": "high" if sure else "low",
        "partitions": _partitions(key, inside, sure) if key else None,
    }


def _partitions(key: str, pages: list[PageText], sure: bool) -> list[dict[str, Any]] | None:
    """Return one partition for each value of the key, in order; None if no page has a value.

    A page without a value continues the partition before it. Those before the first value have a
    partition without a name.
    """
    found: dict[str, list[int]] = {}
    unsure: set[str] = set()
    name = BEFORE
    for page in pages:
        value = _value_of(key, page)
        if value is None:
            unsure.add(name)
        name = value or name
        found.setdefault(name, []).append(page.number)
    if found.keys() <= {BEFORE}:
        return None
    return [
        {"name": name, "pages": numbers, "conf": "high" if sure and name not in unsure else "low"}
        for name, numbers in found.items()
    ]


def _value_of(key: str, page: PageText) -> str | None:
    whole = Field((), "object", children=(Field((key,), "string"),))
    value = fill(whole, gather({"chunks": [{"blocks": list(page.blocks)}]}))[key].value
    return None if value is None else str(value)
