"""Find the keys of a request that its body's type doesn't have.

They are accepted, as by the hosted service, and the answer lists them.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

NOT_KNOWN: Final = "not known here"


def unknown_keys(value: Any, kind: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted path of each unknown key; `kind` is the type that checked the value."""
    for one in _one_of(kind):
        if isinstance(value, list) and get_origin(one) is list:
            for item in value:
                yield from unknown_keys(item, get_args(one)[0], path)
        elif (
            isinstance(value, Mapping) and isinstance(one, type) and issubclass(one, msgspec.Struct)
        ):
            yield from _of_table(value, one, path)
            return


def _of_table(value: Mapping[str, Any], kind: type[msgspec.Struct], path: str) -> Iterator[str]:
    known = _fields(kind)
    tag = kind.__struct_config__.tag_field
    for name, inner in value.items():
        if name in known:
            yield from unknown_keys(inner, known[name], f"{path}{name}.")
        elif name != tag:
            yield f"{path}{name}"


@cache  # a body is checked for each document, and to resolve its annotations takes a millisecond
def _fields(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the type of each field by its name in JSON."""
    hints = get_type_hints(kind)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(kind)}


def _one_of(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
