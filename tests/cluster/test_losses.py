"""Hands, nodes, foremen and whole clusters that are lost while documents are read.

Nothing is lost with them but time; a document that its own reader dies of still fails.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from desk import LONG, Desk, one_of
from lending import PARSER, process_at
from places import place

from batcher.cluster import foreman
from batcher.cluster.crew import Crew
from batcher.cluster.figures import NodeCount
from batcher.cluster.file_tasks import Failure, Hashing, Putting, StoredFile
from batcher.cluster.messages import Wanted
from batcher.cluster.on_ray import RayHand, RayHands
from batcher.cluster.room import Room
from batcher.errors import ClusterLost, ClusterUnusable
from batcher.service.shared_pages import SharedDocuments, SharedPages
from batcher.service.tasks import Report, Task

pytestmark = pytest.mark.timeout(400)  # Ray starts a process for all that is asked of it


def wanted(address: str, **more: object) -> Wanted:
    return Wanted(address=address, parser=PARSER, shared="", **more)  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for other processes; pytest's own limit ends what never comes."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def test_a_lost_hand_s_document_is_read_by_another(cluster, desk: Desk):
    """Whether the hand dies or is only silent beyond its task's time, and another replaces it."""
    asked = wanted(cluster, hands=2, grace=1)
    async with RayHands(asked) as hands, one_of(hands) as hand:
        await until(lambda: hands.standing.hands == 2)
        dies = f"end the hand unless {desk.folder / 'died'}"
        assert (await desk.read(hand, dies)).name == "" and desk.content == dies
        stops = f"stop the hand unless {desk.folder / 'stopped'}"
        assert (await desk.read(hand, stops, seconds=2)).name == ""
        await until(lambda: hands.standing.hands == 2)
        assert hands.standing.lost_hands == 2 and hands.standing.lost_nodes == 0


async def test_a_document_that_ends_every_hand_is_given_up(cluster, desk: Desk):
    """After five of them; the next document finds a hand."""
    async with RayHands(wanted(cluster, hands=2)) as hands, one_of(hands) as hand:
        report = await desk.read(hand, f"end the hand unless {desk.folder / 'never'}/")
        assert (report.name, report.machines) == ("SUBPROCESS_CRASHED", 5)
        assert report.message.startswith("5 machines of the cluster were lost")
        assert (await desk.read(hand, "next")).name == ""


async def begun(hands: RayHands, task: Task, pages: SharedPages) -> asyncio.Task[Report]:
    """Have a hand read the task, and return once it has offered pages to others."""
    read = RayHand(hands).read(task, seconds=LONG, on_stage=lambda stage: None, share=pages.answer)
    reading = asyncio.create_task(read)
    await until(lambda: pages.has_open)
    return reading


async def test_a_lost_hand_costs_the_pages_that_it_was_at(cluster, desk: Desk):
    """The hand that has the scan reads them itself."""
    async with RayHands(wanted(cluster, hands=2)) as hands:
        await until(lambda: hands.standing.hands == 2)
        gate = desk.folder / "gate"
        dies = f"end the hand unless {desk.folder / 'died'}"
        notes = desk.folder / "notes"
        task = desk.task(f"scan of 8 pages\n{dies}\nown await {gate}\nany note {notes}")
        documents = SharedDocuments(lambda: None)
        with documents.sharing(task, LONG) as pages:
            reading = await begun(hands, task, pages)
            await documents.help(RayHand(hands))
            gate.touch()
            assert (await reading).name == ""
        assert desk.content == " ".join(f"page {number}" for number in range(1, 9))
        assert {line.split()[0] for line in notes.read_text().splitlines()} == {"own"}
        assert hands.standing.lost_hands == 1


async def test_the_last_hand_of_a_cluster_waits_for_no_other(cluster, desk: Desk):
    """It takes back the pages for which there is none."""
    async with RayHands(wanted(cluster, hands=1)) as hands:
        await until(lambda: hands.standing.hands == 1)
        gate = desk.folder / "gate"
        task = desk.task(f"scan of 8 pages\nown await {gate}")
        documents = SharedDocuments(lambda: None)
        with documents.sharing(task, LONG) as pages:
            reading = await begun(hands, task, pages)
            helping = asyncio.create_task(documents.help(RayHand(hands)))
            gate.touch()
            assert (await reading).name == ""
            await helping
        assert desk.content == " ".join(f"page {number}" for number in range(1, 9))


async def test_a_foreman_that_is_ended_is_replaced(cluster, desk: Desk):
    """What it was at is begun anew by the next one, with hands of its own."""
    async with RayHands(wanted(cluster, hands=1)) as hands, one_of(hands) as hand:
        signal_ = desk.folder / "signal"
        begun = desk.folder / "begun"
        reading = asyncio.create_task(desk.read(hand, f"say so in {begun}, wait for {signal_}"))
        await until(begun.exists)
        assert hands.foreman is not None
        os.kill(hands.foreman, signal.SIGKILL)
        begun.unlink()
        await until(begun.exists)
        signal_.touch()
        assert (await reading).name == ""
        assert hands.standing.lost_hands == 1


