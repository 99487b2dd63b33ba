"""How many hands fit on a node. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batcher.cluster.messages import Wanted
from batcher.common.formatting import format_bytes

ROUNDING = 1e-9  # what is lost where fractions of cores are added up


@dataclass(frozen=True, slots=True)
class Room:
    """A node, and what it has, by Ray's names: CPU, memory in bytes, resources of its own."""

    address: str
    has: Mapping[str, float]


def needs_of(wanted: Wanted) -> dict[str, float]:
    """Return what a hand takes, by Ray's names."""
    needs = {"CPU": wanted.cpus, "memory": float(wanted.memory), **wanted.resources}
    return {name: amount for name, amount in needs.items() if amount}


def room_in(room: Room, wanted: Wanted) -> int:
    """Return how many hands the node has room for, if nobody else used it."""
    needs = needs_of(wanted)
    return min(int(room.has.get(name, 0) / amount + ROUNDING) for name, amount in needs.items())


def too_small(rooms: Sequence[Room], wanted: Wanted) -> str:
    """Return why no node has room for a hand, in a sentence for people."""
    needs = needs_of(wanted)
    lacking = [
        name
        for name, amount in needs.items()
        if max((room.has.get(name, 0) for room in rooms), default=0) < amount
    ]
    name = lacking[0] if lacking else next(iter(needs))
    most = max((room.has.get(name, 0) for room in rooms), default=0)
    keys = {"CPU": "cluster.cpus", "memory": "cluster.memory"}
    key = keys.get(name, "cluster.resources")
    return (
        f"no node of the cluster has room for a hand: each takes {_amount(name, needs[name])}, and "
        f"the largest of {len(rooms)} nodes has {_amount(name, most)}; ask for less with {key}, or "
        "add a larger node"
    )


def _amount(name: str, amount: float) -> str:
    if name == "memory":
        return f"{format_bytes(int(amount))} of memory"
    return f"{amount:g} {name}"
