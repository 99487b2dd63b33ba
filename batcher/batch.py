"""Builds a run out of its parts and lets it run: the one place that knows them all.

A run holds the ledger, reaches the service, takes up what an earlier run left, and ends when every document has come
to its end or something has stopped it.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import msgspec

import batcher
from batcher.callback import Callback, calling_back
from batcher.core.budget import Budget
from batcher.core.cost import estimate
from batcher.core.lifecycle import IN_FLIGHT, State
from batcher.core.looks import Looks
from batcher.core.manifest import LOCAL, Manifest
from batcher.core.policy import Backoff, with_changes
from batcher.core.wire import SERVICES
from batcher.edges.client import Api, ReductoClient
from batcher.edges.clock import SteadyClock
from batcher.edges.embedded import embedded
from batcher.edges.ledger import Ledger, lock, open_ledger
from batcher.edges.pace import Lane, Pace
from batcher.edges.store import Store
from batcher.errors import BatcherError, LedgerForeign, ManifestError, Problem, Refused, ServiceError
from batcher.news import publish, publish_failure
from batcher.stages.course import Course
from batcher.stages.curfew import Curfew
from batcher.stages.fetcher import Fetcher
from batcher.stages.poller import Poller
from batcher.stages.recovery import Recovery
from batcher.stages.scanner import Scanner
from batcher.stages.sink import Sink
from batcher.stages.submitter import Assignment, Submitter
from batcher.stages.watchlist import Watchlist

Clock = Callable[[], float]

HOSTED_RATE = 10.0  # submissions per second to begin with, where the manifest names none: plans differ a hundredfold
HOSTED_FETCHES = 150.0  # GET /job per second; the API takes 200
LOCAL_SETTLE, HOSTED_SETTLE = 5.0, 60.0  # seconds
TICK = 0.25  # how often the end of a run is looked for when nothing changes
A_WHILE = 1.0  # seconds after which all is looked at again though nothing seems to have changed


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended. `documents` by state, of the whole batch; `seconds` and `exit_code` of this run."""

    batch: str
    documents: Mapping[str, int]
    failures: tuple[tuple[str, str | None, str | None, int, str], ...]
    pages: int
    credits: float
    seconds: float
    exit_code: int
    reason: str
    bring_home_by: float | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reached:
    """A service that can be called. `identity` is what attempts are booked under, `key_print` the key's fingerprint."""

    client: Api
    identity: str
    key_print: str
    token_key: bytes = field(default=b"", repr=False)  # for webhooks that nobody signs


async def run_batch(
    manifest: Manifest,
    *,
    course: Course | None = None,
    watch: Callable[[Ledger], None] | None = None,
    clock: SteadyClock | None = None,
    rng: random.Random | None = None,
) -> Summary:
    """Start or resume the batch. `watch` is shown the ledger once it is open; `course` lets the caller stop the run.

    A course that is stopped from the start brings home what is out, and scans and submits nothing. Raises BatcherError
    where the run can't begin or go on; what was on record stays so.
    """
    course = course or Course()
    try:
        summary = await _run(manifest, course, watch, clock or SteadyClock(), rng or random.SystemRandom())
    except BatcherError as error:
        await publish_failure(manifest, error)
        raise
    return replace(summary, notes=await publish(manifest, asdict(summary)))


async def _run(
    manifest: Manifest,
    course: Course,
    watch: Callable[[Ledger], None] | None,
    clock: SteadyClock,
    rng: random.Random,
) -> Summary:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        ledger = _open(manifest, stack, clock)
        store = Store(manifest.output.directory)
        store.check_writable()
        store.sweep()
        reached = await stack.enter_async_context(_reach(manifest, course, clock))
        _refuse_foreign_attempts(ledger, reached)
        if watch is not None:
            watch(ledger)
        callback = await stack.enter_async_context(calling_back(manifest, token_key=reached.token_key, clock=clock))
        mark = ledger.last_event()
        number = await ledger.begin_run(version=batcher.__version__, service=reached.identity)
        await ledger.interrupted()
        if manifest.limits.spending:
            await ledger.keep_to(_budget(manifest))
        run = Run(
            *(manifest, ledger, store, reached, course, _pace(manifest)),
            clock=clock,
            rng=rng,
            callback=callback,
        )
        await run.to_its_end()
        summary = _summarise(manifest, ledger, course, mark, seconds=time.monotonic() - began)
        await ledger.end_run(number, exit_code=summary.exit_code, summary=msgspec.json.encode(summary).decode())
        return summary


# --- before the first document --------------------------------------------------------------------------------------


def _open(manifest: Manifest, stack: AsyncExitStack, clock: Clock) -> Ledger:
    path = manifest.output.ledger_path
    _refuse_strangers(manifest, path)
    stack.callback(os.close, lock(path))
    ledger = open_ledger(path, batch=manifest.batch, clock=clock)
    stack.callback(ledger.close)
    return ledger


