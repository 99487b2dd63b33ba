"""Results read piece by piece, as text and as rows, whatever shape they come in."""

import json
import mmap
import random
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from batcher.core.columns import ColumnType
from batcher.outputs.markdown import markdown_of
from batcher.outputs.rows import Row, fitted, grown, line_of, lines_of, rows_of, widen
from batcher.reducto.results import Origin, chunks_of, images_of, read_result, records_of

ORIGIN = Origin("in/a b.pdf", "parse", "j1", 2, 2.5)
PARSE = {
    "response_type": "parse",
    "job_id": "j",
    "result": {"type": "full", "chunks": [{"content": "# A"}]},
}
SPLIT = {
    "response_type": "split",
    "result": {
        "splits": [
            {
                "name": "A",
                "pages": [1, 2],
                "conf": "high",
                "partitions": [{"name": "x", "pages": [1]}],
            }
        ]
    },
}
PIPELINE = {
    "response_type": "pipeline",
    "result": {
        "parse": [PARSE, PARSE],
        "extract": [
            {"split_name": "A", "result": {"response_type": "extract", "result": [{"n": 1}]}}
        ],
        "split": None,
    },
}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("value", "chunks", "records"),
    [
        (PARSE, ["# A"], []),
        (
            {"response_type": "extract", "result": [{"a": {"value": 1, "citations": []}}]},
            [],
            [{"a": 1}],
        ),
        ({"response_type": "v3_extract", "result": {"a": {"b": 1}}}, [], [{"a": {"b": 1}}]),
        (
            {"response_type": "classify", "result": {"category": "invoice"}},
            [],
            [{"category": "invoice"}],
        ),
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
    assert text == (
        '---\nsource: "in/a b.pdf"\njob: "parse"\njob_id: "j"\npages: 2\ncredits: 2.5\n---\n\n# A\n'
    )


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
        ([None, 1], ColumnType.INTEGER),
        ([1, 2.5], ColumnType.NUMBER),
        ([True, 1], ColumnType.TEXT),
        ([1 << 70], ColumnType.NUMBER),
        ([1, "x"], ColumnType.TEXT),
        ([None], None),
    ],
)
def test_a_column_is_as_wide_as_its_values(values: list[Any], kind: ColumnType | None) -> None:
    """And each of them fits."""
    known: dict[str, ColumnType | None] = {}
    for value in values:
        widen(known, {"x": value})
    assert known == {"x": kind}
    rows: list[Row] = [fitted({"x": value}, {"x": kind or ColumnType.TEXT}) for value in values]
    assert [row["x"] is None for row in rows] == [value is None for value in values]


def test_a_large_result_takes_no_memory(tmp_path: Path) -> None:
    """40 MB pass through as Markdown and as rows; only the chunk at hand is held."""
    path = tmp_path / "large.json"
    chunk = body({"content": "x" * 100_000, "blocks": []})
    path.write_bytes(
        b'{"response_type":"parse","result":{"chunks":[' + b",".join([chunk] * 400) + b"]}}"
    )
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


def made_of(saved: bytes, origin: Origin = ORIGIN) -> tuple[list[Row], str, list[str]]:
    """Everything that is made of a result: rows, Markdown, and its line, which any reader of JSON
    takes.
    """
    left_out: list[str] = []
    rows = list(rows_of(saved, origin, left_out))
    for line in lines_of(saved, origin):
        strictly(line)
    line = b"".join(line_of(saved, origin))
    assert line.endswith(b"\n") and b"\n" not in line[:-1]
    strictly(line)
    known: dict[str, ColumnType | None] = {}
    for row in rows:
        widen(known, row)
    for row in rows:
        fitted(row, grown(None, known))
    list(images_of(read_result(saved)))
    return (
        rows,
        "".join(markdown_of(saved, origin, images={"https://a/b.png": "x y.png"})),
        left_out,
    )


