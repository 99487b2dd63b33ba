"""The foreman's hands: how many there are, where, what they have done, and which were lost.

It puts another in the place of each that is lost, and takes in nodes that join. It knows no orders.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

import batcher
from batcher.cluster.figures import NodeCount
from batcher.cluster.file_tasks import FileReport, FileTask
from batcher.cluster.messages import Reading, Ready, Standing, Trouble, Wanted
from batcher.cluster.parcels import SCRATCH, Files, opened, sealed
from batcher.cluster.room import Room, room_in, too_small
from batcher.cluster.turns import Turns
from batcher.service.tasks import Reply, Report, Task

T = TypeVar("T")

BEAT: Final = 1.0  # seconds from one look at the cluster to the next, and between standings
REFUSED_FOR: Final = 10.0  # seconds until another hand is tried where one can't be used
FAREWELL: Final = 2.0  # seconds for hands to clean up in
MARK: Final = ".seen-by-hands-"


class HandLost(Exception):
    """The hand, its node, or the way there is gone: another may do the task."""


@dataclass(eq=False, slots=True)
class ActorHand:
    """A hand that is ready, and the actor of Ray's that it is."""

    actor: Any
    ready: Ready
    grace: float  # seconds
    dropped: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(
        self, task: Task, seconds: float, files: Files, made: str
    ) -> tuple[Report, Files]:
        """Return the task's end, or its first question. Raises HandLost.

        `made` is a folder that the hand sees, for what it makes; if empty, that is returned.
        """
        parcel = sealed(Reading(task, seconds, made), files)
        return await _step(self.actor.read.remote(parcel), seconds + self.grace)

    async def answer(self, reply: Reply, seconds: float) -> tuple[Report, Files]:
        """Answer a question; return the task's end, or its next question. Raises HandLost."""
        return await _step(
            self.actor.answer.remote(msgspec.json.encode(reply)), seconds + self.grace
        )

    async def do(self, tasks: list[FileTask], seconds: float) -> list[FileReport]:
        """Do tasks with files, and return their reports in this order. Raises HandLost."""
        line = msgspec.json.encode(tasks)
        answer = await _within(self.actor.do.remote(line), seconds + self.grace)
        return msgspec.json.decode(answer, type=list[FileReport])

    def stop(self) -> None:
        """End the task in progress."""
        self.actor.stop.remote()


async def _step(answer: Awaitable[bytes], seconds: float) -> tuple[Report, Files]:
    return opened(await _within(answer, seconds), Report)


async def _within(answer: Awaitable[T], seconds: float) -> T:
    """Return a hand's answer. Raises HandLost where it doesn't come in time."""
    from ray.exceptions import RayError

    try:
        async with asyncio.timeout(seconds):
            return await answer
    except (RayError, TimeoutError) as error:
        raise HandLost from error


