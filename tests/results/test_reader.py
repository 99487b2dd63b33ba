"""Results as Python values and as tables: what is there, typed, and nothing left out in silence."""

from __future__ import annotations

import csv
import json
import sqlite3
import tracemalloc
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from ledgers import make_ledger
from peer import KEY, Peer
from shelf import Shelf, parsed

from batcher import export, run_batch
from batcher.errors import BatcherError, LedgerError, ManifestError
from batcher.ledger.derived_outputs import note_shape
from batcher.outputs.shapes import shape_of_job
from batcher.results import ResultDamaged, open_results

SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": "string"},
        "due": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "seen": {"type": "string", "format": "date-time"},
        "total": {"type": ["number", "null"]},
        "seller": {"$ref": "#/$defs/party"},
        "lines": {
            "type": "array",
            "items": {
                "properties": {"what": {"type": "string"}, "pieces": {"type": "integer"}},
            },
        },
        "source": {"enum": ["post", "mail", None]},
        "notes": {},
    },
    "$defs": {"party": {"type": "object", "properties": {"name": {"type": "string"}}}},
}
GOOD = {
    "number": "I-1",
    "due": "2026-01-31",
    "seen": "2026-01-31T12:00:00+01:00",
    "total": 12,
    "seller": {"name": "A"},
    "lines": [{"what": "wick", "pieces": 3.0}, {"what": "glass", "pieces": None}],
    "source": "post",
    "notes": {"any": [1]},
}
ODD = {"due": "soon", "total": "twelve", "lines": [{"pieces": 2.5}], "seller": {"vat": "X"}}
TABLE = """<table><tr><th>Part</th><th colspan="2">Store</th></tr>
<tr><td rowspan=2>wick &amp; glass</td><td>A</td><td>1</td></tr><tr><td>B</td><td>2</td></tr>"""


def extracted(*records: dict[str, Any]) -> dict[str, Any]:
    return {"response_type": "extract", "job_id": "j", "result": list(records)}


async def shelf_of(out: Path, *, schema: bool = True) -> Path:
    """A parse with a table, and an extract; the latter's document has an id of its own."""
    shelf = Shelf(out)
    page = parsed("first", TABLE)
    page["result"]["chunks"][1]["blocks"][0]["type"] = "Table"
    await shelf.save("letters/a.PDF", page)
    await shelf.save("invoice-7", extracted(GOOD, ODD))
    if schema:
        options = {"instructions": {"schema": SCHEMA}}
        await note_shape(shelf.ledger, "parse", shape_of_job("extract", options))
    shelf.ledger.close()
    with sqlite3.connect(out / ".batcher" / "ledger.db") as ledger:
        ledger.execute(
            "UPDATE documents SET place = 'in/7.pdf', metadata = ? WHERE source = 'invoice-7'",
            ('{"client": "A & B", "year": 2026}',),
        )
    return out


async def test_a_document_tells_what_it_is_and_what_it_holds(tmp_path: Path) -> None:
    """By source; also after the batch is closed, and nothing of it stands in a repr."""
    out = await shelf_of(tmp_path / "out")
    with open_results(out) as results:
        invoice, letter = results
        assert results.steps() == {"parse": 2}
    assert (invoice.source, invoice.path, invoice.type) == ("invoice-7", "in/7.pdf", "pdf")
    assert (letter.source, letter.path, letter.type) == ("letters/a.PDF", "letters/a.PDF", "pdf")
    assert invoice.metadata == {"client": "A & B", "year": 2026} and letter.metadata == {}
    assert (letter.step, letter.job_id, letter.pages, letter.credits) == ("parse", "job 1", 2, 2.0)
    assert letter.file == out / "letters" / "a.PDF.json" and letter.is_whole
    assert (invoice.kind, letter.kind) == ("extract", "parse")
    assert [chunk.page for chunk in letter.chunks()] == [1, 2]
    assert letter.text == f"first\n\n{TABLE}"
    assert [(block.type, block.box) for block in letter.blocks()] == [
        ("Text", (0, 0, 1, 1)),
        ("Table", (0, 0, 1, 1)),
    ]
    (table,) = letter.tables()
    assert table.page == 2 and table.records() == [
        {"Part": "wick & glass", "Store": "1"},
        {"Part": "wick & glass", "Store": "2"},
    ]
    assert table.rows[1] == ("wick & glass", "A", "1")
    assert list(invoice.fields()) == [GOOD, ODD] and invoice.result == extracted(GOOD, ODD)
    assert "I-1" not in repr(invoice)


