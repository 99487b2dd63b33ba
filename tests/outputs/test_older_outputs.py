"""What is made of results keeps up with them, from the command line to the disk."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from commandline import batcher

from batcher.testing import LocalReducto, local_reducto  # noqa: F401 (a fixture)

ALL = ("--format", "markdown", "--format", "jsonl", "--format", "parquet")


@pytest.fixture
def at(local_reducto: LocalReducto, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:  # noqa: F811
    """The words that name a local service, one for all tests."""
    monkeypatch.setenv("LOCAL_KEY", local_reducto.key)
    return ("--service", local_reducto.url, "-S", "service.api_key_env=LOCAL_KEY")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.txt").write_text(f"the text of {name}\n")
    return folder


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def table(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pyarrow.parquet.read_table(out / "results.parquet").to_pylist()
    return found


async def verified(out: Path) -> tuple[int, dict[str, Any]]:
    said = await batcher("verify", out, "--json")
    return said.code, json.loads(said.out)


async def test_a_changed_file_has_its_new_rows_alone(
    inbox: Path, tmp_path: Path, at: tuple[str, ...]
) -> None:
    """In the data set, after the run that read it."""
    out = tmp_path / "out"
    assert (await batcher("run", inbox, "-o", out, *at, "--format", "parquet")).code == 0
    (inbox / "b.txt").write_text("another text\n")
    assert (await batcher("run", inbox, "-o", out, *at, "--format", "parquet")).code == 0
    assert sorted(row["source"] for row in table(out)) == ["a.txt", "b.txt", "c.txt"]
    assert (await verified(out))[0] == 0


def listing(inbox: Path, at: tuple[str, ...], *rows: str) -> Path:
    """A manifest of a listing of ids, with the path of each and the department it comes from."""
    (inbox / "list.csv").write_text("\n".join(["id,path,dept", *rows]) + "\n")
    manifest = {
        "batch": "listed",
        "service": {"url": at[1], "api_key_env": "LOCAL_KEY"},
        "source": {"listing": "list.csv"},
        "output": {"directory": "../out", "formats": ["markdown", "jsonl", "parquet"]},
    }
    (inbox / "m.json").write_text(json.dumps(manifest))
    return inbox / "m.json"


async def test_what_a_listing_changes_of_a_document_reaches_all_that_is_made_of_it(
    inbox: Path, tmp_path: Path, at: tuple[str, ...]
) -> None:
    """Its metadata and its path; of the other documents nothing is made again but their part."""
    out = tmp_path / "out"
    assert (
        await batcher("run", listing(inbox, at, "1,a.txt,law", "2,b.txt,law", "3,c.txt,law"))
    ).code == 0
    untouched = (out / "3.md").stat().st_mtime_ns
    (inbox / "moved.txt").write_bytes((inbox / "b.txt").read_bytes())
    changed = listing(inbox, at, "1,a.txt,tax", "2,moved.txt,law", "3,c.txt,law")
    assert (await batcher("run", changed)).code == 0
    last = {line["source"]: line for line in lines(out)}
    assert (last["1"]["metadata"]["dept"], last["2"]["path"]) == ("tax", "moved.txt")
    assert len(lines(out)) == 5
    rows = {row["source"]: row for row in table(out)}
    assert len(table(out)) == 3
    assert (json.loads(rows["1"]["metadata"]), rows["2"]["path"]) == ({"dept": "tax"}, "moved.txt")
    assert "tax" in (out / "1.md").read_text()
    assert (out / "3.md").stat().st_mtime_ns == untouched
    assert (await verified(out))[0] == 0
    assert (await batcher("run", changed)).code == 0
    assert len(lines(out)) == 5


async def test_a_format_that_is_not_asked_for_any_more_is_told_of_as_older(
    inbox: Path, tmp_path: Path, at: tuple[str, ...]
) -> None:
    """Once in a run, with what to type, and by `verify`, until it is made again."""
    out = tmp_path / "out"
    assert (await batcher("run", inbox, "-o", out, *at, *ALL)).code == 0
    (inbox / "b.txt").write_text("another text\n")
    for _ in range(2):
        said = await batcher("run", inbox, "-o", out, *at)
        assert said.code == 0
        for format in ("markdown", "jsonl", "parquet"):
            words = (
                f"the {format} of 1 document is older than its result; --format {format} makes it "
                "anew"
            )
            assert said.err.count(words) == 1, said.err
    code, found = await verified(out)
    (part,) = (out / "results.parquet").rglob("*.parquet")
    assert code == 1 and found["outdated"] == [
        ["jsonl", "results.jsonl"],
        ["markdown", "b.txt.md"],
        ["parquet", str(part.relative_to(out))],
    ]
    assert "older than their results" in (await batcher("verify", out)).out
    said = await batcher("run", inbox, "-o", out, *at, *ALL)
    assert said.code == 0 and "older than" not in said.err
    assert "another text" in (out / "b.txt.md").read_text()
    assert (await verified(out))[0] == 0


async def test_lines_of_the_other_kind_are_written_anew(
    inbox: Path, tmp_path: Path, at: tuple[str, ...]
) -> None:
    """One file never holds both kinds, also of a batch whose kind isn't on record."""
    out = tmp_path / "out"
    words = ("run", inbox, "-o", out, *at, "--format", "jsonl")
    assert (await batcher(*words)).code == 0
    (inbox / "d.txt").write_text("the text of d\n")
    said = await batcher(*words, "-S", "output.lines=chunks")
    assert said.code == 0 and "results.jsonl is written anew" in said.err
    assert [("content" in line, "result" in line) for line in lines(out)] == [(True, False)] * 4
    with closing(sqlite3.connect(out / ".batcher" / "ledger.db")) as ledger, ledger:
        ledger.execute("DELETE FROM meta WHERE key = 'kind of lines'")
    assert (await batcher(*words)).code == 0
    assert [("content" in line, "result" in line) for line in lines(out)] == [(False, True)] * 4
    assert (await verified(out))[0] == 0
    before = (out / "results.jsonl").stat().st_mtime_ns
    said = await batcher(*words)
    assert "written anew" not in said.err
    assert (out / "results.jsonl").stat().st_mtime_ns == before


async def test_repair_says_what_the_next_run_makes_again(
    inbox: Path, tmp_path: Path, at: tuple[str, ...]
) -> None:
    """Of a derived file that is gone: nothing is fetched or paid for it."""
    out = tmp_path / "out"
    words = ("run", inbox, "-o", out, *at, "--format", "markdown")
    assert (await batcher(*words)).code == 0
    (out / "a.txt.md").unlink()
    said = await batcher("verify", out, "--repair")
    assert said.code == 1
    assert "the next run makes 1 file again from results, at no cost\nnext: " in said.err
    assert (await batcher(*words)).code == 0
    assert (out / "a.txt.md").exists() and (await verified(out))[0] == 0
