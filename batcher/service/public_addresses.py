"""Decide where the service may connect to for a caller: public addresses, or this machine.

Both are off unless allowed. The address that is checked is the one that is connected to. So neither
a name that resolves differently the second time nor another spelling of an address leads into this
machine or its network.
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

NOT_PUBLIC: Final = tuple(  # the list in Python's `ipaddress` differs from version to version
    ipaddress.ip_network(network)
    for network in (
        # IPv4: this network, private networks, carriers' NAT, loopback, link-local, protocol
        # assignments, 6to4 relays, benchmarks, documentation, multicast, and the rest.
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
        # IPv6: only 2000::/3 is assigned, and of that not what holds an IPv4 address (6to4, Teredo)
        # or is for documentation.
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
    """Where connections may go: `urls` allows public addresses, `loopback` this machine's own."""

    urls: bool = False
    loopback: bool = False

    def admits(self, address: str) -> bool:
        """Tell whether an IP address, in any spelling, is allowed; text that is none isn't."""
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if ip.is_loopback:
            return self.loopback
        return self.urls and is_public(ip)


def is_public(ip: Address) -> bool:
    """Tell whether an address is on the public Internet."""
    return ip.is_global and not any(
        ip in network for network in NOT_PUBLIC if network.version == ip.version
    )


class Forbidden(OSError):
    """The address isn't allowed."""


def check_address(url: URL, reach: Reach) -> None:
    """Raise Forbidden unless the URL is http(s) and its host, if it is an address, is allowed.

    Literal addresses have to be checked here, since they are never resolved.
    """
    if url.scheme not in ("http", "https") or not url.host:
        raise Forbidden(str(url))
    if _is_literal(url.host) and not reach.admits(url.host):
        raise Forbidden(url.host)


def checked_connector(reach: Reach) -> aiohttp.TCPConnector:
    """Return a connector that connects only to addresses that `reach` allows."""

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
    """Tell whether aiohttp takes the host for an address and doesn't resolve it.

    It does so for `127.1` and 2130706433, which lead to 127.0.0.1.
    """
    return ":" in host or host.replace(".", "").isdigit()
