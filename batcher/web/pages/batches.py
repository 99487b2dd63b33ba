"""All batches that are shown, sorted by what needs a person."""

from __future__ import annotations

from aiohttp import web

from batcher.web.site import Site


def routes(site: Site) -> list[web.RouteDef]:
    return [web.get("/", BatchesPage(site).show)]


class BatchesPage:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: web.Request) -> web.StreamResponse:
        found = await self._site.look()
        names = {batch.id: await self._site.name_of(batch) for batch in found.batches}
        return self._site.page(request, "batches.html", found=found, names=names)