class Crew:
    """Keeps the hands that are wanted; `turns` gives them out, and `tell` is told how they are."""

    def __init__(self, wanted: Wanted, tell: Callable[[Standing], None]) -> None:
        self.wanted = wanted
        self.turns: Turns[ActorHand] = Turns()
        self._tell = tell
        self._hands: set[ActorHand] = set()
        self._counts: dict[str, NodeCount] = {}
        self._refused: dict[str, str] = {}
        self._lost: Counter[str] = Counter()
        self._mark = Path(wanted.shared, f"{MARK}{secrets.token_hex(8)}")

    def tell(self) -> None:
        """Say how the hands are."""
        self._tell(self.standing())

    async def leave(self) -> None:
        """Have every hand remove its files, as far as they answer."""
        leaving = [hand.actor.leave.remote() for hand in self._hands]
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await asyncio.gather(*leaving, return_exceptions=True)

    async def keep(self) -> Trouble:
        """Keep as many hands as are wanted and the cluster has room for.

        Returns only where no hand can be used from the beginning, and says why.
        """
        trouble: Trouble | None = None
        try:
            self._leave_mark()
            async with asyncio.TaskGroup() as slots:
                trouble = await self._widen(slots)
                raise _Ended
        except* _Ended:
            pass
        finally:
            if self.wanted.shared:
                self._mark.unlink(missing_ok=True)
                shutil.rmtree(self._mark.parent / SCRATCH, ignore_errors=True)
        assert trouble is not None
        return trouble

    def _leave_mark(self) -> None:
        """Put a file where the documents are, by which a hand sees whether it is the same place."""
        if not self.wanted.shared:
            return
        for left in self._mark.parent.glob(f"{MARK}*"):  # by a foreman that was killed
            left.unlink(missing_ok=True)
        shutil.rmtree(self._mark.parent / SCRATCH, ignore_errors=True)
        self._mark.touch()

    async def _widen(self, slots: asyncio.TaskGroup) -> Trouble:
        """Add hands as the cluster grows; return why none can be used, if that is so at first."""
        number = 0
        alive: dict[str, Room] = {}
        while True:
            rooms = await asyncio.to_thread(_rooms)
            gone = [alive[node].address for node in alive.keys() - rooms.keys()]
            self._lost["nodes"] += sum(address in self._counts for address in gone)
            alive = rooms
            fit = sum(room_in(room, self.wanted) for room in rooms.values())
            most = self.wanted.hands or fit
            if not most and not number:
                return Trouble(too_small(list(rooms.values()), self.wanted))
            while number < most:
                number += 1
                slots.create_task(self._keep_one())
            self.tell()
            if self._refused and not self._counts:
                return Trouble("; ".join(self._refused.values()))
            await asyncio.sleep(BEAT)

    async def _keep_one(self) -> None:
        """Keep one hand: put another in its place whenever it is lost."""
        while True:
            hand = await self._hired()
            if hand is None:
                await asyncio.sleep(REFUSED_FOR)
                continue
            self._hands.add(hand)
            count = self._counts.setdefault(hand.ready.address, NodeCount())
            count.sees_folder = hand.ready.sees_folder
            self.turns.give(hand)
            self.tell()
            await _loss_of(hand)
            self._hands.discard(hand)
            self.turns.withdraw(hand)
            self._lost["hands"] += 1
            self.tell()

    async def _hired(self) -> ActorHand | None:
        """Return a new hand once it is ready; None if it can't be used, which is noted."""
        import ray
        from ray.exceptions import RayError

        actor = self._begun()
        try:
            ready = msgspec.json.decode(await actor.ready.remote(), type=Ready)
        except RayError as error:
            self.refuse(" ".join(str(error).split()))
            return None
        if ready.version != batcher.__version__:
            self._refused[ready.address] = (
                f"node {ready.address} has batcher {ready.version}, and this machine "
                f"{batcher.__version__}: install the same on every node"
            )
            ray.kill(actor)
            return None
        if ready.unseen:
            self._refused[ready.address] = (
                f"node {ready.address} doesn't see the files of {ready.unseen}, and isn't used: "
                "mount that folder there under the same path"
            )
            ray.kill(actor)
            return None
        self._refused.clear()
        return ActorHand(actor, ready, self.wanted.grace)

    def _begun(self) -> Any:
        """Return the actor of a new hand, which may still have to start."""
        import ray

        from batcher.cluster.file_hand import FileHand
        from batcher.cluster.hand import Hand

        wanted = self.wanted
        kind = Hand if wanted.parser else FileHand
        placed = ray.remote(kind).options(
            num_cpus=wanted.cpus,
            memory=wanted.memory or None,
            resources=wanted.resources,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
            # Ray would report each call to its GCS; `status` tells more, for less
            enable_task_events=False,
        )
        if not wanted.parser:
            return placed.remote(msgspec.json.encode(wanted.landmarks), wanted.trust)
        mark = str(self._mark) if wanted.shared else ""
        return placed.remote(wanted.parser, int(wanted.cpus), mark)

    def refuse(self, said: str) -> None:
        """Note why a hand didn't start; one that was lost while starting is no reason."""
        if "No module named" in said:
            missing = said.partition("No module named")[2].split()[0].strip("'\".,")
            self._refused[missing] = (
                f"a node of the cluster has no module {missing}: install reducto-batcher there, "
                "for the Python that Ray runs with"
            )
        elif (why := re.search(r"(?:_NotReady|OSError): (.{,200})", said)) is not None:
            self._refused["start"] = (
                f"a hand's process can't be started on a node ({why[1]}): install the same "
                "packages on every node"
            )

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[ActorHand]:
        """Lend a hand for the block, in the order of asking.

        It is given up where the block raises, since what it does then is unknown.
        """
        hand = await self.turns.take()
        count = self._counts[hand.ready.address]
        clock = asyncio.get_running_loop().time
        count.begin(clock())
        try:
            yield hand
        except BaseException:
            hand.dropped.set()
            raise
        finally:
            count.end(clock())
        if hand in self._hands:  # it may have been lost meanwhile
            self.turns.give(hand)

    def count(self, hand: ActorHand, report: Report, elsewhere: int) -> None:
        """Count what a hand has done; so many pages of its document were read by other hands."""
        count = self._counts[hand.ready.address]
        if report.read is msgspec.UNSET:
            count.documents += 1
        count.pages += max(0, report.num_pages - elsewhere)

    def count_file(self, hand: ActorHand, task: FileTask, report: FileReport) -> None:
        """Count what a hand has done with a file."""
        count = self._counts[hand.ready.address]
        if report.sha256:
            count.hashed += 1
        elif 200 <= report.status < 300:
            count.uploaded += 1
            count.bytes += task.size

    def standing(self) -> Standing:
        """Return how the hands are."""
        at = Counter(hand.ready.address for hand in self._hands)
        now = asyncio.get_running_loop().time()
        nodes = [
            count.figures(address, at[address], now)
            for address, count in sorted(self._counts.items())
        ]
        return Standing(
            hands=len(self._hands),
            nodes=nodes,
            lost_hands=self._lost["hands"],
            lost_nodes=self._lost["nodes"],
            refused=list(self._refused.values()),
            for_files=not self.wanted.parser,
        )


class _Ended(Exception):
    """Ends a group of tasks from within."""


async def _loss_of(hand: ActorHand) -> None:
    """Wait until the hand is lost or given up; then end it, wherever it still is."""
    import ray
    from ray.exceptions import RayError

    async def dead() -> None:
        with suppress(RayError):
            await hand.actor.until_death.remote()

    ends = {asyncio.ensure_future(dead()), asyncio.ensure_future(hand.dropped.wait())}
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
    ray.kill(hand.actor)


def _rooms() -> dict[str, Room]:
    """Return what each living node has, by its id."""
    import ray

    return {
        node["NodeID"]: Room(node["NodeManagerAddress"], node["Resources"])
        for node in ray.nodes()
        if node["Alive"]
    }