async def test_a_document_that_ends_foremen_is_given_up(cluster, desk: Desk, monkeypatch):
    """It isn't begun anew for ever."""
    monkeypatch.setattr("batcher.cluster.on_ray.MOST_FOREMEN", 1)
    async with RayHands(wanted(cluster, hands=1)) as hands, one_of(hands) as hand:
        begun = desk.folder / "begun"
        reading = asyncio.create_task(desk.read(hand, f"say so in {begun} and never end"))
        await until(begun.exists)
        assert hands.foreman is not None
        os.kill(hands.foreman, signal.SIGKILL)
        report = await reading
        assert report.name == "SUBPROCESS_CRASHED" and "the cluster ended" in report.message


async def test_a_lost_node_s_documents_are_read_on_one_that_joins(alone, desk: Desk, join):
    """Its hands are counted as lost with it."""
    first = join("third")
    asked = wanted(alone.address, hands=2, resources={"third": 1})
    async with RayHands(asked) as hands, one_of(hands) as hand:
        await until(lambda: hands.standing.hands == 2)
        begun = desk.folder / "begun"
        done = desk.folder / "done"
        reading = asyncio.create_task(
            desk.read(hand, f"say so in {begun}, wait for {done}", seconds=100)
        )
        await until(begun.exists)
        first.kill()
        await until(lambda: hands.standing.hands == 0)
        begun.unlink()
        join("third")
        await until(begun.exists)
        done.touch()
        assert (await reading).name == ""
        assert hands.standing.lost_hands == 2
        await until(lambda: hands.standing.lost_nodes == 1)


async def test_a_node_on_which_no_hand_was_is_not_counted_as_lost(monkeypatch):
    """Other users' nodes come and go on the same cluster."""
    rooms = {name: Room(f"127.0.0.{name}", {"CPU": 1.0}) for name in ("2", "3", "4")}
    looks = 0

    def look() -> dict[str, Room]:
        nonlocal looks
        looks += 1
        return rooms if looks == 1 else {"2": rooms["2"]}

    monkeypatch.setattr("batcher.cluster.crew._rooms", look)
    monkeypatch.setattr("batcher.cluster.crew.BEAT", 0.0)
    crew = Crew(wanted("auto", hands=1), lambda standing: None)

    async def hand_on_the_third() -> None:
        crew._counts["127.0.0.3"] = NodeCount()

    monkeypatch.setattr(crew, "_keep_one", hand_on_the_third)
    keeping = asyncio.create_task(crew.keep())
    await until(lambda: looks > 2)
    assert crew.standing().lost_nodes == 1
    keeping.cancel()


async def test_a_cluster_that_is_gone_for_too_long_is_given_up(desk: Desk, alone):
    """That is raised to whoever waits for it, and says what to do."""
    asked = wanted(alone.address, hands=1)
    async with RayHands(asked, patience=3) as hands, one_of(hands) as hand:
        begun = desk.folder / "begun"
        reading = asyncio.create_task(desk.read(hand, f"say so in {begun} and never end"))
        await until(begun.exists)
        alone.end()
        with pytest.raises(ClusterLost, match=r"has been gone for .* rerun the same command"):
            await hands.lost()
        assert not reading.done()
        hand.kill()
        assert (await reading).name


def test_a_foreman_ends_with_its_service_though_its_cluster_is_silent(alone):
    """It would wait for an answer of Ray's, which comes to nothing after minutes."""
    command = [sys.executable, "-m", "batcher.cluster.foreman"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdin is not None and process.stdout is not None
            asked = wanted(alone.address, hands=1)
            process.stdin.write(msgspec.json.encode(asked) + b"\n")
            process.stdin.flush()
            while b'"hands":1' not in process.stdout.readline():
                pass
            for pid in alone.pids:
                os.kill(pid, signal.SIGSTOP)
            while select.select([process.stdout], [], [], 3)[0]:  # it tells how it is each second
                assert process.stdout.readline()
            process.stdin.close()
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"address": "127.0.0.9:1"}, r"no Ray cluster answers at 127.0.0.9:1 .*cluster.address"),
        ({"address": "ray://127.0.0.9:1"}, r"ray://127.0.0.9:1 \(it isn't a host and a port"),
        ({"cpus": 99}, "has room for a hand: each takes 99 CPU"),
        ({"hands": 1, "resources": {"CPU": 1.0}}, "foreman failed: .*'num_cpus'"),
        ({"hands": 1, "parser": "no_such"}, "process can't be started on a node .*same packages"),
    ],
)
async def test_what_can_t_be_borrowed_is_told_at_once(cluster, asked, words):
    """Nobody at the address, no room, no module on the node: each with what to do."""
    given = {"address": cluster, "parser": PARSER, "shared": "", **asked}
    with pytest.raises(ClusterUnusable, match=words):
        async with RayHands(Wanted(**given)):
            pass


