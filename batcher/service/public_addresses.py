"""Where the service may go for a caller: to public addresses where URLs are allowed, to this
machine where that is.

The address that was checked is the one that is connected to; so neither a name that resolves
differently the second time nor another spelling of an address leads into this machine or its
network.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NOT_PUBLIC: Final = tuple(  # Python's own list differs from version to version
    ipaddress.ip_network(network)
    for network in (
        # IPv4: this network, carriers' NAT, assignments, 6to4 relays, benchmarks, documentation,
        # multicast, the rest
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # IPv6: only 2000::/3 is given out, and of that not what holds an IPv4 address (6to4,
        # Teredo) or is for books
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)


@dataclass(frozen=True, slots=True)
class Reach:
    """`urls`: public addresses; `loopback`: this machine's own."""

    urls: bool = False
    loopback: bool = False

    def admits(self, address: str) -> bool:
        """An address in any spelling; what is none is out of reach."""
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if ip.is_loopback:
            return self.loopback
        return self.urls and is_public(ip)


def is_public(ip: Address) -> bool:
    return ip.is_global and not any(
        ip in network for network in NOT_PUBLIC if network.version == ip.version
    )


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
