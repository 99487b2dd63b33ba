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

from batcher.errors import BadReply
from batcher.ledger.derived_outputs import Derivable, Derived, remember
from batcher.maintenance.verify import verify
from batcher.manifest.model import Manifest, Output, Service
from batcher.reducto.job import Job
from batcher.stages import makers
from batcher.stages.deriver import Deriver
from batcher.stages.making import Limit, Maker
from batcher.stages.run_control import RunControl

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
        if "odd" in url:
            raise KeyError("what nobody foresaw")
        if "empty" in url:
            into.write_bytes(b"")
            return url, 0
        into.write_bytes(url.encode())
        return url, len(url)


async def derive(
    shelf: Shelf,
    *formats: str,
    control: RunControl | None = None,
    job: Job | None = None,
    **more: Any,
) -> None:
    """A deriver until all is made."""
    deriver = deriver_of(shelf, formats or ALL, control or RunControl(), job or Job(), **more)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deriver.run())
        await until_made(deriver, shelf)
        task.cancel()


def deriver_of(
    shelf: Shelf, formats: tuple[str, ...], control: RunControl, job: Job, **more: Any
) -> Deriver:
    output = Output(directory=shelf.root, formats=formats, **more)
    manifest = Manifest(batch="b", service=Service(), sources=(), jobs=(job,), output=output)
    made = makers.makers_for(manifest, shelf.ledger, shelf.store, Gallery(), control)  # type: ignore[arg-type]
    return Deriver(shelf.ledger, control, made)


async def until_made(deriver: Deriver, shelf: Shelf) -> None:
    await deriver.finish()


def lines(shelf: Shelf, name: str = "results.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (shelf.root / name).read_text().splitlines()]


def table(shelf: Shelf) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(
        shelf.root / "results.parquet"
    ).to_pylist()
    return rows


async def test_each_format_is_made_once_of_each_result(shelf: Shelf) -> None:
    """And a second time nothing is written."""
    for number in range(3):
        await shelf.save(f"{number}.pdf", parsed(f"text {number}", "more"))
    await derive(shelf)
    made = [
        path for path in shelf.root.rglob("*") if path.is_file() and ".batcher" not in path.parts
    ]
    before = {path: path.stat().st_mtime_ns for path in made}
    await derive(shelf)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert sorted(line["source"] for line in lines(shelf)) == ["0.pdf", "1.pdf", "2.pdf"]
    assert Counter(row["source"] for row in table(shelf)) == {"0.pdf": 2, "1.pdf": 2, "2.pdf": 2}
    assert "text 1\n\nmore" in (shelf.root / "1.pdf.md").read_text()
    assert verify(shelf.ledger.reader, shelf.root).strays == ()


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
    assert [(line["row"], line["page"], line["content"]) for line in lines(shelf)] == [
        (1, 1, "one"),
        (2, 2, "two"),
    ]


async def test_results_saved_while_it_works_are_made_too(shelf: Shelf) -> None:
    """It hears of them from the ledger."""
    deriver = deriver_of(shelf, ALL, RunControl(), Job())
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
            patch.setattr(makers.derived_files, "publish", die_at_once)
        for one in ("jsonl", "parquet", "markdown"):
            try:
                await derive(shelf, one)
            except BaseExceptionGroup as errors:
                assert errors.split(Died)[1] is None
    shelf.store.sweep()
    assert not (shelf.root / "results.parquet").exists()
    await derive(shelf)
    for found in (lines(shelf), table(shelf)):
        assert Counter(row["source"] for row in found) == dict.fromkeys(
            ("0.pdf", "1.pdf", "2.pdf", "3.pdf"), 1
        )
    found_now = verify(shelf.ledger.reader, shelf.root)
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
    found = verify(shelf.ledger.reader, shelf.root)
    assert not found.is_whole and len(found.unmade) == 1
    shelf.ledger.reader.execute("PRAGMA query_only")
    connection = sqlite3.connect(shelf.root / ".batcher" / "ledger.db")
    connection.execute("DELETE FROM derived WHERE (format, file) = (?, ?)", found.unmade[0])
    connection.commit()
    connection.close()
    await derive(shelf)
    assert verify(shelf.ledger.reader, shelf.root).unmade == ()
    assert len(table(shelf)) == 3
    assert (shelf.root / "1.pdf.md").exists()


async def test_a_newer_version_takes_the_place_of_the_older_one(shelf: Shelf) -> None:
    """In the Markdown and in the data set; lines only grow, and the last of a source counts."""
    first = await shelf.save("a.pdf", parsed("old"))
    await shelf.save("b.pdf", parsed("other"))
    await derive(shelf)
    await shelf.save("a.pdf", parsed("new"), replaces=first)
    await derive(shelf)
    assert {row["source"]: row["content"] for row in table(shelf)} == {
        "a.pdf": "new",
        "b.pdf": "other",
    }
    assert len(table(shelf)) == 2
    assert "new" in (shelf.root / "a.pdf.md").read_text()
    assert [line["source"] for line in lines(shelf)] == ["a.pdf", "b.pdf", "a.pdf"]
    assert sorted(path.name for path in shelf.root.glob("*.md")) == ["a.pdf.md", "b.pdf.md"]


async def test_a_version_that_comes_while_it_works_leaves_no_older_rows(shelf: Shelf) -> None:
    """The scan supersedes documents after the data set was looked at; no reader finds both."""
    first = await shelf.save("a.pdf", parsed("old"))
    await shelf.save("b.pdf", parsed("other"))
    await derive(shelf)
    deriver = deriver_of(shelf, ALL, RunControl(), Job())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deriver.run())
        await asyncio.sleep(0.3)
        await shelf.save("a.pdf", parsed("new"), replaces=first)
        await until_made(deriver, shelf)
        task.cancel()
    assert sorted((row["source"], row["content"]) for row in table(shelf)) == [
        ("a.pdf", "new"),
        ("b.pdf", "other"),
    ]
    assert verify(shelf.ledger.reader, shelf.root).is_whole


