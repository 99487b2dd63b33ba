"""The world around a batch, from one seed: a service that misbehaves, a disk that forgets, a
process that dies.

What outlives a crash is here (the service, the ledger's database, the files); everything else dies
with its loop.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from answers import Crossroads, Gossip, secrets_in, tokens_in

from batcher.common.group_writer import Work
from batcher.common.names import with_tag
from batcher.errors import (
    BadReply,
    Busy,
    NotFound,
    OutputError,
    Refused,
    ReplyLostError,
    ServiceError,
    Unauthorised,
    Unreachable,
)
from batcher.ledger.journal import Journal
from batcher.ledger.writer import InlineWriter
from batcher.outputs.result_store import DAMAGED, Item, Streamed, Written, kept_name
from batcher.reducto import api_types
from batcher.reducto.api_types import JobStatus
from batcher.reducto.client import Around, ResponseBudget
from batcher.reducto.fake_client import FakeClient, FakeJob, FakeService

T = TypeVar("T")
HOUR = 3600.0
START = 1_800_000_000.0
LISTING_LAG = 30.0  # seconds at most; the protocol's `settle` of 60 covers it
LATE = 300.0  # seconds after which a request may still be worked off, its connection long dead
UPLOADS_KEPT = 24 * HOUR
HIDDEN = 20.0  # seconds at most for which a job is "not found" although it was accepted
PAGE = 7  # rows of the listing at once
# seconds for which the listing leaves out what it should have shown long ago
BLIND = (
    120.0,
    1200.0,
)
SETTLE = 60.0
UNWITNESSED = 480.0  # seconds for which it does so even where no job of ours is known
BOGUS = "no job of anybody's"


class Dead(BaseException):
    """The process has been killed: no code of it has any effect from here on."""


@dataclass(slots=True)
class Rates:
    """Chances of each fault, per exchange or per job, drawn anew for each seed so that seeds differ
    in kind.
    """

    lost_before: float
    lost_after: float
    late: float
    refused: float
    broken: float
    unreachable: float
    transient: float
    permanent: float
    stuck: float
    disk_full: float
    ledger_full: float
    suspended: float  # in the middle of a call
    replayed: float  # the POST, by a proxy
    hidden: float
    mixed_up: float  # another request's answer
    linked: float  # the result stands at a URL
    key_refused: float
    no_credits: float
    endless_listing: float

    @classmethod
    def drawn(cls, rng: random.Random) -> Rates:
        def some(most: float) -> float:
            return rng.choice((0.0, 0.0, rng.uniform(0.0, most)))

        most = (0.2, 0.3, 0.2, 0.3, 0.2, 0.2, 0.15, 0.1, 0.05, 0.1, 0.02)
        rare = (0.01, 0.1, 0.3, 0.1, 0.5, 0.01, 0.01, 0.1)
        return cls(*(some(one) for one in (*most, *rare)))


@dataclass(slots=True)
class World:
    """`step` is called on both sides of everything that has an effect; it is where the process
    dies.
    """

    seed: int
    rng: random.Random = field(init=False)
    rates: Rates = field(init=False)
    skew: float = 0.0  # of the machine's clock, seconds
    steps: int = 0
    dies_at: int | None = None
    alive: bool = True
    calm: bool = False
    is_chain: bool = False
    outage_until: float = 0.0
    storm_until: float = 0.0  # of refusals for haste, whoever asks
    # seconds that the machine was suspended for in this run: its loop stood still
    slept: float = 0.0
    run: int = 0
    service: SimService = field(init=False)
    disk: Disk = field(init=False)
    database: sqlite3.Connection = field(init=False)  # whoever builds the world opens it
    durable: bytes | None = None  # what a power cut leaves of it, where commits aren't synced
    faults: Counter[str] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)  # what must never happen, as it happened
    # from when to when: those without a doubt
    audits: list[tuple[float, float]] = field(default_factory=list)
    concealed: set[str] = field(default_factory=set)  # what audits were not shown
    crossed: list[tuple[Any, Any]] = field(default_factory=list)  # answers that changed places
    mixed_up: list[str] = field(default_factory=list)  # what audits told of that
    replica: Replica = field(init=False)
    gossip: Gossip = field(init=False)
    _stopped_at: float = START
    _loop: asyncio.AbstractEventLoop | None = None

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.rates = Rates.drawn(self.rng)
        self.service = SimService(self)
        self.disk = Disk(self)
        self.replica = Replica(self)
        self.gossip = Gossip(self.seed)

    @property
    def now(self) -> float:
        """True time: the loop's while a process runs."""
        return self._loop.time() + self.slept if self._loop is not None else self._stopped_at

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.alive = True
        self.slept = 0.0
        self.run = self.run + 1

    def stop(self, downtime: float) -> None:
        """The process is gone, for so many seconds."""
        self._stopped_at = self.now + downtime
        self._loop = None
        self.alive = False
        self.slept = 0.0

    def clock(self) -> float:
        """The machine's own, which may be wrong."""
        return self.now + self.skew

    def step(self) -> None:
        if not self.alive:
            raise Dead
        self.steps += 1
        if self.dies_at is not None and self.steps >= self.dies_at:
            self.alive = False
            self.faults["crash"] += 1
            raise Dead

    def strikes(self, fault: str) -> bool:
        if self.calm or self.rng.random() >= getattr(self.rates, fault):
            return False
        self.faults[fault] += 1
        return True


