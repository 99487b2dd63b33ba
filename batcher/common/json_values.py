"""Read and convert values of listings and manifests that JSON can hold. Pure.

Python, Parquet and TOML have more types than JSON. Values with one plain form as text become that
text; all others are refused, before anything is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from math import isfinite, isnan
from typing import Any, Final
from uuid import UUID

# Levels of nesting; no real data has more, and recursion is limited.
DEEPEST: Final = 100


class KeyTwice(ValueError):
    """An object has a key twice: of the two values one would be ignored without a word."""


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of these pairs, as `object_pairs_hook` of `json.loads`. Raises KeyTwice."""
    read = dict(pairs)
    if len(read) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise KeyTwice(f"the key {twice!r} is there twice")
    return read


def as_json(value: Any, where: str, *, depth: int = 0) -> Any:
    """Return `value` as JSON can hold it; NaN, which tables use for missing numbers, becomes None.

    Dates and times become ISO 8601, decimals keep all digits, and bytes are decoded as UTF-8.
    `where` names the value in messages. Raises ValueError if JSON has no form for it.
    """
    if depth > DEEPEST:
        raise ValueError(f"{where}: nested more than {DEEPEST} deep")
    match value:
        case None | bool() | int():
            return value
        case str():
            return _text(value, where)
        case float():
            return _number(value, where)
        case date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case UUID() | timedelta():
            return str(value)
        case bytes():
            return _decoded(value, where)
        case Mapping():
            return {
                _key(key, where): as_json(one, f"{where}.{key}", depth=depth + 1)
                for key, one in value.items()
            }
        case list() | tuple():
            return [as_json(one, f"{where}[{n}]", depth=depth + 1) for n, one in enumerate(value)]
    raise ValueError(f"{where}: {type(value).__name__} has no form in JSON")


def _text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = ascii(value[error.start])
        raise ValueError(f"{where}: {half} is half a character, which no text can hold") from error
    return value


def _number(value: float, where: str) -> float | None:
    if isnan(value):
        return None
    if not isfinite(value):
        raise ValueError(f"{where}: an infinite number has no form in JSON")
    return value


def _decoded(value: bytes, where: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: bytes that are no text have no form in JSON") from error


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{where}: the names of a table are text in JSON, not {key!r}")
    return _text(key, where)