def _refuse_strangers(manifest: Manifest, ledger: Path) -> None:
    """Results without a ledger: nobody can tell what of them was paid for, and a run would pay for all of it."""
    output = manifest.output.directory
    if ledger.exists() or not output.is_dir():
        return
    if any(not entry.name.startswith(".") for entry in output.iterdir()):
        raise LedgerForeign(
            f"{output}: there are files but no ledger at {ledger}; a run would pay for everything anew. "
            "Restore the ledger, or name an empty output directory"
        )


def _refuse_foreign_attempts(ledger: Ledger, reached: Reached) -> None:
    for service, number in ledger.foreign_attempts(reached.identity, reached.key_print):
        raise LedgerForeign(
            f"{number} submissions are still out at {service}, or under another key, and only there can be found "
            "again; finish them with that service and key first"
        )


@asynccontextmanager
async def _reach(manifest: Manifest, course: Course, clock: SteadyClock) -> AsyncIterator[Reached]:
    """The service, answering. Raises ServiceError after the manifest's patience; a refusal of the key at once."""
    service = manifest.service
    async with AsyncExitStack() as stack:
        if service.is_local:
            data_dir = manifest.output.ledger_path.parent / "service"
            url, key = await stack.enter_async_context(
                embedded(data_dir, retention=service.result_retention, chaos=service.chaos)
            )
            identity, key_print = LOCAL, LOCAL  # its address and key are new each time; its data is not
        else:
            url = service.url or SERVICES[service.name]
            key = _key(manifest)
            identity, key_print = url, fingerprint(key)
        client = await stack.enter_async_context(ReductoClient(url, key))
        await _first_answer(client, course, patience=service.patience)
        course.clock_off = clock.go_by(client.service_time)
        yield Reached(client, identity, key_print, _token_key(key))


def _key(manifest: Manifest) -> str:
    name = manifest.service.api_key_env
    key = os.environ.get(name, "").strip()
    if not key:
        problem = Problem("service.api_key_env", f"the environment variable {name} isn't set", f"export {name}=…")
        raise ManifestError(manifest.where, [problem])
    return key


def fingerprint(key: str) -> str:
    """16 hex digits that tell one key from another and say nothing about it."""
    return hmac.new(key.encode(), b"batcher's fingerprint of a key", "sha256").hexdigest()[:16]


def _token_key(key: str) -> bytes:
    return hmac.new(key.encode(), b"batcher's key for webhook tokens", "sha256").digest()


async def _first_answer(client: ReductoClient, course: Course, *, patience: float) -> None:
    """Ask for one row of the listing: it proves address and key, and costs nothing."""
    rng, until, tries = random.Random(), time.monotonic() + patience, 0  # noqa: S311 (a back-off, no secret)
    while True:
        try:
            await client.jobs(limit=1)
            return
        except Refused:
            raise
        except ServiceError:
            if time.monotonic() > until or course.stopped.is_set():
                raise
        await asyncio.sleep(min(Backoff(first=0.5, most=10.0).span(tries, rng), max(0.0, until - time.monotonic())))
        tries += 1


# --- the run --------------------------------------------------------------------------------------------------------


