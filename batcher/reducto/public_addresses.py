"""Decides where a link in a result may lead. Pure, except for `Resolver`.

The link comes from outside, and the machine that follows it is inside somebody's network. It may
lead over https to the public internet, or to the service itself; to this machine only if the
service runs on it; and to private networks only if the service isn't one of the hosted ones, which
have nothing there.
"""

from __future__ import annotations

import socket
from typing import Final
from urllib.parse import SplitResult, urlsplit

from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from batcher.common.addresses import (
    Address,
    as_connected,
    is_loopback,
    is_of_this_link,
    is_public,
    parse_address,
)
from batcher.common.urls import split_url
from batcher.reducto.api_types import SERVICES

_HOSTED: Final = frozenset(urlsplit(url).hostname for url in SERVICES.values())


class Elsewhere(OSError):
    """The name of a link resolves to an address to which no link may lead."""


def may_lead_to(url: str, base: str) -> bool:
    """Whether a link of the service at `base` may be followed, judged by its text alone."""
    link = _split(url)
    home = _split(base)
    if link is None or home is None or link.scheme not in ("http", "https"):
        return False
    host = _host(link)
    if host == _host(home):
        return link.scheme == "https" or home.scheme == "http"
    if is_loopback(host):
        return is_loopback(_host(home))
    address = _address(host)
    return link.scheme == "https" and (address is None or _is_open(address, _host(home)))


def is_on_this_machine(url: str) -> bool:
    """Whether the URL names this machine, so that no third party is on the way there."""
    parts = _split(url)
    return parts is not None and is_loopback(_host(parts))


class Resolver(ThreadedResolver):
    """Resolves the names in links; raises Elsewhere if no link may lead to an address found."""

    def __init__(self, base: str) -> None:
        super().__init__()
        home = _split(base)
        self._home = "" if home is None else _host(home)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        if host.lower() == self._home or is_loopback(self._home):
            return found
        for one in found:
            address = _address(one["host"])
            if address is None or not _is_open(address, self._home):
                raise Elsewhere(f"a link to {host}, which is at {one['host']}, is not followed")
        return found


def _is_open(address: Address, home: str) -> bool:
    if is_of_this_link(address):
        return is_loopback(home)
    return is_public(address) or home not in _HOSTED


def _address(host: str) -> Address | None:
    address = parse_address(host)
    return None if address is None else as_connected(address)


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".").lower()


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL; None if it names no host."""
    parts = split_url(url)
    return parts if parts and parts.hostname and url.isprintable() else None
