"""What a result holds, read piece by piece from its JSON as saved: text of a parse, fields of an extract, sections.

Bytes may be a map of a file: only the piece at hand is decoded, so a result of any size takes no more memory than its
largest chunk. Odd shapes are no error: what can't be read as its kind is handed on as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

Buffer = bytes | memoryview
Record = dict[str, Any]

_MISFITS: Final = (msgspec.DecodeError, ValueError, RecursionError)
EXTRACTS: Final = ("extract", "v3_extract")


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose result it is, as the ledger knows: what stands beside everything made of it. A copy costs 0 credits.

    `metadata` is a listing's own about that document, as JSON.
    """

    source: str
    job: str
    job_id: str | None
    pages: int | None
    credits: float | None
    metadata: str | None = None


class Block(msgspec.Struct):
    type: Any = None
    content: Any = None
    bbox: Any = None
    image_url: Any = None
    extra: Any = None

    @property
    def page(self) -> int | None:
        """In the document itself, from 1 on."""
        box = self.bbox if isinstance(self.bbox, dict) else {}
        page = box.get("original_page") or box.get("page")
        return page if isinstance(page, int) else None

    @property
    def images(self) -> list[str]:
        """Addresses of pictures of it, or of its page."""
        extra = self.extra if isinstance(self.extra, dict) else {}
        return [url for url in (self.image_url, extra.get("page_image_url")) if isinstance(url, str) and url]


class Chunk(msgspec.Struct):
    content: Any = ""
    embed: Any = None
    blocks: list[Block] = msgspec.field(default_factory=list)

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else ""

    @property
    def span(self) -> tuple[int | None, int | None]:
        """Its first and last page."""
        pages = [page for block in self.blocks if (page := block.page) is not None]
        return (min(pages), max(pages)) if pages else (None, None)


class _Top(msgspec.Struct):
    response_type: Any = None
    job_id: Any = None
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Chunks(msgspec.Struct):
    chunks: list[msgspec.Raw]


class _Parts(msgspec.Struct):
    """Of a pipeline: a result each, or several."""

    parse: msgspec.Raw = msgspec.Raw(b"null")
    extract: msgspec.Raw = msgspec.Raw(b"null")
    split: msgspec.Raw = msgspec.Raw(b"null")


_TOP: Final = msgspec.json.Decoder(_Top)
_CHUNKS: Final = msgspec.json.Decoder(_Chunks)
_CHUNK: Final = msgspec.json.Decoder(Chunk)
_PARTS: Final = msgspec.json.Decoder(_Parts)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Result:
    """`kind` is the service's `response_type`, empty where it says none; `inner` what stands in its `result`."""

    kind: str
    job_id: str | None
    inner: msgspec.Raw


def read_result(body: Buffer) -> Result:
    """The outside of a result. One that can't be read is of no kind, and empty."""
    try:
        top = _TOP.decode(body)
    except _MISFITS:
        return Result("", None, msgspec.Raw(b"null"))
    kind = top.response_type if isinstance(top.response_type, str) else ""
    return Result(kind, top.job_id if isinstance(top.job_id, str) else None, top.result)


def chunks_of(result: Result) -> Iterator[Chunk]:
    """Of a parse, and of the parses within a pipeline's result, in reading order."""
    if result.kind == "pipeline":
        for part in _parts(result).parse:
            yield from chunks_of(part)
        return
    try:
        raws = _CHUNKS.decode(result.inner).chunks
    except _MISFITS:
        return
    for raw in raws:
        try:
            yield _CHUNK.decode(raw)
        except _MISFITS:
            continue


def records_of(result: Result) -> Iterator[Record]:
    """What isn't text, one record each: extracted objects, sections of a split, the category of a document."""
    if result.kind == "pipeline":
        parts = _parts(result)
        for part in (*parts.extract, *parts.split):
            yield from records_of(part)
        return
    if result.kind == "parse":
        return
    value = _decoded(result.inner)
    if result.kind in EXTRACTS:
        yield from (plain(one) for one in _objects(value))
    elif result.kind == "split" and isinstance(value, dict):
        yield from _sections(value)
    else:
        yield from _objects(value)


def images_of(result: Result) -> Iterator[str]:
    """Addresses of the pictures a parse links to, each once, in the order of their blocks."""
    seen = set[str]()
    for chunk in chunks_of(result):
        for block in chunk.blocks:
            for url in block.images:
                if url not in seen:
                    seen.add(url)
                    yield url


def plain(value: Any) -> Any:
    """Extracted values without their citations, which an account may get around every leaf."""
    if isinstance(value, dict):
        if "value" in value and "citations" in value:
            return plain(value["value"])
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class _Pipeline:
    parse: list[Result]
    extract: list[Result]
    split: list[Result]


def _parts(result: Result) -> _Pipeline:
    try:
        parts = _PARTS.decode(result.inner)
    except _MISFITS:
        return _Pipeline([], [], [])
    return _Pipeline(_results(parts.parse), _results(parts.extract), _results(parts.split))


def _results(raw: msgspec.Raw) -> list[Result]:
    try:
        raws = _RAWS.decode(raw)
    except _MISFITS:
        raws = [] if bytes(memoryview(raw)[:4]) == b"null" else [raw]
    return [_unwrapped(read_result(one)) for one in raws]


def _unwrapped(result: Result) -> Result:
    """An extract of one section stands in an object beside its split's name and pages."""
    if result.kind or bytes(memoryview(result.inner)[:1]) != b"{":
        return result
    inside = read_result(bytes(result.inner))
    return inside if inside.kind else result


def _decoded(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except _MISFITS:
        return None


def _objects(value: Any) -> list[Record]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, dict)]


def _sections(value: Mapping[str, Any]) -> Iterator[Record]:
    splits = value.get("splits")
    for one in splits if isinstance(splits, list) else []:
        if not isinstance(one, dict):
            continue
        section = {"section": one.get("name"), "partition": None, "pages": one.get("pages"), "conf": one.get("conf")}
        yield section
        for part in one.get("partitions") or []:
            if isinstance(part, dict):
                yield {**section, "partition": part.get("name"), "pages": part.get("pages"), "conf": part.get("conf")}
