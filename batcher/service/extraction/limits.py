"""What JSON Schema may ask of a value beyond its type, and what of it nobody here heeds. Pure."""

from __future__ import annotations

import ipaddress
import math
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

NAMED: Final = "values are looked for by the names of properties"
WHOLE: Final = "a list is given as the document shows it"
ALONE: Final = "each value is looked for by itself"
# Keywords that change nothing here, and why.
UNHEEDED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        "patternProperties additionalProperties unevaluatedProperties propertyNames "
        "minProperties maxProperties".split(),
        NAMED,
    ),
    **dict.fromkeys(
        "minItems maxItems uniqueItems contains prefixItems additionalItems unevaluatedItems "
        "minContains maxContains".split(),
        WHOLE,
    ),
    **dict.fromkeys("not if dependentRequired dependentSchemas dependencies".split(), ALONE),
}
# Formats by which `values` reads a text, and those that only say how a number is stored.
READ: Final = frozenset("date date-time time email uri url".split())
STORED: Final = frozenset("int32 int64 float double".split())


# What a pattern holds that repeats nothing: escaped signs, and classes of signs.
_ONE_SIGN: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPETITION: Final = re.compile(r"[*+]|\{\d*,\d*\}")
_REPEATED_GROUP: Final = re.compile(r"\)(?:[*+]|\{)")
MOST_STEPS: Final = 5_000_000  # of a search, at worst; a quarter of a second


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_multiple(value: float, step: float) -> bool:
    times = value / step
    return math.isclose(times, round(times), rel_tol=1e-9, abs_tol=1e-9)


def _is_read_by(reader: Callable[[str], Any]) -> Callable[[str], bool]:
    def is_read(text: str) -> bool:
        try:
            reader(text)
        except ValueError:
            return False
        return True

    return is_read


def _is_found(pattern: str, text: str) -> bool:
    """Search a text. One that might take too long fits nothing, since it can't be checked."""
    repetitions = len(_REPETITION.findall(_ONE_SIGN.sub(".", pattern)))
    steps = len(text) ** (repetitions + 1) / math.factorial(repetitions + 1)
    return steps <= MOST_STEPS and re.search(pattern, text) is not None


OF_NUMBERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "minimum": lambda value, least: value >= least,
    "maximum": lambda value, most: value <= most,
    "exclusiveMinimum": lambda value, below: value > below,
    "exclusiveMaximum": lambda value, above: value < above,
    "multipleOf": _is_multiple,
}
OF_TEXTS: Final[Mapping[str, Callable[[str, Any], bool]]] = {
    "minLength": lambda text, least: len(text) >= least,
    "maxLength": lambda text, most: len(text) <= most,
    "pattern": lambda text, pattern: _is_found(pattern, text),
    "format": lambda text, name: FORMATS[name](text),
}
FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "uuid": lambda text: len(text) == 36 and _is_read_by(uuid.UUID)(text),
    "ipv4": _is_read_by(ipaddress.IPv4Address),
    "ipv6": _is_read_by(ipaddress.IPv6Address),
}


def limits_in(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keywords of a schema that limit a single value, with their values."""
    for keyword, limit in node.items():
        if _is_limit(keyword, limit):
            yield keyword, limit


def unheeded_in(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keywords of a schema that change nothing here, each with the reason."""
    for keyword, limit in node.items():
        if reason := _reason(keyword, limit):
            yield keyword, reason


def heeds(value: Any, limits: tuple[tuple[str, Any], ...]) -> bool:
    """Tell whether a value is within all limits that apply to its type."""
    for keyword, limit in limits:
        if keyword in OF_NUMBERS and _is_number(value) and not OF_NUMBERS[keyword](value, limit):
            return False
        if keyword in OF_TEXTS and isinstance(value, str) and not OF_TEXTS[keyword](value, limit):
            return False
    return True


def _reason(keyword: str, limit: Any) -> str:
    """Return why a keyword changes nothing, or "" if it does or asks for nothing."""
    if keyword in UNHEEDED:
        asks = limit and (limit is not True or keyword == "uniqueItems")
        return UNHEEDED[keyword] if asks else ""
    if keyword == "format":
        is_known = not isinstance(limit, str) or limit in READ | STORED | FORMATS.keys()
        return "" if is_known else f"{limit[:40]!r} is not checked"
    is_of_a_value = keyword in OF_NUMBERS or keyword in OF_TEXTS
    return "its value can't be read here" if is_of_a_value and not _is_limit(keyword, limit) else ""


def _is_limit(keyword: str, limit: Any) -> bool:
    match keyword:
        case "format":
            return isinstance(limit, str) and limit in FORMATS
        case "pattern":
            return isinstance(limit, str) and _is_pattern(limit)
        case "multipleOf":
            return _is_number(limit) and limit > 0
    return (keyword in OF_NUMBERS or keyword in OF_TEXTS) and _is_number(limit)


def _is_pattern(text: str) -> bool:
    """Tell whether Python reads a pattern of JavaScript's; nearly all are the same in both.

    A group that is repeated may take for ever, and nothing could stop it.
    """
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return not _REPEATED_GROUP.search(_ONE_SIGN.sub(".", text))
