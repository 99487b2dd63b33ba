"""Access and errors: check the Host header and the key, and turn every exception into an answer.

Every request passes here first. Knows no endpoint except those that need no key.
"""

from __future__ import annotations

import hmac
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import http_exceptions, web

from batcher.doorkeeper import Doorkeeper
from batcher.reducto.api_types import ErrorName
from batcher.service.answers import ApiError, InvalidRequest, as_json, html_page

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
# These have a token of their own in the path.
OPEN: Final = (
    "/webhooks/",
    "/files/",
    "/presigned/",
)

# Errors in the chunks, lengths or compression of a body.
BROKEN: Final = (
    web.RequestPayloadError,
    http_exceptions.HttpProcessingError,
)

log = logging.getLogger(__name__)


def attend(keeper: Doorkeeper) -> Middleware:
    """Return the middleware that tells `keeper` that a connection has sent a request."""

    @web.middleware
    async def attended(request: web.Request, handler: Handler) -> web.StreamResponse:
        with keeper.attending(request.transport, request.content.is_eof):
            return await handler(request)

    return attended


@web.middleware
async def check_text(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse addresses that aren't UTF-8: as strings they couldn't be encoded further in."""
    try:
        request.path.encode()
        request.query_string.encode()
        "".join(request.query.values()).encode()
    except (UnicodeError, ValueError):
        return ApiError(ErrorName.INVALID_CONFIG, "The request's address is no UTF-8").answer()
    return await handler(request)


def check_host(hosts: frozenset[str]) -> Middleware:
    """Return the middleware that checks the Host header.

    A page in a browser can call the service under a name of its own (DNS rebinding); the header
    shows that name.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _without_port(request.host) not in hosts:
            return html_page(403, "Forbidden")
        return await handler(request)

    return check


def check_key(key: str) -> Middleware:
    """Return the middleware that checks the key in constant time.

    As with the hosted service, a missing header is answered with the edge's HTML 403, and a wrong
    key with the API's JSON 401.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/version" or request.path.startswith(OPEN):
            return await handler(request)
        header = request.headers.get("Authorization")
        if header is None:
            return html_page(403, "Forbidden")
        scheme, _, token = header.partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if not same(token, key):
            message = "Invalid access token" if token else "Provide an access token"
            return ApiError(ErrorName.AUTH_ERROR, message).answer()
        return await handler(request)

    return check


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into an answer; those that aren't the client's fault are logged."""
    try:
        return await handler(request)
    except (ApiError, InvalidRequest) as refusal:
        return refusal.answer()
    except web.HTTPException as refusal:
        return as_json({"detail": refusal.reason}, status=refusal.status)
    except BROKEN as trouble:
        msg = f"The request's body can't be read: {_first_line(trouble)}"
        return InvalidRequest.at("body", msg=msg, type="body_invalid").answer(status=400)
    except ConnectionError:  # the client is gone
        return web.Response(status=499)
    except (sqlite3.OperationalError, OSError) as trouble:
        log.warning("%s %s: %s", request.method, request.path, trouble)
        return ApiError(
            ErrorName.SERVICE_UNAVAILABLE, "The service's disk refuses; see its log"
        ).answer()
    except Exception:
        log.exception("%s %s", request.method, request.path)
        return ApiError(
            ErrorName.INTERNAL_ERROR, "The service made a mistake; see its log"
        ).answer()


def same(given: str, expected: str) -> bool:
    """Compare in constant time, whatever bytes were sent."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), expected.encode())


def _first_line(trouble: Exception) -> str:
    return str(trouble).strip().split("\n", 1)[0] or type(trouble).__name__


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host
