"""IP addresses: which of them are on the public internet, and which only here. Pure."""

from __future__ import annotations

import ipaddress
from typing import Final

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
# Where a network has IPv6 alone, its resolver puts the IPv4 address of a host into this one.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def parse_address(text: str) -> Address | None:
    """The address that `text` spells, without its zone; None where it spells none."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def as_connected(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, by mapping or by NAT64; else the address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether it belongs to the public internet.

    An IPv6 address that holds an IPv4 one does not, whatever it holds; see `as_connected`.
    """
    return address.is_global and not any(
        address in network for network in NOT_PUBLIC if network.version == address.version
    )


def is_of_this_link(address: Address) -> bool:
    """Whether it means this machine or its own link, and so another host on each machine."""
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
    )


def is_loopback(host: str) -> bool:
    """Whether a name or an address means this very machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = parse_address(host)
    return address is not None and as_connected(address).is_loopback
