"""The shape of extracted values: what type each field has, nested objects and lists included. Pure.

A shape comes from the job's JSON Schema if there is one, and otherwise from the values themselves.
It is plain JSON, so the ledger can keep it: a string names a type, a list of one shape stands for
a list of such values, and a dictionary for an object with these fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, TypeAlias

from batcher.common.strict_json import encoded, sound

Shape: TypeAlias = "str | list[Any] | dict[str, Any]"

BOOLEAN: Final = "boolean"
INTEGER: Final = "integer"  # 64 bits
NUMBER: Final = "number"  # a float
TEXT: Final = "text"
DATE: Final = "date"
TIMESTAMP: Final = "timestamp"  # a moment, in UTC
JSON: Final = "json"  # anything, as JSON text: no type holds all of its values
UNKNOWN: Final = "unknown"  # no value has been seen yet

_DEEPEST: Final = 32  # levels; what is deeper becomes JSON
_MOST_FIELDS: Final = 1_000  # of an object; one with more has data for names
_INT64: Final = 1 << 63
_LARGEST_EXACT: Final = 1 << 53  # of the integers that a float holds exactly
_SECTION: Final[dict[str, Shape]] = {
    "section": TEXT,
    "partition": TEXT,
    "pages": [INTEGER],
    "conf": TEXT,
}
_FORMATS: Final = {"date": DATE, "date-time": TIMESTAMP}
_NAMES: Final = {"boolean": BOOLEAN, "integer": INTEGER, "number": NUMBER, "string": TEXT}


# --- from a schema --------------------------------------------------------------------------------


def shape_of_schema(schema: Any) -> Shape:
    """Return the shape of the values that a JSON Schema describes; JSON where it allows several."""
    root = schema if isinstance(schema, Mapping) else {}
    return _of_schema(schema, root, 1)


def shape_of_job(endpoint: str, options: Mapping[str, Any]) -> dict[str, Shape] | None:
    """Return the shape of the records that a job makes, or None if only they show it.

    A parse makes none, which is {}. Where the schema of an extract describes a list of objects,
    the shape is that of one of them.
    """
    if endpoint == "parse":
        return {}
    if endpoint == "split":
        return dict(_SECTION)
    instructions = options.get("instructions")
    schema = instructions.get("schema") if isinstance(instructions, Mapping) else None
    if endpoint != "extract" or not isinstance(schema, Mapping):
        return None
    shape = shape_of_schema(schema)
    if isinstance(shape, list):
        shape = shape[0]
    return shape if isinstance(shape, dict) else None


def _of_schema(schema: Any, root: Mapping[str, Any], depth: int) -> Shape:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return JSON
    schema = _resolved(schema, root)
    types = _types_of(schema)
    if len(types) != 1:
        return JSON
    if types == ["object"]:
        return _of_properties(schema.get("properties"), root, depth)
    if types == ["array"]:
        return [_of_schema(schema.get("items"), root, depth + 1)]
    if types == ["string"]:
        return _FORMATS.get(str(schema.get("format")), TEXT)
    return _NAMES.get(types[0], JSON)


def _of_properties(properties: Any, root: Mapping[str, Any], depth: int) -> Shape:
    if not isinstance(properties, Mapping) or not 0 < len(properties) <= _MOST_FIELDS:
        return JSON
    return {str(name): _of_schema(one, root, depth + 1) for name, one in properties.items()}


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references and choices of which null leaves only one, a few at most."""
    for _ in range(_DEEPEST):
        inner = _referred(schema, root) or _only_choice(schema)
        if inner is None:
            return schema
        schema = inner
    return {}