async def test_fields_have_the_types_of_the_schema(tmp_path: Path) -> None:
    """Also where the output alone is named; what doesn't fit stands as JSON in `other`."""
    out = await shelf_of(tmp_path / "out")
    with open_results(out) as results:
        table = results.to_arrow()
        chunks = results.to_arrow("chunks")
        cells = results.to_arrow("tables")
    good, odd = table.to_pylist()
    assert good["due"] == date(2026, 1, 31) and good["total"] == 12.0
    assert good["seen"] == datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert good["lines"] == [{"what": "wick", "pieces": 3}, {"what": "glass", "pieces": None}]
    assert good["seller"] == {"name": "A"} and good["metadata"]["year"] == 2026
    assert (good["source"], good["source_"], good["path"]) == ("invoice-7", "post", "in/7.pdf")
    assert good["notes"] == '{"any":[1]}' and good["other"] is None
    assert (good["credits"], odd["credits"], odd["row"]) == (2.0, 0.0, 2)
    assert (odd["due"], odd["total"], odd["lines"]) == (
        None,
        None,
        [{"what": None, "pieces": None}],
    )
    assert json.loads(odd["other"]) == {
        "due": "soon",
        "total": "twelve",
        "seller.vat": "X",
        "lines[0].pieces": 2.5,
    }
    assert table.schema.field("due").type == pyarrow.date32()
    assert chunks.column("page").to_pylist() == [1, 2] and chunks.column("row").to_pylist() == [
        1,
        2,
    ]
    assert cells.column("cells").to_pylist()[0] == ["Part", "Store", "Store"]


async def test_types_follow_from_the_values_where_no_schema_is_known(tmp_path: Path) -> None:
    """Nested ones too, and nothing is taken for a date; a schema can be given for it."""
    out = await shelf_of(tmp_path / "out", schema=False)
    with open_results(out) as results:
        good, odd = results.where(match="invoice*").to_arrow().to_pylist()
        typed = results.to_arrow(schema=SCHEMA)
        with pytest.raises(BatcherError, match="a JSON Schema of an object"):
            results.to_arrow(schema={"type": "string"})
    assert good["due"] == "2026-01-31" and good["lines"][0] == {"what": "wick", "pieces": 3.0}
    assert (good["total"], odd["total"]) == ("12", '"twelve"')  # both types: as JSON
    assert odd["seller"] == {"name": None, "vat": "X"} and odd["other"] is None
    assert typed.schema.field("due").type == pyarrow.date32()


async def test_pandas_and_duckdb_take_them_as_they_are(tmp_path: Path) -> None:
    """Dates as dates in both; a stream is read by DuckDB in threads of its own."""
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("pandas")
    out = await shelf_of(tmp_path / "out")
    with open_results(out) as results:
        frame = results.to_pandas()
        assert str(frame.dtypes["due"]) == "date32[day][pyarrow]"
        assert frame["total"].sum() == 12.0
        fields = results.batches()
        told = duckdb.sql("SELECT due + 1, lines[1].what, seller.name FROM fields WHERE row = 1")
        assert told.fetchall() == [(date(2026, 2, 1), "wick", "A")]
        assert fields is not None


