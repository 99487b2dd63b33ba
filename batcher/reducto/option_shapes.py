"""The shapes of a job's options for each endpoint, made from the types of the requests. Pure.

A shape is the name of a JSON type, a list of alternatives, or a table: `keys` of an object and
which of them it `needs`, `each` item of a list, or the only values `among` which one may be chosen.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from batcher.reducto.request_schema import BODIES, OR_NULL

Shape = str | list[Any] | dict[str, Any]

_NAMES: Final[Mapping[Any, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    Any: "any",
}
_OURS: Final = frozenset({"input", "async"})  # what a run says itself


def _shape_of(kind: Any) -> Shape:
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *notes = get_args(kind)
        shape = _shape_of(inner)
        if OR_NULL not in notes:
            return shape
        return [*shape, "null"] if isinstance(shape, list) else [shape, "null"]
    if origin in (Union, types.UnionType):
        shapes = [_shape_of(one) for one in get_args(kind) if one is not types.NoneType]
        return shapes[0] if len(shapes) == 1 else shapes
    if origin is Literal:
        return {"among": list(get_args(kind))}
    if origin is list:
        return {"each": _shape_of(get_args(kind)[0])}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _table_of(kind)
    return _NAMES[origin or kind]


def _table_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    tag = kind.__struct_config__.tag_field
    keys: dict[str, Shape] = {tag: {"among": [kind.__struct_config__.tag]}} if tag else {}
    needs = list(keys)
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in _OURS:
            keys[field.encode_name] = _shape_of(hints[field.name])
            needs += [field.encode_name] if field.required else []
    return {"keys": keys, "needs": needs}


SHAPES: Final[Mapping[str, dict[str, Any]]] = {
    str(type).lower(): _table_of(body) for type, body in BODIES.items()
}
