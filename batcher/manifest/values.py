"""The kinds of values that a manifest's keys take: how each is read, and its JSON Schema. Pure.

Which key takes which kind is in `manifest.keys`.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from datetime import time
from math import inf
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from batcher.reducto.api_types import ENDPOINTS

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_YEAR: Final = 365 * 86400
# Longer ones are slips, and timers and dates of the system can't be had for all of them.
LONGEST: Final = 10 * _YEAR
_OLDEST: Final = 1000 * _YEAR
LARGEST: Final = 2**63 - 1  # of whole numbers: what SQLite can hold


def duration(value: Any, _folder: Path | None = None, *, most: float = LONGEST) -> float:
    """Return seconds, given a number of them or text as in 90s, 15m, 12h, 1d.

    Raises ValueError, also for more than `most` seconds.
    """
    seconds = _seconds(value)
    if seconds > most:
        years = round(most / _YEAR)
        raise ValueError(f"a duration of {years} years at most is wanted, not {shown(value)}")
    return float(seconds)


def _seconds(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < inf:
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"a duration as in 90s, 15m, 12h or 1d is wanted, not {shown(value)}")
    return float(match[1]) * _UNITS[match[2]]


def _age(value: Any, folder: Path) -> float:
    return duration(value, folder, most=_OLDEST)


def _refuse_huge(value: float, what: str) -> None:
    """Raise ValueError for a whole number that SQLite can't hold."""
    if isinstance(value, int) and value > LARGEST:
        raise ValueError(f"{what} up to {LARGEST} is wanted, not {shown(value)}")


def _span(value: Any, folder: Path) -> float:
    seconds = duration(value, folder)
    if not seconds:
        raise ValueError(f"a duration above 0 is wanted, not {shown(value)}")
    return seconds


def _name(value: Any, _folder: Path) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f"a name of one line is wanted, not {shown(value)}")
    return value


