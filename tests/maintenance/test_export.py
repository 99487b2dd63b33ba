"""A batch as one file for other tools: all of it, each thing once, and nothing half written."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from commandline import batcher
from shelf import Shelf, parsed

from batcher.ledger.connection import reader
from batcher.maintenance.export import export
from batcher.outputs.rows import ORIGIN

EXTRACT = {
    "response_type": "extract",
    "job_id": "j",
    "result": [
        {"number": "I-1", "total": 12.5, "seller": {"name": "A"}, "lines": [{"what": "wick"}]}
    ],
}


@pytest.fixture
async def out(tmp_path: Path) -> AsyncIterator[Path]:
    """Three results, one of them an extract's, and an older version of the first."""
    shelf = Shelf(tmp_path / "out")
    first = await shelf.save("a.pdf", parsed("old"))
    await shelf.save("b, c.pdf", parsed('he said "x"\nand left', "more"))
    await shelf.save("d.pdf", EXTRACT)
    await shelf.save("a.pdf", parsed("new"), replaces=first)
    shelf.ledger.close()
    yield tmp_path / "out"


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return rows


async def test_only_a_regular_file_is_written(out: Path, tmp_path: Path) -> None:
    """A pipe or a device isn't put aside for one; a link stays a link."""
    pipe = tmp_path / "pipe"
    link = tmp_path / "link.csv"
    os.mkfifo(pipe)
    for command in ("export", "report"):
        said = await batcher(command, out, "-o", pipe)
        assert said.code == 2, said.err
        assert "not a regular file" in said.err
        assert pipe.is_fifo()
    link.symlink_to(tmp_path / "target.csv")
    assert (await batcher("export", out, "--format", "csv", "-o", link)).code == 0
    assert link.is_symlink() and read(tmp_path / "target.csv")


@pytest.mark.parametrize("format", ["csv", "parquet"])
async def test_results_as_a_table(out: Path, tmp_path: Path, format: str) -> None:
    """A row for each chunk and extracted object of the current versions; fields as columns, lists
    as JSON.
    """
    target = tmp_path / f"x.{format}"
    said = await batcher("export", out, "--format", format, "-o", target)
    assert said.code == 0, said.err
    rows = read(target)
    assert [row["source"] for row in rows] == ["a.pdf", "b, c.pdf", "b, c.pdf", "d.pdf"]
    assert [row["content"] or None for row in rows] == [
        "new",
        'he said "x"\nand left',
        "more",
        None,
    ]
    assert float(rows[3]["total"]) == 12.5 and rows[3]["seller.name"] == "A"
    assert json.loads(rows[3]["lines"]) == [{"what": "wick"}]
    assert sum(float(row["credits"]) for row in rows) == 6.0  # two each, however many rows


async def test_results_as_lines_are_whole(out: Path) -> None:
    """On stdout; with --chunks each is a row of its own."""
    whole = [json.loads(line) for line in (await batcher("export", out)).out.splitlines()]
    assert [line["source"] for line in whole] == ["a.pdf", "b, c.pdf", "d.pdf"]
    assert whole[2]["result"] == EXTRACT
    chunks = (await batcher("export", out, "--chunks")).out.splitlines()
    assert len(chunks) == 4


async def test_the_lines_that_were_written_are_counted(out: Path, tmp_path: Path) -> None:
    """Not the documents they are of."""
    said = await batcher("export", out, "--chunks", "-o", tmp_path / "x.jsonl")
    assert "x.jsonl: 4 rows" in said.err and len(read(tmp_path / "x.jsonl")) == 4


