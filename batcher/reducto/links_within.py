"""Finds links deeper in a result than its own `result`, where the API's shapes allow them. Pure.

By the description v1.12.20, a `UrlResult` may stand for the result of each parse and of the split
in a pipeline's result, for that of an extract there whose `response_type` is extract, and for the
`citations` beside such an extract. The API defines the keys of all of these, so an object there
whose `type` is "url" is a link. Links are looked for nowhere else, because other content is named
by the schema and written by the document's author.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from batcher.common.json_syntax import NotWhole, items, members
from batcher.reducto.result_links import LOOKED_AT, Asked, BadLink, link_in
from batcher.reducto.results import Buffer

EXTRACT: Final = "extract"
_PARTS: Final = ("parse", EXTRACT, "split")
_MAY_HOLD_ONE: Final = re.compile(rb'"type"\s*+:\s*+"url"')
# For `reducto.result_links`: the API defines the keys of anything in such a place.
_TOLD_BY_TYPE: Final = "parse"
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Link:
    """A link: where it is in the body, where it leads, and which kind of result it stands for.

    `of` is parse, extract, split or citations.
    """

    start: int
    end: int
    url: str
    of: str


def links_within(body: Buffer, response_type: str) -> list[Link]:
    """Return the links in the order in which they occur.

    There are none in a body that can't be read, which is kept as it came.
    """
    if response_type not in ("pipeline", EXTRACT) or not _MAY_HOLD_ONE.search(body):
        return []
    view = memoryview(body)
    whole = (0, len(view))
    try:
        found = (
            _of_pipeline(view, whole) if response_type == "pipeline" else _of_citations(view, whole)
        )
        return sorted(found, key=lambda link: link.start)
    except NotWhole:
        return []


def enclosed(link: Link, first: bytes) -> tuple[bytes, bytes]:
    """Return what goes before and after the linked content.

    The content of a parse may be the bare list of its chunks.
    """
    return (
        (b'{"type":"full","chunks":', b"}") if link.of == "parse" and first == b"[" else (b"", b"")
    )


def _of_pipeline(view: memoryview, whole: Span) -> Iterator[Link]:
    parts = _fields(view, _fields(view, whole).get("result"))
    for name in _PARTS:
        for response in _responses(view, parts.get(name)):
            fields = _fields(view, response)
            if name == EXTRACT and "split_name" in fields:
                response = fields.get("result", (0, 0))
                fields = _fields(view, response)
            if name == EXTRACT and _text(view, fields.get("response_type")) != EXTRACT:
                continue
            yield from _link(view, fields.get("result"), name)
            if name == EXTRACT:
                yield from _link(view, fields.get("citations"), "citations")


def _of_citations(view: memoryview, whole: Span) -> Iterator[Link]:
    yield from _link(view, _fields(view, whole).get("citations"), "citations")


def _responses(view: memoryview, span: Span | None) -> list[Span]:
    """Return one response as a list, or each response of a list."""
    if span is None:
        return []
    start, end = span
    if bytes(view[start : start + 1]) != b"[":
        return [span]
    return [(start + first, start + last) for first, last in items(view[start:end])]


def _link(view: memoryview, span: Span | None, of: str) -> Iterator[Link]:
    if span is None or span[1] - span[0] > LOOKED_AT:
        return
    start, end = span
    try:
        url = link_in(bytes(view[start:end]), _TOLD_BY_TYPE, Asked)
    except BadLink:
        return
    if url is not None:
        yield Link(start, end, url, of)


def _fields(view: memoryview, span: Span | None) -> dict[str, Span]:
    """Return where the values of an object are, by name; of several, the last, as JSON readers
    do.
    """
    if span is None or bytes(view[span[0] : span[0] + 1]) != b"{":
        return {}
    start, end = span
    return {
        _name(name): (start + first, start + last) for name, first, last in members(view[start:end])
    }


def _name(quoted: bytes) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return ""


def _text(view: memoryview, span: Span | None) -> str:
    return "" if span is None else _name(bytes(view[span[0] : span[1]][:LOOKED_AT]))
