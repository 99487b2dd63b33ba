"""Results as rows of a table, one per chunk, extracted object or section, and their columns.

Columns come from the job if it says enough (a parse always does, an extract does with its schema),
so that all files of a step have the same ones; otherwise from the rows. What fits no column is kept
as JSON in `other`, so nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from batcher.common.strict_json import encoded, is_readable, is_strict, mended, sound
from batcher.core.columns import Columns, ColumnType
from batcher.reducto.results import Buffer, Origin, Record, chunks_of, read_result, records_of

Row = dict[str, Any]


OTHER: Final = "other"
ORIGIN: Final[Columns] = {
    "source": ColumnType.TEXT,
    "path": ColumnType.TEXT,
    "job": ColumnType.TEXT,
    "job_id": ColumnType.TEXT,
    "credits": ColumnType.NUMBER,
    "metadata": ColumnType.TEXT,
    "row": ColumnType.INTEGER,
}
CHUNK: Final[Columns] = {
    "page": ColumnType.INTEGER,
    "last_page": ColumnType.INTEGER,
    "content": ColumnType.TEXT,
    "embed": ColumnType.TEXT,
}
SECTION: Final[Columns] = {
    "section": ColumnType.TEXT,
    "partition": ColumnType.TEXT,
    "pages": ColumnType.TEXT,
    "conf": ColumnType.TEXT,
}
_TYPES: Final = {
    "boolean": ColumnType.BOOLEAN,
    "integer": ColumnType.INTEGER,
    "number": ColumnType.NUMBER,
}
_PIECE: Final = 1 << 20
_NO_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")  # inside strings JSON escapes them
_INT64: Final = 1 << 63
_LARGEST_NUMBER: Final = 1 << 1023
_DEEPEST: Final = 32  # levels of nested names in a column's name; what is deeper becomes JSON
# Columns of a step at most; a record of ten thousand keys is no table.
_MOST_COLUMNS: Final = 1_000


def rows_of(body: Buffer, origin: Origin, left_out: list[str] | None = None) -> Iterator[Row]:
    """Yield the rows of one result, each with the columns of `ORIGIN`.

    `credits` are the whole document's, so only its first row has them. What couldn't be read is
    appended to `left_out`.
    """
    result = read_result(body, left_out)
    whose = {
        "source": sound(origin.source),
        "path": _text_or_none(origin.path),
        "job": origin.job,
        "job_id": result.job_id or origin.job_id,
    }
    for number, fields in enumerate(_fields(result), start=1):
        credits = origin.credits if number == 1 else 0.0
        row: Row = {
            **whose,
            "credits": credits,
            "metadata": _text_or_none(origin.metadata),
            "row": number,
        }
        for name, value in fields.items():
            row[_free(row, _own(name))] = value
        yield row


def line_of(body: Buffer, origin: Origin, left_out: list[str] | None = None) -> Iterator[bytes]:
    """Yield the result as one line of JSON Lines, in pieces: its origin and the result as it came.

    If strict readers of JSON wouldn't accept the result, it is repaired. If it isn't JSON, it is
    null with a note, and that is appended to `left_out`.
    """
    facts = {
        "source": sound(origin.source),
        "path": _text_or_none(origin.path),
        "job": origin.job,
        "job_id": origin.job_id,
        "pages": origin.pages,
        "credits": origin.credits,
    }
    yield encoded(facts | _metadata(origin))[:-1] + b',"result":'
    whole = body if is_readable(body) else mended(body)
    if whole is None:
        (left_out if left_out is not None else []).append("its result, for it isn't JSON")
        yield (
            b'null,"note":"the saved result isn\'t JSON that others could read; '
            b'it is on disk as it came"}\n'
        )
        return
    for start in range(0, len(whole), _PIECE):
        yield bytes(whole[start : start + _PIECE]).translate(_NO_LINE_ENDS)
    yield b"}\n"


def metadata_of(origin: Origin) -> bytes | None:
    """Return the document's metadata as JSON; as a JSON string if it isn't JSON."""
    if not origin.metadata:
        return None
    said = origin.metadata.encode("utf-8", "replace")
    return said if is_strict(said) else mended(said) or encoded(sound(origin.metadata))


def _metadata(origin: Origin) -> dict[str, msgspec.Raw]:
    said = metadata_of(origin)
    return {} if said is None else {"metadata": msgspec.Raw(said)}


def _text_or_none(text: str | None) -> str | None:
    return text if text is None else sound(text)


def lines_of(body: Buffer, origin: Origin, left_out: list[str] | None = None) -> Iterator[bytes]:
    """Yield each row of the result as one line of JSON Lines."""
    return (
        encoded({name: v for name, v in row.items() if v is not None}) + b"\n"
        for row in rows_of(body, origin, left_out)
    )


def columns_for(endpoint: str, options: Mapping[str, Any]) -> Columns | None:
    """Return the columns of all rows of a step, or None if only its rows show them."""
    if endpoint == "parse":
        return {**ORIGIN, **CHUNK}
    if endpoint == "split":
        return {**ORIGIN, **SECTION}
    instructions = options.get("instructions")
    schema = instructions.get("schema") if isinstance(instructions, Mapping) else None
    if endpoint == "extract" and isinstance(schema, Mapping):
        own = {_own(name): kind for name, kind in _of_schema(schema).items()}
        return {**ORIGIN, **own, OTHER: ColumnType.TEXT}
    return None


def grown(known: Columns | None, found: Mapping[str, ColumnType | None]) -> Columns:
    """Return the columns of a step whose rows alone show them, so that all of its files match.

    A column keeps its type, and every number is a float: a total of 120 may be 117.50 in the next
    run. Many readers take names that differ only in case for one, so the second such name gets no
    column and goes to `other`.
    """
    columns: dict[str, ColumnType] = {**ORIGIN, **(known or {})}
    taken = {name.lower() for name in (*columns, OTHER)}
    for name, kind in found.items():
        if name.lower() not in taken and len(columns) < _MOST_COLUMNS:
            taken.add(name.lower())
            columns[name] = CHUNK.get(name) or _AS_NUMBER.get(kind, kind) or ColumnType.TEXT
    columns.pop(OTHER, None)
    return {**columns, OTHER: ColumnType.TEXT}


def widen(known: dict[str, ColumnType | None], row: Row) -> None:
    """Widen the types in `known` to hold `row`; None is a column that has had no value so far."""
    for name, value in row.items():
        before = known.setdefault(name, None)
        if value is not None:
            kind = _kind(value)
            known[name] = (
                kind
                if before in (None, kind)
                else _WIDER.get(frozenset({before, kind}), ColumnType.TEXT)
            )


def fitted(row: Row, columns: Columns) -> Row:
    """Return `row` with exactly these columns, null where it has no value.

    A value that doesn't fit its column goes to `other`, if there is such a column.
    """
    fit: Row = {}
    other: Row = {}
    for name, kind in columns.items():
        value = row.get(name)
        fit[name] = _as(value, kind)
        if value is not None and (fit[name] is None or _is_rounded(value, fit[name])):
            other[name] = value
    other |= {name: value for name, value in row.items() if name not in columns}
    if OTHER in columns and other:
        fit[OTHER] = text_of(other)
    return fit


def flat(value: Mapping[str, Any]) -> Row:
    """Return nested objects with dotted names, and lists as JSON, which fits in one row."""
    row: Row = {}
    for name, inner in _flat(value, "", 1):
        row[_free(row, name)] = inner
    return row


def text_of(value: Any) -> str:
    """Return a string as it is, without lone surrogates, and anything else as JSON."""
    return sound(value) if isinstance(value, str) else encoded(value).decode()


def _flat(value: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner and depth < _DEEPEST:
            yield from _flat(inner, f"{prefix}{name}.", depth + 1)
        else:
            yield f"{prefix}{name}", text_of(inner) if isinstance(inner, list | Mapping) else inner


def _free(row: Row, name: str) -> str:
    """Return `name` with underscores added while the row has it.

    {"a": {"b": 1}, "a.b": 2} has two columns "a.b".
    """
    while name in row:
        name += "_"
    return name


def _fields(result: Any) -> Iterator[Record]:
    for chunk in chunks_of(result):
        page, last_page = chunk.span
        embed = chunk.embed if isinstance(chunk.embed, str) and chunk.embed != chunk.text else None
        yield {"page": page, "last_page": last_page, "content": chunk.text, "embed": embed}
    yield from (flat(record) for record in records_of(result))


def _own(name: str) -> str:
    """Return the column of a result's own field, renamed if it is one of the reserved names."""
    return f"{name}_" if name in ORIGIN or name == OTHER else name