class Run:
    """The stages of one run, built and not yet started."""

    def __init__(
        self,
        manifest: Manifest,
        ledger: Ledger,
        store: Store,
        reached: Reached,
        course: Course,
        pace: Pace,
        *,
        clock: Clock,
        rng: random.Random,
        callback: Callback | None = None,
    ) -> None:
        self._ledger = ledger
        self._course = course
        self._curfew = Curfew(manifest.limits, course)
        self._callback = callback
        self._scans = True
        policy = with_changes(manifest.retry)
        client, jobs, looks = reached.client, Watchlist(), _looks(ledger)
        self._scanner = Scanner(ledger, manifest, clock=clock)
        self._sink = Sink(ledger, store, course)
        self._poller = Poller(ledger, client, pace, course, jobs, looks, clock=clock)
        self._fetcher = Fetcher(
            ledger, client, pace, course, jobs, looks, self._sink, policy=policy, clock=clock, rng=rng
        )
        assignment = _assignment(manifest, reached, callback)
        self._submitter = Submitter(ledger, client, pace, course, jobs, assignment, policy=policy, clock=clock, rng=rng)
        self._recovery = Recovery(
            ledger,
            client,
            pace,
            course,
            service=reached.identity,
            key_print=reached.key_print,
            retention=manifest.service.result_retention,
            settle=_settle(manifest),
            clock=clock,
        )

    async def to_its_end(self) -> None:
        self._curfew.look()
        self._scans = not self._course.stopped.is_set()  # what isn't sent needn't be found either
        if not self._scans:
            self._scanner.done.set()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(work())
                    for work in (
                        self._sink.run,
                        self._poller.run,
                        self._fetcher.run,
                        self._recovery.run,
                        self._submitter.run,
                        *([self._scanner.run] if self._scans else []),
                        self._sink.copy_for_ever,
                        self._heed_calls,
                        self._curfew.run,
                    )
                ]
                await self._end()
                for task in tasks:
                    task.cancel()
        except* BatcherError as errors:
            raise _first(errors) from None

    async def _heed_calls(self) -> None:
        """A webhook says that a job has ended: ask now. A lost one costs time only, for the poller looks anyway."""
        while self._callback is not None:
            self._poller.ask_now(await self._callback.receiver.next_job())

    async def _end(self) -> None:
        """Returns when everything has come to its end, or all that a stopped run still owes is done."""
        over = asyncio.create_task(self._until_over())
        stopped = asyncio.create_task(self._course.stopped.wait())
        try:
            await asyncio.wait({over, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            stopped.cancel()
        if not self._is_over():
            await self._wind_up()
        if self._course.home and self._scans and self._is_over():
            self._course.finished()

    async def _wind_up(self) -> None:
        while not self._course.at_once and not self._submitter.idle:
            await self._ledger.change(within=TICK)  # what is being sent learns its job id
        while self._course.home and not self._course.at_once and not self._is_home():
            await self._ledger.change(within=TICK)
        await self._bring_home()

    async def _until_over(self) -> None:
        while not self._is_over():
            if self._scanner.done.is_set():
                self._submitter.stop_if_nothing_fits()
            await self._ledger.change(within=A_WHILE if self._ledger.open_documents else TICK)

    async def _bring_home(self) -> None:
        """One last look at all that is out; what has completed is fetched and written."""
        if self._course.at_once:
            return
        self._poller.look_at_all()
        await asyncio.sleep(TICK)
        while not self._course.at_once and (self._fetcher.busy or not self._sink.idle):
            await self._ledger.change(within=TICK)

    def _is_home(self) -> bool:
        tally = self._ledger.tally
        return self._ledger.in_flight + tally[State.SENDING] + tally[State.UNKNOWN] == 0 and self._submitter.idle

    def _is_over(self) -> bool:
        return self._scanner.done.is_set() and self._ledger.open_documents == 0 and self._submitter.idle


def _first(errors: BaseExceptionGroup[BatcherError]) -> BatcherError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BatcherError)
    return error


def _budget(manifest: Manifest) -> Budget:
    return Budget(manifest.limits, estimate(manifest.jobs[0].endpoint))


def _pace(manifest: Manifest) -> Pace:
    service = manifest.service
    hosted = service.url is None and not service.is_local
    submit = Lane(service.requests_per_second)
    if hosted and service.requests_per_second is None:
        submit = Lane(HOSTED_RATE, adapts=True)
    return Pace(submit=submit, fetch=Lane(HOSTED_FETCHES if hosted else None))


def _looks(ledger: Ledger) -> Looks:
    looks = Looks()
    for size, took in ledger.took():
        looks.seed(size, took)
    return looks


def _settle(manifest: Manifest) -> float:
    if manifest.service.settle is not None:
        return manifest.service.settle
    return LOCAL_SETTLE if manifest.service.is_local else HOSTED_SETTLE


def _assignment(manifest: Manifest, reached: Reached, callback: Callback | None) -> Assignment:
    job = manifest.jobs[0]
    queue = {} if job.queue_priority == "auto" else {"queue_priority": job.queue_priority}
    return Assignment(
        batch=manifest.batch,
        endpoint=job.endpoint,
        options={**job.options, **queue},
        metadata=job.metadata,
        priority=job.priority,
        service=reached.identity,
        key_print=reached.key_print,
        retention=manifest.service.result_retention,
        max_in_flight=manifest.service.max_in_flight,
        patience=manifest.service.patience,
        counts_pages=_budget(manifest).counts_pages,
        webhook=callback.wish if callback else None,
        token_key=callback.token_key if callback else None,
    )


def _summarise(manifest: Manifest, ledger: Ledger, course: Course, mark: int, *, seconds: float) -> Summary:
    tally: Counter[State] = +ledger.counts()
    del tally[State.SUPERSEDED]
    pages, credits = ledger.spent()
    exit_code = course.exit_code or (1 if ledger.verdicts_since(mark) else 0)
    out = any(tally[state] for state in IN_FLIGHT)
    return Summary(
        batch=manifest.batch,
        documents={str(state): number for state, number in tally.most_common()},
        failures=tuple(ledger.failures()),
        pages=pages,
        credits=credits,
        seconds=seconds,
        exit_code=exit_code,
        reason=course.reason,
        bring_home_by=ledger.nearest_deadline_at() if out else None,
    )
