"""Read the JSON Schema of an extract request into fields. Pure; knows nothing of documents.

Supports what schemas for extraction use: properties, items, types and formats, enums, unions, local
references, and what limits a single value. Keywords that change nothing here are named by
`unheeded`.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.extraction.fields import CONTAINERS, Field, same, united
from batcher.service.extraction.limits import limits_in, unheeded_in
from batcher.service.parsing.pages import DocumentProblem

__all__ = ["Field", "invalid", "read_schema", "unheeded"]

Part = Mapping[str, Any]

TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
# Levels of nesting, and steps of following references.
DEEPEST: Final = 20
MOST: Final = 5_000  # fields; nested references multiply them
STEPS: Final = 20 * MOST  # parts of a schema that are read to get these fields
JOINED: Final = frozenset({"$ref", "allOf"})
UNIONS: Final = ("anyOf", "oneOf")
NOTHING: Final[Part] = {"type": "null"}  # what no value fits is null here, or an empty list
DESCRIBED: Final = {"properties": "object", "items": "array"}
ENDLESS: Final = "is nested too deeply, has too many fields, or refers to itself"
MIXED: Final = (
    "between objects, lists and single values no choice is made here: the first of them is taken"
)
# An object with none of these is the short form, names of fields and their types.
KEYWORDS: Final = frozenset(
    "type properties items enum const $ref anyOf oneOf allOf $defs definitions $schema".split()
)
WRAP: Final = (
    'is no JSON Schema; wrap the fields in {"type": "object", "properties": {…}}, each with its '
    '"type"'
)


def read_schema(schema: Any) -> Field:
    """Return the root field, an object.

    `{"total": "number", "items": [{"name": "string"}]}` is read as well: fields and their types
    without JSON Schema's words, as people write them and as models understand them.

    Raises DocumentProblem INVALID_SCHEMA with the place and the problem if the schema can't be
    used.
    """
    root, _ = _read(schema)
    if root.kind != "object":
        raise invalid("", f"its top level must be of type object, not {root.kind}")
    if not root.children:
        raise invalid("", "has no properties, so there is nothing to extract")
    return root


def unheeded(schema: Any) -> list[str]:
    """Return a sentence for each keyword of a schema that changes nothing here.

    Raises DocumentProblem like `read_schema`.
    """
    _, notes = _read(schema)
    return [f"{place}: {reason}" for place, reason in notes.items()]


def _read(schema: Any) -> tuple[Field, Mapping[str, str]]:
    if not isinstance(schema, Mapping):
        raise invalid("", "must be an object of JSON Schema")
    if schema and not KEYWORDS & schema.keys():
        schema = _written_out(schema, ())
    reading = _Reading(schema)
    return reading.field(schema), reading.notes


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
    """Reads one schema, counting its fields against `MOST`, and notes what of it changes nothing.

    A schema is read in parts that all apply at once: its own words, without those that refer to
    others, and the parts of what it refers to and of `allOf`.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MOST
        self._steps = STEPS
        self.notes: dict[str, str] = {}

    def field(self, node: Any, path: tuple[str, ...] = (), *, depth: int = 0) -> Field:
        """Return the field of a node, which stands `depth` levels deep."""
        return self._whole(self._parts(node, ".".join(path), 0), path, depth, hops=0)

    def _whole(self, parts: list[Part], path: tuple[str, ...], depth: int, *, hops: int) -> Field:
        """Return the field of parts that apply together, with a branch for each of its choices."""
        where = ".".join(path)
        self._left -= 1
        if max(depth, hops) > DEEPEST or self._left < 0:
            raise invalid(where, ENDLESS)
        choices = [choice for part in parts for choice in _choices(part, where)]
        if not choices:
            return self._plain(parts, path, depth)
        common = [_without(part, UNIONS) for part in parts]
        branches = [
            self._whole(
                [*common, *self._chosen(chosen, common, where, hops)], path, depth, hops=hops + 1
            )
            for chosen in itertools.product(*choices)
        ]
        if len({branch.family for branch in branches}) > 1:
            self._note(where, next(key for part in parts for key in UNIONS if key in part), MIXED)
        return united(branches)

    def _chosen(
        self, nodes: Iterable[Any], common: list[Part], where: str, hops: int
    ) -> Iterator[Part]:
        """Yield the parts of a choice's branches; what the choice says of itself goes before."""
        for node in nodes:
            for part in self._parts(node, where, hops):
                yield _below(common, part)

    def _plain(self, parts: list[Part], path: tuple[str, ...], depth: int) -> Field:
        where = ".".join(path)
        kinds = _kinds(parts, where)
        for part in parts:
            _list(part, "required", where)
            for keyword, reason in unheeded_in(part):
                self._note(where, keyword, reason)
        field = Field(
            path,
            kinds[0],
            title=next(filter(None, _texts(parts, "title")), ""),
            description="; ".join(dict.fromkeys(filter(None, _texts(parts, "description")))),
            format=next(filter(None, _texts(parts, "format")), ""),
            enum=_enum(parts, where),
        )
        if len({kind in CONTAINERS and kind for kind in kinds}) > 1:
            self._note(where, "type", MIXED)
        if field.kind == "object":
            required = {name for part in parts for name in part.get("required", ())
                        if isinstance(name, str)}  # fmt: skip
            children = tuple(self._children(parts, path, depth))
            return replace(field, children=children, required=frozenset(required))
        if field.kind == "array":
            items = [part["items"] for part in parts if part.get("items") or _is_no(part, "items")]
            return replace(field, item=self._together(items, path, depth))
        field = replace(field, limits=tuple(limit for part in parts for limit in limits_in(part)))
        return united([replace(field, kind=kind) for kind in kinds])

    def _children(
        self, parts: Sequence[Part], path: tuple[str, ...], depth: int
    ) -> Iterator[Field]:
        where = ".".join(path)
        nodes: dict[str, list[Any]] = {}
        for part in parts:
            properties = part.get("properties", {})
            if not isinstance(properties, Mapping):
                raise invalid(f"{where}.properties".lstrip("."), "must be an object")
            for name, node in properties.items():
                nodes.setdefault(name, []).append(node)
        for name, given in nodes.items():
            if not any(node is False for node in given):
                yield self._together(given, (*path, name), depth)

    def _together(self, nodes: list[Any], path: tuple[str, ...], depth: int) -> Field:
        """Return the field, one level deeper, of nodes that apply together."""
        where = ".".join(path)
        parts = [part for node in nodes for part in self._parts(node, where, 0)]
        return self._whole(parts, path, depth + 1, hops=0)

    def _parts(self, node: Any, where: str, hops: int) -> list[Part]:
        self._steps -= 1
        if hops > DEEPEST or self._steps < 0:
            raise invalid(where, "refers to itself")
        if node is True:
            return [{}]
        if node is False:
            return [NOTHING]
        own = _without(_mapping(node, where), JOINED)
        inner = [self._target(node["$ref"], where)] if "$ref" in node else []
        inner += _list(node, "allOf", where)
        parts = [part for one in inner for part in self._parts(one, where, hops + 1)]
        return [own, *(_below([own], part) for part in parts)]

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

    def _note(self, where: str, keyword: str, reason: str) -> None:
        place = ".".join(filter(None, (where, keyword)))
        self.notes[f"instructions.schema.{place}"] = reason


