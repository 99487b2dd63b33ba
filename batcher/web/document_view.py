"""Everything that the page of a document shows: the ledger's record, the result, and the source."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from aiohttp import web

from batcher.common.page_preview import Preview
from batcher.common.secrets import redact_urls
from batcher.core.lifecycle import State
from batcher.ledger.connection import bounded
from batcher.ledger.derived_outputs import Derivable, result_of
from batcher.ledger.history import story_of
from batcher.ledger.queries.document_list import DocumentList, ListedDocument, one_listed
from batcher.ledger.queries.source_place import SourcePlace, source_place
from batcher.outputs.derived_files import origin_of
from batcher.outputs.markdown import markdown_of
from batcher.outputs.result_store import Store
from batcher.reducto.result_content import Content, content_of
from batcher.views.history_view import detail_words
from batcher.web.catalogue import Batch
from batcher.web.document_filter import Query
from batcher.web.overlay import Side, pages_cited, shown, side_of
from batcher.web.previews import Previews
from batcher.web.site import Site
from batcher.web.source_file import SourceFile, SourceFiles

VIEWS: Final[Mapping[str, str]] = {
    "result": "Beside its source",
    "markdown": "Markdown",
    "json": "JSON",
    "history": "History",
}
READ_AT_MOST: Final = 64 << 20  # bytes of a result that is read for a page
SHOWN_AT_MOST: Final = 150_000  # characters of Markdown or JSON
EVENTS_AT_MOST: Final = 300  # of one version
SENT_AT_MOST: Final = 32 << 20  # bytes of a result that can be downloaded
FINDING: Final = 2.0  # seconds for the next and the previous document
PREVIEWS: Final = web.AppKey("previews", Previews)
SOURCES: Final = web.AppKey("sources", SourceFiles)


@dataclass(frozen=True, slots=True)
class Record:
    """What the ledger says of a document: `versions` as `batcher why` tells them."""

    row: ListedDocument
    versions: list[dict[str, Any]]
    result: Derivable | None
    place: SourcePlace | None
    before: int | None
    after: int | None

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Return the current documents of the same source, one for each step."""
        return [version for version in self.versions if version["current"]]

    @property
    def version(self) -> dict[str, Any]:
        return next(one for one in self.versions if one["id"] == self.row.id)


@dataclass(frozen=True, slots=True)
class Shown:
    """One page of the source and of the result; `missing` says why there is no result to show.

    `page` is in the document, from 1; None where nothing says pages. `source_problem` says why the
    source isn't shown.
    """

    page: int | None
    pages: list[int]
    side: Side
    content: Content | None
    missing: str
    preview: Preview | None
    source_problem: str


def record_of(connection: sqlite3.Connection, document: int, query: Query | None) -> Record | None:
    """Return what the ledger says of a document; None if there is no such document.

    Its neighbours are those in the list that `query` asks for; without one, they aren't looked for.
    """
    row = one_listed(connection, document)
    if row is None:
        return None
    before, after = (None, None) if query is None else _neighbours(connection, row, query)
    return Record(
        row=row,
        versions=story_of(connection, document),
        result=result_of(connection, document),
        place=source_place(connection, document),
        before=before,
        after=after,
    )


def _neighbours(
    connection: sqlite3.Connection, row: ListedDocument, query: Query
) -> tuple[int | None, int | None]:
    """Return the documents beside this one in the list that have been through the same step."""
    which = replace(query.which, step=row.step)
    try:
        with bounded(connection, FINDING):
            return DocumentList(connection, which, query.order).neighbours(row.id)
    except TimeoutError:
        return None, None


async def shown_page(
    site: Site, app: web.Application, batch: Batch, record: Record, page: int | None
) -> Shown:
    """Return a page of the document, by default the first of which the result says something."""
    content, missing = await site.run(lambda: _content(batch, record, page))
    number = page if content is None or page else _first_page(content)
    side = await site.run(lambda: Side() if content is None else side_of(content, number or 1))
    source = await site.run(lambda: _source(app, record))
    preview, problem = await _preview(app, source, number or 1)
    return Shown(
        page=number or (1 if preview and preview.pages else None),
        pages=_pages(content, preview),
        side=side,
        content=content,
        missing=missing,
        preview=preview,
        source_problem=problem,
    )


def _first_page(content: Content) -> int | None:
    """Return the first page of which the result says something."""
    return content.page or min(pages_cited(content), default=None)


