"""The report of a batch among its pages: what `batcher report` writes, as of now."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web
from markupsafe import Markup

from batcher.ledger.statistics import statistics
from batcher.views.report import report_sections, sample_section
from batcher.views.sample_view import checked_sample
from batcher.web.catalogue import Batch
from batcher.web.glance import Mark, mark_of
from batcher.web.site import Site
from batcher.web.templating import Tab

TAB: Final = Tab("report", "Report")


def routes(site: Site) -> list[web.RouteDef]:
    return [web.get("/batch/{batch}/report", ReportPage(site).show)]


class ReportPage:
    """Reads all of a ledger for each report, so it makes one at a time and keeps the last one."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._busy = asyncio.Lock()
        self._made: tuple[str, Mark | None, Markup] = ("", None, Markup())

    async def show(self, request: web.Request) -> web.StreamResponse:
        batch = await self._site.batch_of(request)
        async with self._busy:
            body = await self._body(batch)
        return await self._site.batch_page(
            request,
            "report.html",
            batch,
            TAB,
            body=body,
            checked=await self._checked(batch),
        )

    async def _checked(self, batch: Batch) -> Markup:
        """Return what a sample says; nothing if nobody has judged one."""
        checked = await self._site.read(batch, checked_sample, batch.ledger)
        if checked is None or not checked.sample.marked:
            return Markup()
        return Markup(sample_section(checked))  # noqa: S704  escaped there

    async def _body(self, batch: Batch) -> Markup:
        mark = mark_of(batch)
        made_for, as_of, body = self._made
        if made_for == batch.id and as_of == mark:
            return body
        found = await self._site.read(batch, statistics)
        body = Markup("".join(report_sections(found, batch.what)))  # noqa: S704  escaped there
        self._made = batch.id, mark, body
        return body
