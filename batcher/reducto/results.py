"""Reads what a result holds from its saved JSON: text of a parse, fields of an extract, sections.

The bytes may be a memory-mapped file: only one piece is decoded at a time, so a result of any size
takes no more memory than its largest chunk. Unexpected shapes raise no error: what can't be read is
left out, and described in `left_out`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final, TypeVar

import msgspec

from batcher.common.strict_json import MISFITS, mended
from batcher.common.strict_json import Buffer as Buffer
from batcher.reducto import citations

T = TypeVar("T")
Record = dict[str, Any]

# Levels of a value; more would be too many for readers of the output.
DEEPEST: Final = 100
NESTED: Final = 8  # pipelines within pipelines
MOST_PAGES: Final = 1 << 31
EXTRACTS: Final = ("extract", "v3_extract")


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a result, which is stated beside everything made from it.

    A copy costs 0 credits. `metadata` is what a source list says about the document, as JSON.
    `path` is its path below the source's folder, which is its `source` unless a list names it
    otherwise; None for an address.
    """

    source: str
    job: str
    job_id: str | None
    pages: int | None
    credits: float | None
    metadata: str | None = None
    path: str | None = None


class Block(msgspec.Struct):
    """A block of a parse's chunk. Fields accept any type, so an odd one doesn't lose the rest."""

    type: Any = None
    content: Any = None
    bbox: Any = None
    image_url: Any = None
    extra: Any = None
    merged_tables: Any = None
    chart_data: Any = None
    confidence: Any = None
    granular_confidence: Any = None

    @property
    def page(self) -> int | None:
        """The page in the document itself, from 1."""
        box = self.bbox if isinstance(self.bbox, dict) else {}
        return next(filter(None, map(_page, (box.get("original_page"), box.get("page")))), None)

    @property
    def images(self) -> list[str]:
        """Addresses of pictures of the block, or of its page."""
        extra = self.extra if isinstance(self.extra, dict) else {}
        return _addresses(self.image_url, extra.get("page_image_url"))

    @property
    def fragments(self) -> list[str]:
        """Addresses of pictures of the tables that were merged into this one."""
        tables = self.merged_tables if isinstance(self.merged_tables, list) else []
        return _addresses(*(table.get("image_url") for table in tables if isinstance(table, dict)))

    @property
    def charts(self) -> list[str]:
        """Addresses of the data read from a chart. Items that are no address are the data
        itself.
        """
        said = self.chart_data if isinstance(self.chart_data, list) else []
        return [url for url in _addresses(*said) if url.startswith(("http://", "https://"))]


class Chunk(msgspec.Struct):
    """A chunk of a parse: its text, its text for embedding, and its blocks."""

    content: Any = ""
    embed: Any = None
    blocks: list[Block] = msgspec.field(default_factory=list)

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else ""

    @property
    def span(self) -> tuple[int | None, int | None]:
        """The first and last page, or (None, None)."""
        pages = [page for block in self.blocks if (page := block.page) is not None]
        return (min(pages), max(pages)) if pages else (None, None)


class _AnyChunk(msgspec.Struct):
    """A chunk whose blocks have an unexpected shape; its text is still text."""

    content: Any = ""
    embed: Any = None
    blocks: Any = None


class _Top(msgspec.Struct):
    response_type: Any = None
    job_id: Any = None
    pdf_url: Any = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    citations: msgspec.Raw = msgspec.Raw(b"null")
    split_name: Any = None
    partition: Any = None


class _Chunks(msgspec.Struct):
    chunks: list[msgspec.Raw]


class _Parts(msgspec.Struct):
    """The results within a pipeline's result: one or several of each."""

    parse: msgspec.Raw = msgspec.Raw(b"null")
    extract: msgspec.Raw = msgspec.Raw(b"null")
    split: msgspec.Raw = msgspec.Raw(b"null")


_TOP: Final = msgspec.json.Decoder(_Top)
_CHUNKS: Final = msgspec.json.Decoder(_Chunks)
_CHUNK: Final = msgspec.json.Decoder(Chunk)
_ANY_CHUNK: Final = msgspec.json.Decoder(_AnyChunk)
_ANY: Final = msgspec.json.Decoder()
_PARTS: Final = msgspec.json.Decoder(_Parts)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Result:
    """The outer part of a result.

    `kind` is the service's `response_type`, or empty. `inner` is its `result`, undecoded.
    `left_out` describes what couldn't be read; it grows while the rest is read.
    """

    kind: str
    job_id: str | None
    inner: msgspec.Raw
    left_out: list[str] = field(default_factory=list)
    pdf_url: str | None = None
    # of an extract that has citations beside its result
    citations: msgspec.Raw = field(default_factory=msgspec.Raw)
    # of one within a pipeline: the section of a split, and the partition, that it was made of
    section: tuple[str, ...] = ()


