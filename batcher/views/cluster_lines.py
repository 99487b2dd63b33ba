"""How a cluster is, in words for people. Its values are those of `cluster.figures.values_of`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batcher.common.formatting import format_bytes, pluralize


def cluster_lines(values: Mapping[str, Any], *, under_way: bool) -> Iterator[str]:
    """Yield a line on the cluster, one for each node, and one for each trouble."""
    nodes = values["nodes"]
    if under_way:
        at = sum(1 for node in nodes if node["hands"])
        words = f"{pluralize(values['hands'], 'hand')} on {pluralize(at, 'node')}"
    else:
        words = pluralize(len(nodes), "node")
    yield f"cluster: {words}{_losses(values)}"
    for node in nodes:
        yield f"  {node['address']}: {_of_node(node, for_files=values.get('for_files', False))}"
    yield from values["refused"]


def _losses(values: Mapping[str, Any]) -> str:
    lost = [
        pluralize(number, what)
        for number, what in ((values["lost_hands"], "hand"), (values["lost_nodes"], "node"))
        if number
    ]
    return f"; {' and '.join(lost)} lost" if lost else ""


def _of_node(node: Mapping[str, Any], *, for_files: bool) -> str:
    if for_files:
        return _moved(node)
    return _read(node) if node["documents"] else _ready(node)


def _moved(node: Mapping[str, Any]) -> str:
    """Return what a node has done with files, or could do."""
    hashed = node["hashed"]
    uploaded = node["uploaded"]
    if not hashed and not uploaded:
        return f"{pluralize(node['hands'], 'hand')} for large files"
    size = format_bytes(node["bytes"])
    return f"{pluralize(hashed, 'file')} hashed, {uploaded:,} uploaded ({size})"


def _ready(node: Mapping[str, Any]) -> str:
    """Return how a node that has read nothing gets at documents."""
    how = "reads documents where they are" if node["sees_folder"] else "is sent documents"
    return f"{pluralize(node['hands'], 'hand')}, {how}"


def _read(node: Mapping[str, Any]) -> str:
    documents = pluralize(node["documents"], "document")
    pages = pluralize(node["pages"], "page")
    return f"{documents}, {pages}, {node['pages_per_second']:.3g} pages a second"
