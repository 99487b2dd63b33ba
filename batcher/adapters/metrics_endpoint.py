"""Serves a page of metrics over HTTP, in the run's own event loop. What is on it others decide.

Connections are few and short, so that nobody who can reach the page exhausts the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from batcher.doorkeeper import ConnectionLimits, Doorkeeper, terse
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
    runner = _runner(page, keeper)
    await runner.setup()
    try:
        assert runner.server is not None
        server = await _listen(host, port, keeper, runner.server)
        watching = asyncio.create_task(keeper.watch())
        try:
            there = f"[{host}]" if ":" in host else host
            yield f"http://{there}:{server.sockets[0].getsockname()[1]}{PATH}"
        finally:
            watching.cancel()
            server.close()
    finally:
        await runner.cleanup()


def _runner(page: Page, keeper: Doorkeeper) -> web.AppRunner:
    async def answer(request: web.Request) -> web.Response:
        with keeper.attending(request.transport, request.content.is_eof):
            content_type, body = await page(request.headers.get("Accept", ""))
            return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application(client_max_size=LARGEST)
    app.router.add_get(PATH, answer)
    return web.AppRunner(
        app, access_log=None, logger=terse(__name__), shutdown_timeout=0.2, lingering_time=0
    )


async def _listen(host: str, port: int, keeper: Doorkeeper, server: web.Server) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(keeper.guarding(server), host, port, backlog=keeper.backlog)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise MetricsUnusable(
            f"metrics.listen: can't listen on {host}:{port}: {why}; free the port, or name another "
            "with --metrics HOST:PORT. Nothing was sent"
        ) from error