def _content(batch: Batch, record: Record, page: int | None) -> tuple[Content | None, str]:
    body, missing = result_body(batch, record, READ_AT_MOST)
    return (None, missing) if body is None else (content_of(body, page), "")


def result_body(batch: Batch, record: Record, limit: int) -> tuple[memoryview | None, str]:
    """Return the result's bytes, or why there are none, in words."""
    result = record.result
    if result is None:
        return None, _why_none(record.row.state)
    if result.size > limit:
        return None, f"The result is larger than {limit >> 20} MB: open {result.output} itself."
    store = Store(batch.output)
    found = store.digest(result.output)
    if found != result.sha256:
        how = "is missing" if found is None else "isn't as it was saved"
        mend = "`batcher verify --repair` has the next run restore it"
        return None, f"The file {result.output} {how}: {mend}."
    try:
        return store.read(result.output), ""
    except FileNotFoundError:
        return None, f"The file {result.output} is missing."


def _why_none(state: State) -> str:
    if state is State.SAVED:
        return "This document is an older version: its result was replaced."
    return f"There is no result: the document is {state.replace('_', ' ')}."


def _source(app: web.Application, record: Record) -> SourceFile | str:
    if record.place is None:
        return "The ledger doesn't say where the source is."
    return app[SOURCES].find(record.place)


async def source_of(site: Site, app: web.Application, record: Record) -> SourceFile | None:
    """Return the file that the document was made of, if it is there as it was."""
    found = await site.run(lambda: _source(app, record))
    return found if isinstance(found, SourceFile) else None


async def _preview(
    app: web.Application, source: SourceFile | str, page: int
) -> tuple[Preview | None, str]:
    if isinstance(source, str):
        return None, source
    preview = await app[PREVIEWS].page(source, page)
    if preview.problem:
        return None, f"The source can't be shown here: {preview.problem}."
    return preview, ""


def _pages(content: Content | None, preview: Preview | None) -> list[int]:
    """Return the pages that can be leafed through."""
    pages = set(range(1, preview.pages + 1)) if preview is not None else set[int]()
    if content is not None:
        pages |= {*content.page_numbers, *pages_cited(content)}
        pages |= {page for one in content.sections for page in one.pages}
    return sorted(pages)


# --- the result as text ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AsText:
    """Markdown or JSON; `is_cut` if there is more of it."""

    text: str
    is_cut: bool = False
    missing: str = ""


def markdown_text(batch: Batch, record: Record) -> AsText:
    """Return the result as Markdown, as `formats = ["markdown"]` writes it."""
    body, missing = result_body(batch, record, READ_AT_MOST)
    if body is None or record.result is None:
        return AsText("", missing=missing)
    pieces: list[str] = []
    size = 0
    for piece in markdown_of(body, origin_of(record.result)):
        pieces.append(piece)
        size += len(piece)
        if size > SHOWN_AT_MOST:
            break
    return _as_text("".join(pieces))


def json_text(batch: Batch, record: Record) -> AsText:
    """Return the result as it came, indented."""
    body, missing = result_body(batch, record, READ_AT_MOST)
    if body is None:
        return AsText("", missing=missing)
    text = bytes(body[: 2 * SHOWN_AT_MOST]).decode("utf-8", "replace")
    if len(body) <= 2 * SHOWN_AT_MOST:
        with suppress(msgspec.MsgspecError, RecursionError):  # it is shown as it came, then
            text = msgspec.json.format(text, indent=2)
    cut = _as_text(text)
    return AsText(cut.text, cut.is_cut or len(body) > 2 * SHOWN_AT_MOST)


def _as_text(text: str) -> AsText:
    return AsText(shown(text[:SHOWN_AT_MOST]), len(text) > SHOWN_AT_MOST)


def json_download(batch: Batch, record: Record) -> bytes | str:
    """Return the result with its links cut before what signs them, or why there is none."""
    body, missing = result_body(batch, record, SENT_AT_MOST)
    if body is None:
        return missing
    return redact_urls(bytes(body).decode("utf-8", "surrogateescape")).encode(
        "utf-8", "surrogateescape"
    )


# --- the history ----------------------------------------------------------------------------------


def history(versions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the versions with their last events in words, for the template."""
    return [{**version, "told": _told(version["events"])} for version in versions]


def _told(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    last = events[-EVENTS_AT_MOST:]
    return [{**event, "words": detail_words(event["detail"])} for event in last]