def _kinds(parts: Sequence[Part], where: str) -> list[str]:
    """Return the types that all parts allow, without null; "any" if they name none."""
    kinds: list[str] | None = None
    for types in (_types(part, where) for part in parts):
        if not types:
            continue
        kinds = types if kinds is None else _in_both(kinds, types)
        if not kinds:
            raise invalid(where, "is of several types at once, and no value is")
    if kinds is None:
        for keyword, kind in DESCRIBED.items():
            if any(keyword in part for part in parts):
                return [kind]
    if kinds is None:
        return ["any"]
    described = {kind for keyword, kind in DESCRIBED.items() if any(keyword in p for p in parts)}
    solid = [kind for kind in kinds if kind != "null"]
    return sorted(solid, key=lambda kind: kind not in described) or ["null"]


def _types(part: Part, where: str) -> list[str]:
    given = part.get("type")
    types = given if isinstance(given, list) else [] if given is None else [given]
    for type in types:
        if not isinstance(type, str) or type not in TYPES:
            raise invalid(where, f"has the type {type!r}, which is none of JSON Schema")
    return list(dict.fromkeys(types))


def _in_both(kinds: list[str], types: list[str]) -> list[str]:
    both = [kind for kind in kinds if kind in types]
    whole = "integer" in (*kinds, *types) and "number" in (*kinds, *types)
    if whole and not {"integer", "number"} & {*both}:
        both.append("integer")  # every integer is a number
    return both


def _enum(parts: Sequence[Part], where: str) -> tuple[Any, ...]:
    """Return the values that all enums and constants of the parts have, () if there are none."""
    chosen: list[Any] | None = None
    for part in parts:
        given = _list(part, "enum", where) or ([part["const"]] if "const" in part else [])
        if not given:
            continue
        if chosen is None:
            chosen = given
        chosen = [value for value in chosen if any(same(value, other) for other in given)]
        if not chosen:
            raise invalid(where, "has several lists of values that have no value in common")
    return tuple(chosen or ())


def _choices(part: Part, where: str) -> Iterator[list[Any]]:
    """Yield the branches of each choice; one with null stands for its other branches."""
    for key in UNIONS:
        branches = [node for node in _list(part, key, where) if not _is_nothing(node)]
        if branches:
            yield branches


def _is_nothing(node: Any) -> bool:
    """Tell whether a branch of a choice takes null only, or no value at all."""
    if not isinstance(node, Mapping):
        return node is False
    only_null = ("const" in node and node["const"] is None) or node.get("enum") == [None]
    return only_null or node.get("type") in ("null", ["null"])


def _is_no(part: Part, key: str) -> bool:
    return part.get(key) is False


def _below(above: Sequence[Part], part: Part) -> Part:
    """Return a part without the words that those above it say in its place."""
    said = {key for key in ("title", "description") if any(one.get(key) for one in above)}
    return _without(part, said)


def _without(part: Part, keys: Collection[str]) -> Part:
    return {key: value for key, value in part.items() if key not in keys}


def _texts(parts: Sequence[Part], key: str) -> Iterator[str]:
    return (_text(part.get(key)) for part in parts)


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