def _referred(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _only_choice(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for word in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(word)
        if isinstance(choices, list):
            real = [one for one in choices if isinstance(one, Mapping) and one != {"type": "null"}]
            return real[0] if len(real) == 1 else None
    return None


def _types_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that a schema names or implies, without null."""
    said = schema.get("type")
    if said is None:
        said = _implied(schema)
    names = said if isinstance(said, list) else [said]
    return [str(name) for name in names if name not in ("null", None)]


def _implied(schema: Mapping[str, Any]) -> list[str]:
    if "properties" in schema:
        return ["object"]
    if "items" in schema:
        return ["array"]
    values = schema.get("enum") or [schema.get("const")]
    shape: Shape = UNKNOWN
    for value in values if isinstance(values, list) else []:
        shape = widened(shape, value)
    by_shape = {shape: name for name, shape in _NAMES.items()}
    return [by_shape[shape]] if isinstance(shape, str) and shape in by_shape else []


# --- from values ----------------------------------------------------------------------------------


def widened(known: Shape, value: Any, depth: int = 1) -> Shape:
    """Return a shape that holds `value` and everything that `known` holds.

    Text stays text, whatever it looks like: only a schema says that it is a date.
    """
    if value is None or known == JSON:
        return known
    if isinstance(value, Mapping):
        return _widened_object(known, value, depth)
    if isinstance(value, list):
        return _widened_list(known, value, depth)
    return merged(known, _simple(value))


def merged(one: Shape, other: Shape) -> Shape:
    """Return a shape that holds what either holds."""
    if one == other or other == UNKNOWN:
        return one
    if one == UNKNOWN:
        return other
    if isinstance(one, dict) and isinstance(other, dict):
        both = {name: merged(one.get(name, UNKNOWN), shape) for name, shape in other.items()}
        return {**one, **both}
    if isinstance(one, list) and isinstance(other, list):
        return [merged(one[0], other[0])]
    kinds = {str(one), str(other)}
    if kinds == {INTEGER, NUMBER}:
        return NUMBER
    return TEXT if kinds <= {TEXT, DATE, TIMESTAMP} else JSON


def settled(shape: Shape) -> Shape:
    """Return the shape with types for what has had no value: text, and JSON for empty objects."""
    if isinstance(shape, list):
        return [settled(shape[0])]
    if isinstance(shape, dict):
        return {name: settled(inner) for name, inner in shape.items()} or JSON
    return TEXT if shape == UNKNOWN else shape


def _widened_object(known: Shape, value: Mapping[str, Any], depth: int) -> Shape:
    fields = {} if known == UNKNOWN else known
    if not isinstance(fields, dict) or depth > _DEEPEST:
        return JSON
    wider = dict(fields)
    for name, inner in value.items():
        wider[sound(name)] = widened(wider.get(sound(name), UNKNOWN), inner, depth + 1)
    return wider if len(wider) <= _MOST_FIELDS else JSON


def _widened_list(known: Shape, values: list[Any], depth: int) -> Shape:
    known = [UNKNOWN] if known == UNKNOWN else known
    if not isinstance(known, list) or depth > _DEEPEST:
        return JSON
    inner = known[0]
    for value in values:
        inner = widened(inner, value, depth + 1)
    return [inner]


def _simple(value: Any) -> str:
    match value:
        case bool():
            return BOOLEAN
        case int() if -_INT64 <= value < _INT64:
            return INTEGER
        case float():
            return NUMBER
        case str():
            return TEXT
        case _:
            return JSON


# --- values in a shape ----------------------------------------------------------------------------


def fit(value: Any, shape: Shape, misfits: dict[str, Any], where: str = "") -> Any:
    """Return `value` as its shape wants it, null where it doesn't fit.

    What doesn't fit, and fields that the shape doesn't have, go into `misfits` by their place, as
    in `lines[2].total`; so nothing is lost.
    """
    if value is None:
        return None
    if isinstance(shape, dict) and isinstance(value, Mapping):
        return _fit_object(value, shape, misfits, where)
    if isinstance(shape, list) and isinstance(value, list):
        return [
            fit(inner, shape[0], misfits, f"{where}[{number}]")
            for number, inner in enumerate(value)
        ]
    fitted = _as(value, shape) if isinstance(shape, str) else None
    if fitted is None:
        misfits[where] = value
    return fitted


def _fit_object(
    value: Mapping[str, Any], shape: dict[str, Any], misfits: dict[str, Any], where: str
) -> dict[str, Any]:
    prefix = f"{where}." if where else ""
    given = {sound(name): inner for name, inner in value.items()}
    for name in given.keys() - shape.keys():
        misfits[f"{prefix}{name}"] = given[name]
    return {
        name: fit(given.get(name), inner, misfits, f"{prefix}{name}")
        for name, inner in shape.items()
    }


def _as(value: Any, shape: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match shape:
        case "json":
            return encoded(value).decode()
        case "text" if isinstance(value, str):
            return sound(value)
        case "boolean" if isinstance(value, bool):
            return value
        case "integer" if is_number and value == value // 1 and -_INT64 <= value < _INT64:
            return int(value)
        case "number" if is_number and _is_exact(value):
            return float(value)
        case "date" if isinstance(value, str):
            return _date(value)
        case "timestamp" if isinstance(value, str):
            return _moment(value)
    return None


def _is_exact(value: float) -> bool:
    """Return whether a float holds the number as it is."""
    return isinstance(value, float) or abs(value) <= _LARGEST_EXACT


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    """Return a moment, or None if the text doesn't say in which zone it is."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
