"""What the fetcher does with each answer about a job: when it asks again, what it reports, what it
gives back.
"""

from __future__ import annotations

import asyncio
import errno
import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from contexts import context_of
from test_job_list_scan import accepted
from virtual import run_virtually, unhurried

from batcher.core import events
from batcher.core.breaker import WINDOW
from batcher.core.completion_rate import CompletionRate
from batcher.core.concurrency_limit import ConcurrencyLimit
from batcher.core.fetch_rate import Drain
from batcher.core.lifecycle import State
from batcher.core.poll_schedule import PollSchedule
from batcher.core.retry_policy import Backoff, Policy
from batcher.errors import (
    BadReply,
    Busy,
    Gone,
    LedgerForeign,
    NotFound,
    Refused,
    ServiceError,
    Unauthorised,
    Unreachable,
)
from batcher.ledger.ledger import memory_ledger
from batcher.outputs.result_store import Store
from batcher.reducto import api_types
from batcher.reducto.api_types import JobAnswer, JobStatus
from batcher.reducto.client import Around, ResponseBudget
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.reducto.job import Job
from batcher.reducto.rate_card import Prices
from batcher.stages.fetcher import Fetcher
from batcher.stages.job_answers import ResultRules
from batcher.stages.job_tracker import JobTracker, Watched
from batcher.stages.run_control import RunControl
from batcher.stages.sink import ByteBudget, Sink

NOW = 1_800_000_000.0
HOUR = 3600.0
SIZE = 1000
FAR = 1e7  # seconds
Said = JobAnswer | ServiceError | Callable[[], Any]


def now() -> float:
    return asyncio.get_running_loop().time()


class Scripted(FakeClient):
    """Answers about each job as it is told to, after `takes` seconds, in `SIZE` bytes of room."""

    def __init__(self) -> None:
        super().__init__(FakeService(now))
        self.said: dict[str, Said] = {}
        self.takes, self.asked, self.most_at_once, self._at_once = 0.0, list[str](), 0, 0
        self.linked: bytes | Exception = b"[]"
        # room taken when a download began; `room` is set by whoever wants to know
        self.room: ByteBudget | None = None
        self.taken_meanwhile = list[int]()

    async def job(
        self, job_id: str, *, room: ResponseBudget | None = None
    ) -> tuple[JobAnswer, int]:
        self.asked.append(job_id)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.takes)
        self._at_once -= 1
        said = self.said[job_id]
        answer = said() if callable(said) else said
        if isinstance(answer, Exception):
            raise answer
        if room is not None:
            await room.take(SIZE)
        return answer, SIZE

    async def download(
        self, url: str, into: Path, *, around: Around | None = None
    ) -> tuple[str, int]:
        self.asked.append(url)
        if self.room is not None:
            self.taken_meanwhile.append(self.room._taken)
        into.write_bytes(b"half")
        if isinstance(self.linked, Exception):
            raise self.linked
        before, after = around(self.linked[:1]) if around else (b"", b"")
        into.write_bytes(before + self.linked + after)
        return "digest", len(self.linked)


class Bench:
    """A fetcher at work, with a real ledger, sink and store, and documents that are out."""

    def __init__(self, folder: Path, *, steps: tuple[Job, ...] = (Job(),)) -> None:
        self.folder = folder
        self.ledger = memory_ledger(Path("absent.db"), batch="b", clock=now)
        self.client, self.rate_limits, self.control = Scripted(), unhurried(), RunControl()
        self.jobs, self.schedule = JobTracker(), PollSchedule()
        self.concurrency = ConcurrencyLimit(Drain(16), CompletionRate(12 * HOUR))
        context = context_of(
            self.ledger,
            self.client,
            rate_limits=self.rate_limits,
            control=self.control,
            jobs=self.jobs,
        )
        self.sink = Sink(context, Store(folder))
        self.client.room = self.sink.room
        policy = Policy(backoff=Backoff(first=1.0, most=300.0))
        rules = ResultRules(prices=Prices(), steps=steps, policy=policy)
        self.fetcher = Fetcher(context, self.schedule, self.sink, self.concurrency, rules)

    async def out(
        self, document: int, *, alive_for: float = 12 * HOUR, age: float = 0.0, **facts: Any
    ) -> Watched:
        await accepted(self.ledger, document, alive_for=alive_for)
        (flight,) = self.ledger.tracking.in_flight_of([document])
        self.jobs.add(flight._replace(accepted_at=now() - age, **facts), look_in=FAR)
        watched = self.jobs.get(document)
        assert watched is not None
        return watched

    async def ask(self, document: int, said: Said, *, times: int = 1, every: float = 0.0) -> None:
        """Have it fetched, `times`, or until it is watched no more."""
        self.client.said[f"job-{document}"] = said
        for number in range(times):
            if (watched := self.jobs.get(document)) is None:
                return
            await asyncio.sleep(every if number else 0.0)
            self.rate_limits.fetch.shorten(0.0)
            self.jobs.fetch(document)
            for _ in range(1000):
                if not self.fetcher.outstanding() and not (
                    self.jobs.get(document) is watched and watched.fetching
                ):
                    break
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)

    def span(self, document: int) -> float:
        """Seconds to the next look at it, to a twentieth of one."""
        watched = self.jobs.get(document)
        assert watched is not None
        return watched.look_at - now()

    def reason(self, document: int = 1) -> str:
        sql = "SELECT reason FROM documents WHERE id = ?"
        return str(self.ledger.reader.execute(sql, (document,)).fetchone()[0])

    @property
    def taken(self) -> int:
        return self.sink.room._taken


def at_work(work: Any, folder: Path, **more: Any) -> None:
    async def begin() -> None:
        bench = Bench(folder, **more)
        running = [asyncio.create_task(bench.fetcher.run()), asyncio.create_task(bench.sink.run())]
        try:
            await work(bench)
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
        assert all(task.cancelled() for task in running), "no trouble ended the stages"

    run_virtually(begin(), start=NOW)


