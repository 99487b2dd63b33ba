"""HTTP as aiohttp reads it, save for what it says to bytes that are no request: that has the API's
shape here, too.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from batcher.doorkeeper import terse
from batcher.reducto.api_types import ErrorName
from batcher.service.answers import ApiError, InvalidRequest

# seconds for the rest of a body that nobody reads, so that the answer isn't lost in a reset
LINGERING: Final = 5.0


class Protocol(web.RequestHandler):
    __slots__ = ()

    def __init__(self, server: web.Server, *, loop: asyncio.AbstractEventLoop) -> None:
        logger = terse(__name__)
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]
            logger=logger,
            lingering_time=LINGERING,
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Logged in one line, and hung up on after the answer."""
        super().handle_error(request, status, exc, message)
        answer = _answer(status, (message or "").strip().split("\n", 1)[0])
        answer.force_close()
        return answer


def _answer(status: int, words: str) -> web.Response:
    if status < 500:
        msg = f"The request can't be read: {words}"
        return InvalidRequest.at("request", msg=msg, type="request_invalid").answer(status=status)
    return ApiError(ErrorName.INTERNAL_ERROR, "The service made a mistake; see its log").answer()