class SimService(FakeService):
    """Works requests off late, reads its input a little after acceptance, shows jobs in the listing
    with a lag.
    """

    def __init__(self, world: World) -> None:
        super().__init__(self._moment, work=self._work)
        self.world = world
        self.shown_at: dict[str, float] = {}
        self.reads_at: dict[str, float] = {}
        self.charged: dict[str, str] = {}  # job id: digest of the bytes that were read
        self.run_of: dict[str, int] = {}  # nonce: number of the run whose submission it is
        self.replays: dict[
            str, str
        ] = {}  # job id of a POST that something on the way sent again: that of the first
        self.known_from: dict[str, float] = {}
        self.linked: set[str] = set()
        self.uploaded_at: dict[str, float] = {}
        # In some lives the service answers in the smaller of the two shapes of `GET /job`.
        self.echoes = random.Random(f"echoes {world.seed}").choice((True, False))
        self._late: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self._late_at: float | None = None

    def _moment(self) -> float:
        return self.world.now if self._late_at is None else self._late_at

    def _work(self, job: FakeJob) -> tuple[float, str | None]:
        world = self.world
        if world.strikes("stuck"):
            return 1e9, None
        error = None
        if world.strikes("transient"):
            error = world.rng.choice(
                (api_types.ErrorName.TIMEOUT, api_types.ErrorName.INTERNAL_ERROR, "NEVER_HEARD_OF")
            )
        elif world.strikes("permanent"):
            error = api_types.ErrorName.DOCUMENT_CORRUPT
        elif self._is_too_much_for_now(job):
            world.faults["fails for now"] += 1
            error = api_types.ErrorName.TIMEOUT
        return world.rng.choice((0.2, 5.0, 60.0)) * world.rng.uniform(0.5, 2.0), error

    def _is_too_much_for_now(self, job: FakeJob) -> bool:
        """In some lives some documents fail time after time, till the service has calmed down."""
        share = random.Random(f"fails for now {self.world.seed}").choice((0.0, 0.0, 0.0, 0.2))
        chance = random.Random(
            f"fails for now {self.world.seed} {job.endpoint} {self.content(job.source)!r}"
        )
        return not self.world.calm and chance.random() < share

    def take_upload(self, content: bytes, extension: str) -> str:
        file_id = super().take_upload(content, extension)
        self.uploaded_at[file_id] = self.clock()
        return file_id

    def announce(self, extension: str) -> api_types.Upload:
        announced = super().announce(extension)
        self.uploaded_at[announced.file_id] = self.clock()
        return announced

    def accept(self, endpoint: str, source: str, config: str) -> FakeJob:
        if self.clock() > self.uploaded_at.get(source, 0.0) + UPLOADS_KEPT:
            self.uploads.pop(source, None)
        job = super().accept(endpoint, source, config)
        now = self.clock()
        rng = self.world.rng
        if self.world.strikes("hidden"):
            self.known_from[job.job_id] = now + rng.uniform(0.0, HIDDEN)
        if self.world.strikes("linked"):
            self.linked.add(job.job_id)
        self.shown_at[job.job_id] = now + (
            0.0 if self.world.calm else rng.uniform(0.0, LISTING_LAG)
        )
        self.reads_at[job.job_id] = now + rng.uniform(0.0, 0.1)
        return job

    def later(self, span: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._late, (self.clock() + span, next(self._order), act))

    def catch_up(self) -> None:
        """Do what should have been done by now: late requests, and jobs that read their input."""
        while self._late and self._late[0][0] <= self.clock():
            self._late_at, _, act = heapq.heappop(self._late)
            act()
            self._late_at = None
        for job_id in [
            job_id for job_id, moment in self.reads_at.items() if moment <= self.clock()
        ]:
            del self.reads_at[job_id]
            self._read(self.jobs[job_id])

    def _read(self, job: FakeJob) -> None:
        content = self.content(job.source)
        if content is None:
            job.error, job.ends_at = (
                api_types.ErrorName.INVALID_CONFIG,
                min(job.ends_at, self.clock()),
            )
        else:
            self.charged[job.job_id] = sha256(content).hexdigest()

    def known(self, job_id: str) -> FakeJob | None:
        return None if self.known_from.get(job_id, 0.0) > self.clock() else super().known(job_id)

    def result(self, job: FakeJob) -> bytes:
        """What was read, by its digest; or where that stands."""
        told: object = self.charged[job.job_id]
        pages, credits = self.bill_of(job)
        if job.job_id in self.linked:
            told = {
                "type": "url",
                "url": self.world.gossip.link(job.job_id),
                "result_id": job.job_id,
            }
        usage = {"num_pages": pages, "credits": credits}
        return json.dumps(
            {"job_id": job.job_id, "response_type": "extract", "usage": usage, "result": told}
        ).encode()

    def result_at(self, job_id: str) -> float:
        """Of a chance of its own, so that no other is shifted."""
        life = random.Random(f"late results {self.world.seed}")
        share, longest = life.choice(((0.0, 0.0), (0.0, 0.0), (0.3, 30.0), (0.1, 600.0)))
        chance = random.Random(f"late result {self.world.seed} {job_id}")
        late = (
            chance.uniform(0.0, longest) if chance.random() < share and not self.world.calm else 0.0
        )
        return self.jobs[job_id].ends_at + late

    def bill_of(self, job: FakeJob) -> tuple[int, float]:
        """By what was read: no letter is as long as it looks."""
        pages = 1 + int(self.charged[job.job_id][:4], 16) % 6
        return pages, float(pages)