async def test_a_data_set_with_rows_of_an_older_version_is_not_as_it_should_be(
    shelf: Shelf,
) -> None:
    """As where a run ended before it was made again: `verify` names the file."""
    first = await shelf.save("a.pdf", parsed("old"))
    await derive(shelf, "parquet")
    (part,) = (shelf.root / "results.parquet").rglob("*.parquet")
    await shelf.save("a.pdf", parsed("new"), replaces=first)
    found = verify(shelf.ledger.reader, shelf.root)
    assert found.outdated == (("parquet", str(part.relative_to(shelf.root))),)
    assert not found.is_whole
    await derive(shelf, "parquet")
    assert verify(shelf.ledger.reader, shelf.root).is_whole


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
    """Fetched before the Markdown that shows them; one that can't be had is noted and stops
    nothing.
    """
    control = RunControl()
    await shelf.save(
        f"{folder}a.pdf",
        parsed("one", "two", images=("http://h/1.png?sign=1", "http://h/missing.jpg")),
    )
    await derive(
        shelf,
        "markdown",
        control=control,
        job=Job(options={"settings": {"return_images": ["figure"]}}),
    )
    (picture,) = (shelf.root / folder / "a.pdf.images").iterdir()
    assert picture.read_bytes() == b"http://h/1.png?sign=1"
    assert (
        f"one\n\n![Text, page 1](a.pdf.images/{picture.name})"
        in (shelf.root / folder / "a.pdf.md").read_text()
    )
    assert [
        f"{folder}a.pdf: pictures: 1 of 2 missing" in warning for warning in control.warnings
    ] == [True]
    found = verify(shelf.ledger.reader, shelf.root)
    assert found.is_whole and found.strays == ()