def result(document: int = 1, inner: Any = None, kind: str = "parse", **more: Any) -> JobAnswer:
    whole = {
        "job_id": f"job-{document}",
        "response_type": kind,
        "usage": {"num_pages": 3, "credits": 4.5},
    }
    whole |= {
        "duration": 7.0,
        "result": {"type": "full", "chunks": []} if inner is None else inner,
        **more,
    }
    return JobAnswer(JobStatus.COMPLETED, msgspec.Raw(msgspec.json.encode(whole)))


def failed(name: str) -> JobAnswer:
    return JobAnswer(JobStatus.FAILED, error=api_types.ErrorDetail(name, message="as ordered"))


LINK = {"type": "url", "url": "https://results.example/x", "result_id": "r"}
RUNNING = JobAnswer(JobStatus.IN_PROGRESS)
NO_RESULT = JobAnswer(JobStatus.COMPLETED)
DOWN = Unreachable("GET /job", "no route")
ODD = BadReply("GET /job", "500 odd", status=500)
MISSING = NotFound("GET /job", "no", status=404)


# --- how many, and whether it is busy -------------------------------------------------------------


def test_sixteen_are_asked_for_at_once(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.client.takes = 5.0
        for document in range(1, 31):
            bench.client.said[f"job-{document}"] = RUNNING
            await bench.out(document)
            bench.jobs.fetch(document)
        await asyncio.sleep(60.0)
        assert (bench.client.most_at_once, len(bench.client.asked)) == (16, 30)
        assert bench.concurrency.drain.span == pytest.approx(5.0)
        assert bench.taken == 0

    at_work(work, tmp_path)


def test_it_is_busy_with_what_is_asked_and_what_can_soon_be(tmp_path: Path) -> None:
    """What has to wait for five seconds or more doesn't keep a run from its end."""

    async def work(bench: Bench) -> None:
        assert not bench.fetcher.outstanding()
        bench.client.takes = 3.0
        bench.client.said["job-1"] = RUNNING
        await bench.out(1)
        bench.jobs.fetch(1)
        assert bench.fetcher.outstanding()
        await asyncio.sleep(1.0)
        assert bench.jobs.backlog == 0 and bench.fetcher.outstanding()
        await asyncio.sleep(3.0)
        assert not bench.fetcher.outstanding()

    at_work(work, tmp_path)


@pytest.mark.parametrize(("held", "busy"), [(4.9, True), (5.0, False), (60.0, False)])
def test_a_lane_that_is_held_for_long_is_not_waited_for(
    held: float, busy: bool, tmp_path: Path
) -> None:
    async def work() -> None:
        bench = Bench(tmp_path)
        await bench.out(1)
        bench.rate_limits.fetch.pause(held)
        assert not bench.fetcher.outstanding()
        bench.jobs.fetch(1)
        assert bench.fetcher.outstanding() == busy

    run_virtually(work(), start=NOW)


def test_nothing_is_asked_for_before_its_lane_lets_it(tmp_path: Path) -> None:
    """And whoever waits for the fetcher is woken once something is done."""

    async def work(bench: Bench) -> None:
        await bench.out(1)
        bench.client.said["job-1"] = RUNNING
        bench.rate_limits.fetch.pause(50.0)
        bench.jobs.fetch(1)
        await asyncio.sleep(48.0)
        settled = asyncio.ensure_future(bench.fetcher.settled())
        await asyncio.sleep(1.0)
        assert bench.client.asked == [] and not settled.done()
        await asyncio.sleep(2.0)
        assert bench.client.asked == ["job-1"] and settled.done()

    at_work(work, tmp_path)


@pytest.mark.parametrize("said", [failed("DOCUMENT_CORRUPT"), RUNNING, DOWN])
def test_who_waits_for_the_last_answer_is_woken_when_it_is_dealt_with(
    said: Said, tmp_path: Path
) -> None:
    """A run ends then; else it would wait for something else to happen."""

    async def work(bench: Bench) -> None:
        await bench.out(1)
        bench.client.said["job-1"] = said
        bench.jobs.fetch(1)
        async with asyncio.timeout(10.0):
            while bench.fetcher.outstanding():
                await bench.fetcher.settled()

    at_work(work, tmp_path)


def test_a_key_that_is_not_taken_stops_the_run_at_once(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.out(1)
        error = Unauthorised("GET /job", "no", status=401)
        bench.client.said["job-1"] = error
        bench.jobs.fetch(1)
        await asyncio.sleep(1.0)
        assert (bench.control.exit_code, bench.control.abort, bench.control.reason) == (
            4,
            True,
            str(error),
        )
        assert bench.ledger.tracking.state_of(1) == State.WAITING

    at_work(work, tmp_path)


def test_a_job_that_is_forbidden_stops_no_other(tmp_path: Path) -> None:
    """Where the key is taken for the job list the 403 is about this job: it comes to a verdict."""

    async def work(bench: Bench) -> None:
        await bench.out(1)
        await bench.out(2)
        forbidden = Unauthorised("GET /job", "not yours", status=403)
        for _ in range(8):
            await bench.ask(1, forbidden)
            assert bench.control.exit_code == 0
            await asyncio.sleep(200.0)
            await bench.ask(2, RUNNING)
        assert bench.ledger.tracking.state_of(1) == State.STUCK
        assert "403 not yours" in bench.reason()
        assert bench.ledger.tracking.state_of(2) == State.WAITING

    at_work(work, tmp_path)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_for_all_stops_the_run(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(bench: Bench) -> None:
        async def refuse(**_how: object) -> None:
            raise Unauthorised("GET /jobs", "no", status=status)

        monkeypatch.setattr(bench.client, "jobs", refuse)
        await bench.out(1)
        await bench.ask(1, Unauthorised("GET /job", "no", status=status))
        assert (bench.control.exit_code, bench.control.abort) == (4, True)

    at_work(work, tmp_path)


# --- no answer ------------------------------------------------------------------------------------


def test_a_job_without_an_answer_is_asked_for_ever_more_seldom(tmp_path: Path) -> None:
    """By the policy's spans, whatever the others do."""

    async def work(bench: Bench) -> None:
        watched = await bench.out(1)
        chance = random.Random(1)
        for number in range(1, 6):
            await bench.ask(1, DOWN)
            assert bench.span(1) == pytest.approx(chance.uniform(0.0, 2.0**number), abs=0.05)
            assert (watched.failures, watched.silences) == (number, number)
            assert watched.failed_at == pytest.approx(now(), abs=0.1)

    at_work(work, tmp_path)


def test_an_answer_ends_the_silence(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        watched = await bench.out(1, age=100.0)
        for answer in (RUNNING, MISSING):
            await bench.ask(1, DOWN, times=2)
            await bench.ask(1, answer)
            assert watched.silences == 0
        await bench.ask(1, RUNNING)
        assert (watched.failures, watched.misses) == (0, 0)

    at_work(work, tmp_path)


@pytest.mark.parametrize(
    ("error", "is_held"),
    [(DOWN, True), (ODD, True), (BadReply("GET /job", "cut off", status=200), False)],
)
def test_the_lane_waits_where_the_service_is_unwell(
    error: ServiceError, is_held: bool, tmp_path: Path
) -> None:
    """A body that can't be read is that job's own trouble."""

    async def work(bench: Bench) -> None:
        await bench.out(1)
        await bench.ask(1, error)
        assert (bench.rate_limits.fetch.held_for > 0.3) == is_held

    at_work(work, tmp_path)


@pytest.mark.parametrize(
    ("error", "is_held"),
    [
        (DOWN, False),
        (Busy("GET /job", "later", status=503), False),
        (Busy("GET /job", "too fast", status=429, retry_after=100.0), True),
    ],
)
def test_where_others_are_answered_meanwhile_they_do_not_wait(
    error: ServiceError, is_held: bool, tmp_path: Path
) -> None:
    """Save where it was too fast, which is a matter of all."""

    async def work(bench: Bench) -> None:
        await bench.out(1)
        await bench.out(2)
        await bench.ask(1, error)
        assert bench.rate_limits.fetch.held_for > 0.05
        await bench.ask(2, RUNNING)
        bench.rate_limits.fetch.shorten(0.0)
        await bench.ask(1, error)
        assert (bench.rate_limits.fetch.held_for > 0.05) == is_held
        await bench.ask(1, error)
        assert bench.rate_limits.fetch.held_for > 0.05, "nobody has been answered since"

    at_work(work, tmp_path)


def test_one_job_that_is_to_be_left_alone_is_alone_in_that(tmp_path: Path) -> None:
    """For as long as the service wants, and no longer than half of what its result has left."""

    async def work(bench: Bench) -> None:
        await bench.out(1)
        await bench.out(2)
        await bench.ask(1, DOWN)
        for wants, waits in ((500.0, 500.0), (20 * HOUR, 6 * HOUR)):
            await bench.ask(2, RUNNING)
            await bench.ask(1, Busy("GET /job", "later", status=503, retry_after=wants))
            assert bench.span(1) == pytest.approx(waits, abs=2.0)
            assert bench.rate_limits.fetch.held_for == 0.0

    at_work(work, tmp_path)


def test_at_its_first_silence_all_wait_though_others_were_answered_before(tmp_path: Path) -> None:
    """Nobody knows yet whom it concerns."""

    async def work(bench: Bench) -> None:
        await bench.out(1)
        await bench.out(2)
        await bench.ask(2, RUNNING)
        await bench.ask(1, Busy("GET /job", "later", status=503, retry_after=100.0))
        assert bench.rate_limits.fetch.held_for > 90.0

    at_work(work, tmp_path)


def test_a_young_silence_has_nobody_else_asked_for(tmp_path: Path) -> None:
    """Only after a quarter of an hour is it looked whether others get answers."""

    async def work(bench: Bench) -> None:
        await accepted(bench.ledger, 1, saved=True)
        await bench.out(2)
        bench.client.said["job-1"] = RUNNING
        await bench.ask(2, DOWN, times=2, every=60.0)
        assert bench.client.asked == ["job-2", "job-2"]
        await asyncio.sleep(900.0)
        await bench.ask(2, DOWN)
        assert bench.client.asked[2:] == ["job-2", "job-1"]

    at_work(work, tmp_path)


def test_a_wait_of_the_lane_ends_in_time_for_the_nearest_deadline(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.out(1)
        await bench.ask(1, Busy("GET /job", "later", status=503, retry_after=20 * HOUR))
        assert bench.rate_limits.fetch.held_for == pytest.approx(6 * HOUR, abs=2.0)

    at_work(work, tmp_path)


@pytest.mark.parametrize(
    ("error", "others", "span", "is_stuck"),
    [
        (DOWN, 3, 901.0, True),
        (DOWN, 3, 890.0, False),
        (DOWN, 2, 901.0, False),
        (DOWN, 0, 901.0, False),
        (Busy("GET /job", "too fast", status=429), 3, 901.0, False),
    ],
)
def test_a_silence_about_one_job_alone_is_its_own_trouble(
    error: ServiceError, others: int, span: float, is_stuck: bool, tmp_path: Path
) -> None:
    """Once it has lasted a quarter of an hour, and others were answered between the last three
    failures. To have asked too fast is no trouble of a job.
    """

    async def work(bench: Bench) -> None:
        await bench.out(1)
        await bench.out(2)
        await bench.ask(2, RUNNING)
        await bench.ask(1, error)
        await asyncio.sleep(span - 20.0)
        for number, wait in enumerate((0.0, 10.0, 10.0)):
            if others >= 3 - number:
                await bench.ask(2, RUNNING)
            await asyncio.sleep(wait)
            await bench.ask(1, error)
        assert bench.ledger.tracking.state_of(1) == (State.STUCK if is_stuck else State.WAITING)
        if is_stuck:
            assert bench.reason() == f"no answer about its job, though others get theirs: {DOWN}"
        assert not bench.control.warnings, "which is no defect"

    at_work(work, tmp_path)


@pytest.mark.parametrize(
    ("others", "is_stuck"),
    [("yyyy", True), ("yyy", False), ("yynyy", False), ("yynyyy", True)],
    ids=["between four silences", "between three", "with a pause", "and three more"],
)
def test_only_silences_in_a_row_while_others_are_answered_count(
    others: str, is_stuck: bool, tmp_path: Path
) -> None:
    """The first one says nothing, since nobody knows whether the others' answers came before it."""

    async def work(bench: Bench) -> None:
        await bench.out(1)
        await bench.out(2)
        for other in others:
            await bench.ask(2, RUNNING if other == "y" else DOWN)
            await asyncio.sleep(901.0)
            bench.client.said["job-2"] = DOWN
            await bench.ask(1, DOWN)
        assert bench.ledger.tracking.state_of(1) == (State.STUCK if is_stuck else State.WAITING)

    at_work(work, tmp_path)


# --- still running, or ended in a failure ---------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "recalled", "span"),
    [(0.0, False, 0.02), (1000.0, False, 60.0), (1000.0, True, 2.0), (1.0, True, 0.03)],
)
def test_a_job_that_runs_is_looked_at_later_the_older_it_is(
    age: float, recalled: bool, span: float, tmp_path: Path
) -> None:
    """One that is being cancelled at least every two seconds."""

    async def work(bench: Bench) -> None:
        watched = await bench.out(1, age=age, recalled=recalled)
        await asyncio.sleep(1.0)
        watched.accepted_at = now() - age
        await asyncio.sleep(1e-6)
        await bench.ask(1, RUNNING)
        assert bench.span(1) == pytest.approx(span, abs=0.03)
        assert watched.asked_at == pytest.approx(now(), abs=0.03)
        assert watched.checks == 1
        assert bench.schedule.too_soon > 0.5
        assert bench.taken == 0

    at_work(work, tmp_path)


@pytest.mark.parametrize(("name", "trips"), [("INTERNAL_ERROR", True), ("DOCUMENT_CORRUPT", False)])
def test_failures_of_the_provider_s_make_submissions_pause(
    name: str, trips: bool, tmp_path: Path
) -> None:
    async def work(bench: Bench) -> None:
        for document in range(1, 6):
            await bench.out(document)
            await bench.ask(document, failed(name))
            await asyncio.sleep(WINDOW / 4)
            assert bench.jobs.get(document) is None
        assert (bench.concurrency.breaker.open_until is not None) == trips
        assert bench.taken == 0

    at_work(work, tmp_path)


def test_a_result_keeps_the_breaker_closed(tmp_path: Path) -> None:
    """Four failures of the provider, then one success: the next failure is a first one."""

    async def work(bench: Bench) -> None:
        for document in range(1, 5):
            await bench.out(document)
            await bench.ask(document, failed("INTERNAL_ERROR"))
            await asyncio.sleep(WINDOW / 2)
        await bench.out(5)
        await bench.ask(5, result(5))
        await bench.out(6)
        await bench.ask(6, failed("INTERNAL_ERROR"))
        assert bench.concurrency.breaker.open_until is None

    at_work(work, tmp_path)


@pytest.mark.parametrize(
    ("said", "facts", "ended"),
    [
        (failed("DOCUMENT_CORRUPT"), {}, 1),
        (JobAnswer(JobStatus.CANCELLED), {}, 0),
        (RUNNING, {}, 0),
        (RUNNING, {"deadline_at": NOW - HOUR}, 0),
        (NO_RESULT, {}, 1),
        (result(), {}, 1),
    ],
    ids=["failed", "cancelled", "running", "running past its time", "never readable", "completed"],
)
def test_how_fast_jobs_end_is_learned_from_those_that_came_to_an_end(
    said: JobAnswer, facts: dict[str, Any], ended: int, tmp_path: Path
) -> None:
    """What was cancelled could have taken longer, and so could what is waited for no more."""

    async def work(bench: Bench) -> None:
        bench.concurrency.completion_rate.look(now(), 1)
        await bench.out(1, **facts)
        await bench.ask(1, said, times=4, every=61.0)
        assert bench.concurrency.completion_rate.ended == ended

    at_work(work, tmp_path)


def test_how_long_the_service_works_on_a_job_is_learned_from_its_result(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.concurrency.completion_rate.look(now(), 1)
        await bench.out(1)
        await asyncio.sleep(10.0)
        await bench.ask(1, result(duration=7.0))
        assert bench.concurrency.completion_rate.work == 7.0

    at_work(work, tmp_path)


def test_jobs_that_ran_a_moment_ago_have_ended_since_and_so_more_may_be_out(
    tmp_path: Path,
) -> None:
    """Of one that was last seen long ago nobody knows when it ended."""

    async def work(bench: Bench, *, seen_ago: float) -> None:
        rate = bench.concurrency.completion_rate
        rate.look(now(), 1)
        for document in range(1, 9):
            watched = await bench.out(document, age=5.0)
            watched.running_at = now() - seen_ago
            await bench.ask(document, failed("DOCUMENT_CORRUPT"))
            await asyncio.sleep(10.0)
        rate.look(now(), 1)
        bounds.append(rate.bound())

    bounds = list[int]()
    for seen_ago in (1.0, 6 * HOUR):
        at_work(partial(work, seen_ago=seen_ago), tmp_path)
    assert bounds[0] > bounds[1]


def test_three_refusals_for_their_configuration_in_a_row_stop_the_run(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for document in range(1, 4):
            assert not bench.control.stopped.is_set()
            await bench.out(document)
            await bench.ask(document, failed("INVALID_CONFIG"))
        assert bench.control.exit_code == 2

    at_work(work, tmp_path)


@pytest.mark.parametrize(("recalled", "ends"), [(False, {"failed"}), (True, {"queued"})])
def test_what_a_person_wanted_anew_is_sent_anew_when_it_ends(
    recalled: bool, ends: set[str], tmp_path: Path
) -> None:
    """And nothing else is: its failure and the wish are on record together."""

    async def work(bench: Bench) -> None:
        await bench.out(1, recalled=recalled)
        await bench.ask(1, failed("DOCUMENT_CORRUPT"))
        assert {str(bench.ledger.tracking.state_of(1))} == ends

    at_work(work, tmp_path)


def test_a_step_that_is_wanted_anew_waits_for_the_step_before_it(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.out(1, recalled=True)
        bench.ledger.reader.execute("UPDATE documents SET upstream = 1 WHERE id = 1")
        await bench.ask(1, failed("DOCUMENT_CORRUPT"))
        assert bench.ledger.tracking.state_of(1) == State.FOLLOWING

    at_work(work, tmp_path)


# --- completed ------------------------------------------------------------------------------------


def test_a_result_is_saved_as_it_came_with_what_it_cost(tmp_path: Path) -> None:
    """Its room goes back once it lies on disk."""

    async def work(bench: Bench) -> None:
        watched = await bench.out(1, age=10.0)
        answer = result()
        bench.client.said["job-1"] = answer
        bench.jobs.fetch(1)
        await asyncio.sleep(1.0)
        assert bench.ledger.tracking.state_of(1) == State.SAVED
        assert (tmp_path / "1.json").read_bytes() == bytes(answer.result or b"")
        row = bench.ledger.reader.execute("SELECT pages, credits, job_id FROM attempts").fetchone()
        assert row == (3, 4.5, "job-1")
        detail = "SELECT detail FROM events WHERE event = 'Ended'"
        assert json.loads(bench.ledger.reader.execute(detail).fetchone()[0])["duration"] == 7.0
        assert (bench.taken, bench.jobs.get(1), watched.checks) == (0, None, 1)
        assert bench.schedule.too_soon < 0.5

    at_work(work, tmp_path)


UNREAD = {
    "without a result": NO_RESULT,
    "its result can't be read": JobAnswer(JobStatus.COMPLETED, msgspec.Raw(b"[]")),
    "what its result links to can't be had": result(inner=LINK),
}


@pytest.mark.parametrize("words", UNREAD)
def test_what_completed_and_can_not_be_read_is_asked_for_again_for_two_minutes(
    words: str, tmp_path: Path
) -> None:
    """It teaches once how long jobs take; then it is a verdict with its reason.

    Its room goes back each time.
    """

    async def work(bench: Bench) -> None:
        bench.client.linked = Refused("GET a URL", "expired", status=410)
        watched = await bench.out(1, age=10.0)
        await bench.ask(1, UNREAD[words], times=4, every=29.0)
        assert watched.unread == 4 and watched.checks == 1
        assert watched.unread_since == pytest.approx(now() - 87.0, abs=0.2)
        assert bench.span(1) <= 35.0
        await bench.ask(1, UNREAD[words], times=2, every=50.0)
        assert bench.ledger.tracking.state_of(1) == State.STUCK
        assert bench.reason().startswith(f"completed, but {words}")
        assert bench.taken == 0

    at_work(work, tmp_path)


def test_the_last_look_at_what_can_not_be_read_comes_when_its_time_is_over(tmp_path: Path) -> None:
    """However long the policy would wait by then."""

    async def work(bench: Bench) -> None:
        watched = await bench.out(1)
        watched.failures = 30
        await bench.ask(1, NO_RESULT)
        assert bench.span(1) <= 121.0
        await asyncio.sleep(100.0)
        watched.failures = 30
        for _ in range(4):
            await bench.ask(1, NO_RESULT)
            assert bench.span(1) <= 21.1
        await asyncio.sleep(19.9 + 0.2)
        await bench.ask(1, NO_RESULT)
        assert bench.ledger.tracking.state_of(1) == State.STUCK

    at_work(work, tmp_path)


def test_once_its_time_is_over_it_is_asked_for_as_often_as_it_must_be_a_second_apart(
    tmp_path: Path,
) -> None:
    async def work(bench: Bench) -> None:
        watched = await bench.out(1)
        await bench.ask(1, NO_RESULT)
        await asyncio.sleep(200.0)
        watched.failures = 30
        await bench.ask(1, NO_RESULT)
        assert bench.span(1) == pytest.approx(1.0, abs=0.05)
        await bench.ask(1, NO_RESULT)
        assert bench.ledger.tracking.state_of(1) == State.STUCK

    at_work(work, tmp_path)


def test_what_a_person_wanted_anew_and_can_not_be_read_is_sent_anew(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.out(1, recalled=True)
        await bench.ask(1, NO_RESULT, times=3, every=61.0)
        assert bench.ledger.tracking.state_of(1) == State.QUEUED

    at_work(work, tmp_path)


# --- links ----------------------------------------------------------------------------------------


def test_what_a_result_links_to_stands_in_the_link_s_place(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.client.linked = b'{"type":"full","chunks":[1]}'
        await bench.out(1)
        await bench.ask(1, result(inner=LINK))
        await asyncio.sleep(1.0)
        saved = json.loads((tmp_path / "1.json").read_bytes())
        assert saved["result"] == {"type": "full", "chunks": [1]} and saved["job_id"] == "job-1"
        assert bench.client.asked == ["job-1", LINK["url"]]
        assert (bench.ledger.tracking.state_of(1), bench.taken) == (State.SAVED, 0)

    at_work(work, tmp_path)


def _parts(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and path.read_bytes() == b"half")


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (ODD, True),
        (Refused("GET a URL", "no", status=403), True),
        (Busy("GET a URL", "later", status=503), False),
        (Unreachable("GET a URL", "no route"), False),
    ],
)
def test_a_definite_no_to_a_link_counts_and_an_outage_is_waited_out(
    error: ServiceError, counts: bool, tmp_path: Path
) -> None:
    """Nothing half fetched is left behind."""

    async def work(bench: Bench) -> None:
        bench.client.linked = error
        watched = await bench.out(1)
        await bench.ask(1, result(inner=LINK), times=3, every=61.0)
        assert set(bench.client.taken_meanwhile) == {0}, "a download may take long"
        assert bench.ledger.tracking.state_of(1) == (State.STUCK if counts else State.WAITING)
        assert list(_parts(tmp_path)) == []
        assert bench.taken == 0
        if not counts:
            assert watched.unread == 0 and 0.0 < bench.span(1) <= 8.0

    at_work(work, tmp_path)


@pytest.mark.parametrize(("left", "counts"), [(-1.0, True), (0.0, True), (1000.0, False)])
def test_an_outage_of_what_keeps_the_results_ends_with_their_time(
    left: float, counts: bool, tmp_path: Path
) -> None:
    async def work(bench: Bench) -> None:
        bench.client.linked = Unreachable("GET a URL", "no route")
        watched = await bench.out(1, deadline_at=NOW + left)
        bench.client.said["job-1"] = result(inner=LINK)
        bench.jobs.fetch(1)
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.5)
        assert watched.unread == counts

    at_work(work, tmp_path)


def test_a_disk_that_gives_up_in_the_middle_of_a_download_stops_the_run(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.client.linked = OSError(28, "No space left on device")
        await bench.out(1)
        bench.client.said["job-1"] = result(inner=LINK)
        bench.jobs.fetch(1)
        await asyncio.sleep(1.0)
        assert (bench.control.exit_code, bench.control.abort) == (3, True)
        assert "1.json" in bench.control.reason
        assert bench.ledger.tracking.state_of(1) == State.WAITING

    at_work(work, tmp_path)


def _pipeline(link: dict[str, str] = LINK) -> JobAnswer:
    parse = {"response_type": "parse", "result": link, "usage": {"num_pages": 1}}
    return result(inner={"parse": [parse, parse], "extract": None, "split": None}, kind="pipeline")


def test_what_the_parts_of_a_pipeline_link_to_stands_in_the_links_places(tmp_path: Path) -> None:
    """Each of them, also as the bare list of a parse's chunks; the hash is that of the file, and no
    part is left.
    """

    async def work(bench: Bench) -> None:
        bench.client.linked = b'[{"content": "a"}]'
        await bench.out(1)
        await bench.ask(1, _pipeline())
        await asyncio.sleep(1.0)
        data = (tmp_path / "1.json").read_bytes()
        parses = json.loads(data)["result"]["parse"]
        assert [one["result"] for one in parses] == [
            {"type": "full", "chunks": [{"content": "a"}]}
        ] * 2
        assert (bench.ledger.tracking.state_of(1), bench.taken) == (State.SAVED, 0)
        (saved,) = bench.ledger.reader.execute(
            "SELECT output_sha256, output_size FROM documents"
        ).fetchall()
        assert saved == (sha256(data).hexdigest(), len(data))
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["1.json"]

    at_work(work, tmp_path)


def test_the_citations_of_an_extract_are_fetched_with_its_result(tmp_path: Path) -> None:
    """Where both are elsewhere, as with force_url_result."""

    async def work(bench: Bench) -> None:
        bench.client.linked = b'[{"a": 1}]'
        await bench.out(1)
        answer = result(inner=LINK, kind="extract")
        assert answer.result is not None
        told = {**json.loads(bytes(answer.result)), "citations": LINK}
        await bench.ask(1, JobAnswer(answer.status, result=msgspec.Raw(json.dumps(told).encode())))
        await asyncio.sleep(1.0)
        saved = json.loads((tmp_path / "1.json").read_bytes())
        assert saved["result"] == saved["citations"] == [{"a": 1}]

    at_work(work, tmp_path)


def test_links_are_followed_wherever_they_stand(tmp_path: Path) -> None:
    """What a result links to may come after what its parts link to."""

    async def work(bench: Bench) -> None:
        bench.client.linked = b'[{"a": 1}]'
        await bench.out(1)
        answer = result(inner=LINK, kind="extract")
        assert answer.result is not None
        told = {"citations": LINK, **json.loads(bytes(answer.result))}
        await bench.ask(1, JobAnswer(answer.status, result=msgspec.Raw(json.dumps(told).encode())))
        await asyncio.sleep(1.0)
        saved = json.loads((tmp_path / "1.json").read_bytes())
        assert saved == {**told, "citations": [{"a": 1}], "result": [{"a": 1}]}

    at_work(work, tmp_path)


@pytest.mark.parametrize("is_whole", [True, False], ids=["the result", "its parts"])
def test_what_has_no_place_for_what_it_links_to_is_stuck(is_whole: bool, tmp_path: Path) -> None:
    """It is told, and the others go on."""

    async def work(bench: Bench) -> None:
        bench.client.linked = OSError(errno.EOVERFLOW, "Value too large")
        await bench.out(1)
        await bench.ask(1, result(inner=LINK) if is_whole else _pipeline())
        assert bench.ledger.tracking.state_of(1) == State.STUCK
        assert bench.control.warnings == [bench.reason()]
        assert "1.json" in bench.reason() and "Value too large" in bench.reason()
        assert not bench.control.abort and bench.taken == 0
        assert list(_parts(tmp_path)) == []

    at_work(work, tmp_path)


@pytest.mark.parametrize(
    ("error", "is_saved"), [(ODD, True), (Unreachable("GET a URL", "no route"), False)]
)
def test_a_pipeline_whose_parts_cannot_be_had_is_saved_as_it_came(
    error: ServiceError, is_saved: bool, tmp_path: Path
) -> None:
    """Told, and once that is sure: an outage is waited out. Nothing half fetched is left behind."""

    async def work(bench: Bench) -> None:
        bench.client.linked = error
        await bench.out(1)
        await bench.ask(1, _pipeline())
        await asyncio.sleep(1.0)
        assert bench.ledger.tracking.state_of(1) == (State.SAVED if is_saved else State.WAITING)
        assert list(_parts(tmp_path)) == []
        if not is_saved:
            assert 0.0 < bench.span(1) + 1.0 <= 2.0, "it is asked for again"
        assert ["can't be had" in warning for warning in bench.control.warnings] == [
            True
        ] * is_saved
        if is_saved:
            assert (
                json.loads((tmp_path / "1.json").read_bytes())["result"]["parse"][0]["result"]
                == LINK
            )

    at_work(work, tmp_path)


def test_an_outage_of_what_keeps_the_parts_ends_with_their_time(tmp_path: Path) -> None:
    """Then the whole is saved with its links in it, which is better than nothing."""

    async def work(bench: Bench) -> None:
        bench.client.linked = Unreachable("GET a URL", "no route")
        await bench.out(1, deadline_at=NOW - 1.0)
        await bench.ask(1, _pipeline())
        await asyncio.sleep(1.0)
        assert bench.ledger.tracking.state_of(1) == State.SAVED
        (warning,) = bench.control.warnings
        assert "can't be had" in warning and bench.taken == 0

    at_work(work, tmp_path)


def test_a_result_that_cannot_be_had_is_not_saved_for_its_parts(tmp_path: Path) -> None:
    """The link to the result itself may work next time."""

    async def work(bench: Bench) -> None:
        bench.client.linked = ODD
        watched = await bench.out(1)
        answer = result(inner=LINK, kind="extract")
        assert answer.result is not None
        told = {**json.loads(bytes(answer.result)), "citations": LINK}
        await bench.ask(1, JobAnswer(answer.status, result=msgspec.Raw(json.dumps(told).encode())))
        await asyncio.sleep(1.0)
        assert bench.ledger.tracking.state_of(1) == State.WAITING
        assert (watched.unread, bench.control.warnings) == (1, [])

    at_work(work, tmp_path)


SCHEMA = {"instructions": {"schema": {"properties": {name: {} for name in LINK}}}}


@pytest.mark.parametrize(
    ("steps", "options", "is_followed"),
    [
        ((Job(name="parse", endpoint="extract", options=SCHEMA),), None, False),
        ((Job(name="parse", endpoint="extract"),), json.dumps(SCHEMA), False),
        ((Job(name="parse", endpoint="extract"),), None, True),
        ((Job(name="other"), Job(name="parse", endpoint="extract", options=SCHEMA)), None, False),
        ((Job(name="other", endpoint="extract", options=SCHEMA),), None, True),
    ],
)
def test_what_looks_like_a_link_is_a_result_where_such_names_were_asked_for(
    steps: tuple[Job, ...], options: str | None, is_followed: bool, tmp_path: Path
) -> None:
    """By the step's options in the manifest, and by what its listing asks for beside them."""

    async def work(bench: Bench) -> None:
        bench.client.linked = b"{}"
        await bench.out(1)
        bench.ledger.reader.execute("UPDATE documents SET options = ?", (options,))
        await bench.ask(1, result(inner=LINK, kind="extract"))
        assert (LINK["url"] in bench.client.asked) == is_followed

    at_work(work, tmp_path, steps=steps)


# --- 404 ------------------------------------------------------------------------------------------


def test_a_404_of_a_young_job_says_nothing(tmp_path: Path) -> None:
    """It is looked at as one that runs, and is never lost by that."""

    async def work(bench: Bench) -> None:
        watched = await bench.out(1)
        await bench.out(2)
        for _ in range(5):
            await bench.ask(2, RUNNING)
            await bench.ask(1, MISSING)
            assert watched.misses == 1 and bench.span(1) < 1.0
        assert bench.ledger.tracking.state_of(1) == State.WAITING

    at_work(work, tmp_path)


@pytest.mark.parametrize(("others", "state"), [(True, State.LOST), (False, State.WAITING)])
def test_three_404s_of_an_older_job_are_a_loss_where_others_are_answered(
    others: bool, state: State, tmp_path: Path
) -> None:
    """A minute apart; an answer of before the first of them says nothing of now."""

    async def work(bench: Bench) -> None:
        watched = await bench.out(1, age=100.0)
        await bench.out(2)
        await bench.ask(2, RUNNING)
        await bench.ask(1, MISSING)
        missed_at = watched.missed_at
        assert missed_at == pytest.approx(now(), abs=0.1)
        await asyncio.sleep(1.0)
        if others:
            await bench.ask(2, RUNNING)
        await bench.ask(1, MISSING)
        assert bench.span(1) == pytest.approx(60.0, abs=0.05)
        assert (watched.misses, watched.missed_at) == (2, missed_at)
        await bench.ask(1, MISSING)
        assert bench.ledger.tracking.state_of(1) == state

    at_work(work, tmp_path)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (RUNNING, State.LOST),
        (result(2), State.LOST),
        (MISSING, State.WAITING),
        (DOWN, State.WAITING),
    ],
)
def test_another_job_of_ours_is_asked_for_where_nobody_else_was(
    said: Said, state: State, tmp_path: Path
) -> None:
    """What the service says of that one tells whether it has forgotten all; its room goes back."""

    async def work(bench: Bench) -> None:
        await accepted(bench.ledger, 1, saved=True)
        await bench.out(2, age=100.0)
        bench.client.said["job-1"] = said
        await bench.ask(2, NotFound("GET /job", "no", status=404), times=3)
        assert bench.ledger.tracking.state_of(2) == state
        assert bench.client.asked == ["job-2", "job-1"] * 3
        assert bench.taken == 0

    at_work(work, tmp_path)


@pytest.mark.parametrize(
    ("error", "facts", "state"),
    [
        (Gone("GET /job", "gone", status=410), {}, State.LOST),
        (MISSING, {"deletion_began": True}, State.LOST),
        (MISSING, {}, State.WAITING),
        (MISSING, {"deadline_at": NOW - 1.0}, State.EXPIRED),
        (MISSING, {"deletion_began": True, "recalled": True}, State.QUEUED),
    ],
)
def test_a_404_that_is_explained_is_a_verdict_at_once(
    error: ServiceError, facts: dict[str, Any], state: State, tmp_path: Path
) -> None:
    """Deleted on request, by ourselves perhaps, or past its time."""

    async def work(bench: Bench) -> None:
        await bench.out(1, age=100.0, **facts)
        await bench.ask(1, error)
        assert bench.ledger.tracking.state_of(1) == state

    at_work(work, tmp_path)


@pytest.mark.parametrize("deletion_began", [True, False])
def test_one_404_is_believed_of_a_saved_job_only_if_its_own_deletion_began(
    deletion_began: bool, tmp_path: Path
) -> None:
    """Its file is away, and its job is asked for again."""

    async def work(bench: Bench) -> None:
        await accepted(bench.ledger, 1, saved=True)
        if deletion_began:
            await bench.ledger.record(events.DeletionStarted(1, "job-1"))
        await bench.ledger.record(events.FileMissed(1, "away"))
        await asyncio.sleep(100.0)
        (flight,) = bench.ledger.tracking.in_flight()
        bench.jobs.add(flight, look_in=FAR)
        await bench.ask(1, MISSING)
        state = State.LOST if deletion_began else State.READY
        assert bench.ledger.tracking.state_of(1) == state

    at_work(work, tmp_path)


@pytest.mark.parametrize("answer", [MISSING, RUNNING])
def test_any_answer_is_a_sign_of_life_for_the_lane(answer: Said, tmp_path: Path) -> None:
    """The next failure is a first one, and single failures hold up nobody."""

    async def work(bench: Bench) -> None:
        await bench.out(1, age=100.0)
        await bench.ask(1, DOWN, times=4, every=100.0)
        await asyncio.sleep(100.0)
        await bench.ask(1, answer)
        await bench.ask(1, DOWN)
        assert bench.rate_limits.fetch.held_for < 0.6

    at_work(work, tmp_path)


# --- what nobody foresaw --------------------------------------------------------------------------


def _stumble() -> Any:
    raise ZeroDivisionError("never heard of")


def test_what_nobody_foresaw_is_that_document_s_verdict_and_three_in_a_row_stop_the_run(
    tmp_path: Path,
) -> None:
    """One that went well between them begins anew; the third stays out for the next run."""

    async def work(bench: Bench) -> None:
        for document in range(1, 5):
            await bench.out(document)
        for document in (1, 2):
            await bench.ask(document, _stumble)
            assert (
                bench.ledger.tracking.state_of(document) == State.STUCK
                and bench.jobs.get(document) is None
            )
            assert "internal error while fetching: ZeroDivisionError" in bench.reason(document)
        await bench.ask(3, RUNNING)
        await bench.ask(4, _stumble)
        assert not bench.control.stopped.is_set()
        for document in (5, 6):
            await bench.out(document)
            bench.client.said[f"job-{document}"] = _stumble
            bench.jobs.fetch(document)
            await asyncio.sleep(1.0)
        assert (bench.control.exit_code, bench.control.abort) == (4, True)
        assert (
            bench.ledger.tracking.state_of(5) == State.STUCK
            and bench.ledger.tracking.state_of(6) == State.WAITING
        )
        assert not bench.fetcher.outstanding()

    at_work(work, tmp_path)


def test_what_concerns_the_whole_run_is_no_document_s_verdict(tmp_path: Path) -> None:
    """A ledger that can't be written ends the run with its own words."""
    lost = LedgerForeign("the ledger is another one now")

    async def work(bench: Bench) -> None:
        await bench.out(1)

        def no_ledger() -> JobAnswer:
            raise lost

        bench.client.said["job-1"] = no_ledger
        running = asyncio.create_task(bench.fetcher.run())
        bench.jobs.fetch(1)
        await asyncio.wait([running], timeout=5.0)
        assert running.done()
        group = running.exception()
        assert isinstance(group, ExceptionGroup) and group.exceptions == (lost,)
        assert bench.ledger.tracking.state_of(1) == State.WAITING

    async def begin() -> None:
        await work(Bench(tmp_path))

    run_virtually(begin(), start=NOW)


def test_what_is_no_longer_out_is_given_up_by_nobody(tmp_path: Path) -> None:
    """Its verdict stands, whatever befalls the fetcher then."""

    async def work(bench: Bench) -> None:
        await bench.out(1)

        def cancelled() -> Any:
            bench.jobs.forget(1)
            bench.ledger.reader.execute("UPDATE documents SET state = 'cancelled'")
            _stumble()

        bench.client.said["job-1"] = cancelled
        bench.jobs.fetch(1)
        await asyncio.sleep(1.0)
        assert bench.ledger.tracking.state_of(1) == State.CANCELLED
        assert not bench.control.stopped.is_set()

    at_work(work, tmp_path)


def test_what_trips_the_giving_up_itself_stops_the_run_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing could be put on record, so nothing more is asked for; what is out stays out."""

    async def trips(*told: events.Event) -> None:
        _stumble()

    async def work(bench: Bench) -> None:
        await bench.out(1)
        monkeypatch.setattr(bench.ledger, "record", trips)
        bench.client.said["job-1"] = _stumble
        bench.jobs.fetch(1)
        await asyncio.sleep(1.0)
        assert (bench.control.exit_code, bench.control.abort) == (4, True)
        assert "internal error while fetching" in bench.control.reason
        assert bench.ledger.tracking.state_of(1) == State.WAITING

    at_work(work, tmp_path)


def test_three_jobs_that_are_gone_are_three_verdicts_and_no_defect(tmp_path: Path) -> None:
    """What has come to its end isn't looked at again, for it is watched no more."""

    async def work(bench: Bench) -> None:
        for document in (1, 2, 3, 4):
            await bench.out(document)
            await bench.ask(document, Gone("GET /job", "gone", status=410))
        assert bench.ledger.tally[State.LOST] == 4
        assert not bench.control.reason and not bench.control.warnings

    at_work(work, tmp_path)


def test_documents_that_failed_alike_are_told_alike_whatever_their_jobs_are_called(
    tmp_path: Path,
) -> None:
    """`batcher failures` groups them by their reasons, so these don't name the job."""

    async def work(bench: Bench) -> None:
        for document in (1, 2):
            await accepted(bench.ledger, document)
            (flight,) = bench.ledger.tracking.in_flight_of([document])
            bench.jobs.add(flight._replace(job_id=f"job-of-{document}"), look_in=FAR)
            words = f"job-of-{document}: no text in it"
            error = api_types.ErrorDetail("DOCUMENT_CORRUPT", message=words)
            bench.client.said[f"job-of-{document}"] = JobAnswer(JobStatus.FAILED, error=error)
            bench.jobs.fetch(document)
        await asyncio.sleep(1.0)
        assert bench.ledger.tally[State.FAILED] == 2
        assert bench.reason(1) == bench.reason(2) == "DOCUMENT_CORRUPT: …: no text in it"

    at_work(work, tmp_path)
