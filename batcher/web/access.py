"""Who may ask for a page, and what every answer forbids a browser to do.

The token stands in the address that a person opens first, and then in a cookie: other users of the
machine, other pages in the same browser and names that were made to lead here get nothing.
"""

from __future__ import annotations

import hmac
import socket
from collections.abc import Callable, Mapping
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

Refuse = Callable[[web.Request, int, str], web.StreamResponse]

TOKEN: Final = "token"  # noqa: S105  the parameter of an address
OPEN_TO_ALL: Final = "/static/"  # styles and scripts, which hold nothing of a batch
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
WILDCARDS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  compared with, not bound to

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer a browser would send `Origin: null` along with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Access:
    """Lets in who knows `token`, under the name that the server listens on."""

    def __init__(self, token: str, host: str) -> None:
        self._token = token
        self._host = host.lower()
        # Browsers send a cookie to every port of a host, so two servers must not share a name.
        self.cookie = f"batcher-{sha256(token.encode()).hexdigest()[:12]}"

    def knows(self, request: web.Request) -> bool:
        """Whether the request has the cookie."""
        return self._is_token(request.cookies.get(self.cookie, ""))

    def is_presented(self, request: web.Request) -> bool:
        """Whether the token stands in the address."""
        return self._is_token(request.query.get(TOKEN, ""))

    def grant(self, response: web.StreamResponse) -> None:
        """Give the browser the cookie."""
        response.set_cookie(self.cookie, self._token, httponly=True, samesite="Strict", path="/")

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names this server.

        A page elsewhere can have its own name lead to our address, but not one of these.
        """
        name = _name_in(host)
        if name in LOOPBACK or name == self._host:
            return True
        return self._host in WILDCARDS and (_is_address(name) or name in _own_names())

    def _is_token(self, said: str) -> bool:
        return hmac.compare_digest(said.encode(), self._token.encode())


def guard(access: Access, refuse: Refuse) -> Middleware:
    """Return the middleware that answers whoever may not ask, and adds the headers to all else."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        trouble = _trouble(request, access)
        if trouble is not None:
            return refuse(request, *trouble)
        if access.is_presented(request) and request.method == "GET":
            return _welcome(request, access)
        return await handler(request)

    return guarded


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Forbid a browser whatever no page of ours needs. Called before each answer is sent."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


def _trouble(request: web.Request, access: Access) -> tuple[int, str] | None:
    """Return the status and the words with which to refuse a request, or None."""
    if not access.is_ours(request.host):
        return HTTPStatus.FORBIDDEN, "This server is not known under that name."
    if request.method not in ("GET", "HEAD", "POST"):
        return HTTPStatus.METHOD_NOT_ALLOWED, "These pages can only be read."
    if not _is_same_origin(request):
        return HTTPStatus.FORBIDDEN, "A page of another site asked for this."
    if request.path.startswith(OPEN_TO_ALL):
        return None
    if not access.knows(request) and not access.is_presented(request):
        return (
            HTTPStatus.FORBIDDEN,
            "Open the address that `batcher web` printed: it has the token in it.",
        )
    if request.method == "POST" and not access.knows(request):
        return (
            HTTPStatus.FORBIDDEN,
            "Open the page first, by the address that `batcher web` printed.",
        )
    return None


def _is_same_origin(request: web.Request) -> bool:
    """Whether a page of ours asks; a GET without an Origin is a person's, a POST must have one."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.method != "POST"
    try:
        return URL(origin).authority == URL(f"http://{request.host}").authority
    except ValueError:
        return False


def _welcome(request: web.Request, access: Access) -> web.Response:
    """Give the cookie, and lead on to the same address without the token.

    This is a page that leads on, not a redirect: a browser that comes from another site, or from a
    mail, sends no strict cookie along with a redirect.
    """
    # Relative to this server, whatever path was asked for: `//host` would lead elsewhere.
    there = "/" + str(request.rel_url.without_query_params(TOKEN)).lstrip("/\\")
    quoted = there.replace("&", "&amp;").replace('"', "%22").replace("<", "%3C")
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>batcher</title>'
        f'<link rel="icon" href="{OPEN_TO_ALL}icon.svg">'
        f'<meta http-equiv="refresh" content="0;url={quoted}"></head>'
        f'<body><p><a href="{quoted}">Continue</a></p></body></html>'
    )
    response = web.Response(text=text, content_type="text/html")
    access.grant(response)
    return response


def _name_in(host: str) -> str:
    """Return the name or address in a Host header, without the port."""
    try:
        return (URL(f"http://{host}").host or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _own_names() -> frozenset[str]:
    name = socket.gethostname().lower()
    return frozenset({name, name.partition(".")[0]})
