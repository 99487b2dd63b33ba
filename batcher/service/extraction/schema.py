"""Read the JSON Schema of an extract request into fields. Pure; knows nothing of documents.

Supports what schemas for extraction use: properties, items, types and formats, enums, nullable
unions and local references. Further constraints, such as patterns and bounds, are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.pages import DocumentProblem

TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
# Levels of nesting, and steps of following references.
DEEPEST: Final = 20
MOST: Final = 5_000  # fields; nested references multiply them
# An object with none of these is the short form, names of fields and their types.
KEYWORDS: Final = frozenset(
    "type properties items enum const $ref anyOf oneOf allOf $defs definitions $schema".split()
)
WRAP: Final = (
    'is no JSON Schema; wrap the fields in {"type": "object", "properties": {…}}, each with its '
    '"type"'
)


@dataclass(frozen=True, slots=True)
class Field:
    """One place of the answer.

    `kind` is a JSON type or "any"; an object has `children`, an array an `item`. Items of an array
    have the path of their array.
    """

    path: tuple[str, ...]
    kind: str
    title: str = ""
    description: str = ""
    format: str = ""
    enum: tuple[Any, ...] = ()
    children: tuple[Field, ...] = ()
    item: Field | None = None

    @property
    def name(self) -> str:
        """The name of the property, "" for the root."""
        return self.path[-1] if self.path else ""

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


def read_schema(schema: Any) -> Field:
    """Return the root field, an object.

    `{"total": "number", "items": [{"name": "string"}]}` is read as well: fields and their types
    without JSON Schema's words, as people write them and as models understand them.

    Raises DocumentProblem INVALID_SCHEMA with the place and the problem if the schema can't be
    used.
    """
    if not isinstance(schema, Mapping):
        raise invalid("", "must be an object of JSON Schema")
    if schema and not KEYWORDS & schema.keys():
        schema = _written_out(schema, ())
    root = _Reading(schema).field(schema, (), depth=0)
    if root.kind != "object":
        raise invalid("", f"its top level must be of type object, not {root.kind}")
    if not root.children:
        raise invalid("", "has no properties, so there is nothing to extract")
    return root


def invalid(where: str, problem: str) -> DocumentProblem:
    """Return the INVALID_SCHEMA problem for the place `where`, a dotted path in the schema."""
    place = f"instructions.schema{'.' if where else ''}{where}"
    return DocumentProblem(ErrorName.INVALID_SCHEMA, f"{place} {problem}", 400)


def _written_out(node: Any, path: tuple[str, ...]) -> Mapping[str, Any]:
    """Return JSON Schema for the short form; what is JSON Schema already stays as it is."""
    where = ".".join(path)
    if len(path) > DEEPEST:
        raise invalid(where, "is nested too deeply")
    if isinstance(node, str) and node in TYPES:
        return {"type": node}
    if isinstance(node, list) and len(node) == 1:
        return {"type": "array", "items": _written_out(node[0], (*path, "0"))}
    if not isinstance(node, Mapping) or not node:
        raise invalid(where, WRAP)
    if KEYWORDS & node.keys():
        return node
    fields = {name: _written_out(inner, (*path, name)) for name, inner in node.items()}
    return {"type": "object", "properties": fields}


class _Reading:
    """Reads one schema, counting its fields against `MOST`."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MOST

    def field(self, node: Any, path: tuple[str, ...], *, depth: int) -> Field:
        where = ".".join(path)
        node = self._resolved(node, where, depth)
        self._left -= 1
        if depth > DEEPEST or self._left < 0:
            raise invalid(where, "is nested too deeply, has too many fields, or refers to itself")
        field = Field(
            path,
            self._kind(node, where),
            title=_text(node.get("title")),
            description=_text(node.get("description")),
            format=_text(node.get("format")),
            enum=tuple(_list(node, "enum", where)) or ((node["const"],) if "const" in node else ()),
        )
        if field.kind == "object":
            return replace(field, children=tuple(self._children(node, path, depth)))
        if field.kind == "array":
            return replace(field, item=self.field(node.get("items") or {}, path, depth=depth + 1))
        return field

    def _children(
        self, node: Mapping[str, Any], path: tuple[str, ...], depth: int
    ) -> Iterator[Field]:
        where = ".".join(path)
        properties = node.get("properties", {})
        if not isinstance(properties, Mapping):
            raise invalid(f"{where}.properties".lstrip("."), "must be an object")
        _list(node, "required", where)
        for name, child in properties.items():
            yield self.field(child, (*path, name), depth=depth + 1)

    def _resolved(self, node: Any, where: str, depth: int) -> Mapping[str, Any]:
        """Follow references and merge unions; a union with null stands for its other branches."""
        for _ in range(DEEPEST):
            if not isinstance(node, Mapping):
                raise invalid(where, "must be an object of JSON Schema")
            outer = {key: node[key] for key in ("title", "description") if key in node}
            if "$ref" in node:
                node = {**_mapping(self._target(node["$ref"], where), where), **outer}
                continue
            branches = self._branches(node, where)
            if not branches:
                return node
            base = {
                key: value for key, value in node.items() if key not in ("anyOf", "oneOf", "allOf")
            }
            node = (
                {**base, **branches[0], **outer}
                if len(branches) == 1
                else {**base, "type": _common(branches)}
            )
        raise invalid(where, "refers to itself")

    def _branches(self, node: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
        given = [
            branch for key in ("anyOf", "oneOf", "allOf") for branch in _list(node, key, where)
        ]
        branches = [_mapping(branch, where) for branch in given]
        return [branch for branch in branches if branch.get("type") != "null"]

    def _target(self, reference: Any, where: str) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise invalid(
                where, f"refers to {reference!r}; only references within the schema are followed"
            )
        node: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            if step and not (isinstance(node, Mapping) and step in node):
                raise invalid(where, f"refers to {reference}, which isn't there")
            node = node[step] if step else node
        return node

    def _kind(self, node: Mapping[str, Any], where: str) -> str:
        given = node.get("type")
        types = given if isinstance(given, list) else [] if given is None else [given]
        for type in types:
            if not isinstance(type, str) or type not in TYPES:
                raise invalid(where, f"has the type {type!r}, which is none of JSON Schema")
        solid = [type for type in types if type != "null"]
        if len(solid) == 1:
            return str(solid[0])
        return "object" if "properties" in node else "array" if "items" in node else "any"


def _common(branches: list[Mapping[str, Any]]) -> list[str]:
    types = [branch.get("type") for branch in branches]
    return [type for type in types if isinstance(type, str)]


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid(where, "must be an object of JSON Schema")
    return value


def _list(node: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = node.get(key, [])
    if not isinstance(value, list):
        raise invalid(f"{where}.{key}".lstrip("."), "must be a list")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
