"""Serves an aiohttp application in the run's own event loop, for few and short connections.

Nobody who can reach it must be able to exhaust the run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from batcher.doorkeeper import Doorkeeper, terse


@asynccontextmanager
async def serving(
    app: web.Application,
    keeper: Doorkeeper,
    host: str,
    port: int,
    *,
    refused: Callable[[str], Exception],
    cancels: bool = False,
) -> AsyncIterator[int]:
    """Serve `app` behind `keeper` during the block, and yield the port; 0 lets the system choose.

    With `cancels`, an answer that nobody waits for any more is cancelled.
    Raises what `refused` makes of the reason why the address can't be used.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=terse(__name__),
        shutdown_timeout=0.2,
        lingering_time=0,
        handler_cancellation=cancels,
    )
    await runner.setup()
    try:
        assert runner.server is not None
        try:
            server = await keeper.listen(runner.server, host, port)
        except OSError as error:
            raise refused(str(error.strerror)) from error
        async with keeper.watching(server):
            yield int(server.sockets[0].getsockname()[1])
    finally:
        await runner.cleanup()
