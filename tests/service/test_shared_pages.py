"""Long scans: idle hands read pages of them, and the answer is that of one hand."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
import pytest
from scans import as_pdf, blank, with_word, write
from service_client import PARSER, Client

from batcher.service.local import LocalOptions, LocalService
from batcher.service.parsing import parse
from batcher.service.parsing.scans.tesseract import find_tesseract
from batcher.service.shared_pages import Loan, SharedDocuments, SharedPages
from batcher.service.tasks import Offer, Reply, Report, Task, TaskInput
from batcher.service.workers import Worker


@dataclass(frozen=True)
class Note:
    """That a process has begun with pages: whose it is, and which password it was given."""

    whose: str
    process: str
    password: str
    pages: tuple[int, ...]


class Scan:
    """A scan of so many pages, and what hands note while they read it."""

    def __init__(self, folder: Path, pages: int) -> None:
        self.file = folder / "notes"
        self.text = " ".join(f"page {number}" for number in range(1, pages + 1))
        self._pages = pages

    def content(self, *lines: str) -> bytes:
        head = [f"scan of {self._pages} pages", f"any note {self.file}"]
        return "\n".join([*head, *lines]).encode()

    @property
    def notes(self) -> list[Note]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        told = [line.split() for line in lines if line != "short"]
        return [
            Note(whose, process, password, tuple(map(int, pages.split(","))))
            for whose, process, password, pages in told
        ]

    def times_read(self) -> Counter[int]:
        return Counter(page for note in self.notes for page in note.pages)

    async def has(self, whose: str, number: int = 1) -> None:
        """Wait until so many ranges have been begun by the document's own hand, or by others."""
        while sum(note.whose == whose for note in self.notes) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    return Scan(tmp_path, 12)


