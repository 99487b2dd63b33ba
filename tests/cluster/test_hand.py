"""What a hand leaves on its node, without Ray."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import msgspec
import pytest
from desk import Desk
from lending import PARSER

from batcher.cluster.hand import Hand
from batcher.cluster.messages import Reading
from batcher.cluster.parcels import RESULT, opened, sealed
from batcher.service.tasks import Report


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of a node."""
    folder = tmp_path / "node"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


async def read(hand: Hand, desk: Desk, text: str) -> Report:
    task = desk.task(text)
    content = {task.sources[0].path: text.encode()}
    report, _ = opened(await hand.read(sealed(Reading(task, 30.0), content)), Report)
    return report


async def test_no_document_stays_on_a_node(node: Path, desk: Desk):
    """Nothing of it is left once it is read, and nothing at all once the hand leaves."""
    hand = Hand(PARSER, 1, "")
    assert (await read(hand, desk, "a letter")).name == ""
    assert [path.name for path in node.rglob("*") if path.is_file()] == ["in-use"]
    await hand.leave()
    assert not list(node.iterdir())


async def test_what_a_lost_hand_left_is_removed_by_the_next(node: Path, desk: Desk):
    """And nothing of one that is still there."""
    lost = node / "batcher-hand-lost"
    (lost / "task").mkdir(parents=True)
    (lost / "task" / "document.pdf").write_bytes(b"confidential")
    (lost / "in-use").touch()
    first = Hand(PARSER, 1, "")
    assert not lost.exists()
    second = Hand(PARSER, 1, "")
    assert len(list(node.iterdir())) == 2
    await asyncio.gather(first.leave(), second.leave())


async def test_a_node_s_disk_that_refuses_is_not_the_document_s_fault(node: Path, desk: Desk):
    """Another node may have room; and the reason names no path."""
    hand = Hand(PARSER, 1, "")
    for path in node.iterdir():
        (path / "task").write_text("in the way")
    report = await read(hand, desk, "a letter")
    assert (report.name, report.code) == ("SERVICE_UNAVAILABLE", 503)
    assert report.message == "The disk of a node refuses: FileExistsError: File exists"
    await hand.leave()


async def test_a_hand_keeps_the_cores_busy_that_it_takes(node: Path, desk: Desk):
    """Whoever reads pages there is told of them."""
    hand = Hand(PARSER, 2, "")
    task = desk.task("cores")
    content = {task.sources[0].path: b"cores"}
    _, files = opened(await hand.read(sealed(Reading(task, 30.0), content)), Report)
    result = msgspec.json.decode(files[RESULT])["result"]
    assert result["chunks"][0]["content"] == "2"
    await hand.leave()