def strictly(line: bytes) -> Any:
    """As readers do that take no NaN and no half characters."""
    read = json.loads(line, parse_constant=_refuse)
    msgspec.json.Decoder(msgspec.Raw).decode(line)
    json.dumps(read, ensure_ascii=False).encode()
    return read


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} isn't JSON")


DEEP = b'{"response_type":"extract","result":[' + b'{"a":' * 450 + b"1" + b"}" * 450 + b"]}"
HALVES: dict[str, bytes] = {
    "a number that is "
    "none": b'{"response_type":"extract","result":[{"a":NaN,"b":-Infinity,"c":1e999}]}',
    "half an emoji": b'{"response_type":"parse","result":{"chunks":[{"content":"x \\ud83d y"}]}}',
    "half an emoji in a "
    "name": b'{"response_type":"extract","result":[{"\\udc00":"\\ud83d\\ude00"}]}',
    "bytes that are no "
    "UTF-8": b'{"response_type":"parse","result":{"chunks":[{"content":"x \xff y"}]}}',
    "a mark before it": b"\xef\xbb\xbf"
    b'{"response_type":"parse","result":{"chunks":[{"content":"x y"}]}}',
    "a control character": b'{"response_type":"parse",'
    b'"result":{"chunks":[{"content":"x \x01\n y"}]}}',
    "more digits than a number has": b'{"response_type":"extract","result":[{"a":'
    + b"9" * 5000
    + b"}]}",
    "an integer beyond all columns": b'{"response_type":"extract","result":[{"a":1'
    + b"0" * 400
    + b"}]}",
    "blocks that are "
    "none": b'{"response_type":"parse","result":{"chunks":[{"content":"x","blocks":[3]}]}}',
    "pages that are none": b'{"response_type":"parse","result":{"chunks":[{"content":"x","blocks":'
    b'[{"bbox":{"page":true}},{"bbox":{"page":1e30,"original_page":"1"}}]}]}}',
    "parts of a split that are "
    "none": b'{"response_type":"split","result":{"splits":[{"name":"a","partitions":5}]}}',
    "citations around all "
    "of it": b'{"response_type":"extract","result":{"value":"x","citations":[]}}',
    "names that say nothing": b'{"response_type":"extract",'
    b'"result":[{"":1,"\\u0000":2,"source":3,"row":4,"other":5}]}',
    "names within names": b'{"response_type":"extract","result":[{"a":{"b":1},"a.b":2,"A.B":3}]}',
    "names that are there twice": b'{"response_type":"extract","result":[{"a":1,"a":2}]}',
    "450 levels": DEEP,
}


@pytest.mark.parametrize("what", HALVES)
def test_whatever_was_saved_something_is_made_of_it(what: str) -> None:
    """Rows and text come out, though a piece be missing; the line is JSON as every reader takes
    it.
    """
    rows, text, _ = made_of(HALVES[what])
    assert len(rows) >= 1 and len(text) > 60


@pytest.mark.parametrize(
    "saved", [b'["abc', b"{" * 100_000, b"[" * 200_000 + b"]" * 200_000, b"\x00", b"NaN", b"{} {}"]
)
def test_what_cannot_be_read_at_all_is_left_out_and_said_so(saved: bytes) -> None:
    """Its line still says whose it was."""
    rows, _, left_out = made_of(saved)
    assert rows == []
    assert saved == b"NaN" or (left_out and strictly(b"".join(line_of(saved, ORIGIN)))["note"])


def test_what_is_nested_too_deeply_is_left_out_and_said_so() -> None:
    """The rest of that value stays."""
    rows, _, left_out = made_of(DEEP)
    assert len(rows) == 1 and "deep" in left_out[0]


def test_no_name_takes_the_place_of_another() -> None:
    """Neither batcher's own columns nor one spelt with a dot; each value is somewhere in the
    row.
    """
    (row,) = rows_of(HALVES["names within names"], ORIGIN)
    assert (row["a.b"], row["a.b_"], row["A.B"]) == (1, 2, 3)
    (row,) = rows_of(HALVES["names that say nothing"], ORIGIN)
    assert (row["source"], row["source_"], row["row_"], row["other_"]) == (ORIGIN.source, 3, 4, 5)