class Replica:
    """What the listing is read from. For minutes at a time it is behind, empty, or leaves rows out,
    with status 200.

    That batcher can see only by what it knows must be there: where it knows of nothing, nobody
    could tell an honest listing from this one but by waiting, so there it is honest again after
    some minutes. Its chances are its own: other faults come as they would without it.
    """

    KINDS = ("behind", "empty", "holes")

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = random.Random(f"replica {world.seed}")
        # seconds between two such times, on average; None: never
        self._calm = self._rng.choice((None, 30.0, 300.0))
        self._kind = ""
        self._from = 0.0
        self._until = START
        self._left_out: dict[str, bool] = {}
        # jobs that were away with nothing known that would be away with them: for how long, and
        # when last
        self._unwitnessed: dict[str, tuple[float, float]] = {}
        self.left_out: set[str] = set()  # since somebody last emptied it

    def hidden(self, jobs: list[FakeJob]) -> set[str]:
        """Those of `jobs` that the listing doesn't show, though it has had its time."""
        world = self._world
        if world.calm or self._calm is None or not self._is_blind(world.now):
            return set()
        away = {job.job_id: job for job in jobs if self._leaves_out(job)}
        for job in away.copy().values():
            if not self._gives_itself_away(job, away):
                del away[job.job_id]
        if away:
            world.faults[f"listing {self._kind}"] += 1
            self.left_out |= away.keys()
        return away.keys()

    def _is_blind(self, now: float) -> bool:
        while now >= self._until:
            self._from = self._until + self._rng.expovariate(1 / (self._calm or 1.0))
            self._until = self._from + self._rng.uniform(*BLIND)
            self._kind = self._rng.choice(self.KINDS)
            self._left_out.clear()
        return now >= self._from

    def _leaves_out(self, job: FakeJob) -> bool:
        if self._kind == "behind":
            return job.accepted_at > self._from
        return self._kind == "empty" or self._left_out.setdefault(
            job.job_id, self._rng.random() < 0.5
        )

    def _gives_itself_away(self, job: FakeJob, away: dict[str, FakeJob]) -> bool:
        """Whether a job is away with it, by which batcher has to see that: known to it when it sent
        this one.

        Where there is none at all, it has to wait long enough to see the end of a short time of
        this kind.
        """
        nonce = json.loads(job.config)["async"]["metadata"]["batcher"]["nonce"]
        row = self._world.database.execute(
            "SELECT outcome, sent_at FROM attempts WHERE nonce = ?", (nonce,)
        ).fetchone()
        if row is None or row[0] != "open":
            return True
        sql = (
            "SELECT job_id FROM attempts WHERE outcome IN ('accepted', 'saved')"
            " AND deletion_started_at IS NULL AND cleaned_at IS NULL"
            " AND accepted_at < ? AND deadline_at > ?"
        )
        known = self._world.database.execute(sql, (row[1], self._world.clock() + HOUR)).fetchall()
        if not known:
            return self._kind == "empty" and self._has_been_away(job.job_id) < UNWITNESSED
        return any(job_id in away for (job_id,) in known)

    def _has_been_away(self, job_id: str) -> float:
        """Return for how many seconds the listing was seen without the job.

        One time without jobs may follow another, unseen: a gap counts as little as for batcher.
        """
        now = self._world.now
        span, last_at = self._unwitnessed.get(job_id, (0.0, now))
        span += min(now - last_at, SETTLE)
        self._unwitnessed[job_id] = span, now
        return span


