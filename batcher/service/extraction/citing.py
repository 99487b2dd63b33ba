"""Convert extracted values into the API's shapes: plain, or with citations beside each value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from batcher.service.extraction.document_index import Spot
from batcher.service.extraction.found import Tree, Value

SURE: Final = 0.85  # lowest score of a citation with high confidence


def plain(tree: Tree) -> Any:
    """Return the tree with each `Value` replaced by its value."""
    match tree:
        case Value():
            return tree.value
        case dict():
            return {name: plain(branch) for name, branch in tree.items()}
        case _:
            return [plain(branch) for branch in tree]


def cited(tree: Tree, settings: Mapping[str, Any]) -> Any:
    """Return the tree with {value, citations} for each leaf.

    `settings` are the request's `settings.citations`.
    """
    match tree:
        case Value():
            citations = [_citation(tree, spot, text, settings) for spot, text in tree.spots]
            return {"value": tree.value, "citations": citations}
        case dict():
            return {name: cited(branch, settings) for name, branch in tree.items()}
        case _:
            return [cited(branch, settings) for branch in tree]


def count_leaves(tree: Tree) -> int:
    """Return the number of values in the tree."""
    match tree:
        case Value():
            return 1
        case dict():
            return sum(map(count_leaves, tree.values()))
        case _:
            return sum(map(count_leaves, tree))


def _citation(value: Value, spot: Spot, text: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    block = spot.block
    sure = value.score >= SURE and block.get("confidence") != "low"
    numbers = {"extract_confidence": round(value.score, 4), "parse_confidence": spot.confidence}
    return {
        "type": block["type"],
        "content": text,
        "bbox": _bbox(spot),
        "confidence": "high" if sure else "low",
        "granular_confidence": numbers if settings.get("numerical_confidence", True) else None,
        "parentBlock": {**block, "content": ""}
        if settings.get("parent_block") == "bbox_only"
        else dict(block),
    }


def _bbox(spot: Spot) -> dict[str, Any]:
    left, top, right, bottom = spot.box
    place = {"left": left, "top": top, "width": right - left, "height": bottom - top}
    pages = {
        key: spot.block["bbox"][key]
        for key in ("page", "original_page")
        if key in spot.block["bbox"]
    }
    return {**{key: round(share, 6) for key, share in place.items()}, **pages}
