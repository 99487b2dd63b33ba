"""The documents of a batch as a table of any size: filtered, sorted, a page at a time, or as CSV.

The filter is a form that needs no script, and stands in the address.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from batcher.common.names import extension_of
from batcher.core.lifecycle import MAY_HAVE_COST, OPEN, State
from batcher.ledger.connection import bounded
from batcher.ledger.queries.document_list import (
    DocumentList,
    DocumentPage,
    ListedDocument,
    folders_of,
    states_of,
    steps_of,
)
from batcher.maintenance.export import csv_record, defused
from batcher.sources.listing import ROW
from batcher.web.document_filter import (
    AGES,
    COLUMNS,
    SORTED_BY,
    Query,
    document_in,
    query_of,
)
from batcher.web.site import PATIENCE, Site
from batcher.web.templating import Tab, clean

TAB: Final = Tab("documents", "Documents")
ROWS: Final = 100  # of a page
AT_ONCE: Final = 1_000  # lines of CSV
COUNTED: Final = 10_000  # documents that are counted; of more it is said that there are more
COUNTING: Final = 0.25  # seconds
COLUMNS_OF_CSV: Final = ("path", *COLUMNS)


@dataclass(frozen=True, slots=True)
class Listing:
    """What the page shows; without `page` it would have taken too long to find."""

    page: DocumentPage | None
    count: int | None
    states: list[State]
    steps: list[str]
    folders: list[str]


def routes(site: Site) -> list[web.RouteDef]:
    page = DocumentsPage(site)
    return [
        web.get("/batch/{batch}/documents", page.show),
        web.get("/batch/{batch}/documents.csv", page.download, allow_head=False),
    ]


class DocumentsPage:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: web.Request) -> web.StreamResponse:
        batch = await self._site.batch_of(request)
        query = query_of(request.query, now=time.time())
        after = document_in(request.query, "after")
        before = document_in(request.query, "before")
        found = await self._site.read(batch, _listing, query, after, before)
        return await self._site.batch_page(
            request,
            "documents.html",
            batch,
            TAB,
            found=found,
            query=query,
            counted=COUNTED,
            columns=COLUMNS,
            sorted_by=SORTED_BY,
            ages=AGES,
            tone=tone_of,
            type_of=type_of,
        )

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Send all documents that fit as CSV, some at a time."""
        batch = await self._site.batch_of(request)
        query = query_of(request.query, now=time.time())
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/csv; charset=utf-8",
                "Content-Disposition": 'attachment; filename="documents.csv"',
            }
        )
        piece, last = await self._site.read(batch, _piece, query, None)
        await response.prepare(request)  # what is wrong with the ledger is known by now
        await response.write(csv_record(COLUMNS_OF_CSV) + piece)
        while last is not None:
            piece, last = await self._site.read(batch, _piece, query, last)
            await response.write(piece)
        await response.write_eof()
        return response


def _listing(
    connection: sqlite3.Connection, query: Query, after: int | None, before: int | None
) -> Listing:
    documents = DocumentList(connection, query.which, query.order)
    return Listing(
        page=_page(connection, documents, after, before),
        count=_count(connection, documents),
        states=states_of(connection),
        steps=steps_of(connection),
        folders=folders_of(connection),
    )


def _page(
    connection: sqlite3.Connection,
    documents: DocumentList,
    after: int | None,
    before: int | None,
) -> DocumentPage | None:
    try:
        with bounded(connection, PATIENCE):
            return documents.page(ROWS, after=after, before=before)
    except TimeoutError:
        return None


def _count(connection: sqlite3.Connection, documents: DocumentList) -> int | None:
    """Return the number of documents up to one more than `COUNTED`; None if that takes long."""
    try:
        with bounded(connection, COUNTING):
            return documents.count(COUNTED + 1)
    except TimeoutError:
        return None


def _piece(
    connection: sqlite3.Connection, query: Query, after: int | None
) -> tuple[bytes, int | None]:
    """Return some lines of CSV, and the last document of them unless it is the last of all.

    No query goes on between two pieces, so that a slow browser holds up nothing in the ledger.
    """
    page = DocumentList(connection, query.which, query.order).page(AT_ONCE, after=after)
    lines = b"".join(map(_line, page.rows))
    return lines, page.rows[-1].id if page.has_after else None


def _line(row: ListedDocument) -> bytes:
    cells = _cells(row)
    return csv_record(defused(cells[name]) for name in COLUMNS_OF_CSV)


def _cells(row: ListedDocument) -> Mapping[str, Any]:
    changed = "" if row.changed_at is None else _moment(row.changed_at)
    return {
        "path": clean(row.path),
        "step": row.step,
        "state": str(row.state),
        "type": type_of(row),
        "size": row.size,
        "pages": "" if row.pages is None else row.pages,
        "credits": round(row.credits, 6),
        "attempts": row.attempts,
        "changed": changed,
        "reason": clean(row.reason or ""),
        "metadata": clean(row.metadata or ""),
        "job_id": row.job_id or "",
        "output": clean(row.output),
    }


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def type_of(row: ListedDocument) -> str:
    """Return the extension of the document's file."""
    is_path = row.place is not None and not row.place.startswith(ROW)
    return extension_of((is_path and row.place) or row.path)


def tone_of(state: str) -> str:
    """Return how a state is to be coloured."""
    if state == State.SAVED:
        return "good"
    if state in OPEN:
        return ""
    return "bad" if state in MAY_HAVE_COST else "warn"