def read_result(body: Buffer, left_out: list[str] | None = None) -> Result:
    """Read the outer part of a result. If that fails, the result is empty and has no kind."""
    left_out = [] if left_out is None else left_out
    try:
        top = _decoded(_TOP, body)
    except MISFITS as error:
        left_out.append(f"all of it, for it can't be read as JSON of a result: {error}")
        return Result("", None, msgspec.Raw(b"null"), left_out)
    kind = top.response_type if isinstance(top.response_type, str) else ""
    job_id, pdf_url = (
        value if isinstance(value, str) else None for value in (top.job_id, top.pdf_url)
    )
    section = tuple(one for one in (top.split_name, top.partition) if isinstance(one, str))
    return Result(kind, job_id, top.result, left_out, pdf_url or None, top.citations, section)


def chunks_of(result: Result, depth: int = 0) -> Iterator[Chunk]:
    """Yield the chunks of a parse, or of the parses in a pipeline's result, in reading order."""
    if result.kind == "pipeline":
        for part in _parts(result, depth).parse:
            yield from chunks_of(part, depth + 1)
        return
    try:
        raws = _CHUNKS.decode(result.inner).chunks
    except MISFITS:
        if result.kind == "parse":
            result.left_out.append("its chunks, for there is no list of them")
        return
    for number, raw in enumerate(raws, start=1):
        chunk = _chunk(raw)
        if chunk is None:
            result.left_out.append(f"chunk {number}, which is none")
        else:
            yield chunk


def records_of(result: Result, depth: int = 0) -> Iterator[Record]:
    """Yield a record for each item that isn't text.

    These are extracted objects, sections of a split, and the category of a document.
    """
    if result.kind == "pipeline":
        parts = _parts(result, depth)
        for part in (*parts.extract, *parts.split):
            yield from records_of(part, depth + 1)
        return
    if result.kind == "parse":
        return
    value = value_of(result)
    if result.kind in EXTRACTS:
        yield from (
            _shallow(one, result)
            for wrapped in _objects(value)
            for one in _unwrapped_objects(plain(wrapped))
        )
    elif result.kind == "split" and isinstance(value, dict):
        yield from _sections(value)
    else:
        yield from (_shallow(one, result) for one in _objects(value))


def extracts_of(result: Result, depth: int = 0) -> Iterator[Result]:
    """Yield the result if it is of an extract, or else the extracts within a pipeline's result."""
    if result.kind == "pipeline":
        for part in _parts(result, depth).extract:
            yield from extracts_of(part, depth + 1)
    elif result.kind in EXTRACTS:
        yield result


def citations_beside(result: Result) -> Any:
    """Return the citations of an extract that stand beside its values; None if there are none."""
    return _decodable(result.citations)


def images_of(result: Result, *, cited: bool = False) -> Iterator[str]:
    """Yield the addresses of linked pictures, each once.

    Those of a parse's blocks come first, in order, then those of merged tables, then those of the
    blocks that an extract cites. Citations around values are considered only if they were asked for
    (`cited`): otherwise what looks like one is text by the document's author.
    """
    fragments: list[str] = []
    seen = set[str]()
    for url in chain(
        _images_of_blocks(result, fragments), fragments, _images_cited(result, around=cited)
    ):
        if url not in seen:
            seen.add(url)
            yield url


def charts_of(result: Result) -> Iterator[str]:
    """Yield the addresses of chart data that a parse links to, each once."""
    yield from dict.fromkeys(
        url for part in chunks_of(result) for block in part.blocks for url in block.charts
    )


def pdfs_of(result: Result, depth: int = 0) -> Iterator[str]:
    """Yield the addresses of PDFs that the service made of the document, each once."""
    if result.kind != "pipeline":
        yield from filter(None, [result.pdf_url])
        return
    parts = _parts(result, depth).parse
    yield from dict.fromkeys(url for part in parts for url in pdfs_of(part, depth + 1))


def _images_of_blocks(result: Result, fragments: list[str]) -> Iterator[str]:
    for chunk in chunks_of(result):
        for block in chunk.blocks:
            fragments += block.fragments
            yield from block.images


def _images_cited(result: Result, *, around: bool, depth: int = 0) -> Iterator[str]:
    """Yield the pictures that an extract cites.

    Within a pipeline it is unknown whether citations were asked for, and blocks around values are
    those of the pipeline's own parse.
    """
    if result.kind == "pipeline":
        for part in _parts(result, depth).extract:
            yield from _images_cited(part, around=False, depth=depth + 1)
        return
    if result.kind not in EXTRACTS:
        return
    beside = citations.blocks_beside(citations_beside(result))
    for block in map(
        _block, chain(beside, citations.blocks_around(_decodable(result.inner)) if around else ())
    ):
        yield from (*block.images, *block.fragments)


def _decodable(raw: msgspec.Raw) -> Any:
    try:
        return _decoded(_ANY, raw)
    except MISFITS:
        return None