@pytest.mark.parametrize("wrapped", [False, True], ids=["parse", "pipeline"])
async def test_the_pdf_of_a_document_lies_beside_its_pictures(shelf: Shelf, wrapped: bool) -> None:
    """Of a newer result the newer one; one that can't be had is noted and stops nothing."""
    control = RunControl()
    job = Job(options={"settings": {"embed_pdf_metadata": True}})

    def result(pdf: str | None) -> dict[str, Any]:
        parse = {**parsed("one", images=("http://h/1.png",)), "pdf_url": pdf}
        return (
            {"response_type": "pipeline", "job_id": "j", "result": {"parse": parse}}
            if wrapped
            else parse
        )

    first = await shelf.save("a.docx", result("http://h/first?sign=1"))
    await derive(shelf, "markdown", control=control, job=job)
    picture, pdf = sorted((shelf.root / "a.docx.images").iterdir())
    assert (picture.name[:5], pdf.name[:9], pdf.suffix) == ("0001-", "document-", ".pdf")
    assert pdf.read_bytes() == b"http://h/first?sign=1"
    await shelf.save("a.docx", result("http://h/newer"), replaces=first)
    await derive(shelf, "markdown", control=control, job=job)
    newer = [path.read_bytes() for path in (shelf.root / "a.docx.images").glob("*.pdf")]
    assert newer == [b"http://h/newer"]
    assert control.warnings == []
    await shelf.save("b.docx", result("http://h/missing.pdf"))
    await derive(shelf, "markdown", control=control, job=job)
    assert ["b.docx: pictures: 1 of 2 missing" in warning for warning in control.warnings] == [True]
    found = verify(shelf.ledger.reader, shelf.root)
    assert found.is_whole and found.strays == ()


async def test_what_charts_were_read_as_lies_beside_the_result(shelf: Shelf) -> None:
    """Where an address stands in `chart_data`; the data itself stays where it is."""
    job = Job(options={"enhance": {"agentic": [{"scope": "figure", "advanced_chart_agent": True}]}})
    whole = parsed("one", "two")
    for chunk, said in zip(
        whole["result"]["chunks"], (["http://h/chart?sign=1"], ['{"x": [1]}', None]), strict=True
    ):
        chunk["blocks"][0]["chart_data"] = said
    await shelf.save("a.pdf", whole)
    await derive(shelf, "markdown", job=job)
    (chart,) = (shelf.root / "a.pdf.images").iterdir()
    assert (chart.name[:6], chart.suffix, chart.read_bytes()) == (
        "chart-",
        ".json",
        b"http://h/chart?sign=1",
    )
    found = verify(shelf.ledger.reader, shelf.root)
    assert found.is_whole and found.strays == ()


@pytest.mark.parametrize("enabled", [True, False])
async def test_pictures_that_an_extract_cites_lie_beside_the_result(
    shelf: Shelf, enabled: bool
) -> None:
    """Where it was asked for with citations; else what looks like one may be the document's
    author's.
    """
    box = {"left": 0, "top": 0, "width": 1, "height": 1, "page": 1, "original_page": 1}
    block = {"type": "Figure", "bbox": box, "content": "x", "image_url": "http://h/1.png"}
    cited = {
        "value": 5,
        "citations": [{"type": "Figure", "bbox": box, "content": "5", "parentBlock": block}],
    }
    settings = {"return_images": ["figure"]}
    options = {"parsing": {"settings": settings}, "settings": {"citations": {"enabled": enabled}}}
    job = Job(endpoint="extract", options=options)
    await shelf.save(
        "a.pdf", {"response_type": "v3_extract", "job_id": "j", "result": {"total": cited}}
    )
    await derive(shelf, "markdown", job=job)
    pictures = [path.read_bytes() for path in (shelf.root / "a.pdf.images").glob("*")]
    assert pictures == ([b"http://h/1.png"] if enabled else [])
    assert verify(shelf.ledger.reader, shelf.root).is_whole


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
    await derive(
        shelf, "parquet", job=Job(endpoint="extract", options={"instructions": {"schema": schema}})
    )
    (row,) = table(shelf)
    assert (row["number"], row["total"], row["due"], row["seller.name"]) == (
        "I-1",
        12.0,
        None,
        "Lantern & Co",
    )
    assert json.loads(row["lines"]) == [{"what": "wick"}]
    assert json.loads(row["other"]) == {"colour": "red"}


