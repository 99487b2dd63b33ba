"""The page behind `configure_webhook`, on which endpoints for signed webhooks are managed.

The hosted service has Svix's portal there. As with that one, anybody who has the page's address can
use it without a key.
"""

from __future__ import annotations

import html
import secrets
from typing import Final

from aiohttp import web
from yarl import URL

from batcher.service.answers import as_json, html_page
from batcher.service.endpoints import Endpoint, Endpoints
from batcher.service.middleware import same
from batcher.service.parameters import address_of

PAGE: Final = """<!doctype html><meta charset="utf-8"><title>Webhooks</title>
<style>body{{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}
td,th{{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}}
</style>
<h1>Webhooks</h1>
<p>Jobs submitted with <code>"webhook": {{"mode": "svix"}}</code> send a message to each
endpoint when they end, signed as by Svix.
Endpoints can also be named when the service is started: <code>batcher serve --webhook URL</code>.
<table><tr><th>endpoint<th>channels<th>signing secret<th>state<th></tr>{rows}</table>
{trouble}<form method="post"><h2>Add an endpoint</h2>
<p><label>URL <input name="url" type="url" required size="50"></label>
<p><label>Channels, separated by commas; none: all of them <input name="channels" size="30"></label>
<p><button name="act" value="add">Add</button></form>
"""
ROW: Final = "<tr><td>{url}<td>{channels}<td><code>{secret}</code><td>{state}<td>{form}</tr>"
FORM: Final = (
    '<form method="post"><input type="hidden" name="endpoint" value="{id}">'
    '<button name="act" value="{act}">{word}</button></form>'
)
ON_COMMAND_LINE: Final = "as named when the service was started"


class Portal:
    """The page and its actions; its address changes with each start of the service."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._token = secrets.token_urlsafe(24)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/configure_webhook", self.configure_webhook),
            web.get("/webhooks/{token}", self.show),
            web.post("/webhooks/{token}", self.change),
        ]

    async def configure_webhook(self, request: web.Request) -> web.Response:
        """Return the page's address as a JSON string, as the hosted service does."""
        return as_json(f"{address_of(request)}/webhooks/{self._token}")

    async def show(self, request: web.Request) -> web.Response:
        """Show the page."""
        return self._page("") if self._is_known(request) else html_page(404, "Not Found")

    async def change(self, request: web.Request) -> web.StreamResponse:
        """Add, remove or enable an endpoint, and show the page again."""
        if not self._is_known(request):
            return html_page(404, "Not Found")
        form = {name: str(value) for name, value in (await request.post()).items()}
        match form.get("act"):
            case "remove":
                await self._endpoints.remove(form.get("endpoint", ""))
            case "enable":
                await self._endpoints.enable(form.get("endpoint", ""))
            case _ if not _is_address(form.get("url", "")):
                return self._page("That is no http or https address.")
            case _:
                names = [name.strip() for name in form.get("channels", "").split(",")]
                await self._endpoints.add(form["url"], [name for name in names if name])
        return web.Response(status=303, headers={"Location": request.path})

    def _is_known(self, request: web.Request) -> bool:
        return same(request.match_info["token"], self._token)

    def _page(self, trouble: str) -> web.Response:
        rows = "".join(self._row(endpoint) for endpoint in self._endpoints)
        text = PAGE.format(rows=rows, trouble=f"<p><strong>{trouble}</strong>" if trouble else "")
        headers = {
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
            "form-action 'self'"
        }
        return web.Response(
            text=text, content_type="text/html", status=422 if trouble else 200, headers=headers
        )

    def _row(self, endpoint: Endpoint) -> str:
        declared = self._endpoints.is_declared(endpoint)
        act, word = ("enable", "Enable again") if endpoint.disabled else ("remove", "Remove")
        return ROW.format(
            url=html.escape(endpoint.url),
            channels=html.escape(", ".join(sorted(endpoint.channels)) or "all"),
            secret=ON_COMMAND_LINE if declared else html.escape(endpoint.secret),
            state=_state(endpoint),
            form=""
            if declared and not endpoint.disabled
            else FORM.format(id=endpoint.endpoint_id, act=act, word=word),
        )


def _state(endpoint: Endpoint) -> str:
    if endpoint.disabled:
        return "disabled: five days of failures"
    return "in use" if endpoint.failing_since is None else "failing"


def _is_address(text: str) -> bool:
    try:
        url = URL(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.host)
