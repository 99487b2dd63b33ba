"""Hold what was found against the schema: values beyond its limits go, and each choice is made.

Of a choice's branches the one is taken of which most is found, the first among equals; what fits
none of them is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from batcher.service.extraction.document_index import Evidence
from batcher.service.extraction.fields import Field, same
from batcher.service.extraction.found import Tree, Value
from batcher.service.extraction.limits import heeds
from batcher.service.extraction.values import MISSING, Customs, cast, customs_of

TEXTS: Final = frozenset({"string", "any"})  # kinds that take a text as it is
TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "any": object,
}


def fitted(tree: dict[str, Any], root: Field, evidence: Evidence) -> dict[str, Any]:
    """Return the tree without what doesn't fit the schema, in the schema's shape."""
    whole = _Fitting(evidence).tree(tree, root)
    assert isinstance(whole, dict)
    return whole


@dataclass
class _Fitting:
    evidence: Evidence

    @cached_property
    def customs(self) -> Customs:
        """How the document writes numbers and dates."""
        lines = [line.text for line in self.evidence.lines]
        cells = [cell for grid in self.evidence.grids for row in grid.rows for cell in row]
        return customs_of([*lines, *cells])

    def tree(self, tree: Tree, field: Field) -> Tree:
        if field.branches:
            return self._choice(tree, field)
        match tree:
            case dict():
                return {child.name: self.tree(tree[child.name], child) for child in field.children}
            case list():
                return self._items(tree, field)
        return self._value(tree, field)

    def _items(self, items: list[Any], field: Field) -> list[Any]:
        """Return the items that fit; a row keeps its place whatever is null in it."""
        assert field.item is not None
        fitting = [self.tree(item, field.item) for item in items]
        return [item for item in fitting if not isinstance(item, Value) or _found(item)]

    def _value(self, value: Value, field: Field) -> Value:
        """Return a value as the field reads it, since a choice's text may be of several types."""
        said = value.value
        if isinstance(said, str) and (field.enum or field.format or field.kind not in TEXTS):
            said = cast(said, field, self.customs)
        fits = _is_of(said, field) and heeds(said, field.limits)
        return replace(value, value=said) if fits else Value()

    def _choice(self, tree: Tree, field: Field) -> Tree:
        taken = [self.tree(tree, branch) for branch in field.branches]
        found = [
            _found(one) if _is_complete(one, branch) else 0
            for one, branch in zip(taken, field.branches, strict=True)
        ]
        if any(found):
            return taken[found.index(max(found))]
        match tree:
            case dict() if not field.path or _have_the_same_names(field.branches):
                return self.tree(tree, replace(field, branches=()))
            case list():
                return []
        return Value()


def _is_of(value: Any, field: Field) -> bool:
    if value is MISSING or value is None:
        return False
    if field.enum:
        return any(same(value, one) for one in field.enum)
    if isinstance(value, bool):
        return field.kind in ("boolean", "any")
    if field.kind == "integer" and isinstance(value, float):
        return value.is_integer()  # as JSON Schema has it
    return isinstance(value, TYPES.get(field.kind, ()))


def _is_complete(tree: Tree, branch: Field) -> bool:
    """Tell whether an object has all that its branch requires; other values are complete."""
    return not isinstance(tree, dict) or all(
        _found(tree[name]) for name in branch.required if name in tree
    )


def _found(tree: Tree) -> int:
    """Return the number of values that aren't null."""
    match tree:
        case Value():
            return int(tree.value is not None)
        case dict():
            return sum(map(_found, tree.values()))
    return sum(map(_found, tree))


def _have_the_same_names(branches: Sequence[Field]) -> bool:
    names = [[child.name for child in branch.children] for branch in branches]
    return all(one == names[0] for one in names)
