"""Inject the ordered faults into calls, as a middleware between access checks and endpoints.

`MEETS` says which fault can hit which call; `faults.Chaos` decides whether it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from batcher.service.answers import as_json
from batcher.service.background_tasks import Errands
from batcher.service.faults import Chaos
from batcher.service.middleware import OPEN, Handler, Middleware

Act = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

# The limits, each with the answer to a call that exceeds it.
LIMITED: Final = {
    "limit-1000": "429-1000",
    "limit-2000": "429-2000",
}
ANY: Final = ("429-1000", "500", "reset", "truncated-body")
MEETS: Final = {
    "submission": (
        "429-1000",
        "503-300",
        "500",
        "reset",
        "late-acceptance",
        "lost-reply",
        "truncated-body",
    ),
    "job": (*ANY, "429-2000"),
    "jobs": ANY,
    "upload": ANY,
}
SUBMISSIONS: Final = frozenset({"parse", "extract", "split", "pipeline", "classify"})


def disturb(chaos: Chaos, errands: Errands) -> Middleware:
    """Return the middleware that injects the faults."""
    acts = _acts(chaos, errands)

    @web.middleware
    async def meet(request: web.Request, handler: Handler) -> web.StreamResponse:
        what = f"{request.method} {request.path}"
        now = asyncio.get_running_loop().time()
        for limit, name in LIMITED.items():
            if _counts(request, limit) and chaos.exceeds(limit, what, now):
                return await acts[name](request, handler)
        for name in MEETS.get(_kind(request), ()):
            if chaos.strikes(name, what):
                return await acts[name](request, handler)
        return await handler(request)

    return meet


def _counts(request: web.Request, limit: str) -> bool:
    """Tell whether a call counts for a limit; signed addresses and own paths don't."""
    if limit == "limit-2000":
        return _kind(request) == "job"
    return not request.path.startswith((*OPEN, "/__"))


def _kind(request: web.Request) -> str:
    first = request.path.split("/")[1]
    if request.method == "POST" and first.removesuffix("_async") in SUBMISSIONS:
        return "submission"
    return (
        first if first in ("upload", "jobs") or (first == "job" and request.method == "GET") else ""
    )


def _acts(chaos: Chaos, errands: Errands) -> dict[str, Act]:
    async def accept_late(request: web.Request, handler: Handler) -> web.StreamResponse:
        # Read the body now: the connection will be closed when the handler runs.
        await request.read()
        errands.send(lambda: handler(request), delay=chaos.seconds("late-acceptance"))
        return _hang_up(request)

    return {
        "lost-reply": _lose_reply,
        "late-acceptance": accept_late,
        "reset": _reset,
        "truncated-body": _truncate,
        "429-1000": _always(
            429, {"message": "[CODE 1000] rate limit exceeded, retry with exponential backoff"}
        ),
        "429-2000": _always(
            429,
            {"message": "[CODE 2000] rate limit exceeded, please use webhooks instead of polling"},
        ),
        "503-300": _always(
            503, _error(503, "BATCH_QUEUE_FULL", "The batch queue is full"), retry_after=300
        ),
        "500": _always(500, _error(500, "INTERNAL_ERROR", "Internal server error")),
    }


async def _lose_reply(request: web.Request, handler: Handler) -> web.StreamResponse:
    await handler(request)
    return _hang_up(request)


async def _reset(request: web.Request, handler: Handler) -> web.StreamResponse:
    return _hang_up(request)


async def _truncate(request: web.Request, handler: Handler) -> web.StreamResponse:
    whole = await handler(request)
    body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b""
    half = web.StreamResponse(
        status=whole.status, headers={"Content-Type": whole.headers["Content-Type"]}
    )
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half


def _always(status: int, body: object, *, retry_after: int = 0) -> Act:
    headers = {"Retry-After": str(retry_after)} if retry_after else None

    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        return as_json(body, status=status, headers=headers)

    return refuse


def _error(code: int, name: str, message: str) -> dict[str, object]:
    return {"error": {"code": code, "name": name, "message": message}, "detail": message}


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; the response that is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