async def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    """By a pattern of a path or an id, by type and step; what can't be is said."""
    out = await shelf_of(tmp_path / "out")
    with open_results(out) as results:

        def named(**words: str) -> list[str]:
            return [document.source for document in results.where(**words)]

        assert named(match="letters/**") == ["letters/a.PDF"]
        assert named(match="in/*.pdf") == named(match="invoice-*") == ["invoice-7"]
        assert len(named(type=".pdf")) == 2 and named(type="docx") == named(step="x") == []
        assert list(results.where(match="letters/*").where(match="*.docx")) == []
        with pytest.raises(BatcherError, match="not a pattern"):
            results.where(match="!")
        with pytest.raises(BatcherError, match="documents, chunks, blocks, fields, tables"):
            next(results.rows("pages"))
    with pytest.raises(LedgerError, match="there is no ledger"):
        open_results(tmp_path)
    with pytest.raises(ManifestError, match="no such file"):
        open_results(tmp_path / "no.toml")


@pytest.mark.parametrize("how", ["missing", "changed"])
async def test_a_result_that_is_not_as_it_was_saved_is_told(tmp_path: Path, how: str) -> None:
    """By an error that names it, or on request by its name in `missing`; the rest is there."""
    out = await shelf_of(tmp_path / "out")
    file = out / "letters" / "a.PDF.json"
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes().replace(b"first", b"fjrst"))
    with open_results(out) as results:
        (letter,) = results.where(match="letters/")
        assert not letter.is_whole
        with pytest.raises(ResultDamaged, match=r"letters/a\.PDF.*verify --repair") as caught:
            _ = letter.text
        assert caught.value.source == "letters/a.PDF"
        with pytest.raises(ResultDamaged):  # through Arrow as it is
            results.to_arrow("chunks")
    with open_results(out, skip_damaged=True) as results:
        assert results.to_arrow("fields").num_rows == 2
        assert results.missing == ["letters/a.PDF"]


async def test_what_cannot_be_read_of_a_result_is_told(tmp_path: Path) -> None:
    """A chunk that is none, a table without cells; the rest is there."""
    shelf = Shelf(tmp_path / "out")
    page = parsed("first", "no table")
    page["result"]["chunks"][1]["blocks"][0]["type"] = "Table"
    page["result"]["chunks"].append("none")
    await shelf.save("a.pdf", page)
    shelf.ledger.close()
    with open_results(tmp_path / "out") as results:
        (document,) = results
    assert [table.rows for table in document.tables()] == [()]
    assert document.left_out == ["table 1, for its text is none", "chunk 3, which is none"]


def test_many_documents_take_no_more_memory_than_few(tmp_path: Path) -> None:
    """Not even where each row goes to Arrow in a stream."""
    peaks = []
    for number in (100, 4_000):
        make_ledger(tmp_path / f"{number}" / ".batcher" / "ledger.db", number)
        with open_results(tmp_path / f"{number}") as results:
            tracemalloc.start(1)
            assert sum(1 for _ in results) > 0.9 * number
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            rows = sum(batch.num_rows for batch in results.batches("documents"))
            assert rows == number - number // 50
    assert peaks[1] < peaks[0] + 50_000


async def test_an_id_of_a_listing_keeps_its_path(
    tmp_path: Path, inbox: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In what is read, in lines and in exports; an address has none."""
    monkeypatch.setenv("REDUCTO_API_KEY", KEY)
    peer.service.read_addresses = True
    (inbox / "docs.csv").write_text(
        "id,path,url,client\nd-1,0/letter 0.txt,,A\n,1/letter 0.txt,,B\n"
        "d-3,,https://x.example/c.pdf?token=CANARY,C\n"
    )
    await run_batch(
        {
            "service": {"url": peer.url, "settle": 1},
            "source": {"listing": str(inbox / "docs.csv")},
            "output": {"directory": str(tmp_path / "out"), "formats": ["jsonl"]},
        }
    )
    paths = {"d-1": "0/letter 0.txt", "1/letter 0.txt": "1/letter 0.txt", "d-3": None}
    with open_results(tmp_path / "out") as results:
        assert {document.source: document.path for document in results} == paths
        table = results.to_arrow("documents").to_pylist()
    assert {row["source"]: row["metadata"]["client"] for row in table}["d-3"] == "C"
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").open()]
    assert {line["source"]: line["path"] for line in lines} == paths
    export(tmp_path / "out", tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        exported = {row["source"]: row["path"] or None for row in csv.DictReader(file)}
    assert exported == paths
