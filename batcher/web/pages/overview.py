"""A batch at a glance, live while a run goes on."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from batcher.web.site import Site, Tab

TAB: Final = Tab("", "Overview")


def routes(site: Site) -> list[web.RouteDef]:
    return [web.get("/batch/{batch}", OverviewPage(site).show)]


class OverviewPage:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: web.Request) -> web.StreamResponse:
        batch = await self._site.batch_of(request)
        name = await self._site.name_of(batch)
        return self._site.page(request, "overview.html", batch=batch, name=name, tab=TAB.name)
