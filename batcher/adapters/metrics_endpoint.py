"""Serves a page of metrics over HTTP, in the run's own event loop. What is on it others decide."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from batcher.adapters.small_server import serving
from batcher.doorkeeper import ConnectionLimits, Doorkeeper
from batcher.errors import MetricsUnusable

# Takes the header Accept; returns the content type and the page.
Page = Callable[[str], Awaitable[tuple[str, bytes]]]

PATH: Final = "/metrics"
LIMITS: Final = ConnectionLimits(8, header=5.0, idle=75.0, stalled=10.0, body=1.0)
LARGEST: Final = 1024  # bytes of a request's body; there should be none


@asynccontextmanager
async def listening(host: str, port: int, page: Page) -> AsyncIterator[str]:
    """Serve `page` during the block, and yield its address. Port 0 lets the system choose one.

    Raises MetricsUnusable if the address can't be used.
    """
    keeper = Doorkeeper(LIMITS)

    async def answer(request: web.Request) -> web.Response:
        with keeper.attending(request.transport, request.content.is_eof):
            content_type, body = await page(request.headers.get("Accept", ""))
            return web.Response(body=body, headers={"Content-Type": content_type})

    def refused(why: str) -> MetricsUnusable:
        return MetricsUnusable(
            f"metrics.listen: can't listen on {host}:{port}: {why}; free the port, or name another "
            "with --metrics HOST:PORT. Nothing was sent"
        )

    app = web.Application(client_max_size=LARGEST)
    app.router.add_get(PATH, answer)
    async with serving(app, keeper, host, port, refused=refused) as bound:
        there = f"[{host}]" if ":" in host else host
        yield f"http://{there}:{bound}{PATH}"
