"""What holds for every hand, of this machine or of a cluster, by path and by value."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from desk import LONG, Desk, one_of
from lending import Lend

from batcher.service.parsing.scans.page_ranges import Read
from batcher.service.shared_pages import SharedDocuments
from batcher.service.tasks import Question, Reply


@pytest.mark.parametrize("seen", [True, False])
async def test_a_document_is_read_and_its_result_is_where_it_is_wanted(
    lend: Lend, desk: Desk, seen: bool
):
    """With pages, time, the stage before the end, and pictures beside it, whether the hand sees the
    folder or not; nothing else is left.
    """
    async with lend(shared=str(desk.folder) if seen else "") as hands, one_of(hands) as hand:
        report = await desk.read(hand, "hello")
        assert report.name == "", report
        assert (report.num_pages, desk.content) == (1, "hello")
        assert report.duration > 0 and desk.stages == ["InProgress", "Completing"]
        await desk.read(hand, "picture")
        assert (desk.folder / "2" / "page-1.png").read_bytes() == b"\x89PNG"
    assert not list(desk.folder.rglob("*.part")) and not list(desk.folder.glob(".*"))


async def test_what_goes_wrong_is_a_report(lend: Lend, desk: Desk):
    """A reader that dies or dawdles, and a document that is refused or gone; then the next."""
    async with lend() as hands, one_of(hands) as hand:
        assert (await desk.read(hand, "die")).name == "SUBPROCESS_CRASHED"
        assert (await desk.read(hand, "refuse")).name == "DOCUMENT_CORRUPT"
        never = f"wait for {desk.folder / 'never'}"
        assert (await desk.read(hand, never, seconds=0.3)).name == "TIMEOUT"
        task = desk.task("gone")
        Path(task.sources[0].path).unlink()
        report = await hand.read(task, seconds=LONG, on_stage=lambda stage: None)
        assert "the upload is gone" in report.message
        assert (await desk.read(hand, "alive")).name == ""


async def test_a_reason_names_no_file(lend: Lend, desk: Desk):
    """Files have names of their own at each hand, and reasons are counted by their words."""
    async with lend() as hands, one_of(hands) as hand:
        reasons = {(await desk.read(hand, "name the file")).message for _ in range(2)}
    assert len(reasons) == 1 and "/" not in reasons.pop()


async def test_a_task_that_is_ended_leaves_the_hand_to_the_next(lend: Lend, desk: Desk):
    """Its report is a failure, at once."""
    async with lend() as hands, one_of(hands) as hand:
        begun = desk.folder / "begun"
        reading = asyncio.create_task(desk.read(hand, f"say so in {begun} and never end"))
        while not begun.exists():  # noqa: ASYNC110 (another process makes it)
            await asyncio.sleep(0.01)
        hand.kill()
        assert (await reading).name == "SUBPROCESS_CRASHED"
        assert (await desk.read(hand, "alive")).name == "" and desk.content == "alive"


async def test_a_model_is_asked_here(lend: Lend, desk: Desk):
    """Each question comes back from where the document is read, and its answer goes there."""
    said = ["not what was asked for", '{"colour": "blue"}']
    asked: list[Question] = []

    async def ask(question: Question) -> Reply:
        asked.append(question)
        return Reply(text=said[len(asked) - 1])

    async with lend(ask=ask) as hands, one_of(hands) as hand:
        report = await hand.read(desk.extraction(), seconds=LONG, on_stage=lambda stage: None)
        assert report.name == "" and len(asked) == 2
        assert "the sky is blue" in asked[0].messages[1]["content"]
        assert desk.result == [{"colour": "blue"}]


async def test_without_a_model_that_is_said(lend: Lend, desk: Desk):
    """A task that asks one all the same fails by name."""
    async with lend() as hands, one_of(hands) as hand:
        report = await hand.read(desk.extraction(), seconds=LONG, on_stage=lambda stage: None)
        assert report.name == "LLM_PROVIDER_ERROR"


async def test_a_document_sees_no_secret(lend: Lend, desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Neither this process's nor a node's: whoever takes over a reader finds no key."""
    monkeypatch.setenv("REDUCTO_API_KEY", "a-secret-of-this-machine")
    async with lend() as hands, one_of(hands) as hand:
        await desk.read(hand, "environment")
        assert "PATH" in desk.content
        assert "REDUCTO_API_KEY" not in desk.content and "CANARY" not in desk.content


async def test_each_hand_reads_at_the_same_time(lend: Lend, desk: Desk):
    """As many documents are in progress as there are hands."""
    async with lend(2) as hands:
        each = hands.each()
        two = [await anext(each), await anext(each)]
        signal = desk.folder / "signal"
        waiting = asyncio.create_task(desk.read(two[0], f"wait for {signal}"))
        report = await Desk(_made(desk.folder / "other")).read(two[1], "quick")
        assert report.name == "" and not waiting.done()
        signal.touch()
        assert (await waiting).name == ""
        for hand in two:
            await hand.close()


async def test_pages_of_a_scan_are_read_by_several_hands(lend: Lend, desk: Desk):
    """Each page once, and the result is that of one hand; what the other reads is in its report."""
    async with lend(2) as hands:
        each = hands.each()
        own, other = await anext(each), await anext(each)
        gate = desk.folder / "gate"
        task = desk.task(f"scan of 8 pages\nown await {gate}")
        documents = SharedDocuments(lambda: None)
        with documents.sharing(task, LONG) as pages:
            reading = asyncio.create_task(
                own.read(task, seconds=LONG, on_stage=lambda stage: None, share=pages.answer)
            )
            while not pages.has_open:  # noqa: ASYNC110 (another process offers them)
                await asyncio.sleep(0.01)
            await documents.help(other)
            gate.touch()
            assert (await reading).name == ""
        assert desk.content == " ".join(f"page {number}" for number in range(1, 9))
        for hand in (own, other):
            await hand.close()


@pytest.mark.parametrize("seen", [True, False])
async def test_a_hand_reads_the_pages_that_are_asked_for(lend: Lend, desk: Desk, seen: bool):
    """With the settings that its request names; it writes nothing."""
    async with lend(shared=str(desk.folder) if seen else "") as hands, one_of(hands) as hand:
        task = desk.task(f"scan of 8 pages\nother note {desk.folder / 'notes'}")
        task = msgspec.structs.replace(task, pages=[4, 2], request={"document_password": "sesame"})
        report = await hand.read(task, seconds=LONG, on_stage=lambda stage: None)
        read = msgspec.json.decode(report.read, type=Read)
        assert {number: page.unread for number, page in read.items()} == {
            4: ("page 4",),
            2: ("page 2",),
        }
        assert "sesame 4,2" in (desk.folder / "notes").read_text()
        assert not Path(task.result).exists() and not Path(task.attachments).exists()


async def test_a_hand_that_is_the_only_one_reads_a_scan_alone(lend: Lend, desk: Desk):
    """It offers pages, and nobody takes them."""
    async with lend() as hands, one_of(hands) as hand:
        assert (await desk.read(hand, "scan of 8 pages")).name == ""
        assert desk.content.startswith("page 1 page 2 ")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