def plain(value: Any, depth: int = 0) -> Any:
    """Return extracted values without citations, which an account may get around every leaf."""
    if depth > DEEPEST + 1:
        return value
    if isinstance(value, dict):
        if "value" in value and "citations" in value:
            return plain(value["value"], depth + 1)
        return {name: plain(inner, depth + 1) for name, inner in value.items()}
    return [plain(inner, depth + 1) for inner in value] if isinstance(value, list) else value


def _addresses(*said: Any) -> list[str]:
    return [url for url in said if isinstance(url, str) and url]


def _page(said: Any) -> int | None:
    is_number = isinstance(said, int) and not isinstance(said, bool)
    return said if is_number and 0 < said < MOST_PAGES else None


def _chunk(raw: msgspec.Raw) -> Chunk | None:
    try:
        return _CHUNK.decode(raw)
    except MISFITS:
        pass
    try:
        odd = _decoded(_ANY_CHUNK, raw)
    except MISFITS:
        return None
    blocks = odd.blocks if isinstance(odd.blocks, list) else []
    return Chunk(odd.content, odd.embed, [_block(one) for one in blocks if isinstance(one, dict)])


def _block(fields: Mapping[str, Any]) -> Block:
    return Block(**{name: fields.get(name) for name in Block.__struct_fields__})


@dataclass(frozen=True, slots=True)
class _Pipeline:
    parse: list[Result]
    extract: list[Result]
    split: list[Result]


def _parts(result: Result, depth: int) -> _Pipeline:
    if depth >= NESTED:
        result.left_out.append("a pipeline, for it stands within too many others")
        return _Pipeline([], [], [])
    try:
        parts = _PARTS.decode(result.inner)
    except MISFITS:
        result.left_out.append("a pipeline's results, for there are none where they should be")
        return _Pipeline([], [], [])
    return _Pipeline(
        *(_results(raw, result.left_out) for raw in (parts.parse, parts.extract, parts.split))
    )


def _results(raw: msgspec.Raw, left_out: list[str]) -> list[Result]:
    try:
        raws = _RAWS.decode(raw)
    except MISFITS:
        raws = [] if bytes(memoryview(raw)[:4]) == b"null" else [raw]
    return [_unwrapped(read_result(one, left_out)) for one in raws]


def _unwrapped(result: Result) -> Result:
    """Unwrap the extract of one section, which is in an object with its split's name and pages."""
    if result.kind or bytes(memoryview(result.inner)[:1]) != b"{":
        return result
    inside = read_result(bytes(result.inner))
    return replace(inside, section=result.section) if inside.kind else result


def _decoded(decoder: msgspec.json.Decoder[T], raw: Buffer | msgspec.Raw) -> T:
    """Decode the bytes as they are, or mended. Raises one of MISFITS."""
    try:
        return decoder.decode(raw)
    except MISFITS:
        fixed = mended(memoryview(raw))
        if fixed is None:
            raise
    return decoder.decode(fixed)


def value_of(result: Result) -> Any:
    """Return what stands in the result's `result`, decoded; None if it can't be read."""
    try:
        return _decoded(_ANY, result.inner)
    except MISFITS as error:
        result.left_out.append(f"its result, which can't be read: {error}")
        return None


def _shallow(value: Any, result: Result, depth: int = 0) -> Any:
    """Return the value without what is nested too deeply."""
    if not isinstance(value, dict | list):
        return value
    if depth > DEEPEST:
        if len(result.left_out) < DEEPEST:
            result.left_out.append(f"what is nested more than {DEEPEST} deep")
        return None
    if isinstance(value, list):
        return [_shallow(inner, result, depth + 1) for inner in value]
    return {name: _shallow(inner, result, depth + 1) for name, inner in value.items()}


def _objects(value: Any) -> list[Record]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, dict)]


def _unwrapped_objects(value: Any) -> list[Record]:
    """Return the objects within a value that had citations around it as a whole."""
    return _objects(value) if isinstance(value, dict | list) else [{"value": value}]


def _sections(value: Mapping[str, Any]) -> Iterator[Record]:
    splits = value.get("splits")
    for one in splits if isinstance(splits, list) else []:
        if not isinstance(one, dict):
            continue
        name = _told(one.get("name"))
        yield {
            "section": name,
            "partition": None,
            "pages": _told(one.get("pages")),
            "conf": _told(one.get("conf")),
        }
        partitions = one.get("partitions")
        for part in partitions if isinstance(partitions, list) else []:
            if isinstance(part, dict):
                pages = _told(part.get("pages"))
                conf = _told(part.get("conf"))
                yield {
                    "section": name,
                    "partition": _told(part.get("name")),
                    "pages": pages,
                    "conf": conf,
                }


def _told(value: Any) -> Any:
    """Return objects and lists as JSON, since a section's columns can't hold them."""
    if not isinstance(value, dict | list):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        return None