@pytest.mark.parametrize(
    "said", ['{"score":NaN}', '{"a":"\\ud83d"}', "{", "\ud800", "5", '{"x":' * 2000]
)
def test_whatever_a_listing_said_the_line_is_json(said: str) -> None:
    """Metadata of earlier versions included."""
    told = replace(ORIGIN, metadata=said, source="a\udcff.pdf")
    made_of(body(PARSE), told)
    assert "metadata" in strictly(b"".join(line_of(body(PARSE), told)))


KEYS = [
    *(
        "response_type result chunks blocks content bbox page original_page image_url extra "
        "page_image_url type"
    ).split(),
    *(
        "splits name pages conf partitions parse extract split value citations usage job_id embed "
        "source row"
    ).split(),
    "other",
    "",
    "\0",
    "Source",
    "a.b",
    "\u202e",
]
LEAVES = [
    None,
    True,
    0,
    -1,
    1.5,
    10**25,
    10**400,
    float("nan"),
    float("-inf"),
    1e308,
    "",
    "x",
    "url",
    "https://a/b.png",
    "data:image/png;base64,AA==",
    "\u202e",
    "\ud83d",
    "parse",
    "pipeline",
]


@pytest.mark.parametrize("seed", range(6))
def test_no_shape_of_a_result_is_an_error(seed: int) -> None:
    """A hundred made-up results of each seed, by the names that results have; then with a byte
    changed.
    """
    rng = random.Random(seed)

    def value(depth: int) -> Any:
        kind = rng.random()
        if depth <= 0 or kind < 0.25:
            return rng.choice(LEAVES)
        if kind < 0.55:
            return [value(depth - 1) for _ in range(rng.randrange(4))]
        return {rng.choice(KEYS): value(depth - 1) for _ in range(rng.randrange(6))}

    for _ in range(100):
        kind = rng.choice(["parse", "extract", "split", "pipeline", "v3_extract", "classify", 5])
        saved = json.dumps({"response_type": kind, "job_id": "j", "result": value(6)}).encode()
        made_of(saved)
        made_of(saved[: rng.randrange(len(saved))])
        at = rng.randrange(len(saved))
        made_of(saved[:at] + bytes([rng.randrange(256)]) + saved[at + 1 :])


def test_a_step_keeps_its_columns_from_run_to_run() -> None:
    """A total of 120 and one of 117.50 stand in one column of numbers, and what no longer fits
    beside it.
    """
    first = grown(
        None,
        {
            "total": ColumnType.INTEGER,
            "paid": ColumnType.BOOLEAN,
            "page": ColumnType.INTEGER,
            "note": None,
        },
    )
    later = grown(
        first,
        {
            "total": ColumnType.TEXT,
            "paid": ColumnType.NUMBER,
            "vat": ColumnType.INTEGER,
            "TOTAL": ColumnType.NUMBER,
        },
    )
    assert (first["total"], first["paid"], first["page"], first["note"]) == (
        "number",
        "boolean",
        "integer",
        "text",
    )
    assert {name: later[name] for name in first} == dict(first)
    assert later["vat"] == "number" and "TOTAL" not in later
    row = fitted({"total": "120 EUR", "paid": 3, "TOTAL": 1}, later)
    assert row["total"] is None and json.loads(row["other"]) == {
        "total": "120 EUR",
        "paid": 3,
        "TOTAL": 1,
    }


def test_digits_that_a_number_has_no_room_for_are_kept() -> None:
    """Beside it, for a column of numbers rounds them."""
    row = fitted({"id": 2**60 + 1}, grown(None, {"id": ColumnType.INTEGER}))
    assert row["id"] == float(2**60) and json.loads(row["other"]) == {"id": 2**60 + 1}
