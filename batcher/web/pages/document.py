"""A document: its source beside its result, the result as text, and its history."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from aiohttp import web

from batcher.web.catalogue import Batch
from batcher.web.document_filter import Query, query_of
from batcher.web.document_view import (
    PREVIEWS,
    SOURCES,
    VIEWS,
    Record,
    history,
    json_download,
    json_text,
    markdown_text,
    record_of,
    shown_page,
    source_of,
)
from batcher.web.overlay import shown as shown_text
from batcher.web.pages.documents import TAB as DOCUMENTS
from batcher.web.pages.documents import tone_of
from batcher.web.previews import Previews
from batcher.web.site import Site
from batcher.web.source_file import SourceFiles

LAST_PAGE: Final = 1_000_000
# A browser may keep a picture as long as it is open: whether the source has changed is asked again.
KEPT: Final = "private, max-age=300"


def routes(site: Site) -> list[web.RouteDef]:
    page = DocumentPage(site)
    there = r"/batch/{batch}/documents/{document:\d{1,18}}"
    return [
        web.get(there, page.show),
        web.get(there + r"/page/{page:\d{1,7}}", page.picture),
        web.get(there + "/result.json", page.download, allow_head=False),
    ]


def background(site: Site) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return what makes pictures of sources while the application runs."""

    async def showing(app: web.Application) -> AsyncIterator[None]:
        app[SOURCES] = SourceFiles()
        app[PREVIEWS] = Previews()
        yield
        await app[PREVIEWS].close()

    return showing


class DocumentPage:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: web.Request) -> web.StreamResponse:
        batch = await self._site.batch_of(request)
        query = query_of(request.query, now=time.time())
        record = await find(self._site, request, batch, query)
        values = await values_of(self._site, request, batch, record)
        root = f"/batch/{batch.id}/documents"
        asked = query.address(view=_view(request) if _view(request) != "result" else None)
        return await self._site.batch_page(
            request,
            "document.html",
            batch,
            DOCUMENTS,
            **values,
            back=(f"{root}?{query.address()}", "Documents"),
            before=_beside(root, record.before, asked),
            after=_beside(root, record.after, asked),
            here=lambda **more: f"{root}/{record.row.id}?{query.address(**more)}",
            carried=parse_qsl(query.address()),
            step_of=lambda number: f"{root}/{number}?{asked}",
            checking=None,
        )

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """Return a page of the source as a picture."""
        batch = await self._site.batch_of(request)
        record = await find(self._site, request, batch, None)
        source = await source_of(self._site, request.app, record)
        number = int(request.match_info["page"])
        if source is None or not 1 <= number <= LAST_PAGE:
            raise web.HTTPNotFound(text="There is no picture of this page.")
        preview = await request.app[PREVIEWS].page(source, number)
        if not preview.picture:
            raise web.HTTPNotFound(text="There is no picture of this page.")
        return web.Response(
            body=preview.picture, content_type="image/webp", headers={"Cache-Control": KEPT}
        )

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Return the result as a file, without what signs its links."""
        batch = await self._site.batch_of(request)
        record = await find(self._site, request, batch, None)
        body = await self._site.run(lambda: json_download(batch, record))
        if isinstance(body, str):
            raise web.HTTPNotFound(text=body)
        name = quote(record.row.output.rpartition("/")[2])
        return web.Response(
            body=body,
            content_type="application/json",
            headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
        )


async def find(site: Site, request: web.Request, batch: Batch, query: Query | None) -> Record:
    """Return the document that the address names, with its neighbours in what `query` asks for.

    Raises HTTPNotFound.
    """
    number = int(request.match_info["document"])
    record = await site.read(batch, record_of, number, query)
    if record is None:
        raise web.HTTPNotFound(text="There is no such document in this batch.")
    return record


async def values_of(
    site: Site, request: web.Request, batch: Batch, record: Record
) -> dict[str, Any]:
    """Return what the template shows of the document itself."""
    view = _view(request)
    values: dict[str, Any] = {
        "record": record,
        "view": view,
        "views": VIEWS,
        "tone": tone_of,
        "shown_text": shown_text,
        "shown": None,
        "text": None,
        "history": None,
    }
    if view == "markdown":
        values["text"] = await site.run(lambda: markdown_text(batch, record))
    elif view == "json":
        values["text"] = await site.run(lambda: json_text(batch, record))
    elif view == "history":
        values["history"] = history(record.versions)
    else:
        values["shown"] = await shown_page(site, request.app, batch, record, _page(request))
    return values


def _view(request: web.Request) -> str:
    said = request.query.get("view", "result")
    return said if said in VIEWS else "result"


def _page(request: web.Request) -> int | None:
    said = request.query.get("page", "")
    is_page = said.isascii() and said.isdigit() and 0 < len(said) < 8
    return int(said) or None if is_page else None


def _beside(root: str, document: int | None, asked: str) -> str | None:
    return None if document is None else f"{root}/{document}?{asked}"
