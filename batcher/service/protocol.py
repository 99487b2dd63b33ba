"""aiohttp's HTTP protocol, with the API's shape for the errors that aiohttp answers itself.

These are answers to bytes that are no request.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import http_exceptions, web

from batcher.doorkeeper import terse
from batcher.reducto.api_types import ErrorName
from batcher.service.answers import ApiError, InvalidRequest

# Seconds to read the rest of a body that no handler reads; a reset would lose the answer.
LINGERING: Final = 5.0


class Protocol(web.RequestHandler):
    """aiohttp's request handler with errors in the API's shape."""

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
        """Log the error in one line, answer it, and close the connection."""
        if isinstance(exc, UnicodeEncodeError):
            # aiohttp quotes the one header that it refuses by itself, whatever bytes are in it
            status = 417
            message = "its Expect header is no text"
            exc = http_exceptions.BadHttpMessage(message)
        super().handle_error(request, status, exc, message)
        answer = _answer(status, (message or "").strip().split("\n", 1)[0])
        answer.force_close()
        return answer


def _answer(status: int, words: str) -> web.Response:
    if status < 500:
        msg = f"The request can't be read: {words}"
        return InvalidRequest.at("request", msg=msg, type="request_invalid").answer(status=status)
    return ApiError(ErrorName.INTERNAL_ERROR, "The service made a mistake; see its log").answer()