async def test_a_full_disk_stops_the_run_and_loses_nothing(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3; the next run makes what is missing."""
    await shelf.save("a.pdf", parsed("text"))
    control = RunControl()

    def full(*_: object, **__: object) -> Sequence[Derivable]:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(makers.derived_files, "append_lines", full)
        deriver = deriver_of(shelf, ("jsonl",), control, Job())
        running = asyncio.create_task(deriver.run())
        finishing = asyncio.create_task(deriver.finish())
        await control.stopped.wait()
        running.cancel()
        finishing.cancel()
    assert control.exit_code == 3 and "make room" in control.reason
    await derive(shelf, "jsonl")
    assert len(lines(shelf)) == 1


class Sickly:
    """A maker that fails for documents whose source says so; what it made of the others it
    keeps.
    """

    after = None
    at_a_time = Limit()

    def __init__(self, shelf: Shelf, error: Exception, format: str = "markdown") -> None:
        self.format = format
        self.tried: list[tuple[str, ...]] = []
        self._shelf = shelf
        self._error = error

    async def prepare(self) -> None:
        """Nothing to look after."""

    async def make(self, group: Sequence[Derivable]) -> None:
        self.tried.append(tuple(one.source for one in group))
        if any("bad" in one.source for one in group):
            raise self._error
        await remember(
            self._shelf.ledger,
            [Derived(one.document, self.format, one.sha256, one.source) for one in group],
        )


async def made_by(shelf: Shelf, control: RunControl, *ones: Maker) -> None:
    deriver = Deriver(shelf.ledger, control, ones)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deriver.run())
        finishing = group.create_task(deriver.finish())
        while not finishing.done() and not control.abort:
            await shelf.ledger.change(within=0.02)
        finishing.cancel()
        task.cancel()


def made(shelf: Shelf, format: str) -> dict[str, str | None]:
    """What is made, by source, with its note."""
    sql = (
        "SELECT d.source, x.note FROM derived x JOIN documents d ON d.id = x.document WHERE "
        "x.format = ?"
    )
    return dict(shelf.ledger.reader.execute(sql, (format,)))


UNFORESEEN = [
    RuntimeError("nobody saw it coming"),
    MemoryError(),
    OSError(36, "File name too long"),
    RecursionError(),
]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
async def test_what_fails_of_one_document_is_its_own(shelf: Shelf, error: Exception) -> None:
    """The others are made, it is told with its reason, the run goes on; and the next one tries it
    again.
    """
    for source in ("a.pdf", "b.pdf", "bad.pdf", "c.pdf", "d.pdf"):
        await shelf.save(source, parsed("text"))
    control = RunControl()
    maker = Sickly(shelf, error)
    await made_by(shelf, control, maker)
    notes = made(shelf, "markdown")
    assert {source for source, note in notes.items() if note is None} == {
        "a.pdf",
        "b.pdf",
        "c.pdf",
        "d.pdf",
    }
    assert type(error).__name__ in str(notes["bad.pdf"])
    assert [warning.startswith("bad.pdf: markdown") for warning in control.warnings] == [True]
    assert not control.stopped.is_set() and maker.tried.count(("bad.pdf",)) == 1
    assert [f for f, _ in verify(shelf.ledger.reader, shelf.root).unmade] == ["markdown"]
    again = Sickly(shelf, error)
    await made_by(shelf, RunControl(), again)
    assert again.tried == [("bad.pdf",)]
    await derive(shelf, "markdown")
    assert verify(shelf.ledger.reader, shelf.root).unmade == ()


async def test_three_in_a_row_that_fail_alike_end_what_is_made_and_not_the_run(
    shelf: Shelf,
) -> None:
    """With a word; what else is made of them is, and results go on coming home."""
    for number in range(20):
        await shelf.save(f"bad {number}.pdf", parsed("text"))
    control = RunControl()
    maker = Sickly(shelf, RuntimeError("no"))
    other = Sickly(shelf, RuntimeError("no"), "other")
    other.make = lambda group: remember(  # type: ignore[method-assign]
        shelf.ledger, [Derived(one.document, "other", one.sha256, one.source) for one in group]
    )
    await made_by(shelf, control, maker, other)
    assert len(made(shelf, "markdown")) == 3 and len(made(shelf, "other")) == 20
    assert "no more of it is made in this run" in control.warnings[-1]
    assert not control.stopped.is_set()


async def test_failures_between_which_others_succeed_are_no_row(shelf: Shelf) -> None:
    """However many there are."""
    for number in range(12):
        await shelf.save(f"{'bad' if number % 2 else 'good'} {number}.pdf", parsed("text"))
    control = RunControl()
    await made_by(shelf, control, Sickly(shelf, RuntimeError("no")))
    assert Counter(note is None for note in made(shelf, "markdown").values()) == {True: 6, False: 6}


async def test_a_folder_in_the_way_is_one_document_s_trouble(shelf: Shelf) -> None:
    """Where its pictures should lie somebody has a file:

    Markdown, lines and the others' pictures are made.
    """
    (shelf.root / "a.pdf.images").write_text("mine")
    for source in ("a.pdf", "b.pdf"):
        await shelf.save(source, parsed("one", images=("http://h/1.png",)))
    control = RunControl()
    await derive(
        shelf,
        "markdown",
        "jsonl",
        control=control,
        job=Job(options={"settings": {"return_images": ["figure"]}}),
    )
    assert not control.stopped.is_set() and (shelf.root / "a.pdf.images").read_text() == "mine"
    assert len(lines(shelf)) == 2 and (shelf.root / "a.pdf.md").exists()
    assert len(list((shelf.root / "b.pdf.images").iterdir())) == 1
    assert any(warning.startswith("a.pdf: images") for warning in control.warnings)


LINKS = (
    "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
    "data:image/svg+xml,%3Csvg/%3E",
    "data:nonsense",
    "http://h/empty.png",
    "http://h/odd.png",
    "http://[",
    "",
    "../../etc/passwd",
    "http://h/same.png?a",
    "http://h/same.png?b",
)


async def test_a_link_that_is_no_address_is_noted_and_the_other_pictures_are_there(
    shelf: Shelf,
) -> None:
    """One that holds its picture itself gives it; an empty one is none; two of one name are two."""
    control = RunControl()
    await shelf.save("a.pdf", parsed(*map(str, range(len(LINKS))), images=LINKS))
    await derive(
        shelf,
        "markdown",
        control=control,
        job=Job(options={"settings": {"return_images": ["figure"]}}),
    )
    found = sorted(
        path.name.partition("-")[0] + path.suffix
        for path in (shelf.root / "a.pdf.images").iterdir()
    )
    assert found == ["0001.gif", "0002.svg", "0008.png", "0009.png"]
    assert (shelf.root / "a.pdf.images").glob("0002*").__next__().read_bytes() == b"<svg/>"
    assert "5 of 9 missing" in str(made(shelf, "images")["a.pdf"])
    assert verify(shelf.ledger.reader, shelf.root).is_whole


ODD = {
    "a split of nothing": {
        "response_type": "split",
        "result": {"splits": [{"name": "a", "partitions": 5}]},
    },
    "numbers without end": {
        "response_type": "extract",
        "result": [{"a": 10**40, "b": 10**400, "c": None}],
    },
    "empty objects": {
        "response_type": "extract",
        "result": [{"a": {}, "b": [], "c": [1, "x", {}], "d": {"e": {}}}],
    },
    "names alike": {
        "response_type": "extract",
        "result": [{"": 1, "A": 2, "a": "x", "Source": 3, "\0": 4}],
    },
    "a pipeline of odd parts": {
        "response_type": "pipeline",
        "result": {"parse": 5, "extract": [1, {"result": 7}]},
    },
    "pages that are none": {
        "response_type": "parse",
        "result": {"chunks": [{"blocks": [{"bbox": {"page": True}}]}]},
    },
}
BYTES = {
    "NaN": b'{"response_type":"extract","result":[{"a":NaN,"b":"\\ud83d"}]}',
    "deep": b'{"response_type":"extract","result":[' + b'{"a":' * 450 + b"1" + b"}" * 450 + b"]}",
    "deeper than anybody reads": b'{"response_type":"extract","result":'
    + b"[" * 9000
    + b"]" * 9000
    + b"}",
    "cut off": b'{"response_type":"parse","result":{"chunks":[{"con',
    "no JSON": b"\xff\x00",
    "nothing": b"",
}


@pytest.mark.parametrize("schema", [False, True])
async def test_whatever_was_saved_all_that_can_be_is_made_of_it(shelf: Shelf, schema: bool) -> None:
    """Every format of every odd result, in one group with a sound one; each line is JSON."""
    await shelf.save("sound.pdf", parsed("text"))
    odd: dict[str, dict[str, Any] | bytes] = {**ODD, **BYTES}
    for name, result in odd.items():
        await shelf.save(f"{name}.pdf", result)
    control = RunControl()
    options = (
        {"instructions": {"schema": {"properties": {"a": {"type": "number"}}}}} if schema else {}
    )
    await derive(shelf, control=control, job=Job(endpoint="extract", options=options))
    assert not control.stopped.is_set()
    assert {line["source"] for line in lines(shelf)} == {
        "sound.pdf",
        *(f"{name}.pdf" for name in {**ODD, **BYTES}),
    }
    assert len(list(shelf.root.glob("*.md"))) == 1 + len(ODD) + len(BYTES)
    assert {"sound.pdf", "names alike.pdf", "deep.pdf", "NaN.pdf"} <= {
        row["source"] for row in table(shelf)
    }
    assert not [note for note in made(shelf, "parquet").values() if note and "Error" in note]
    assert any("cut off.pdf: jsonl: left out" in warning for warning in control.warnings)
    assert verify(shelf.ledger.reader, shelf.root).is_whole


def extracted(**fields: Any) -> dict[str, Any]:
    return {"response_type": "extract", "job_id": "j", "result": [fields]}


async def test_a_column_has_one_type_from_run_to_run(shelf: Shelf) -> None:
    """Of a step without a schema: the data set is read as one, and what fits no column any more
    stands beside it.
    """
    for number, value in enumerate((120, 117.5, None, "12 EUR", True, 2**60 + 1)):
        await shelf.save(
            f"{number}.pdf", extracted(total=value, **({"late": number} if number > 2 else {}))
        )
        await derive(shelf, "parquet", job=Job(endpoint="extract"))
    parts = sorted((shelf.root / "results.parquet").rglob("*.parquet"))
    kinds = {(name, str(kind)) for part in parts for name, kind in types_of(part).items()}
    assert len(parts) == 6 and len(kinds) == len({name for name, _ in kinds})
    assert types_of(parts[0])["total"] == "double"
    rows = {row["source"]: row for row in table(shelf)}
    assert [rows[f"{number}.pdf"]["total"] for number in range(6)] == [
        120.0,
        117.5,
        None,
        None,
        None,
        float(2**60),
    ]
    assert json.loads(rows["3.pdf"]["other"])["total"] == "12 EUR"


async def test_parts_that_each_have_their_own_columns_are_made_again(shelf: Shelf) -> None:
    """As earlier versions wrote them: once, with the columns that the step then keeps."""
    await shelf.save("a.pdf", extracted(total=120))
    await derive(shelf, "parquet", job=Job(endpoint="extract"))
    await shelf.ledger.note("columns found in parse", None)
    (before,) = (shelf.root / "results.parquet").rglob("*.parquet")
    await derive(shelf, "parquet", job=Job(endpoint="extract"))
    (after,) = (shelf.root / "results.parquet").rglob("*.parquet")
    assert before != after and len(table(shelf)) == 1


@pytest.mark.parametrize("job", [Job(), Job(endpoint="extract")])
async def test_parts_that_lack_a_column_are_made_again(shelf: Shelf, job: Job) -> None:
    """As of a version that wrote no paths: all files of a step have the same columns."""
    await shelf.save("a.pdf", extracted(total=120))
    await derive(shelf, "parquet", job=job)
    for noted in ("columns of parse", "columns found in parse"):
        if columns := json.loads(shelf.ledger.noted(noted) or "{}"):
            del columns["path"]
            await shelf.ledger.note(noted, json.dumps(columns))
    (before,) = (shelf.root / "results.parquet").rglob("*.parquet")
    await shelf.save("b.pdf", extracted(total=7))
    await derive(shelf, "parquet", job=job)
    after = list((shelf.root / "results.parquet").rglob("*.parquet"))
    assert before not in after and all("path" in types_of(part) for part in after)
    await derive(shelf, "parquet", job=job)
    assert after == list((shelf.root / "results.parquet").rglob("*.parquet"))


def types_of(part: Path) -> dict[str, str]:
    return {field.name: str(field.type) for field in pyarrow.parquet.read_schema(part)}
