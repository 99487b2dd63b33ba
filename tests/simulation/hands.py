"""Hands that hash and upload for a batch: they are lost, do a thing twice, or wake late."""

from __future__ import annotations

import asyncio
import random
from hashlib import sha256
from pathlib import Path
from typing import Final

from world import HOUR, World

from batcher.cluster.file_tasks import (
    Failure,
    FileReport,
    FileTask,
    Hashing,
    Putting,
    StoredFile,
)
from batcher.cluster.file_work import done
from batcher.reducto.presigned import SignedAddresses

SHARE: Final = 0.3  # of the lives that have hands
# Seconds at most after which a hand that was taken for lost does what it was given.
LATE: Final = (30.0, 300.0, 13 * HOUR)
MOODS: Final = ("well", "not here", "lost before", "lost after", "late", "no answer", "doubled")


class SimFileHands:
    """The hands of one life. Their chances are their own: they shift no others."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(f"hands {world.seed}")
        self.worth_handing_over = self.rng.choice((1, 1, 9))
        self._given: set[str] = set()  # addresses
        self._weights = [6.0, *(self.rng.choice((0.0, 0.0, 2.0)) for _ in MOODS[1:])]

    async def do(self, task: FileTask) -> FileReport:
        world = self.world
        world.step()
        await asyncio.sleep(self.rng.uniform(0.001, 0.5))
        world.step()
        world.service.catch_up()
        report = await self._met(task, self.mood())
        await asyncio.sleep(self.rng.uniform(0.001, 0.5))
        world.step()
        return report

    def mood(self) -> str:
        """How the next one is."""
        if self.world.calm:
            return "well"
        mood = self.rng.choices(MOODS, self._weights)[0]
        if mood != "well":
            self.world.faults[f"hand {mood}"] += 1
        return mood

    async def _met(self, task: FileTask, mood: str) -> FileReport:
        if mood == "not here":
            return FileReport(failure=Failure.NOT_HERE, message="the node doesn't see it")
        if isinstance(task, Hashing):
            return await self._hash(task, mood)
        if task.address in self._given:
            self.world.defects.append("a second hand was given the address of another")
        self._given.add(task.address)
        if mood == "late":
            self.world.service.later(
                self.rng.uniform(0.0, self.rng.choice(LATE)), lambda: self._put(task)
            )
        elif mood != "lost before":
            report = self._put(task)
            if mood in ("well", "doubled"):  # nobody does a PUT twice
                return report
        failure = Failure.NO_ANSWER if mood == "no answer" else Failure.LOST
        return FileReport(failure=failure, message="nobody knows")

    async def _hash(self, task: Hashing, mood: str) -> FileReport:
        async with SignedAddresses() as addresses:
            for _ in range(2 if mood == "doubled" else 1):
                report = await done(task, addresses)
        return report if mood in ("well", "doubled") else FileReport(failure=Failure.LOST)

    def _put(self, task: Putting) -> FileReport:
        """Put the bytes if they are those that were planned; else the PUT breaks off."""
        assert isinstance(task.source, StoredFile)
        try:
            content = Path(task.source.folder, task.source.place).read_bytes()
        except OSError:
            content = b""
        if sha256(content).hexdigest() != task.sha256:
            return FileReport(failure=Failure.NOT_HERE, message="another file by now")
        self.world.service.put(task.address, content)
        return FileReport(status=200)


def hands_of(world: World) -> SimFileHands | None:
    """The hands of a life, if it has any."""
    return SimFileHands(world) if has_hands(world.seed) else None


def has_hands(seed: int) -> bool:
    """Whether the life of this seed has hands."""
    return random.Random(f"has hands {seed}").random() < SHARE
