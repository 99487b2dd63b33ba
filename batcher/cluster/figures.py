"""What the hands of each node have done, and over several foremen. Pure: moments are arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from batcher.cluster.messages import NodeFigures, Standing


@dataclass(slots=True)
class NodeCount:
    """Counts for one node; times are in seconds by any clock that only goes forward."""

    sees_folder: bool = False
    documents: int = 0
    pages: int = 0
    hashed: int = 0
    uploaded: int = 0
    bytes: int = 0
    _seconds: float = 0.0
    _busy: int = 0
    _since: float = 0.0

    def begin(self, now: float) -> None:
        """Count one more hand that reads."""
        if not self._busy:
            self._since = now
        self._busy += 1

    def end(self, now: float) -> None:
        """Count one hand less."""
        self._busy -= 1
        if not self._busy:
            self._seconds += now - self._since

    def figures(self, address: str, hands: int, now: float) -> NodeFigures:
        """Return the figures of the node, which has this many hands."""
        seconds = self._seconds + (now - self._since if self._busy else 0.0)
        return NodeFigures(
            address,
            hands,
            self.documents,
            self.pages,
            round(seconds, 3),
            self.sees_folder,
            self.hashed,
            self.uploaded,
            self.bytes,
        )


@dataclass(slots=True)
class Sum:
    """What earlier foremen's hands have done and lost, to which a foreman's own figures are added.

    A foreman that ends takes all of its hands along.
    """

    nodes: dict[str, NodeFigures] = field(default_factory=dict)
    lost_hands: int = 0
    lost_nodes: int = 0

    def with_foreman(self, own: Standing) -> Standing:
        """Return how the cluster is, by all figures."""
        return Standing(
            own.hands,
            list(_added(self.nodes, own.nodes).values()),
            self.lost_hands + own.lost_hands,
            self.lost_nodes + own.lost_nodes,
            own.refused,
            own.for_files,
        )

    def close(self, last: Standing) -> None:
        """Keep the last figures, by `with_foreman`, of a foreman that has ended."""
        self.nodes = {node.address: msgspec.structs.replace(node, hands=0) for node in last.nodes}
        self.lost_hands = last.lost_hands + last.hands
        self.lost_nodes = last.lost_nodes


def values_of(standing: Standing) -> dict[str, Any]:
    """Return how a cluster is, as plain values for programs."""
    values: dict[str, Any] = msgspec.to_builtins(standing)
    for node, figures in zip(values["nodes"], standing.nodes, strict=True):
        node["pages_per_second"] = round(figures.pages_per_second, 3)
    return values


def _added(before: Mapping[str, NodeFigures], own: Iterable[NodeFigures]) -> dict[str, NodeFigures]:
    sums = dict(before)
    for node in own:
        then = before.get(node.address, NodeFigures(node.address))
        sums[node.address] = msgspec.structs.replace(
            node,
            documents=then.documents + node.documents,
            pages=then.pages + node.pages,
            seconds=round(then.seconds + node.seconds, 3),
            hashed=then.hashed + node.hashed,
            uploaded=then.uploaded + node.uploaded,
            bytes=then.bytes + node.bytes,
        )
    return sums
