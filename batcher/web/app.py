"""Puts the pages, the static files and the guard together as one application."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from batcher.batches import Place
from batcher.doorkeeper import Doorkeeper
from batcher.errors import BatcherError
from batcher.web.access import Access, add_headers, guard
from batcher.web.catalogue import Catalogue
from batcher.web.pages import batches, document, documents, overview, report, sample
from batcher.web.site import Site
from batcher.web.templating import STATIC

# In the order of their tabs.
PAGES: Final[Sequence[ModuleType]] = (batches, overview, documents, document, sample, report)
LARGEST: Final = 16_384  # bytes of a request's body: a mark of the sample, with a note
A_YEAR: Final = "public, max-age=31536000, immutable"  # a new version has another address
ASK_AGAIN: Final = "no-cache"  # for a script that another one names, without a version

_LOG = logging.getLogger(__name__)


def make_app(
    given: Sequence[Path | Place], *, token: str, host: str, keeper: Doorkeeper
) -> web.Application:
    """Return the application that shows the batches below `given` to who knows `token`."""
    tabs = [page.TAB for page in PAGES if hasattr(page, "TAB")]
    site = Site(Catalogue(given), tabs=tabs)
    access = Access(token, host)
    app = web.Application(
        client_max_size=LARGEST,
        middlewares=[_attended(keeper), _told(site), guard(access, site.refuse)],
    )
    for page in PAGES:
        app.add_routes(page.routes(site))
        if hasattr(page, "background"):
            app.cleanup_ctx.append(page.background(site))
    app.router.add_get(STATIC + "{name}", _static(site))
    app.on_response_prepare.append(add_headers)
    app.on_cleanup.append(_closing(site))
    return app


def _closing(site: Site) -> Callable[[web.Application], Awaitable[None]]:
    async def close(app: web.Application) -> None:
        site.close()

    return close


def _attended(keeper: Doorkeeper) -> Middleware:
    """Return the middleware that tells the doorkeeper which connections are being answered."""

    @web.middleware
    async def attended(request: web.Request, handler: Handler) -> web.StreamResponse:
        with keeper.attending(request.transport, request.content.is_eof):
            return await handler(request)

    return attended


def _told(site: Site) -> Middleware:
    """Return the middleware that makes a page of each error; a defect's traceback is logged."""

    @web.middleware
    async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            return site.refuse(request, error.status, error.text or error.reason)
        except BatcherError as error:
            return site.refuse(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except Exception:
            _LOG.exception("a page failed: %s", request.path)
            return site.refuse(
                request,
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "This page has a defect; the terminal shows which.",
            )

    return told


def _static(site: Site) -> Handler:
    async def show(request: web.Request) -> web.StreamResponse:
        found = site.static.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound(text="There is no such file.")
        return web.Response(
            body=found.body,
            content_type=found.content_type,
            charset="utf-8",
            headers={
                "Cache-Control": A_YEAR if request.query_string == found.version else ASK_AGAIN
            },
        )

    return show
