"""What is made of results: each thing once, whole, and again after whatever happened to it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from shelf import Shelf, parsed

from batcher.care.verifying import verify
from batcher.core.manifest import Job, Manifest, Output, Service
from batcher.errors import BadReply
from batcher.ledger.derived import Derivable
from batcher.stages import makers
from batcher.stages.course import Course
from batcher.stages.deriver import Deriver

ALL = ("json", "markdown", "jsonl", "parquet")


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.ledger.close()


class Gallery:
    """A client that has pictures, and misses those whose address says so."""

    async def download(self, url: str, into: Path, *, around: object = None) -> tuple[str, int]:
        if "missing" in url:
            raise BadReply("GET a signed URL", "404", status=404)
        into.write_bytes(url.encode())
        return url, len(url)


async def derive(
    shelf: Shelf, *formats: str, course: Course | None = None, job: Job | None = None, **more: Any
) -> None:
    """A deriver until all is made."""
    deriver = deriver_of(shelf, formats or ALL, course or Course(), job or Job(), **more)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deriver.run())
        await until_made(deriver, shelf)
        task.cancel()


def deriver_of(shelf: Shelf, formats: tuple[str, ...], course: Course, job: Job, **more: Any) -> Deriver:
    output = Output(directory=shelf.root, formats=formats, **more)
    manifest = Manifest(batch="b", service=Service(), sources=(), jobs=(job,), output=output)
    made = makers.makers_for(manifest, shelf.ledger, shelf.store, Gallery(), course)  # type: ignore[arg-type]
    return Deriver(shelf.ledger, course, made)


async def until_made(deriver: Deriver, shelf: Shelf) -> None:
    while not deriver.finish():
        await shelf.ledger.change(within=0.02)


def lines(shelf: Shelf, name: str = "results.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (shelf.root / name).read_text().splitlines()]


def table(shelf: Shelf) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(shelf.root / "results.parquet").to_pylist()
    return rows


async def test_each_format_is_made_once_of_each_result(shelf: Shelf) -> None:
    """And a second time nothing is written."""
    for number in range(3):
        await shelf.save(f"{number}.pdf", parsed(f"text {number}", "more"))
    await derive(shelf)
    made = [path for path in shelf.root.rglob("*") if path.is_file() and ".batcher" not in path.parts]
    before = {path: path.stat().st_mtime_ns for path in made}
    await derive(shelf)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert sorted(line["source"] for line in lines(shelf)) == ["0.pdf", "1.pdf", "2.pdf"]
    assert Counter(row["source"] for row in table(shelf)) == {"0.pdf": 2, "1.pdf": 2, "2.pdf": 2}
    assert "text 1\n\nmore" in (shelf.root / "1.pdf.md").read_text()
    assert verify(shelf.ledger, shelf.root).strays == ()


async def test_a_line_holds_the_result_as_it_came(shelf: Shelf) -> None:
    """Even where the service sent it over several lines."""
    result = parsed("first\nsecond")
    await shelf.save("a.pdf", json.dumps(result, indent=2).encode())
    await derive(shelf, "jsonl")
    (line,) = lines(shelf)
    assert line["result"] == result
    assert (line["pages"], line["credits"], line["job_id"]) == (2, 2.0, "job 1")


async def test_chunks_as_lines(shelf: Shelf) -> None:
    """One line each, with its pages."""
    await shelf.save("a.pdf", parsed("one", "two"))
    await derive(shelf, "jsonl", lines="chunks")
    assert [(line["row"], line["page"], line["content"]) for line in lines(shelf)] == [(1, 1, "one"), (2, 2, "two")]


async def test_results_saved_while_it_works_are_made_too(shelf: Shelf) -> None:
    """It hears of them from the ledger."""
    deriver = deriver_of(shelf, ALL, Course(), Job())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deriver.run())
        for number in range(3):
            await shelf.save(f"{number}.pdf", parsed("text"))
        await until_made(deriver, shelf)
        task.cancel()
    assert len(lines(shelf)) == len(table(shelf)) == 3


class Died(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("moment", ["before it is remembered", "before it has its name"])
async def test_what_a_crash_leaves_is_neither_lost_nor_doubled(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The lines are cut off and the part is never seen; then all is made once."""
    for number in range(4):
        await shelf.save(f"{number}.pdf", parsed(f"text {number}"))

    async def die(*_: object) -> None:
        raise Died

    def die_at_once(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        if moment == "before it is remembered":
            patch.setattr(makers, "remember", die)
        else:
            patch.setattr(makers.press, "publish", die_at_once)
        for one in ("jsonl", "parquet", "markdown"):
            try:
                await derive(shelf, one)
            except BaseExceptionGroup as errors:
                assert errors.split(Died)[1] is None
    shelf.store.sweep()
    assert not (shelf.root / "results.parquet").exists()
    await derive(shelf)
    for found in (lines(shelf), table(shelf)):
        assert Counter(row["source"] for row in found) == dict.fromkeys(("0.pdf", "1.pdf", "2.pdf", "3.pdf"), 1)
    found_now = verify(shelf.ledger, shelf.root)
    assert found_now.is_whole and found_now.strays == ()


SPOILED: dict[str, Callable[[Path], object]] = {
    "a Markdown file is gone": lambda root: (root / "1.pdf.md").unlink(),
    "the lines are cut short": lambda root: (root / "results.jsonl").write_text("{}"),
    "a part is gone": lambda root: next((root / "results.parquet").rglob("*.parquet")).unlink(),
}


@pytest.mark.parametrize("what", SPOILED)
async def test_what_was_spoiled_is_noticed_and_made_again(shelf: Shelf, what: str) -> None:
    """`verify` names it; it is forgotten and made anew."""
    for number in range(3):
        await shelf.save(f"{number}.pdf", parsed(f"text {number}"))
    await derive(shelf)
    SPOILED[what](shelf.root)
    found = verify(shelf.ledger, shelf.root)
    assert not found.is_whole and len(found.unmade) == 1
    shelf.ledger.reader.execute("PRAGMA query_only")
    connection = sqlite3.connect(shelf.root / ".batcher" / "ledger.db")
    connection.execute("DELETE FROM derived WHERE (format, file) = (?, ?)", found.unmade[0])
    connection.commit()
    connection.close()
    await derive(shelf)
    assert verify(shelf.ledger, shelf.root).unmade == ()
    assert len(table(shelf)) == 3
    assert (shelf.root / "1.pdf.md").exists()


async def test_a_newer_version_takes_the_place_of_the_older_one(shelf: Shelf) -> None:
    """In the Markdown and in the data set; lines only grow, and the last of a source counts."""
    first = await shelf.save("a.pdf", parsed("old"))
    await shelf.save("b.pdf", parsed("other"))
    await derive(shelf)
    await shelf.save("a.pdf", parsed("new"), replaces=first)
    await derive(shelf)
    assert {row["source"]: row["content"] for row in table(shelf)} == {"a.pdf": "new", "b.pdf": "other"}
    assert len(table(shelf)) == 2
    assert "new" in (shelf.root / "a.pdf.md").read_text()
    assert [line["source"] for line in lines(shelf)] == ["a.pdf", "b.pdf", "a.pdf"]
    assert sorted(path.name for path in shelf.root.glob("*.md")) == ["a.pdf.md", "b.pdf.md"]


async def test_a_file_of_somebody_else_is_left_alone(shelf: Shelf) -> None:
    """The lines go into one of the next name."""
    (shelf.root / "results.jsonl").write_text("mine\n")
    (shelf.root / "a.pdf.md").write_text("mine too\n")
    await shelf.save("a.pdf", parsed("text"))
    await derive(shelf)
    assert (shelf.root / "results.jsonl").read_text() == "mine\n"
    assert (shelf.root / "a.pdf.md").read_text() == "mine too\n"
    assert len(lines(shelf, "results-2.jsonl")) == 1


@pytest.mark.parametrize("folder", ["", "x/"])
async def test_linked_pictures_lie_beside_the_result(shelf: Shelf, folder: str) -> None:
    """Fetched before the Markdown that shows them; one that can't be had is noted and stops nothing."""
    course = Course()
    await shelf.save(f"{folder}a.pdf", parsed("one", "two", images=("http://h/1.png?sign=1", "http://h/missing.jpg")))
    await derive(shelf, "markdown", course=course, job=Job(options={"settings": {"return_images": ["figure"]}}))
    (picture,) = (shelf.root / folder / "a.pdf.images").iterdir()
    assert picture.read_bytes() == b"http://h/1.png?sign=1"
    assert f"one\n\n![Text, page 1](a.pdf.images/{picture.name})" in (shelf.root / folder / "a.pdf.md").read_text()
    assert [f"{folder}a.pdf: pictures: 1 of 2 missing" in warning for warning in course.warnings] == [True]
    found = verify(shelf.ledger, shelf.root)
    assert found.is_whole and found.strays == ()


async def test_an_extract_has_the_columns_of_its_schema(shelf: Shelf) -> None:
    """In every part the same, whatever the rows hold; what fits no column stands in `other`."""
    schema = {
        "properties": {
            "number": {"type": "string"},
            "total": {"type": "number"},
            "due": {"type": ["string", "null"]},
            "seller": {"type": "object", "properties": {"name": {"type": "string"}}},
            "lines": {"type": "array"},
        }
    }
    fields = {
        "number": "I-1",
        "total": {"value": 12, "citations": [{"page": 1}]},
        "seller": {"name": "Lantern & Co"},
        "lines": [{"what": "wick"}],
        "colour": "red",
    }
    await shelf.save("a.pdf", {"response_type": "v3_extract", "job_id": "j", "result": [fields]})
    await derive(shelf, "parquet", job=Job(endpoint="extract", options={"instructions": {"schema": schema}}))
    (row,) = table(shelf)
    assert (row["number"], row["total"], row["due"], row["seller.name"]) == ("I-1", 12.0, None, "Lantern & Co")
    assert json.loads(row["lines"]) == [{"what": "wick"}]
    assert json.loads(row["other"]) == {"colour": "red"}


async def test_a_full_disk_stops_the_run_and_loses_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3; the next run makes what is missing."""
    await shelf.save("a.pdf", parsed("text"))
    course = Course()

    def full(*_: object, **__: object) -> Sequence[Derivable]:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(makers.press, "append_lines", full)
        deriver = deriver_of(shelf, ("jsonl",), course, Job())
        deriver.finish()
        task = asyncio.create_task(deriver.run())
        await course.stopped.wait()
        task.cancel()
    assert course.exit_code == 3 and "make room" in course.reason
    await derive(shelf, "jsonl")
    assert len(lines(shelf)) == 1
