"""Results as rows of a table, one for each chunk, extracted object or section, and the columns they have in common.

Columns come from the job where it says enough (a parse always does, an extract by its schema), so that every file of a
step has the same; else from the rows themselves. What fits no column stands in `other`, as JSON: nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from batcher.core.results import Buffer, Origin, Record, chunks_of, read_result, records_of

Columns = Mapping[str, "Kind"]
Row = dict[str, Any]


class Kind(StrEnum):
    """What stands in a column."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"


OTHER: Final = "other"
ORIGIN: Final[Columns] = {
    "source": Kind.TEXT,
    "job": Kind.TEXT,
    "job_id": Kind.TEXT,
    "credits": Kind.NUMBER,
    "metadata": Kind.TEXT,
    "row": Kind.INTEGER,
}
CHUNK: Final[Columns] = {"page": Kind.INTEGER, "last_page": Kind.INTEGER, "content": Kind.TEXT, "embed": Kind.TEXT}
SECTION: Final[Columns] = {"section": Kind.TEXT, "partition": Kind.TEXT, "pages": Kind.TEXT, "conf": Kind.TEXT}
_TYPES: Final = {"boolean": Kind.BOOLEAN, "integer": Kind.INTEGER, "number": Kind.NUMBER}
_PIECE: Final = 1 << 20
_NO_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")  # within strings JSON writes them otherwise
_INT64: Final = 1 << 63


def rows_of(body: Buffer, origin: Origin) -> Iterator[Row]:
    """Of one result. Each row says whose it is; `credits` are the whole document's and stand in its first row alone."""
    result = read_result(body)
    whose = {"source": origin.source, "job": origin.job, "job_id": result.job_id or origin.job_id}
    for number, fields in enumerate(_fields(result), start=1):
        credits = origin.credits if number == 1 else 0.0
        yield {**whose, "credits": credits, "metadata": origin.metadata, "row": number} | {
            _own(name): value for name, value in fields.items()
        }


def line_of(body: Buffer, origin: Origin) -> Iterator[bytes]:
    """The result as one line of JSON Lines, in pieces: whose it is, and the result itself as it came."""
    facts = {
        "source": origin.source,
        "job": origin.job,
        "job_id": origin.job_id,
        "pages": origin.pages,
        "credits": origin.credits,
    }
    yield msgspec.json.encode(facts | _metadata(origin))[:-1] + b',"result":'
    for start in range(0, len(body), _PIECE):
        yield bytes(body[start : start + _PIECE]).translate(_NO_LINE_ENDS)
    yield b"}\n"


def _metadata(origin: Origin) -> dict[str, msgspec.Raw]:
    return {"metadata": msgspec.Raw(origin.metadata.encode())} if origin.metadata else {}


def lines_of(body: Buffer, origin: Origin) -> Iterator[bytes]:
    """Its rows, each a line."""
    return (
        msgspec.json.encode({name: v for name, v in row.items() if v is not None}) + b"\n"
        for row in rows_of(body, origin)
    )


def columns_for(endpoint: str, options: Mapping[str, Any]) -> Columns | None:
    """Of all rows of a step; None where only its rows could tell."""
    if endpoint == "parse":
        return {**ORIGIN, **CHUNK}
    if endpoint == "split":
        return {**ORIGIN, **SECTION}
    schema = (options.get("instructions") or {}).get("schema")
    if endpoint == "extract" and isinstance(schema, Mapping):
        own = {_own(name): kind for name, kind in _of_schema(schema).items()}
        return {**ORIGIN, **own, OTHER: Kind.TEXT}
    return None


def widen(known: dict[str, Kind | None], row: Row) -> None:
    """Make `known` wide enough for `row`; None is a column in which nothing has stood so far."""
    for name, value in row.items():
        before = known.setdefault(name, None)
        if value is not None:
            kind = _kind(value)
            known[name] = kind if before in (None, kind) else _WIDER.get(frozenset({before, kind}), Kind.TEXT)


def fitted(row: Row, columns: Columns) -> Row:
    """`row` as `columns` want it: each there, null where it has none; a misfit goes to `other` if there is one."""
    fit: Row = {}
    other: Row = {}
    for name, kind in columns.items():
        value = row.get(name)
        fit[name] = _as(value, kind)
        if fit[name] is None and value is not None:
            other[name] = value
    other |= {name: value for name, value in row.items() if name not in columns}
    if OTHER in columns and other:
        fit[OTHER] = text_of(other)
    return fit


def flat(value: Mapping[str, Any], prefix: str = "") -> Row:
    """Objects within objects as dotted names; lists as JSON, for they have no place in one row."""
    row: Row = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            row |= flat(inner, f"{prefix}{name}.")
        else:
            row[f"{prefix}{name}"] = text_of(inner) if isinstance(inner, list | Mapping) else inner
    return row


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _fields(result: Any) -> Iterator[Record]:
    for chunk in chunks_of(result):
        page, last_page = chunk.span
        embed = chunk.embed if isinstance(chunk.embed, str) and chunk.embed != chunk.text else None
        yield {"page": page, "last_page": last_page, "content": chunk.text, "embed": embed}
    yield from (flat(record) for record in records_of(result))


def _own(name: str) -> str:
    """The column of a result's own field: some names say whose row it is already."""
    return f"{name}_" if name in ORIGIN else name


_WIDER: Final = {frozenset({Kind.INTEGER, Kind.NUMBER}): Kind.NUMBER}


def _kind(value: Any) -> Kind:
    match value:
        case bool():
            return Kind.BOOLEAN
        case int() if -_INT64 <= value < _INT64:
            return Kind.INTEGER
        case int() | float():
            return Kind.NUMBER
        case _:
            return Kind.TEXT


def _as(value: Any, kind: Kind) -> Any:
    if value is None or kind is Kind.TEXT:
        return value if value is None else text_of(value)
    narrow = _kind(value)
    if kind is Kind.NUMBER and narrow in (Kind.INTEGER, Kind.NUMBER):
        return float(value)
    return value if narrow is kind else None


def _of_schema(schema: Mapping[str, Any], prefix: str = "") -> dict[str, Kind]:
    columns: dict[str, Kind] = {}
    for name, inner in (schema.get("properties") or {}).items():
        if not isinstance(inner, Mapping):
            continue
        if inner.get("properties"):
            columns |= _of_schema(inner, f"{prefix}{name}.")
        else:
            columns[f"{prefix}{name}"] = _of_type(inner.get("type"))
    return columns


def _of_type(said: Any) -> Kind:
    names = [name for name in (said if isinstance(said, list) else [said]) if name != "null"]
    return _TYPES.get(str(names[0]), Kind.TEXT) if len(names) == 1 else Kind.TEXT