class SimTwin(FakeClient):
    """Loses, delays, refuses and garbles, at the world's rates."""

    def __init__(self, world: World) -> None:
        super().__init__(world.service)
        self.world = world
        self._submissions = Crossroads(world, "submissions")
        self._schedule = Crossroads(world, "looks")

    async def reach(self, call: str, act: Callable[[], T]) -> T:
        world = self.world
        rng = self.world.rng
        world.step()
        await asyncio.sleep(rng.uniform(0.001, 0.2))
        world.step()
        if world.strikes("suspended"):
            world.slept += rng.choice((60.0, HOUR, 13 * HOUR)) * rng.random()
        world.service.catch_up()
        value = self._met(call, act)
        world.step()
        await asyncio.sleep(rng.uniform(0.001, 0.2))
        world.step()
        if isinstance(value, ServiceError):
            raise value
        return value

    @contextmanager
    def _quoted(self, *sent: str) -> Iterator[None]:
        """What is answered in here may hold something of what was `sent`."""
        try:
            yield
        except ServiceError as error:
            raise self.world.gossip.quoting(error, sent) from None

    def _met(self, call: str, act: Callable[[], T]) -> T | ServiceError:
        world = self.world
        rng = self.world.rng
        if world.now < world.outage_until or world.strikes("unreachable"):
            return Unreachable(call, "no route to host")
        if world.now < world.storm_until or world.strikes("refused"):
            wait = rng.choice((None, 1.0, 300.0))
            status, name = rng.choice(((429, "RATE_LIMIT"), (503, "QUEUE_FULL")))
            return Busy(call, "too many", status=status, name=name, retry_after=wait)
        if world.strikes("key_refused"):
            return Unauthorised(call, "no such key, for the moment", status=401)
        if call == "run_job" and world.strikes("no_credits"):
            return Refused(call, "no credits left", status=402)
        if call == "run_job" and not world.calm and world.gossip.refuses():
            world.faults["refused for its password"] += 1
            return Refused(call, "its password doesn't open it", status=442)
        if world.strikes("lost_before"):
            return ReplyLostError(call, "reset before it arrived")
        if call == "run_job" and world.strikes("late"):
            world.service.later(rng.uniform(0.0, LATE), act)
            return ReplyLostError(call, "reset, and worked off late")
        value = act()
        if call == "run_job" and world.strikes("replayed"):
            world.service.later(
                rng.choice((0.0, 1.0)) * rng.random(), lambda: self._replay(act, value)
            )
        if world.strikes("lost_after"):
            return ReplyLostError(call, "reset after it was done")
        if world.strikes("broken"):
            return BadReply(call, "half a body", status=rng.choice((200, 500, 502)))
        return value

    def _replay(self, act: Callable[[], Any], first: Any) -> None:
        self.world.service.replays[act().job_id] = first.job_id

    async def delete_job(self, job_id: str, *, include_persisted: bool = False) -> None:
        if not self.world.disk.keeps(job_id):
            self.world.defects.append(f"job {job_id} is deleted, and its result isn't durable")
        with self._quoted():
            await super().delete_job(job_id, include_persisted=include_persisted)

    async def upload(
        self, content: bytes | Path, *, name: str, sha256: str | None = None
    ) -> api_types.Upload:
        with self._quoted():
            return await super().upload(content, name=name, sha256=sha256)

    async def announce(self, *, name: str) -> api_types.Upload:
        with self._quoted():
            return await super().announce(name=name)

    async def delete_upload(self, file_id: str) -> bool:
        with self._quoted():
            return await super().delete_upload(file_id)

    async def cancel(self, job_id: str) -> None:
        with self._quoted():
            await super().cancel(job_id)

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **named: Any) -> str:
        """Who asked is noted with each job, however late it is worked off; and the answer may be
        another's.
        """
        world = self.world
        world.service.run_of[named["metadata"]["batcher"]["nonce"]] = world.run
        request = api_types.job_request(
            options or {}, source, asynchronous={"metadata": named["metadata"]}
        ).decode()
        with self._quoted(request, *secrets_in(request), *tokens_in(request)):
            job_id = await super().run_job(endpoint, source, options, **named)
        # What a later step read of another's job, no audit puts right.
        if world.service.echoes or not world.is_chain:
            job_id = await self._submissions.passed(job_id)
        others = [
            row[0]
            for row in world.database.execute(
                "SELECT job_id FROM attempts WHERE job_id IS NOT NULL"
            )
        ]
        return world.rng.choice(others) if others and world.strikes("mixed_up") else job_id

    async def job(
        self, job_id: str, *, room: ResponseBudget | None = None
    ) -> tuple[api_types.JobAnswer, int]:
        service = self.world.service
        if self.world.strikes("mixed_up"):
            ended = [
                one
                for one in service.charged
                if service.status(service.jobs[one]) is JobStatus.COMPLETED
            ]
            job_id = self.world.rng.choice([*ended, job_id])
        with self._quoted(*self._sent_for(job_id)):
            answer, size = await super().job(job_id, room=room)
        # An answer doesn't say whose it is before there is a result: nobody could tell another's
        # failure from his own.
        is_told = answer.status in (JobStatus.FAILED, JobStatus.CANCELLED)
        return (answer, size) if is_told else await self._schedule.passed((answer, size))

    def _sent_for(self, job_id: str) -> list[str]:
        job = self.service.jobs.get(job_id)
        return [job.config, *secrets_in(job.config)] if job else []

    def _answer(self, job_id: str) -> api_types.JobAnswer:
        """In some lives a job has completed for seconds, or minutes, before its result is there."""
        answer = super()._answer(job_id)
        if answer.result is not None and self.world.now < self.world.service.result_at(job_id):
            self.world.faults["late result"] += 1
            return api_types.JobAnswer(answer.status)
        if answer.error is not None:
            answer.error.message = self.world.gossip.failing("as ordered", self._sent_for(job_id))
        return answer

    async def jobs(
        self, *, cursor: str | None = None, limit: int = 500, exclude_configs: bool = False
    ) -> api_types.JobsPage:
        with self._quoted():
            page = await super().jobs(
                cursor=cursor, limit=min(limit, PAGE), exclude_configs=exclude_configs
            )
        if page.next_cursor and self.world.strikes("endless_listing"):
            page.next_cursor = cursor or page.next_cursor
        return page

    async def download(self, url: str, into: Path, *, around: Around) -> tuple[str, int]:
        job_id = url.rpartition("/")[2].partition("?")[0]

        def act() -> bytes:
            if self.service.known(job_id) is None:
                raise NotFound("GET a signed URL", "expired", status=403)
            body = json.dumps({"of": self.world.service.charged[job_id]}).encode()
            before, after = around(body[:1])
            return before + body + after

        with self._quoted(url):
            data = await self.reach("download", act)
        self.world.disk.parts[into.name] = data
        return sha256(data).hexdigest(), len(data)

    def listed(self) -> list[FakeJob]:
        service = self.world.service
        shown = [
            job for job in service.jobs.values() if service.shown_at[job.job_id] <= self.world.now
        ]
        hidden = self.world.replica.hidden(shown)
        return [job for job in shown if job.job_id not in hidden]