@pytest.mark.parametrize("command", [("export",), ("export", "--format", "csv"), ("report",)])
async def test_a_file_that_cannot_be_there_is_a_slip_of_the_hand(
    out: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Exit 2 with what to type; nothing about a disk or the service."""
    for target in (tmp_path / "nowhere" / "x", tmp_path):
        said = await batcher(command[0], out, *command[1:], "-o", target)
        assert said.code == 2
        assert "name another file with -o" in said.err and "service" not in said.err


@pytest.mark.parametrize(
    ("what", "rows", "format"),
    [
        ("documents", 3, "jsonl"),
        ("attempts", 4, "csv"),
        ("attempts", 4, "parquet"),
        ("costs", 4, "parquet"),
    ],
)
async def test_what_the_ledger_knows(
    out: Path, tmp_path: Path, what: str, rows: int, format: str
) -> None:
    """Older versions' attempts are there, for they were paid; nonces and fingerprints of keys are
    not.
    """
    target = tmp_path / f"x.{format}"
    said = await batcher("export", out, "--what", what, "--format", format, "-o", target)
    assert said.code == 0, said.err
    found = read(target)
    assert len(found) == rows
    assert not {"nonce", "key_print"} & set(found[0])


async def test_a_result_that_is_not_as_it_was_saved_is_left_out_and_named(
    out: Path, tmp_path: Path
) -> None:
    """Exit code 1; the others are there."""
    (out / "d.pdf.json").write_text("{}")
    said = await batcher("export", out, "--format", "csv", "-o", tmp_path / "x.csv")
    assert said.code == 1 and "d.pdf" in said.err
    assert len(read(tmp_path / "x.csv")) == 3


async def test_nothing_is_left_half_written(out: Path, tmp_path: Path) -> None:
    """Where it can't be finished the file that was there stays, and there is no other."""
    target = tmp_path / "x.parquet"
    target.write_text("mine")
    connection = sqlite3.connect(out / ".batcher" / "ledger.db")
    connection.execute("DROP VIEW costs")
    connection.close()
    said = await batcher("export", out, "--what", "costs", "--format", "csv", "-o", target)
    assert said.code != 0
    assert target.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.parquet"]


async def test_parquet_wants_a_file(out: Path) -> None:
    """Exit code 2, with what to add."""
    said = await batcher("export", out, "--format", "parquet")
    assert said.code == 2 and "-o" in said.err


@pytest.mark.parametrize("format", ["csv", "jsonl"])
async def test_twelve_megabytes_of_results_pass_through_a_few(tmp_path: Path, format: str) -> None:
    """Only the chunk at hand is in memory."""
    shelf = Shelf(tmp_path / "out")
    for number in range(30):
        await shelf.save(
            f"{number}.pdf", parsed(*(f"{number} {chunk} " + "x" * 100_000 for chunk in range(4)))
        )
    shelf.ledger.close()
    ledger = reader(tmp_path / "out" / ".batcher" / "ledger.db")
    tracemalloc.start(1)
    try:
        done = export(ledger, tmp_path / "out", tmp_path / "x", what="results", format=format)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert done.rows == (120 if format == "csv" else 30) and not done.missing
    assert (tmp_path / "x").stat().st_size > 12_000_000
    assert peak < 6_000_000


async def test_a_batch_without_results_is_an_empty_table(tmp_path: Path) -> None:
    """With a header, so that whatever reads it finds its columns."""
    Shelf(tmp_path / "out").ledger.close()
    said = await batcher("export", tmp_path / "out", "--format", "csv")
    assert said.code == 0 and said.out.splitlines() == [",".join(ORIGIN)]


FORMULAS = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
]
HARMLESS = ["-12.50", "+49 %", "1=1", "a-b", "-5", "+1,234.5", "-1e-3", "-3%", "'=1"]


async def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    """Neither text that a document says nor a name it gives to a field; numbers stay numbers, also
    those in text.
    """
    shelf = Shelf(tmp_path / "out")
    fields = {f"f{number}": text for number, text in enumerate([*FORMULAS, *HARMLESS])}
    record = {**fields, "=name": 1, "number": -2.5}
    await shelf.save("a.pdf", {"response_type": "extract", "job_id": "j", "result": [record]})
    shelf.ledger.close()
    assert (
        await batcher("export", tmp_path / "out", "--format", "csv", "-o", tmp_path / "x.csv")
    ).code == 0
    (row,) = read(tmp_path / "x.csv")
    assert [row[f"f{number}"] for number in range(len(FORMULAS))] == [
        f"'{text}" for text in FORMULAS
    ]
    harmless = [row[f"f{len(FORMULAS) + number}"] for number in range(len(HARMLESS))]
    assert harmless == [("'" if text == "+49 %" else "") + text for text in HARMLESS]
    assert row["'=name"] == "1" and row["number"] == "-2.5"


@pytest.mark.parametrize(
    "command", [("export", "--format", "csv"), ("export", "--format", "parquet"), ("report",)]
)
async def test_a_new_file_is_for_its_owner(
    out: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """One that takes another's place is for whom that was."""
    old = tmp_path / "old"
    new = tmp_path / "new"
    old.touch()
    old.chmod(0o664)
    for target in (old, new):
        assert (await batcher(command[0], out, *command[1:], "-o", target)).code == 0
    assert (old.stat().st_mode & 0o777, new.stat().st_mode & 0o777) == (0o664, 0o600)