_WIDER: Final = {frozenset({ColumnType.INTEGER, ColumnType.NUMBER}): ColumnType.NUMBER}
_AS_NUMBER: Final[Mapping[ColumnType | None, ColumnType]] = {ColumnType.INTEGER: ColumnType.NUMBER}


def _kind(value: Any) -> ColumnType:
    match value:
        case bool():
            return ColumnType.BOOLEAN
        case int() if -_INT64 <= value < _INT64:
            return ColumnType.INTEGER
        case int() if -_LARGEST_NUMBER < value < _LARGEST_NUMBER:
            return ColumnType.NUMBER
        case float():
            return ColumnType.NUMBER
        case _:
            return ColumnType.TEXT


def _as(value: Any, kind: ColumnType) -> Any:
    if value is None or kind is ColumnType.TEXT:
        return value if value is None else text_of(value)
    narrow = _kind(value)
    if kind is ColumnType.NUMBER and narrow in (ColumnType.INTEGER, ColumnType.NUMBER):
        return float(value)
    return value if narrow is kind else None


def _is_rounded(value: Any, fit: Any) -> bool:
    """Tell whether a column of floats can't hold the integer exactly."""
    return isinstance(value, int) and isinstance(fit, float) and fit != value


def _of_schema(
    schema: Mapping[str, Any], prefix: str = "", depth: int = 1
) -> dict[str, ColumnType]:
    columns: dict[str, ColumnType] = {}
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        if not isinstance(inner, Mapping):
            continue
        if inner.get("properties") and depth < _DEEPEST:
            columns |= _of_schema(inner, f"{prefix}{name}.", depth + 1)
        else:
            columns[f"{prefix}{name}"] = _of_type(inner.get("type"))
    return columns


def _of_type(said: Any) -> ColumnType:
    names = [name for name in (said if isinstance(said, list) else [said]) if name != "null"]
    return _TYPES.get(str(names[0]), ColumnType.TEXT) if len(names) == 1 else ColumnType.TEXT
