"""Read the text of a SmartArt diagram from its data part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from batcher.service.parsing.slides.text import text_of


def diagram_items(root: Any) -> list[str]:
    """Return the text of each point: parents before their children, then what is in no tree."""
    points = {node.get("modelId", ""): node for node in root.iterfind("{*}ptLst/{*}pt")}
    order = dict.fromkeys([*_in_tree(points, _children(root)), *points])
    texts = (text_of(points[name]) for name in order)
    return [text for text in texts if text]


def _in_tree(points: Mapping[str, Any], children: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield the points below the document's, each once, however they refer to each other."""
    waiting = [name for name, node in points.items() if node.get("type") == "doc"]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in points:
            continue
        seen.add(name)
        yield name
        waiting += reversed(children.get(name, []))


def _children(root: Any) -> dict[str, list[str]]:
    """Return the points below each point, in their order."""
    children: dict[str, list[tuple[int, str]]] = {}
    for node in root.iterfind("{*}cxnLst/{*}cxn"):
        if node.get("type", "parOf") == "parOf":
            place = node.get("srcOrd", "")
            order = int(place) if place.isdecimal() and len(place) < 10 else 0
            children.setdefault(node.get("srcId", ""), []).append((order, node.get("destId", "")))
    return {
        name: [target for _, target in sorted(below, key=lambda one: one[0])]
        for name, below in children.items()
    }