@pytest.mark.parametrize(
    "said, words",
    [
        (
            "Version mismatch: Ray 2.59.0, Python 3.11",
            "has other versions .*the same Python and Ray",
        ),
        ("Failed to connect to Ray cluster at h:1", "not as a cluster of Ray 2.* `ray --version`"),
        ("Invalid address", "no Ray cluster answers .*cluster.address"),
    ],
)
def test_what_ray_says_of_a_cluster_is_told_with_what_to_do(said, words, monkeypatch):
    """A head of another version may only be heard not to answer: 2.59 says nothing to 2.60."""
    monkeypatch.setattr("batcher.cluster.foreman.version", lambda name: "2.60.0")
    assert re.search(words, foreman._why_not("h:1", said).message)


async def test_a_node_without_batcher_is_told_of():
    """As Ray puts it, when it can't make a hand of a class that isn't there."""
    crew = Crew(wanted("auto"), lambda standing: None)
    crew.refuse("ray::Hand.__init__() ModuleNotFoundError: No module named 'batcher'.")
    crew.refuse("The actor died unexpectedly: its node was preempted.")
    told = "a node of the cluster has no module batcher: install reducto-batcher there, for the "
    assert crew.standing().refused == [f"{told}Python that Ray runs with"]


def test_without_the_extra_that_is_said(monkeypatch):
    """With the command that installs it."""
    monkeypatch.setattr("batcher.cluster.on_ray.find_spec", lambda name: None)
    with pytest.raises(ClusterUnusable, match=r"pip install 'reducto-batcher\[ray\]'"):
        asyncio.run(_enter())


async def _enter() -> None:
    async with RayHands(wanted("auto")):
        pass


class Waiting:
    """A place that reads what is put and answers when it may; it knows who has put."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.ports: list[int] = []

    async def take(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.ports.append(request.transport.get_extra_info("peername")[1])
        await request.read()
        await self.may_answer.wait()
        return web.Response()


def letter(folder: Path) -> StoredFile:
    (folder / "a.txt").write_text("a letter")
    return StoredFile(str(folder), "a.txt", 8)


async def test_a_put_whose_hand_is_lost_is_given_to_no_other(cluster, tmp_path: Path):
    """Whoever asked for it asks for another address; the next file finds a hand."""
    sha256 = hashlib.sha256(b"a letter").hexdigest()
    asked = Wanted(address=cluster, hands=2)
    there = Waiting()
    async with RayHands(asked) as hands, place(there.take) as url:
        await until(lambda: hands.standing.hands == 2)
        putting = asyncio.create_task(hands.do(Putting(letter(tmp_path), url, sha256)))
        await until(lambda: bool(there.ports))
        os.kill(process_at(there.ports[0]), signal.SIGKILL)
        assert (await putting).failure is Failure.LOST
        there.may_answer.set()
        await until(lambda: hands.standing.hands == 2 and hands.standing.lost_hands == 1)
        assert (await hands.do(Putting(letter(tmp_path), f"{url}?2", sha256))).status == 200
        assert len(there.ports) == 2


async def test_a_put_whose_foreman_is_lost_is_not_begun_anew(cluster, tmp_path: Path):
    """Its hand may still be at it; without a hand there is none to wait for."""
    sha256 = hashlib.sha256(b"a letter").hexdigest()
    there = Waiting()
    async with RayHands(Wanted(address=cluster, hands=1)) as hands, place(there.take) as url:
        task = Putting(letter(tmp_path), url, sha256)
        putting = asyncio.create_task(hands.do(task))
        await until(lambda: bool(there.ports))
        assert hands.foreman is not None
        os.kill(hands.foreman, signal.SIGKILL)
        assert (await putting).failure is Failure.LOST
        assert (await hands.do(task)).failure is Failure.NOT_HERE
        there.may_answer.set()
        await until(lambda: (hands.standing.hands, hands.standing.lost_hands) == (1, 1))
        assert (await hands.do(Hashing(letter(tmp_path)))).sha256 == sha256
        assert len(there.ports) == 1


async def test_a_node_that_does_not_see_the_files_is_told_of(cluster):
    """With the folder and what to do; one without files only has to be there."""
    marks = [StoredFile("/", "", 0), StoredFile("/no/such", "a.txt", 8)]
    with pytest.raises(ClusterUnusable, match=r"doesn't see the files of /no/such, .*mount that"):
        async with RayHands(Wanted(address=cluster, hands=1, landmarks=marks)):
            pass
