"""The kinds of run, built of the stages: one that does it all, one that only brings home, one that cancels.

Which stages belong together stands here, and when they are done; what each of them does is its own affair.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final

from batcher.batch.callback import Callback
from batcher.batch.opening import Clock, Reached
from batcher.core.budget import Budget
from batcher.core.chain import steps_of
from batcher.core.cost import rate
from batcher.core.drain import Drain
from batcher.core.headroom import Headroom
from batcher.core.lifecycle import OUT
from batcher.core.looks import Looks
from batcher.core.manifest import Job, Manifest
from batcher.core.policy import with_changes
from batcher.core.summary import Audit
from batcher.edges.clock import SteadyClock
from batcher.edges.ledger import Ledger
from batcher.edges.pace import Lane, Pace
from batcher.edges.passwords import Passwords
from batcher.edges.store import Store
from batcher.errors import BatcherError
from batcher.stages.auditor import Auditor
from batcher.stages.canceller import Canceller
from batcher.stages.chain import Chain
from batcher.stages.cleaner import Cleaner
from batcher.stages.consent import Consent, unasked
from batcher.stages.course import Course
from batcher.stages.curfew import Curfew
from batcher.stages.deriver import Deriver
from batcher.stages.fetcher import WIDTH, Fetcher
from batcher.stages.hourglass import Hourglass
from batcher.stages.inputs import Inputs
from batcher.stages.makers import closing_for, makers_for
from batcher.stages.poller import Poller
from batcher.stages.recovery import Recovery
from batcher.stages.scanner import Scanner
from batcher.stages.sink import Sink
from batcher.stages.submitter import Assignment, Submitter
from batcher.stages.watchlist import Watchlist

HOSTED_RATE: Final = 10.0  # submissions per second to begin with: plans differ a hundredfold
HOSTED_FETCHES: Final = 150.0  # GET /job per second; the API takes 200
LOCAL_SETTLE, HOSTED_SETTLE = 5.0, 60.0  # seconds
TICK: Final = 0.25  # how often the end of a run is looked for when nothing changes
A_WHILE: Final = 15.0  # seconds after which all is looked at again though nothing seems to have changed

Work = Callable[[], Coroutine[Any, Any, None]]


class Collection:
    """Adopts what can be found again and brings home what is out; submits nothing."""

    is_complete = False  # whether its end means that nothing of the batch is left to do
    submits = False

    def __init__(
        self,
        manifest: Manifest,
        ledger: Ledger,
        store: Store,
        reached: Reached,
        course: Course,
        pace: Pace | None = None,
        *,
        clock: Clock,
        rng: random.Random,
        callback: Callback | None = None,
    ) -> None:
        self.ledger, self.course, self._callback = ledger, course, callback
        self.client, self.pace, self.jobs, looks = reached.client, pace or _pace(manifest), Watchlist(), _looks(ledger)
        policy = with_changes(manifest.retry)
        self.sink, self.headroom = Sink(ledger, store, course), _headroom(manifest)
        self.poller = Poller(ledger, self.client, self.pace, course, self.jobs, looks, clock=clock)
        self.fetcher = Fetcher(
            *(ledger, self.client, self.pace, course, self.jobs, looks, self.sink, self.headroom),
            manifest.prices,
            policy=policy,
            deletes=manifest.output.clean == "saved",
            clock=clock,
            rng=rng,
        )
        self.hourglass = Hourglass(
            *(ledger, course, self.poller),
            retention=manifest.service.result_retention,
            clock=clock,
            wall=clock.wall if isinstance(clock, SteadyClock) else clock,
        )
        makers = makers_for(manifest, ledger, store, self.client, course, asked=self.submits)
        self.deriver = Deriver(ledger, course, makers, closing=closing_for(manifest, ledger, store))
        self.recovery = Recovery(
            *(ledger, self.client, self.pace, course),
            service=reached.identity,
            key_print=reached.key_print,
            retention=manifest.service.result_retention,
            settle=_settle(manifest),
            clock=clock,
            submits=self.submits,
        )
        self.canceller = Canceller(ledger, self.client, self.pace, self.jobs)
        self.cleaner = _cleaner(manifest, reached, self.pace, course, store, self.deriver, ledger=ledger, clock=clock)
        self.auditor = Auditor(
            *(ledger, self.client, self.pace, course, store),
            service=reached.identity,
            key_print=reached.key_print,
            retention=manifest.service.result_retention,
            endpoints={job.name: job.endpoint for job in manifest.jobs},
            clock=clock,
        )

    async def audit(self) -> Audit:
        """Once it has ended: attempts, jobs and files held against each other."""
        found = await self.auditor.run()
        left = self.cleaner.left if self.cleaner else 0
        words = f"{left} jobs could not be deleted at the service; the next run tries again"
        return replace(found, notes=(*found.notes, words)) if left else found

    async def to_its_end(self) -> None:
        """Raises the first BatcherError that no stage could make a verdict of."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work()) for work in self.works()]
                await self._end()
                for task in tasks:
                    task.cancel()
        except* BatcherError as errors:
            raise _first(errors) from None

    def works(self) -> Sequence[Work]:
        stages = (
            *(self.sink.run, self.sink.copy_for_ever, self.poller.run, self.fetcher.run, self.recovery.run),
            *(self.hourglass.run, self.deriver.run, self.canceller.recall),
            *((self.cleaner.run,) if self.cleaner else ()),
        )
        return (*stages, self._heed_calls) if self._callback else stages

    async def _heed_calls(self) -> None:
        """A webhook says that a job has ended: ask now. A lost one costs time only, for the poller looks anyway."""
        while self._callback is not None:
            self.poller.ask_now(await self._callback.receiver.next_job())

    def is_over(self) -> bool:
        return self.is_home()

    def is_tidy(self) -> bool:
        """Whether nothing is left to be deleted at the service."""
        return self.cleaner is None or self.cleaner.idle

    def is_home(self) -> bool:
        """Whether nothing is out any more."""
        return self.recovery.has_looked_for_held and not any(self.ledger.tally[state] for state in OUT)

    async def what_is_being_sent(self) -> None:
        """Returns when no submission waits for its answer any more."""

    async def _end(self) -> None:
        """Returns when everything has come to its end, or all that a stopped run still owes is done."""
        over = asyncio.create_task(self._until_over())
        stopped = asyncio.create_task(self.course.stopped.wait())
        try:
            await asyncio.wait({over, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            stopped.cancel()
        if not self.is_over():
            await self._wind_up()
        if self.course.home and self.is_complete and self.is_over():
            self.course.finished()

    async def _wind_up(self) -> None:
        await self.what_is_being_sent()
        while self.course.home and not self.course.at_once and not self.is_home():
            await self.ledger.change(within=TICK)
        if not self.course.at_once:
            await self._bring_home()

    async def _until_over(self) -> None:
        while not (self.is_over() and self.deriver.finish() and self.is_tidy()):
            self.look_ahead()
            await self.ledger.change(within=A_WHILE if self.ledger.open_documents else TICK)

    def look_ahead(self) -> None:
        """Stop where nothing that is left could ever be sent."""

    async def _bring_home(self) -> None:
        """One last look at all that is out; what has completed is fetched and written."""
        self.poller.look_at_all()
        await asyncio.sleep(TICK)
        while not self.course.at_once and (self.fetcher.busy or not self.sink.idle or not self.deriver.finish()):
            await self.ledger.change(within=TICK)


class Run(Collection):
    """The whole way: scans, submits, and brings home."""

    submits = True

    def __init__(
        self,
        manifest: Manifest,
        ledger: Ledger,
        store: Store,
        reached: Reached,
        course: Course,
        pace: Pace | None = None,
        *,
        clock: Clock,
        rng: random.Random,
        callback: Callback | None = None,
    ) -> None:
        super().__init__(*(manifest, ledger, store, reached, course, pace), clock=clock, rng=rng, callback=callback)
        self.curfew = Curfew(manifest.limits, course, clock=clock)
        self.consent = Consent(ledger, course, unasked=unasked(manifest))
        self.scanner = Scanner(ledger, manifest, self.consent, clock=clock)
        self.chain = Chain(ledger, self.scanner.done) if len(manifest.jobs) > 1 else None
        assignments = {job.name: _assignment(manifest, job, reached, callback) for job in manifest.jobs}
        self.passwords = Passwords(manifest.sources, where=manifest.where)
        inputs = Inputs(
            *(ledger, self.passwords),
            service=reached.identity,
            key_print=reached.key_print,
            retention=manifest.service.result_retention,
            parts=manifest.output.directory / ".batcher" / "parts",
            clock=clock,
        )
        self.submitter = Submitter(
            *(ledger, self.client, self.pace, course, self.jobs, assignments, inputs, self.headroom),
            policy=with_changes(manifest.retry),
            clock=clock,
            rng=rng,
        )

    async def to_its_end(self) -> None:
        agreed = [await self.consent.agree_to_change(job, step) for job, step in self.scanner.steps.items()]
        if all(agreed):
            await self.scanner.sort_out()
        else:
            self.course.stop(self.course.refused, 2, home=True)
        try:
            await super().to_its_end()
        finally:
            self.passwords.close()

    def works(self) -> Sequence[Work]:
        self.curfew.look()
        self.is_complete = not self.course.stopped.is_set()
        works = (*super().works(), self.submitter.run, *((self.chain.run,) if self.chain else ()))
        if not self.is_complete:
            self.scanner.done.set()  # what isn't sent needn't be found either
            return works
        return (*works, self.scanner.run, self.curfew.run)

    def is_over(self) -> bool:
        done = self.scanner.done.is_set() and self.recovery.has_looked_for_held
        return done and self.ledger.open_documents == 0 and self.submitter.idle and (not self.chain or self.chain.idle)

    def is_home(self) -> bool:
        return super().is_home() and self.submitter.idle

    def look_ahead(self) -> None:
        if self.scanner.done.is_set():
            self.submitter.stop_if_nothing_fits()

    async def what_is_being_sent(self) -> None:
        while not self.course.at_once and not self.submitter.idle:
            await self.ledger.change(within=TICK)


class Cancellation(Collection):
    """Cancels what is out, and believes only the final status: what completed first is brought home."""

    async def to_its_end(self) -> None:
        await self.ledger.call_off("by batcher cancel")  # and with it what would be sent again
        await super().to_its_end()

    def works(self) -> Sequence[Work]:
        return (*super().works(), self.canceller.run)


def _first(errors: BaseExceptionGroup[BatcherError]) -> BatcherError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BatcherError)
    return error


def budget_of(manifest: Manifest) -> Budget:
    """With the cheapest step's price for a page: of what is out, it makes as many pages as it can be."""
    prices = manifest.prices
    rates = [rate(step.job, prices, chained=step.upstream is not None) for step in steps_of(manifest.jobs)]
    dense = max(one.dense / one.page for one in rates)
    return Budget(manifest.limits, min(one.page for one in rates), prices.dollars_per_credit, dense=dense)


def _pace(manifest: Manifest) -> Pace:
    service = manifest.service
    hosted = service.url is None and not service.is_local
    submit = Lane(service.requests_per_second)
    if hosted and service.requests_per_second is None:
        submit = Lane(HOSTED_RATE, adapts=True)
    return Pace(submit=submit, fetch=Lane(HOSTED_FETCHES if hosted else None))


def _cleaner(
    manifest: Manifest,
    reached: Reached,
    pace: Pace,
    course: Course,
    store: Store,
    deriver: Deriver,
    *,
    ledger: Ledger,
    clock: Clock,
) -> Cleaner | None:
    if manifest.output.clean == "never":
        return None
    return Cleaner(
        *(ledger, reached.client, pace, course, store),
        service=reached.identity,
        key_print=reached.key_print,
        in_the_end=len(manifest.jobs) > 1,
        is_wanted=deriver.still_fetches,
        clock=clock,
    )


def _looks(ledger: Ledger) -> Looks:
    looks = Looks()
    for size, took in ledger.took():
        looks.seed(size, took)
    return looks


def _headroom(manifest: Manifest) -> Headroom:
    service = manifest.service
    exempt = all(job.queue_priority == "batch" for job in manifest.jobs)  # its jobs end when they end
    return Headroom(Drain(WIDTH), service.result_retention, most=service.max_in_flight, exempt=exempt)


def _settle(manifest: Manifest) -> float:
    if manifest.service.settle is not None:
        return manifest.service.settle
    return LOCAL_SETTLE if manifest.service.is_local else HOSTED_SETTLE


def _assignment(manifest: Manifest, job: Job, reached: Reached, callback: Callback | None) -> Assignment:
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
        patience=manifest.service.patience,
        rate=rate(job, manifest.prices),
        chained_rate=rate(job, manifest.prices, chained=True),
        counts_pages=budget_of(manifest).counts_pages,
        webhook=callback.wish if callback else None,
        token_key=callback.token_key if callback else None,
    )