class SimWriter(InlineWriter):
    """Every commit is durable at once; the process may die just before it or just after, and the
    disk may be full.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world.database)
        self.world = world

    synced = True  # each commit, before it is answered

    async def do(self, work: Work[T]) -> T:
        self.world.step()
        if self.world.strikes("ledger_full"):
            raise OutputError("the ledger can't be written: disk full")
        if not self.synced and self.world.rng.random() < 0.1:
            self.world.durable = self.world.database.serialize()
        value = await super().do(work)
        self.world.step()
        return value

    def close(self) -> None:
        """The database outlives the process."""


class SimJournal(Journal):
    """Its lines are kept for those who read them.

    No file: that a rebuilt ledger is right is another harness's.
    """

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines


class Disk:
    """Where results go: a name is visible at once and durable only after its group was synced."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.visible: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self._unsynced: set[str] = set()

    def new_part(self) -> Path:
        self.world.step()
        return Path(f"part {len(self.parts)}")

    def digest(self, output: str) -> str | None:
        data = self.visible.get(output)
        return None if data is None else _digest(data)

    def keeps(self, job_id: str) -> bool:
        """Whether the result of that job would outlive a power cut."""
        mark = json.dumps(job_id).encode()
        return any(
            mark in data for output, data in self.visible.items() if output not in self._unsynced
        )

    def size(self, output: str) -> int | None:
        return len(self.visible[output]) if output in self.visible else None

    def write_group(self, items: list[Item | Streamed]) -> list[Written | OutputError]:
        outcomes = [self._write(item) for item in items]
        self.world.step()
        self._unsynced.clear()
        return outcomes

    def _write(self, item: Item | Streamed) -> Written | OutputError:
        self.world.step()
        if self.world.strikes("disk_full"):
            return OutputError(f"{item.output}: disk full")
        data = bytes(item.data) if isinstance(item, Item) else self.parts.pop(item.part.name)
        digest = _digest(data)
        for output in (item.output, with_tag(item.output, digest[:8])):
            there = self.visible.get(output)
            if there is None or _digest(there) in {*item.known, digest}:
                if there is not None:
                    self._keep(there, durable=output not in self._unsynced)
                self.visible[output] = data
                self._unsynced.add(output)
                return Written(output, digest, len(data))
        return OutputError(f"{item.output}: its names are taken by files that batcher didn't write")

    def _keep(self, data: bytes, *, durable: bool) -> None:
        """Under another name, by a link: it is as durable as it was."""
        name = kept_name(_digest(data))
        if name not in self.visible:
            self.visible[name] = data
            if not durable:
                self._unsynced.add(name)

    def move_aside(self, output: str) -> str | None:
        self.world.step()
        data = self.visible.pop(output, None)
        if data is None:
            return None
        there = f"{DAMAGED}/{output}"
        self.visible[there] = data
        if output in self._unsynced:
            self._unsynced.discard(output)
            self._unsynced.add(there)
        self.world.step()
        return there

    def copy(self, source: str, target: str, *, sha256: str, known: frozenset[str]) -> Written:
        there = (self.visible.get(source), self.visible.get(kept_name(sha256)))
        data = next((data for data in there if data is not None and _digest(data) == sha256), None)
        if data is None:
            raise FileNotFoundError(source)
        (outcome,) = self.write_group([Item(target, data, known)])
        if isinstance(outcome, OutputError):
            raise outcome
        return outcome

    def cut_power(self) -> None:
        if self.world.durable is not None:
            self.world.database = sqlite3.connect(
                ":memory:", isolation_level=None, check_same_thread=False
            )
            self.world.database.deserialize(self.world.durable)
        self.parts.clear()
        for output in sorted(self._unsynced):
            if self.world.rng.random() < 0.5:
                self.world.faults["file lost"] += 1
                self.visible.pop(output, None)  # a person may have deleted it before
        self._unsynced.clear()


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
