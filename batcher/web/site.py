"""What every page needs: the batch of a request, its ledger, templates, and static files."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from aiohttp import web

from batcher.errors import BatcherError
from batcher.ledger import schema
from batcher.ledger.queries.notes import noted
from batcher.web.catalogue import Batch, Catalogue, Found
from batcher.web.templating import StaticFiles, Tab, Templates

P = ParamSpec("P")
T = TypeVar("T")

# Readers at a time. Each is a query of SQLite, which lets other threads go on meanwhile.
READERS: Final = 3
PATIENCE: Final = 10.0  # seconds that a page waits for what no index gives


class Site:
    """The folders that are shown, and what shows them. `close` it at the end."""

    def __init__(self, catalogue: Catalogue, *, tabs: Sequence[Tab] = ()) -> None:
        self.catalogue = catalogue
        self.static = StaticFiles()
        self._templates = Templates(self.static, tabs=tabs)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="web")

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def look(self) -> Found:
        """Look for batches again."""
        return await self.run(self.catalogue.look)

    async def batch_of(self, request: web.Request) -> Batch:
        """Return the batch that the address names by its id. Raises HTTPNotFound."""
        identifier = request.match_info["batch"]
        batch = self.catalogue.get(identifier)
        if batch is None:
            await self.look()  # its run may have begun a moment ago
            batch = self.catalogue.get(identifier)
        if batch is None:
            raise web.HTTPNotFound(text="There is no such batch below the folders shown here.")
        return batch

    async def read(
        self,
        batch: Batch,
        query: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **more: P.kwargs,
    ) -> T:
        """Return what `query` finds in the ledger; it gets a read-only connection, in a thread.

        Raises LedgerError where the ledger can't be read.
        """

        def work() -> T:
            with schema.reading_beside(batch.ledger) as connection:
                return query(connection, *args, **more)

        return await self.run(work)

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work`, which may read files, in one of a few threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def html(self, template: str, **values: Any) -> str:
        """Return what a template makes of `values`: a page, or a part of one."""
        return self._templates.render(template, **values)

    def page(
        self, request: web.Request, template: str, *, status: int = HTTPStatus.OK, **values: Any
    ) -> web.Response:
        """Return a page as an answer."""
        text = self.html(template, path=request.path, **values)
        return web.Response(text=text, status=status, content_type="text/html")

    async def batch_page(
        self, request: web.Request, template: str, batch: Batch, tab: Tab, **values: Any
    ) -> web.Response:
        """Return a page of a batch, with its name and its tabs, of which it belongs to `tab`."""
        name = await self._name_of(batch)
        return self.page(request, template, batch=batch, name=name, tab=tab.name, **values)

    async def _name_of(self, batch: Batch) -> str:
        """Return what the batch is called; its folder's name if the ledger doesn't say."""
        try:
            return await self.read(batch, noted, "batch") or batch.output.name
        except BatcherError:
            return batch.output.name

    def refuse(self, request: web.Request, status: int, words: str) -> web.Response:
        """Return a page that says why there is no other."""
        title = HTTPStatus(status).phrase
        return self.page(request, "refused.html", status=status, title=title, words=words)
