"""Finds the blocks that an extract cites, and keeps them apart from the document's own text. Pure.

The API's description leaves citations open. According to its answers and its documentation they
are

- around each value, as {"value": …, "citations": […]}, in the place of every leaf of the result
  (v3_extract);
- beside the result, in `citations`, under the names that the values have there (extract).

A citation has its place in a `bbox`, and the block from which it was read, a block of a parse, in
`parentBlock`. Values are whatever the document's author wrote, so they aren't searched. If a single
value stands without citations around it, none were given, and what looks like a citation is a
value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

DEEPEST: Final = 100  # levels; citations of values that are nested more deeply are ignored
LEAF: Final = frozenset({"value", "citations"})


class _Bare(Exception):
    """A value without citations around it."""


def asks_for_citations(endpoint: str, options: Mapping[str, Any]) -> bool:
    """Whether a job asks for citations around its values."""
    settings = options.get("settings")
    asked = settings.get("citations") if isinstance(settings, Mapping) else None
    return endpoint == "extract" and isinstance(asked, Mapping) and bool(asked.get("enabled"))


def blocks_around(value: Any) -> list[Mapping[str, Any]]:
    """Return the blocks cited in a result whose every value has citations around it, or none."""
    try:
        return list(_around(value, 0))
    except _Bare:
        return []


def is_cited(value: Any) -> bool:
    """Whether every value of a result has citations around it, be it none."""
    try:
        for _ in _around(value, 0):
            pass
    except _Bare:
        return False
    return True


def blocks_beside(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the blocks cited in what stands in `citations` beside a result."""
    if depth > DEEPEST:
        return
    if is_citation(value):
        yield from _blocks(value)
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from blocks_beside(inner, depth + 1)


def _around(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    if depth > DEEPEST or not isinstance(value, Mapping | list):
        raise _Bare
    if isinstance(value, Mapping) and is_leaf(value):
        for citation in value["citations"]:
            yield from _blocks(citation)
        return
    for inner in value.values() if isinstance(value, Mapping) else value:
        yield from _around(inner, depth + 1)


def is_leaf(value: Mapping[str, Any]) -> bool:
    """Whether the object is a value with its citations.

    A schema may use these names too, but then they hold leaves in turn, and no citations.
    """
    said = value.get("citations")
    return value.keys() >= LEAF and isinstance(said, list) and all(map(is_citation, said))


def is_citation(value: Any) -> bool:
    """Whether this says from where a value was read."""
    if not isinstance(value, Mapping):
        return False
    box = value.get("bbox")
    return (
        isinstance(box, Mapping)
        and isinstance(box.get("page"), int)
        and isinstance(value.get("content"), str)
    )


def _blocks(citation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield citation
    parent = citation.get("parentBlock")
    if isinstance(parent, Mapping):
        yield parent