@pytest.fixture
async def two(tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[Client]:
    """A client of a service with two workers."""
    async with serving(tmp_path, session, 2) as client:
        yield client


@asynccontextmanager
async def serving(
    folder: Path, session: aiohttp.ClientSession, workers: int
) -> AsyncIterator[Client]:
    options = LocalOptions(folder / "service", workers=workers, parser=PARSER)
    async with LocalService(options, key="secret") as service:
        yield Client(session, service)


def text_of(answer: dict) -> str:
    assert answer["status"] == "Completed", answer
    return answer["result"]["result"]["chunks"][0]["content"]


async def test_a_long_scan_is_read_by_two_workers(two: Client, scan: Scan, tmp_path: Path):
    """Each page once, and the answer has them in order."""
    own, other = tmp_path / "own", tmp_path / "other"
    source = await two.upload(scan.content(f"own await {own}", f"other await {other}"))
    job = await two.submit(source)
    await scan.has("own")
    other.touch()
    await scan.has("other", 3)
    own.touch()
    assert text_of(await two.end_of(job)) == scan.text
    assert len({note.process for note in scan.notes}) == 2
    assert scan.times_read() == Counter(range(1, 13))


async def test_one_worker_reads_a_long_scan_alone(tmp_path: Path, session, scan: Scan):
    """With the same answer."""
    async with serving(tmp_path, session, 1) as client:
        _, answer = await client.parsed(scan.content())
    assert text_of(answer) == scan.text
    assert {note.whose for note in scan.notes} == {"own"}


async def test_a_worker_that_dies_costs_its_pages_again(two: Client, scan: Scan, tmp_path: Path):
    """The document's own hand reads them, and no others."""
    gate = tmp_path / "gate"
    lines = [f"other die-once {tmp_path / 'dead'}", f"own await {gate}"]
    job = await two.submit(await two.upload(scan.content(*lines)))
    await scan.has("other", 2)
    gate.touch()
    assert text_of(await two.end_of(job)) == scan.text
    lost = next(note.pages for note in scan.notes if note.whose == "other")
    assert scan.times_read() == Counter(range(1, 13)) + Counter(lost)


@pytest.mark.parametrize("words", ["fail", "die"])
async def test_hands_that_can_t_read_a_scan_are_left_alone(
    two: Client, scan: Scan, tmp_path: Path, words: str
):
    """After three of them the document's own hand reads the rest."""
    gate = tmp_path / "gate"
    scan = Scan(tmp_path, 60)
    lines = ["other fail"] if words == "fail" else [f"other die {n}" for n in range(1, 61)]
    source = await two.upload(scan.content(*lines, f"own await {gate}"))
    job = await two.submit(source)
    await scan.has("other", 3)
    gate.touch()
    assert text_of(await two.end_of(job)) == scan.text
    assert sum(note.whose == "other" for note in scan.notes) == 3


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_page_that_ends_every_reader_is_the_document_s_own_fault(
    tmp_path: Path, session, scan: Scan, workers: int
):
    """However many hands there are."""
    async with serving(tmp_path, session, workers) as client:
        _, answer = await client.parsed(scan.content("any die 5"))
        assert answer["error"]["name"] == "DOCUMENT_CORRUPT"
        assert text_of((await client.parsed(b"alive"))[1]) == "alive"


async def test_a_document_that_waits_comes_before_the_next_pages(
    two: Client, scan: Scan, tmp_path: Path
):
    """A hand that helps takes it as soon as it has read what it was at."""
    own, other = tmp_path / "own", tmp_path / "other"
    job = await two.submit(
        await two.upload(scan.content(f"own await {own}", f"other await {other}"))
    )
    await scan.has("other")
    short = await two.submit(await two.upload(f"note short in {scan.file}".encode()))
    other.touch()
    await two.end_of(short)
    own.touch()
    assert text_of(await two.end_of(job)) == scan.text
    whose = [line.split()[0] for line in scan.file.read_text().splitlines()]
    assert [word for word in whose if word != "own"][:2] == ["other", "short"]


async def test_a_cancelled_scan_leaves_its_helper_to_others(
    two: Client, scan: Scan, tmp_path: Path
):
    """What the helper was at is ended, too."""
    source = await two.upload(scan.content(f"any await {tmp_path / 'never'}"))
    job = await two.submit(source)
    await scan.has("other")
    await two.call("POST", f"/cancel/{job}")
    assert (await two.end_of(job))["status"] == "Cancelled"
    both = await asyncio.gather(two.parsed(b"one"), two.parsed(b"two"))
    assert [text_of(answer) for _, answer in both] == ["one", "two"]


async def test_helpers_are_told_the_password(two: Client, scan: Scan, tmp_path: Path):
    """Of the request, they get no more than what pages are read with."""
    gate = tmp_path / "gate"
    source = await two.upload(scan.content(f"own await {gate}"))
    job = await two.submit(source, settings={"document_password": "sesame"})
    await scan.has("other")
    gate.touch()
    assert text_of(await two.end_of(job)) == scan.text
    assert {note.password for note in scan.notes if note.whose == "other"} == {"sesame"}


async def test_pages_that_were_offered_are_not_offered_again(tmp_path: Path):
    """Though the same process has offered pages of its own before."""
    document = tmp_path / "a.txt"
    document.write_text("scan of 8 pages")
    task = msgspec.structs.replace(
        a_task(),
        sources=[TaskInput(str(document))],
        result=str(tmp_path / "a.json"),
        attachments=str(tmp_path / "a"),
        cores=2,
    )

    async def refuse(offer: Offer) -> Reply:
        raise AssertionError("pages were offered")

    worker = Worker(parser=PARSER)
    await worker.read(task, seconds=30, on_stage=lambda stage: None)
    pages = msgspec.structs.replace(task, pages=[1, 2, 3, 4, 5])
    report = await worker.read(pages, seconds=30, on_stage=lambda stage: None, share=refuse)
    assert report.num_pages == 5
    await worker.close()


@pytest.mark.parametrize("pages, longest", [(2, 1), (5, 1), (8, 2), (12, 3), (500, 3)])
async def test_short_scans_are_shared_too(tmp_path: Path, session, pages: int, longest: int):
    """By single pages if they have but few."""
    scan = Scan(tmp_path, pages)
    async with serving(tmp_path, session, 1) as client:
        await client.parsed(scan.content())
    assert max(len(note.pages) for note in scan.notes) == longest


class FakeHand:
    """A hand that reads a page in ten seconds of processor time, once it is let."""

    cores = 1

    def __init__(self, *, begins: bool = True) -> None:
        self.let = asyncio.Event()
        self.tasks: list[tuple[Task, float]] = []
        self.killed = 0
        self._begins = begins

    async def warm_up(self) -> None:
        pass

    async def read(
        self,
        task: Task,
        *,
        seconds: float,
        on_stage: Callable[[str], None],
        share: object = None,
    ) -> Report:
        self.tasks.append((task, seconds))
        if self._begins:
            on_stage("InProgress")
        await self.let.wait()
        if self.killed:
            return Report(name="SUBPROCESS_CRASHED")
        return Report(read=msgspec.Raw(b"{}"), processor=10.0 * len(task.pages))

    def kill(self) -> None:
        self.killed += 1
        self.let.set()

    async def close(self) -> None:
        self.kill()


def a_task() -> Task:
    sources = [TaskInput("a.pdf")]
    return Task("job", "Parse", {"secret": "x"}, sources, "r", "a", "t", seconds=900)


async def test_other_hands_have_the_time_that_is_left():
    """By the clock and of the processor, and what they take of it is told to the document's own."""
    helper = FakeHand()
    helper.let.set()
    documents = SharedDocuments(lambda: None)
    with documents.sharing(a_task(), 60) as pages:
        await pages.answer(Offer(processor=800, ranges=[[1, 2], [3]]))
        await documents.help(helper)
        task, seconds = helper.tasks[0]
        assert (task.seconds, task.pages, task.request) == (800, [1, 2], {})
        assert 0 < seconds <= 60
        given = await pages.answer(Offer(processor=790))
        assert (given.pages, given.processor) == ([1, 2], 20.0)
        assert (await pages.answer(Offer(processor=770))).pages == [3]
        assert (await pages.answer(Offer(processor=760))).pages == []


async def test_pages_of_which_no_hand_has_begun_are_taken_back():
    """A cluster may have lost all hands but the document's own, which must not wait for them."""
    helper = FakeHand(begins=False)
    documents = SharedDocuments(lambda: None)
    with documents.sharing(a_task(), 60) as pages:
        await pages.answer(Offer(processor=800, ranges=[[1, 2]]))
        helping = asyncio.create_task(documents.help(helper))
        await asyncio.sleep(0)
        assert (await pages.answer(Offer(processor=800))).pages == [1, 2]
        await helping
        assert helper.killed
        assert (await pages.answer(Offer(processor=800))).pages == []


async def test_hands_help_several_documents_in_turn():
    """None of them has all of the hands."""
    helper = FakeHand()
    helper.let.set()
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1

    documents = SharedDocuments(call)
    offer = Offer(processor=800, ranges=[[1], [2]])
    with documents.sharing(a_task(), 60) as one, documents.sharing(a_task(), 60) as other:
        await one.answer(offer)
        await other.answer(offer)
        calls = 0
        await documents.help(helper)
        await documents.help(helper)
        assert [await one.answer(Offer()), await other.answer(Offer())] == [
            Reply(pages=[1], read=msgspec.Raw(b"{}"), processor=10.0)
        ] * 2
        assert calls == 2


def test_what_others_do_counts_against_the_processor_time():
    """The system ends a task that has used up its time elsewhere."""
    code = (
        "from batcher.service.process_limits import ProcessorTime; time = ProcessorTime(100); "
        "time.count(40); assert 55 < time.left < 60, time.left; time.count(60)\n"
        "while True: pass"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGXCPU


def pages_of(tmp_path: Path, kind: str) -> Path:
    """Five pages that are pictures, one of them blank and one without words, as PDF or TIFF."""
    pages = [blank((800, 400)) for _ in range(5)]
    for page, word in zip(pages, ("ORCHARD", "PEBBLE", "LANTERN"), strict=False):
        write(page, (60, 60), with_word(word))
    pages[4].paste(0, (100, 100, 700, 300))
    path = tmp_path / f"scan.{kind}"
    if kind == "pdf":
        path.write_bytes(as_pdf(pages))
    else:
        pages[0].save(path, save_all=True, append_images=pages[1:])
    return path


@pytest.mark.skipif(find_tesseract() is None, reason="Tesseract is not installed")
@pytest.mark.parametrize("kind", ["pdf", "tiff"])
async def test_a_scan_that_two_workers_read_is_as_one_reads_it(
    tmp_path: Path, session, kind: str, monkeypatch: pytest.MonkeyPatch
):
    """Blocks, boxes, page numbers, and the notes on pages that could not be read."""
    path = pages_of(tmp_path, kind)
    lent = asyncio.Event()
    helpers: list[list[int]] = []
    answer, read = SharedPages.answer, SharedPages.read

    async def answer_once_lent(self: SharedPages, offer: Offer) -> Reply:
        if not offer.ranges:
            await lent.wait()
        return await answer(self, offer)

    async def read_and_count(self: SharedPages, loan: Loan) -> None:
        helpers.append(loan.pages)
        lent.set()
        await read(self, loan)

    monkeypatch.setattr(SharedPages, "answer", answer_once_lent)
    monkeypatch.setattr(SharedPages, "read", read_and_count)
    options = LocalOptions(tmp_path / "service", workers=2)
    async with LocalService(options, key="secret") as service:
        client = Client(session, service)
        source = await client.upload(path.read_bytes(), path.name)
        ended = await client.end_of(await client.submit(source, settings={"return_ocr_data": True}))
    assert helpers
    alone = parse(path, extension=kind, options={"settings": {"return_ocr_data": True}})
    assert ended["result"]["result"] == msgspec.to_builtins(alone.result)
    assert ended["result"]["usage"]["not_served"] == alone.notes
    assert any("OCR found no text" in note for note in alone.notes)