def _variable(value: Any, _folder: Path) -> str:
    """Return the name of a variable; a bad one isn't shown, since it may be the secret itself."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("the name of an environment variable is wanted")
    return value


def _of(what: str, *types: type) -> Callable[[Any, Path], Any]:
    def read(value: Any, _folder: Path) -> Any:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(f"{what} is wanted, not {shown(value)}")
        return value

    return read


def _path(value: Any, folder: Path) -> Path:
    if not isinstance(value, str) or not value or not _may_be_a_path(value):
        raise ValueError(f"a path is wanted, not {shown(value)}")
    return Path(posixpath.normpath(folder / value))


def _may_be_a_path(value: str) -> bool:
    """Tell whether the system could have a file of that name; half a character is in none."""
    try:
        return b"\0" not in value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False


def _strings(value: Any, _folder: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        example = f", as in [{shown(value)}]," if isinstance(value, str) else ""
        raise ValueError(f"a list of strings{example} is wanted, not {shown(value)}")
    return tuple(value)


def _url(value: Any, _folder: Path) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^/\s]\S*", value):
        raise ValueError(f"a URL as in https://… is wanted, not {shown(value)}")
    try:
        _ = urlsplit(value).port
    except ValueError as error:
        raise ValueError(f"a URL as in https://… is wanted: {error}") from None
    return value.rstrip("/")


def _bucket(value: Any, _folder: Path) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(s3|gs|az)://[^/\s?#@]+(/[^?#]*)?", value):
        raise ValueError(
            f"an address as in s3://bucket/prefix, gs://… or az://… is wanted, not {shown(value)}"
        )
    return value.rstrip("/")


def _object_store(value: Any, _folder: Path) -> str:
    if not isinstance(value, str) or not re.fullmatch(
        r"(s3|s3a|gs|az|azure|abfss?)://[^/\s?#@]+(/[^\s?#]*)?", value
    ):
        raise ValueError(f"a place as in s3://bucket/prefix is wanted, not {shown(value)}")
    return value.rstrip("/")


def _positive(what: str, *types: type[int] | type[float]) -> Callable[[Any, Path], Any]:
    def read(value: Any, _folder: Path) -> Any:
        if not isinstance(value, types) or isinstance(value, bool) or not 0 < value < inf:
            raise ValueError(f"{what} above 0 is wanted, not {shown(value)}")
        _refuse_huge(value, what)
        return value

    return read


def _not_negative(value: Any, _folder: Path) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < inf:
        raise ValueError(f"a number, 0 or above, is wanted, not {shown(value)}")
    _refuse_huge(value, "a number")
    return value


def _tries(value: Any, _folder: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"a whole number, 0 or above, is wanted, not {shown(value)}")
    _refuse_huge(value, "a whole number")
    return value


def _prices(value: Any, folder: Path) -> dict[str, float]:
    if not isinstance(value, dict) or not set(value) <= set(ENDPOINTS):
        raise ValueError(
            f"a table of dollars by endpoint ({', '.join(ENDPOINTS)}) is wanted, not {shown(value)}"
        )
    return {endpoint: READERS["amount"](dollars, folder) for endpoint, dollars in value.items()}


def _amounts(value: Any, folder: Path) -> dict[str, float]:
    if not isinstance(value, dict):
        raise ValueError(f"a table of amounts by name is wanted, not {shown(value)}")
    return {name: READERS["amount"](amount, folder) for name, amount in value.items()}


def _clock_time(value: Any, _folder: Path) -> time:
    if isinstance(value, time):  # TOML has times of its own: stop_at = 06:00:00
        return value
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"a time of day as in 06:00 is wanted, not {shown(value)}")
    return time(int(match[1]), int(match[2]))


def _address(value: Any, _folder: Path) -> tuple[str, int]:
    match = re.fullmatch(r"\[?([\w.:-]+?)\]?:(\d{1,5})", value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 65535:
        raise ValueError(f"host and port as in 127.0.0.1:8090 are wanted, not {shown(value)}")
    return match[1], int(match[2])


_SIZES: Final = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}


def _size(value: Any, _folder: Path) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        _refuse_huge(value, "a number of bytes")
        return value
    match = (
        re.fullmatch(r"(\d{1,19}(?:\.\d+)?)\s*([kMG]?)B", value) if isinstance(value, str) else None
    )
    if match is None:
        raise ValueError(
            f"a number of bytes or a size as in 10kB, 25MB or 1GB is wanted, not {shown(value)}"
        )
    size = int(float(match[1]) * _SIZES[match[2]])
    _refuse_huge(size, "a number of bytes")
    return size


READERS: Final[Mapping[str, Callable[[Any, Path], Any]]] = {
    "string": _of("text", str),
    "name": _name,
    "variable": _variable,
    "number": _not_negative,
    "boolean": _of("true or false", bool),
    "table": _of("a table", dict),
    "headers": _of("a table", dict),
    "tables": _of("a table or a list of tables", dict, list),
    "table of tables": _of("a table", dict),
    "service": _of("a service's name or a table", str, dict),
    "duration": duration,
    "span": _span,
    "age": _age,
    "size": _size,
    "path": _path,
    "url": _url,
    "object store": _object_store,
    "address": _address,
    "bucket": _bucket,
    "count": _positive("a whole number", int),
    "tries": _tries,
    "amount": _positive("a number", int, float),
    "prices": _prices,
    "amounts": _amounts,
    "clock time": _clock_time,
    "list of strings": _strings,
}

TYPES: Final[Mapping[str, dict[str, Any]]] = {
    "string": {"type": "string"},
    "name": {"type": "string", "minLength": 1},
    "variable": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    "number": {"type": "number", "minimum": 0},
    "boolean": {"type": "boolean"},
    "table": {"type": "object"},
    "headers": {"type": "object", "additionalProperties": {"type": "string"}},
    "duration": {"type": ["string", "number"], "minimum": 0, "maximum": LONGEST},
    "span": {"type": ["string", "number"], "exclusiveMinimum": 0, "maximum": LONGEST},
    "age": {"type": ["string", "number"], "minimum": 0, "maximum": _OLDEST},
    "size": {"type": ["string", "integer"]},
    "path": {"type": "string"},
    "url": {"type": "string", "format": "uri"},
    "object store": {"type": "string"},
    "address": {"type": "string"},
    "bucket": {"type": "string", "format": "uri"},
    "count": {"type": "integer", "minimum": 1, "maximum": LARGEST},
    "tries": {"type": "integer", "minimum": 0, "maximum": LARGEST},
    "amount": {"type": "number", "exclusiveMinimum": 0},
    "prices": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            endpoint: {"type": "number", "exclusiveMinimum": 0} for endpoint in ENDPOINTS
        },
    },
    "amounts": {
        "type": "object",
        "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
    },
    "clock time": {"type": "string"},
    "list of strings": {"type": "array", "items": {"type": "string"}},
}


def shown(value: Any) -> str:
    """Return the value as quoted in a message, cut off if it is long."""
    return json.dumps(value, ensure_ascii=False, default=str)[:60]
