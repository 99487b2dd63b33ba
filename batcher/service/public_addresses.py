"""Where the service may go for a caller: to public addresses where URLs are allowed, to this
machine where that is.

The address that was checked is the one that is connected to; so neither a name that resolves
differently the second time nor another spelling of an address leads into this machine or its
network.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from batcher.common.addresses import is_public, parse_address


@dataclass(frozen=True, slots=True)
class Reach:
    """`urls`: public addresses; `loopback`: this machine's own."""

    urls: bool = False
    loopback: bool = False

    def admits(self, address: str) -> bool:
        """An address in any spelling; what is none is out of reach."""
        ip = parse_address(address)
        if ip is None:
            return False
        if ip.is_loopback:
            return self.loopback
        return self.urls and is_public(ip)


class Forbidden(OSError):
    """The name leads where nobody may look."""


def check_address(url: URL, reach: Reach) -> None:
    """`Forbidden` for other schemes, and for literal addresses out of reach, which never come to a
    resolver.
    """
    if url.scheme not in ("http", "https") or not url.host:
        raise Forbidden(str(url))
    if _is_literal(url.host) and not reach.admits(url.host):
        raise Forbidden(url.host)


def checked_connector(reach: Reach) -> aiohttp.TCPConnector:
    """Connects to what `reach` admits and to nothing else, however the address was come by."""

    def open_socket(found: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = found
        if not reach.admits(address[0]):
            raise Forbidden(address[0])
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(resolver=_CheckedResolver(reach), socket_factory=open_socket)


class _CheckedResolver(AbstractResolver):
    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        admitted = [entry for entry in found if self._reach.admits(entry["host"])]
        if not admitted:
            raise Forbidden(host)
        return admitted

    async def close(self) -> None:
        await self._inner.close()


def _is_literal(host: str) -> bool:
    """As aiohttp decides what to resolve:

    `127.1` and 2130706433 are among them, and lead to 127.0.0.1.
    """
    return ":" in host or host.replace(".", "").isdigit()
