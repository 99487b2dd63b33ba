"""A batch at a glance, live while a run goes on: how far, how fast, at what cost, what failed.

The page is made of fragments. An event stream tells which of them have changed, and the page
fetches those.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, Final

from aiohttp import web
from markupsafe import Markup

from batcher.core.summary import FailureGroup
from batcher.ledger.lock import is_held
from batcher.views.failures import advice_for, spent_words
from batcher.views.plots import curve, figure, stacked
from batcher.views.status import run_line
from batcher.web.catalogue import Batch
from batcher.web.live import Live
from batcher.web.observation import Observation
from batcher.web.site import PATIENCE, Site
from batcher.web.templating import Tab

TAB: Final = Tab("", "Overview")
FRAGMENTS: Final = ("standing", "pace", "spend", "service", "deadlines", "failures", "runs")
SILENCE: Final = 15.0  # seconds after which a silent stream says that it is still there
SITE: Final = web.AppKey("overview_live", Live)


def routes(site: Site) -> list[web.RouteDef]:
    page = OverviewPage(site)
    return [
        web.get("/batch/{batch}", page.show),
        web.get("/batch/{batch}/events", page.follow, allow_head=False),
        web.get("/batch/{batch}/live/{fragment}", page.fragment),
    ]


def background(site: Site) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return what watches ledgers while the application runs."""

    async def watching(app: web.Application) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            app[SITE] = live = Live(site, partial(_fragments, site), group)
            yield
            live.close()

    return watching


class OverviewPage:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: web.Request) -> web.StreamResponse:
        batch = await self._site.batch_of(request)
        fragments = await request.app[SITE].fragments(batch)
        return await self._site.batch_page(
            request,
            "overview.html",
            batch,
            TAB,
            under_way=is_held(batch.ledger),
            fragments={one: _wrapped(one, found) for one, found in fragments.items()},
        )

    async def fragment(self, request: web.Request) -> web.StreamResponse:
        """Return one fragment, by name."""
        batch = await self._site.batch_of(request)
        name = request.match_info["fragment"]
        found = (await request.app[SITE].fragments(batch)).get(name)
        if found is None:
            raise web.HTTPNotFound(text="There is no such part of the page.")
        return web.Response(text=_wrapped(name, found), content_type="text/html")

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Tell which fragments have changed, as server-sent events, until the browser leaves."""
        batch = await self._site.batch_of(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        seen: dict[str, str] = {}
        async with request.app[SITE].following(batch) as watched:
            while True:
                news = await watched.news(seen, SILENCE)
                seen.update(news)
                said = f"data: {json.dumps(news)}\n\n" if news else ": still here\n\n"
                try:
                    await response.write(said.encode())
                except ConnectionError:
                    return response


def _wrapped(name: str, fragment: Any) -> Markup:
    return Markup('<div class="fragment" data-fragment="{}" data-version="{}">{}</div>').format(
        name,
        fragment.version,
        Markup(fragment.html),  # noqa: S704  made by our templates
    )


def _fragments(site: Site, seen: Observation) -> Mapping[str, str]:
    """Return the HTML of each fragment; those with nothing to say are empty."""
    values = {"seen": seen, "glance": seen.glance, "batch": seen.glance.batch}
    values |= {"now": time.time(), "patience": PATIENCE, **_drawn(seen)}
    return {name: site.html(f"live/{name}.html", **values) for name in FRAGMENTS}


def _drawn(seen: Observation) -> dict[str, Any]:
    return {
        "progress": Markup(stacked(seen.glance.parts(), "Documents")),  # noqa: S704
        "steps": [
            (step, parts, Markup(stacked(parts, step)))  # noqa: S704
            for step, parts in seen.glance.steps()
        ],
        "plots": [Markup(plot) for plot in _plots(seen)],  # noqa: S704
        "histogram": Markup(  # noqa: S704
            figure(
                "Time left of jobs in flight",
                "Jobs by the time until the service deletes their results.",
                seen.deadlines,
                unit="jobs",
                head=("time left", "jobs"),
            )
        ),
        "advice": [_advice(group, seen.glance.batch) for group, _ in seen.failed],
        "spent_words": spent_words,
        "run_line": run_line,
    }


def _plots(seen: Observation) -> list[str]:
    return [
        figure(
            "Results saved per minute",
            f"Each bar is {seen.width} of the last run.",
            seen.throughput,
            unit="a minute",
            head=("from", "results a minute"),
        ),
        curve(
            "Jobs in flight",
            "Accepted by the service, and the result isn't on disk yet.",
            seen.in_flight,
            unit="jobs",
            head=("from", "jobs in flight"),
        ),
    ]


_COMMAND: Final = re.compile(r"`(batcher [^`]+)`")


def _advice(group: FailureGroup, batch: Batch) -> list[tuple[str, str]]:
    """Return what to do about a group of failures, as words and commands in turn."""
    parts = _COMMAND.split(advice_for(group, batch.what))
    kinds = ("words", "command")
    return [(kinds[n % 2], part.strip(" ;:,")) for n, part in enumerate(parts) if part.strip(" ;")]
