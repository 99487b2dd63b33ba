"""Where a link in a result may lead: it is foreign words, and whoever follows it stands inside
somebody's network.

Over https to the public world, or to the service itself. To this machine only where the service is
on it; to private networks only where the service is none of the hosted ones, which have nothing
there.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import SplitResult, urlsplit

from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from batcher.common.urls import split_url
from batcher.reducto.api_types import SERVICES

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_HOSTED: Final = frozenset(urlsplit(url).hostname for url in SERVICES.values())


class Elsewhere(OSError):
    """A name that leads to where a link may not lead."""


def may_lead_to(url: str, base: str) -> bool:
    """Whether a link of the service at `base` may be followed, as far as its words tell."""
    link = _split(url)
    home = _split(base)
    if link is None or home is None or link.scheme not in ("http", "https"):
        return False
    host = _host(link)
    if host == _host(home):
        return link.scheme == "https" or home.scheme == "http"
    if _is_loopback(host):
        return _is_loopback(_host(home))
    address = _address(host)
    return link.scheme == "https" and (address is None or _is_open(address, _host(home)))


def is_on_this_machine(url: str) -> bool:
    """Whether it names this very machine, so that nothing on the way there belongs to anybody
    else.
    """
    parts = _split(url)
    return parts is not None and _is_loopback(_host(parts))


class Resolver(ThreadedResolver):
    """Finds the addresses of names in links; raises Elsewhere where one leads to where a link may
    not lead.
    """

    def __init__(self, base: str) -> None:
        super().__init__()
        home = _split(base)
        self._home = "" if home is None else _host(home)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        if host.lower() == self._home or _is_loopback(self._home):
            return found
        for one in found:
            address = _address(one["host"].partition("%")[0])
            if address is None or not _is_open(address, self._home):
                raise Elsewhere(f"a link to {host}, which is at {one['host']}, is not followed")
        return found


def _is_open(address: Address, home: str) -> bool:
    if (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
    ):
        return _is_loopback(home)
    return address.is_global or home not in _HOSTED


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return (
        host == "localhost"
        or host.endswith(".localhost")
        or (address is not None and address.is_loopback)
    )


def _address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".").lower()


def _split(url: str) -> SplitResult | None:
    """None for what names no host."""
    parts = split_url(url)
    return parts if parts and parts.hostname and url.isprintable() else None
