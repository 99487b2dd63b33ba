"""All batches that are shown, those that need a person first."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web
from markupsafe import Markup

from batcher.views.plots import stacked
from batcher.web.catalogue import Batch
from batcher.web.glance import Glance, Mark, glance_at, mark_of
from batcher.web.site import Site


def routes(site: Site) -> list[web.RouteDef]:
    page = BatchesPage(site)
    return [web.get("/", page.show), web.get("/batches", page.list)]


class BatchesPage:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[str, tuple[Mark, Glance]] = {}

    async def show(self, request: web.Request) -> web.StreamResponse:
        return self._site.page(request, "batches.html", **await self._values())

    async def list(self, request: web.Request) -> web.StreamResponse:
        """Return the list alone, for a page that is looked at for longer."""
        return self._site.page(request, "batches_list.html", **await self._values())

    async def _values(self) -> dict[str, Any]:
        found = await self._site.look()
        glances = await self._site.run(lambda: [self._glance(batch) for batch in found.batches])
        bars = {
            one.batch.id: Markup(stacked(one.parts(), "Documents"))  # noqa: S704
            for one in glances
        }
        return {"glances": sorted(glances, key=_urgency), "bars": bars, "is_cut": found.is_cut}

    def _glance(self, batch: Batch) -> Glance:
        """Return what is known of a batch; a ledger is only read if it may have changed."""
        mark = mark_of(batch)
        known = self._known.get(batch.id)
        if known is None or known[0] != mark:
            known = self._known[batch.id] = mark, glance_at(batch)
        return known[1].as_of(time.time())  # deadlines pass, too, where nothing is written


def _urgency(glance: Glance) -> tuple[float, float, float]:
    """Return a sort key: what needs a person, the nearest deadline, and the latest run first."""
    deadline = glance.values["nearest_deadline_at"] if glance.values else None
    last = glance.last_run.started_at if glance.last_run else 0.0
    return glance.attention.rank, deadline or float("inf"), -last
