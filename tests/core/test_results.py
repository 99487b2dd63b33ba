"""Results read piece by piece, as text and as rows, whatever shape they come in."""

import json
import mmap
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batcher.core.markdown import markdown_of
from batcher.core.results import Origin, chunks_of, read_result, records_of
from batcher.core.rows import Kind, Row, fitted, line_of, rows_of, widen

ORIGIN = Origin("in/a b.pdf", "parse", "j1", 2, 2.5)
PARSE = {"response_type": "parse", "job_id": "j", "result": {"type": "full", "chunks": [{"content": "# A"}]}}
SPLIT = {
    "response_type": "split",
    "result": {"splits": [{"name": "A", "pages": [1, 2], "conf": "high", "partitions": [{"name": "x", "pages": [1]}]}]},
}
PIPELINE = {
    "response_type": "pipeline",
    "result": {
        "parse": [PARSE, PARSE],
        "extract": [{"split_name": "A", "result": {"response_type": "extract", "result": [{"n": 1}]}}],
        "split": None,
    },
}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("value", "chunks", "records"),
    [
        (PARSE, ["# A"], []),
        ({"response_type": "extract", "result": [{"a": {"value": 1, "citations": []}}]}, [], [{"a": 1}]),
        ({"response_type": "v3_extract", "result": {"a": {"b": 1}}}, [], [{"a": {"b": 1}}]),
        ({"response_type": "classify", "result": {"category": "invoice"}}, [], [{"category": "invoice"}]),
        (PIPELINE, ["# A", "# A"], [{"n": 1}]),
    ],
)
def test_each_kind_of_result_is_read(value: Any, chunks: list[str], records: list[Any]) -> None:
    """Text of what is parsed, records of everything else."""
    result = read_result(body(value))
    assert [chunk.text for chunk in chunks_of(result)] == chunks
    assert list(records_of(result)) == records


def test_sections_and_their_partitions_are_rows() -> None:
    """Of a split."""
    rows = list(rows_of(body(SPLIT), ORIGIN))
    assert [(row["section"], row["partition"], row["pages"]) for row in rows] == [
        ("A", None, "[1,2]"),
        ("A", "x", "[1]"),
    ]


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b'{"result": 3, "response_type": 4}',
        b'{"response_type":"parse","result":{"chunks":[3,{"content":null,"blocks":[{"bbox":3,"extra":[]}]}]}}',
        b'{"response_type":"split","result":{"splits":[3,{"partitions":[4]}]}}',
        b'{"response_type":"pipeline","result":{"parse":3,"extract":[{}]}}',
    ],
)
def test_odd_results_are_no_error(odd: bytes) -> None:
    """What can't be read as its kind gives less; the JSON on disk is the truth."""
    list(rows_of(odd, ORIGIN))
    assert "".join(markdown_of(odd, ORIGIN)).startswith("---\n")


def test_markdown_says_whose_it_is() -> None:
    """In front matter that YAML and JSON read alike."""
    text = "".join(markdown_of(body(PARSE), ORIGIN))
    assert text == '---\nsource: "in/a b.pdf"\njob: "parse"\njob_id: "j"\npages: 2\ncredits: 2.5\n---\n\n# A\n'


def test_what_a_listing_says_of_a_document_goes_with_it() -> None:
    """In the front matter, in each row, in each line."""
    told = replace(ORIGIN, metadata='{"client":"A & B"}')
    assert '\nmetadata: {"client":"A & B"}\n---\n' in "".join(markdown_of(body(PARSE), told))
    assert [row["metadata"] for row in rows_of(body(PARSE), told)] == ['{"client":"A & B"}']
    assert json.loads(b"".join(line_of(body(PARSE), told)))["metadata"] == {"client": "A & B"}


def test_the_credits_of_a_document_are_counted_once() -> None:
    """However many rows it has: a sum over the column is what was paid."""
    many = {**PARSE, "result": {"chunks": [{"content": "a"}, {"content": "b"}]}}
    assert [row["credits"] for row in rows_of(body(many), ORIGIN)] == [2.5, 0.0]


def test_a_field_never_takes_the_place_of_what_says_whose_it_is() -> None:
    """An extracted `source` is called `source_`."""
    (row,) = rows_of(body({"response_type": "extract", "result": [{"source": "hen"}]}), ORIGIN)
    assert (row["source"], row["source_"]) == ("in/a b.pdf", "hen")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None, 1], Kind.INTEGER),
        ([1, 2.5], Kind.NUMBER),
        ([True, 1], Kind.TEXT),
        ([1 << 70], Kind.NUMBER),
        ([1, "x"], Kind.TEXT),
        ([None], None),
    ],
)
def test_a_column_is_as_wide_as_its_values(values: list[Any], kind: Kind | None) -> None:
    """And each of them fits."""
    known: dict[str, Kind | None] = {}
    for value in values:
        widen(known, {"x": value})
    assert known == {"x": kind}
    rows: list[Row] = [fitted({"x": value}, {"x": kind or Kind.TEXT}) for value in values]
    assert [row["x"] is None for row in rows] == [value is None for value in values]


def test_a_large_result_takes_no_memory(tmp_path: Path) -> None:
    """40 MB pass through as Markdown and as rows; only the chunk at hand is held."""
    path = tmp_path / "large.json"
    chunk = body({"content": "x" * 100_000, "blocks": []})
    path.write_bytes(b'{"response_type":"parse","result":{"chunks":[' + b",".join([chunk] * 400) + b"]}}")
    with path.open("rb") as file:
        large = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    tracemalloc.start(1)
    try:
        assert sum(len(piece) for piece in markdown_of(large, ORIGIN)) > 40_000_000
        assert sum(1 for _ in rows_of(large, ORIGIN)) == 400
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000
