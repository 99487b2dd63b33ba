"""The places of an answer; `schema` reads them from JSON Schema. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

# What an array and an object are filled from is not what a single value is filled from.
CONTAINERS: Final = frozenset({"object", "array"})


@dataclass(frozen=True, slots=True)
class Field:
    """One place of the answer.

    `kind` is a JSON type or "any"; an object has `children`, an array an `item`. Items of an array
    have the path of their array. `limits` are further keywords with their values, which a value
    must heed. A choice has `branches`, and is itself wide enough for what fits any of them.
    """

    path: tuple[str, ...]
    kind: str
    title: str = ""
    description: str = ""
    format: str = ""
    enum: tuple[Any, ...] = ()
    children: tuple[Field, ...] = ()
    item: Field | None = None
    limits: tuple[tuple[str, Any], ...] = ()
    required: frozenset[str] = frozenset()
    branches: tuple[Field, ...] = ()

    @property
    def name(self) -> str:
        """The name of the property, "" for the root."""
        return self.path[-1] if self.path else ""

    @property
    def family(self) -> str:
        """The kind of an object or an array; "" for single values, of whatever type."""
        return self.kind if self.kind in CONTAINERS else ""

    def leaves(self) -> Iterator[Field]:
        """Yield the scalar fields outside arrays."""
        if self.kind == "object":
            for child in self.children:
                yield from child.leaves()
        elif self.kind != "array":
            yield self

    def arrays(self) -> Iterator[Field]:
        """Yield the arrays, without those inside other arrays."""
        if self.kind == "array":
            yield self
        for child in self.children:
            yield from child.arrays()


def united(fields: Sequence[Field]) -> Field:
    """Return a field wide enough for what fits any of these, which are its branches.

    Those of another family than the first are left out.
    """
    first = fields[0]
    alike = [one for one in fields if one.family == first.family]
    if all(one == first for one in alike):
        return first
    whole = Field(
        first.path,
        _shared([one.kind for one in alike]) or "any",
        title=_shared([one.title for one in alike]),
        description=_shared([one.description for one in alike]),
        format=_shared([one.format for one in alike]),
        enum=_values(alike),
        branches=tuple(alike),
    )
    if first.kind == "object":
        return replace(whole, children=tuple(_children(alike)))
    if first.kind == "array":
        return replace(whole, item=united([one.item for one in alike if one.item]))
    return whole


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same for JSON, where 1 is not true."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _children(objects: Sequence[Field]) -> Iterator[Field]:
    by_name: dict[str, list[Field]] = {}
    for one in objects:
        for child in one.children:
            by_name.setdefault(child.name, []).append(child)
    return (united(children) for children in by_name.values())


def _values(fields: Sequence[Field]) -> tuple[Any, ...]:
    """Return all values of the fields' enums; none if a field takes others as well."""
    if not all(one.enum for one in fields):
        return ()
    values: list[Any] = []
    for value in (value for one in fields for value in one.enum):
        if not any(same(value, known) for known in values):
            values.append(value)
    return tuple(values)


def _shared(texts: Sequence[str]) -> str:
    return texts[0] if len(set(texts)) == 1 else ""
