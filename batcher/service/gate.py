"""Who may ask, and how refusals look: Host header, bearer key, and every exception as an answer.

The first thing each request meets. Knows no endpoint but those that need no key.
"""

from __future__ import annotations

import hmac
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from batcher.core.wire import ErrorName
from batcher.service.answers import ApiError, InvalidRequest, as_json, html_page

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
OPEN: Final = ("/webhooks/", "/files/", "/presigned/")  # these carry a token of their own in the path

log = logging.getLogger(__name__)


def check_host(hosts: frozenset[str]) -> Middleware:
    """A page in a browser can be made to call us by a name of its own; then the Host header tells."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _without_port(request.host) not in hosts:
            return html_page(403, "Forbidden")
        return await handler(request)

    return check


def check_key(key: str) -> Middleware:
    """No header: the edge's HTML 403. A wrong key: the API's JSON 401. Compared in constant time."""

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
    try:
        return await handler(request)
    except (ApiError, InvalidRequest) as refusal:
        return refusal.answer()
    except web.HTTPException as refusal:
        return as_json({"detail": refusal.reason}, status=refusal.status)
    except (sqlite3.OperationalError, OSError) as trouble:
        log.warning("%s %s: %s", request.method, request.path, trouble)
        return ApiError(ErrorName.SERVICE_UNAVAILABLE, "The service's disk refuses; see its log").answer()
    except Exception:
        log.exception("%s %s", request.method, request.path)
        return ApiError(ErrorName.INTERNAL_ERROR, "The service made a mistake; see its log").answer()


def same(given: str, expected: str) -> bool:
    """In constant time, whatever bytes were sent."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), expected.encode())


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host
