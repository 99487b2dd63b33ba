"""All batches that are shown, those that need a person first."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from aiohttp import web
from markupsafe import Markup

from batcher.views.plots import stacked
from batcher.web.catalogue import Batch
from batcher.web.glance import Glance, Mark, glance_at, mark_of
from batcher.web.live import REST
from batcher.web.site import Site


def routes(site: Site) -> list[web.RouteDef]:
    page = BatchesPage(site)
    return [web.get("/", page.show), web.get("/batches", page.list)]


class BatchesPage:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[str, _Known] = {}

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
        if known is None or known.is_over(mark, time.monotonic()):
            known = self._known[batch.id] = _read(batch, mark)
        return known.glance.as_of(time.time())  # deadlines pass, too, where nothing is written


class _Known(NamedTuple):
    """What a ledger said; while its run goes on, it isn't read again before `again_at`."""

    mark: Mark
    glance: Glance
    again_at: float  # on a clock that never goes back

    def is_over(self, mark: Mark, now: float) -> bool:
        began_or_ended = mark.is_held != self.mark.is_held
        return began_or_ended or (mark != self.mark and now > self.again_at)


def _read(batch: Batch, mark: Mark) -> _Known:
    began = time.monotonic()
    glance = glance_at(batch)
    ended = time.monotonic()
    return _Known(mark, glance, ended + REST * (ended - began))


def _urgency(glance: Glance) -> tuple[float, float, float]:
    """Return a sort key: what needs a person, the nearest deadline, and the latest run first."""
    deadline = glance.values["nearest_deadline_at"] if glance.values else None
    last = glance.last_run.started_at if glance.last_run else 0.0
    return glance.attention.rank, deadline or float("inf"), -last
