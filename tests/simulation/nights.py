"""A batch of any size on a clock that is a number: the real stages and ledger, the client's twin,
results that vanish.

For questions of time: what expires, how many requests a document takes, how fast the lanes go.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from virtual import unhurried

from batcher.core.lifecycle import State
from batcher.errors import Busy, Unreachable
from batcher.ledger.ledger import Ledger, memory_ledger
from batcher.manifest.model import Manifest, Output, Service, Source
from batcher.outputs.result_store import Item, Written
from batcher.reducto import api_types
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.reducto.job import Job
from batcher.runs.kinds import Run, RunContext
from batcher.runs.preflight import Connection
from batcher.stages.run_control import RunControl

T = TypeVar("T")
HOUR = 3600.0


class Shelf:
    """Takes results and keeps none."""

    def write_group(self, items: Sequence[Item]) -> list[Written]:
        return [
            Written(item.output, sha256(item.data).hexdigest(), len(item.data)) for item in items
        ]


@dataclass(slots=True)
class Weather:
    """What the service does besides its work.

    Moments in seconds from the start; `most` calls of any kind a second.
    """

    away: tuple[float, float] = (0.0, 0.0)
    away_for: float = 0.0  # the same, from when half of the batch is saved
    most: float | None = None
    fetches: float | None = None
    # how many submissions are in its queue at most: beyond, 503 with Retry-After: 300
    lane: int | None = None
    # "endless": ever new cursors, "circling": the same one again; of empty pages both
    listing: str = ""
    calls: Counter[str] = field(default_factory=Counter)
    refused: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    turned_away: list[float] = field(default_factory=list)  # by a full lane
    fetched: list[float] = field(default_factory=list)
    out_when_away: int = 0


class WeatherTwin(FakeClient):
    def __init__(self, service: FakeService, weather: Weather, began: float) -> None:
        super().__init__(service)
        self.weather = weather
        self.began = began
        self._late: dict[str, deque[float]] = {"": deque(), "job": deque()}

    async def reach(self, call: str, act: Callable[[], T]) -> T:
        now = self.service.clock() - self.began
        self.weather.calls[call] += 1
        self.weather.at.append(now)
        start, end = self.weather.away
        if start <= now < end:
            await asyncio.sleep(self.latency)
            raise Unreachable(call, "no route to host")
        if self._too_many("", self.weather.most, now) or (
            call == "job" and self._too_many("job", self.weather.fetches, now)
        ):
            self.weather.refused.append(now)
            await asyncio.sleep(self.latency)
            raise Busy(call, "too many requests", status=429, name="RATE_LIMIT")
        if call == "run_job" and self.weather.lane is not None and self._out() >= self.weather.lane:
            self.weather.turned_away.append(now)
            await asyncio.sleep(self.latency)
            raise Busy(call, "queue full", status=503, name="BATCH_QUEUE_FULL", retry_after=300.0)
        if call == "job":
            self.weather.fetched.append(now)
        return await super().reach(call, act)

    def _out(self) -> int:
        """Jobs that are running."""
        now = self.service.clock()
        return sum(1 for job in self.service.jobs.values() if job.ends_at > now)

    async def jobs(
        self, *, cursor: str | None = None, limit: int = 500, exclude_configs: bool = False
    ) -> api_types.JobsPage:
        page = await super().jobs(cursor=None if self.weather.listing else cursor, limit=limit)
        if not self.weather.listing:
            return page
        again = (
            f"page {self.weather.calls['jobs']}" if self.weather.listing == "endless" else "page 2"
        )
        return api_types.JobsPage([], again)

    def _too_many(self, kind: str, most: float | None, now: float) -> bool:
        late = self._late[kind]
        while late and late[0] <= now - 1.0:
            late.popleft()
        if most is not None and len(late) >= most:
            return True
        late.append(now)
        return False


@dataclass(slots=True)
class Night:
    documents: int
    work: Callable[[object], tuple[float, str | None]]
    weather: Weather = field(default_factory=Weather)
    max_in_flight: int = 2000
    queue_priority: str = "auto"
    # from when, for how long the machine sleeps, in seconds
    suspend: tuple[float, float] | None = None
    doomed: set[int] = field(default_factory=set)  # documents whose job was out when it fell asleep
    ledger: Ledger = field(init=False)
    asleep: float = 0.0
    hours: float = 0.0
    warnings: list[str] = field(default_factory=list)

    async def pass_(self, inbox: Path) -> dict[str, int]:
        """The whole batch; the documents by state in the end."""
        loop = asyncio.get_running_loop()

        def clock() -> float:
            # a loop's time stands still while the machine sleeps, a day's doesn't
            return loop.time() + self.asleep

        began = clock()
        service = FakeService(clock, work=self.work)
        self.ledger = memory_ledger(inbox / "absent.db", batch="night", clock=clock)
        manifest = Manifest(
            batch="night",
            service=Service(name="", url="twin://", max_in_flight=self.max_in_flight),
            sources=(Source(directory=inbox),),
            jobs=(Job(queue_priority=self.queue_priority),),
            output=Output(directory=inbox.parent / "never"),
        )
        reached = Connection(WeatherTwin(service, self.weather, began), "twin", "none")
        control = RunControl(warnings=self.warnings)
        run = Run(
            RunContext(
                manifest,
                self.ledger,
                Shelf(),
                reached,
                control,
                clock,
                random.Random(5),
                unhurried(),
            )
        )
        if self.weather.away_for:
            self.ledger.listeners.append(lambda change: self._watch_for_the_middle(clock() - began))
        if self.suspend is not None:
            loop.call_later(self.suspend[0], self._sleep, self.suspend[1])
        await run.to_its_end()
        self.hours = (clock() - began) / HOUR
        return {str(state): number for state, number in (+self.ledger.tally).items()}

    def _watch_for_the_middle(self, now: float) -> None:
        if self.ledger.tally[State.SAVED] * 2 >= self.documents and not any(self.weather.away):
            self.weather.away = (now, now + self.weather.away_for)
            self.weather.out_when_away = self.ledger.in_flight

    def _sleep(self, span: float) -> None:
        self.doomed = {flight.document for flight in self.ledger.tracking.in_flight()}
        self.asleep += span


def inbox_of(folder: Path, documents: int) -> Path:
    for number in range(documents):
        path = folder / f"{number // 1000:03}" / f"{number:06}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"letter {number}")
    return folder
