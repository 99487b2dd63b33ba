"""The kinds of run: a full run, one that only fetches results, and one that cancels.

This module says which stages each kind consists of, and which of them it waits for. `end_of_run`
says when a run has ended; what a stage does is not decided here.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from batcher.adapters.clock import SteadyClock
from batcher.adapters.rate_limits import WORTH_A_WORD, RateLimiter, RateLimits
from batcher.cluster.hands import FileHands
from batcher.common.formatting import pluralize
from batcher.common.signals import until_any
from batcher.core.lifecycle import OPEN, OUT
from batcher.core.retry_policy import doubtful_changes, with_changes
from batcher.core.summary import Audit
from batcher.errors import BatcherError, ManifestError, MirrorError, SourceError, first_of
from batcher.exit_codes import ExitCode, RunEnd
from batcher.ledger.ledger import Ledger
from batcher.manifest.loading import check_sources
from batcher.manifest.model import Manifest
from batcher.outputs.mirror import Mirror
from batcher.outputs.result_store import Store
from batcher.runs.callback import Callback
from batcher.runs.end_of_run import Documents, SomeDocuments, has_ended, until_ended
from batcher.runs.preflight import Clock, Connection
from batcher.runs.wiring import (
    account_of,
    cleaner_of,
    concurrency_of,
    rate_limits_of,
    schedule_of,
    settle_of,
    template_of,
)
from batcher.sources.left_out import LeftOut
from batcher.sources.passwords import Passwords
from batcher.stages.auditor import Auditor
from batcher.stages.boundary import kept
from batcher.stages.callback_listener import CallbackListener
from batcher.stages.canceller import Canceller, Recall
from batcher.stages.chain import Chain
from batcher.stages.context import StageContext
from batcher.stages.copier import Copier
from batcher.stages.deadline_monitor import DeadlineMonitor
from batcher.stages.deriver import Deriver
from batcher.stages.fetcher import Fetcher
from batcher.stages.input_resolver import InputResolver
from batcher.stages.job_answers import ResultRules
from batcher.stages.job_template import SubmissionRules
from batcher.stages.job_tracker import JobTracker
from batcher.stages.makers import closing_for, makers_for, tell_of_older
from batcher.stages.outlook import Outlook
from batcher.stages.poller import Poller
from batcher.stages.recovery import Recovery
from batcher.stages.repay_guard import Consent, unasked
from batcher.stages.run_control import RunControl
from batcher.stages.scanner import Scanner
from batcher.stages.sink import Sink
from batcher.stages.stage import Awaited, Stage
from batcher.stages.submitter import Submitter
from batcher.stages.time_limit import TimeLimit

SILENCE: Final = 4.0  # seconds without an answer after which a stopped run waits no longer

_CAPITALS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


class RunContext(NamedTuple):
    """What a run of any kind works with.

    `rate_limits` is None where those of the manifest apply. `only` are the documents that a run
    which cancels is for; None: all. `hands` hash and upload large files, if there are any.
    """

    manifest: Manifest
    ledger: Ledger
    store: Store
    reached: Connection
    control: RunControl
    clock: Clock
    rng: random.Random
    rate_limits: RateLimits | None = None
    callback: Callback | None = None
    only: frozenset[int] | None = None
    hands: FileHands | None = None


class CollectRun:
    """Fetches the results of submitted jobs, also of those with a lost reply; submits nothing."""

    is_complete = False  # whether nothing of the batch is left to do when it ends
    submits = False

    def __init__(self, means: RunContext) -> None:
        manifest, ledger, store, reached, control, clock, rng, rate_limits, *_ = means
        self._callback = means.callback
        self.ledger = ledger
        self.control = control
        self.client = reached.client
        self.rate_limits = rate_limits or rate_limits_of(manifest)
        self.jobs = JobTracker()
        self._clock = clock
        context = self.context = StageContext(
            ledger=ledger,
            client=self.client,
            rate_limits=self.rate_limits,
            control=control,
            jobs=self.jobs,
            clock=clock,
            rng=rng,
            hands=means.hands,
        )
        schedule = schedule_of(ledger, manifest.service.result_retention)
        self.sink = Sink(context, store)
        self.copier = Copier(
            context,
            store,
            self.sink.placing,
            account=account_of(manifest, reached),
        )
        self.concurrency = concurrency_of(manifest)
        control.outlook = Outlook(self._lanes(), self.concurrency.drain)
        self._tell_of_waits()
        self.poller = Poller(context, schedule)
        rules = ResultRules(
            prices=manifest.prices,
            steps=manifest.jobs,
            policy=with_changes(manifest.retry),
        )
        self.fetcher = Fetcher(context, schedule, self.sink, self.concurrency, rules)
        self.deadline_monitor = DeadlineMonitor(
            context,
            self.poller,
            retention=manifest.service.result_retention,
            wall=clock.wall if isinstance(clock, SteadyClock) else clock,
        )
        makers = makers_for(manifest, ledger, store, self.client, control, asked=self.submits)
        self.deriver = Deriver(
            ledger,
            control,
            makers,
            closing=closing_for(manifest, ledger, store),
            parting=tell_of_older(ledger, store, control, manifest),
        )
        self.recovery = Recovery(
            context,
            account=account_of(manifest, reached),
            settle=settle_of(manifest),
            submits=self.submits,
            endpoints={job.name: job.endpoint for job in manifest.jobs},
        )
        self.canceller = Canceller(
            ledger, self.client, self.rate_limits, self.jobs, only=means.only
        )
        self.cleaner = cleaner_of(manifest, reached, context, store, self.deriver, self.fetcher)
        self.auditor = Auditor(
            context,
            store,
            account=account_of(manifest, reached),
            endpoints={job.name: job.endpoint for job in manifest.jobs},
        )

    def _tell_of_waits(self) -> None:
        for what, lane in self._lanes().items():
            lane.tell = partial(self._tell_of_wait, f"{what} wait")

    def _lanes(self) -> dict[str, RateLimiter]:
        """Return the rate limiters by what waits for them."""
        return {
            "uploads": self.rate_limits.upload,
            "submissions": self.rate_limits.submit,
            "reads of the job list": self.rate_limits.list,
            "results": self.rate_limits.fetch,
            "deletions at the service": self.rate_limits.clean,
        }

    def _tell_of_wait(self, what: str, seconds: float, why: str) -> None:
        self.control.warn_of_wait(what, datetime.fromtimestamp(self._clock() + seconds), why)

    async def audit(self) -> Audit:
        """Compare attempts, jobs and files with each other. Call it after `to_its_end`."""
        found = await self.auditor.run()
        left = self.cleaner.left if self.cleaner else 0
        words = f"{left} jobs could not be deleted at the service; the next run tries again"
        return replace(found, notes=(*found.notes, words)) if left else found

    async def to_its_end(self) -> None:
        """Run all stages until the run has ended.

        Raises the first BatcherError that no stage could turn into a verdict on a document.
        """
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(kept(stage.run, self.control, _name(stage)))
                    for stage in self.stages()
                ]
                await self._end()
                for task in tasks:
                    task.cancel()
        except* BatcherError as errors:
            raise first_of(errors) from None

    @property
    def taken_up(self) -> int:
        """How many documents that failed in earlier runs are tried again in this one."""
        return 0

    @property
    def left_out(self) -> LeftOut:
        """What the scan found and left out."""
        return LeftOut()

    @property
    def has_looked(self) -> bool:
        """Whether the scan has seen everything, so that `left_out` is complete."""
        return False

    @property
    def unscanned(self) -> str:
        """Why the run doesn't look through the sources, in words; empty if it does."""
        return "--collect reads no folder"

    @property
    def has_taken_its_sample(self) -> bool:
        """Whether everything was sent that a sample run was limited to."""
        return False

    @property
    def unmatched(self) -> str:
        """A message about a source whose files match none of `include`; empty if there is none."""
        return ""

    def stages(self) -> list[Stage]:
        """Return the stages, which run concurrently from the beginning of the run to its end."""
        stages: list[Stage] = [
            self.sink,
            self.copier,
            self.poller,
            self.fetcher,
            self.recovery,
            self.deadline_monitor,
            self.deriver,
            Recall(self.canceller),
        ]
        if self.cleaner is not None:
            stages.append(self.cleaner)
        if self._callback is not None:
            stages.append(CallbackListener(self._callback.receiver, self.poller))
        return stages

    def to_do(self) -> Sequence[Awaited]:
        """Return everything that must end before the run may: all work that it has taken on."""
        return self.out()

    def out(self) -> Sequence[Awaited]:
        """Return what a stopped run that still fetches the results it has paid for waits for."""
        return (self.recovery, Documents(self.ledger, OUT), self.copier)

    async def until_sent(self) -> None:
        """Return once no submission that any stopped run waits for is under way."""

    def tidying(self) -> Sequence[Awaited]:
        """Return what follows once all results are on disk.

        A stopped run doesn't wait for the cleaner.
        """
        return (self.deriver,) if self.cleaner is None else (self.deriver, self.cleaner)

    async def _end(self) -> None:
        """Return when everything has ended, or when a stopped run has done what it still must."""
        await until_any(self._until_over(), self.control.stopped.wait())
        if not has_ended(self.to_do()):
            await self._wind_up()
        if self.control.home and self.is_complete and has_ended(self.to_do()):
            self.control.finished()

    async def _wind_up(self) -> None:
        self.rate_limits.submit.close()
        self.rate_limits.upload.close()
        await until_any(self.until_sent(), self.control.until_aborted())
        if self.control.home and not self.control.abort:
            await self._wait_for_what_is_out()
        if not self.control.abort:
            await self._bring_home()

    async def _wait_for_what_is_out(self) -> None:
        """Wait for the jobs in flight, however long it takes, or until somebody is impatient."""
        loop = asyncio.get_running_loop()
        telling = loop.call_later(WORTH_A_WORD, self._tell_of_homecoming)
        try:
            await until_any(until_ended(self.out()), self.control.until_impatient())
        finally:
            telling.cancel()

    def _tell_of_homecoming(self) -> None:
        """Warn that the run still waits: nothing is sent any more, and jobs may take hours."""
        until = self.ledger.tracking.nearest_deadline_at() or self._clock()
        what = f"{pluralize(self.ledger.in_flight, 'job')} still in flight, waited for"
        self.control.warn_of_wait(
            what, datetime.fromtimestamp(until), f"at the latest; {self.control.reason}"
        )

    async def _until_over(self) -> None:
        """Return when everything that the run has taken on is done, and what follows from it.

        Files that many results share are finished only then: until that point more results may
        come.
        """
        await self._until_fetched()
        if self._is_doubtful() and await self._puts_right():
            await self._until_fetched()
        await until_ended([*self.to_do(), *self.tidying()])

    async def _until_fetched(self) -> None:
        await until_ended(self.to_do(), meanwhile=self.look_ahead)
        await self.deriver.finish()

    def _is_doubtful(self) -> bool:
        """Return whether the answers about jobs leave open whose these are."""
        waits = self.cleaner is not None and self.cleaner.waits_to_be_told
        return waits or self.fetcher.met_doubt

    async def _puts_right(self) -> bool:
        """Give documents their own jobs where two answers were mixed up, by one look at the list.

        Only then may jobs be deleted. Return whether results have to be fetched again.
        """
        shown, exchanged = await self.auditor.put_right()
        if self.cleaner is not None:
            self.cleaner.believe(shown)
        for words in exchanged:
            self.control.warn(words)
        return bool(exchanged)

    def look_ahead(self) -> None:
        """Stop the run where nothing that is left could ever be sent."""

    async def _bring_home(self) -> None:
        """Poll all jobs in flight once more, and fetch and write the results that are ready.

        This lasts as long as the service answers. Even fetches that were told to wait are tried
        once more: the person who stops a run may be about to switch the machine off.
        """
        self.rate_limits.fetch.try_once_more()
        self.poller.look_at_all()
        await until_any(
            self._until_brought_home(), self._until_silent(), self.control.until_aborted()
        )

    async def _until_brought_home(self) -> None:
        """Return when all that can be fetched now is written, with all files made from it."""
        arriving = (self.poller, self.fetcher, self.sink)
        while not has_ended((*arriving, self.deriver)):
            await until_ended(arriving)
            await self.deriver.finish()

    async def _until_silent(self) -> None:
        """Return when nothing has arrived for `SILENCE` seconds and all of it is written."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            left = self._heard_at(began) + SILENCE - loop.time()
            if left > 0:
                await asyncio.sleep(left)
            elif self.sink.outstanding():
                await self.sink.settled()
            else:
                return

    def _heard_at(self, since: float) -> float:
        return max(
            since,
            self.rate_limits.fetch.answered_at,
            self.rate_limits.list.answered_at,
            self.sink.wrote_at,
        )


class Run(CollectRun):
    """The full run: scans, submits, and fetches results."""

    submits = True

    def __init__(self, means: RunContext) -> None:
        super().__init__(means)
        manifest, ledger, _, reached, control, clock, _, _, callback, _, hands = means
        self._manifest = manifest
        self._is_sample = manifest.limits.is_sample
        self._retry = manifest.retry
        self._mirror = manifest.output.mirror
        self.time_limit = TimeLimit(manifest.limits, control, clock=clock)
        self.consent = Consent(ledger, control, unasked=unasked(manifest))
        self.scanner = Scanner(
            ledger, manifest, self.consent, clock=clock, tell=control.warn, hands=hands
        )
        self.chain = Chain(ledger, self.scanner.done) if len(manifest.jobs) > 1 else None
        self.passwords, self._misnamed = _passwords_of(manifest)
        inputs = InputResolver(
            self.context,
            self.passwords,
            account=account_of(manifest, reached),
            parts=manifest.output.directory / ".batcher" / "parts",
            ignored={str(source.listing): source.ignore for source in manifest.sources},
        )
        rules = SubmissionRules(
            templates={
                job.name: template_of(manifest, job, reached, callback) for job in manifest.jobs
            },
            policy=with_changes(manifest.retry),
            most=manifest.limits.max_documents,
        )
        self.submitter = Submitter(self.context, inputs, self.concurrency, rules)

    async def to_its_end(self) -> None:
        if self._mirror:
            await self._check_mirror(Mirror(self._mirror))
        agreed = await self.consent.agree_to_changes(self.scanner.steps)
        for words in doubtful_changes(self._retry):
            self.control.warn(words)
        if agreed:
            await self._sort_out()
        else:
            self.control.stop(self.control.refused, ExitCode.USAGE, home=True)
        self.time_limit.look()
        self.is_complete = not self.control.stopped.is_set()
        if not self.is_complete:
            self.scanner.done.set()  # without sending there is no need to scan
        try:
            await super().to_its_end()
        finally:
            self.passwords.close()

    async def _sort_out(self) -> None:
        """Check the sources before anything is sent.

        Where they can't be used, nothing is; jobs in flight still come home, or they would expire
        while somebody mends a listing. Raises ManifestError and SourceError if there are none.
        """
        try:
            await asyncio.to_thread(check_sources, self._manifest)
            if self._misnamed is not None:
                raise self._misnamed
            await self.scanner.sort_out()
        except (ManifestError, SourceError) as error:
            if not any(self.ledger.tally[state] for state in OUT):
                raise
            self.control.stop(in_one_line(error), error.exit_code, home=True)

    async def _check_mirror(self, mirror: Mirror) -> None:
        """Stop sending if the mirror can't be written; results in flight still go to disk."""
        checking = asyncio.create_task(mirror.check())
        stopped = asyncio.create_task(self.control.stopped.wait())
        try:
            await asyncio.wait({checking, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if checking.done():
                checking.result()
        except MirrorError as error:
            self.control.stop(
                f"output.mirror: {error}; nothing was sent", ExitCode.RUN_AGAIN, home=True
            )
        finally:
            checking.cancel()
            stopped.cancel()

    @property
    def left_out(self) -> LeftOut:
        return self.scanner.left_out

    @property
    def taken_up(self) -> int:
        return self.scanner.taken_up

    @property
    def has_looked(self) -> bool:
        return self.is_complete and self.scanner.done.is_set()

    @property
    def unscanned(self) -> str:
        if self.has_looked:
            return ""
        return f"the run was stopped first ({self.control.reason or 'the sample is taken'})"

    @property
    def has_taken_its_sample(self) -> bool:
        return (
            self._is_sample
            and self.control.how is RunEnd.LIMIT
            and self.submitter.has_sent_its_number
        )

    @property
    def unmatched(self) -> str:
        return self.scanner.unmatched

    def stages(self) -> list[Stage]:
        stages = [*super().stages(), self.submitter]
        if self.chain is not None:
            stages.append(self.chain)
        if not self.is_complete:
            return stages
        return [*stages, Scan(self.scanner, self.control), self.time_limit]

    def to_do(self) -> Sequence[Awaited]:
        to_do: list[Awaited] = [
            self.scanner,
            self.recovery,
            self.submitter,
            Documents(self.ledger, OPEN),
        ]
        if self.chain is not None:
            to_do.append(self.chain)
        return to_do

    def out(self) -> Sequence[Awaited]:
        return (*super().out(), self.submitter)

    def look_ahead(self) -> None:
        if self.scanner.done.is_set():
            self.submitter.stop_if_nothing_fits()

    async def until_sent(self) -> None:
        while self.being_sent():
            await until_any(self.submitter.settled(), self.control.asked.wait())

    def being_sent(self) -> int:
        """Return the uploads and submissions under way, or only the submissions.

        Finishing an upload is worth it only where the run goes on to fetch the results of jobs in
        flight.
        """
        return self.submitter.outstanding() if self.control.home else self.submitter.posting


class Scan:
    """The scan of a run, which a source that can't be read any more stops, and doesn't end.

    Jobs may be in flight by then, also those of earlier runs.
    """

    def __init__(self, scanner: Scanner, control: RunControl) -> None:
        self._scanner = scanner
        self._control = control

    async def run(self) -> None:
        """Walk the sources once."""
        try:
            await self._scanner.run()
        except (ManifestError, SourceError) as error:
            self._control.stop(in_one_line(error), error.exit_code, home=True)

    def outstanding(self) -> int:
        """Return 1 while there may be more to find, else 0."""
        return self._scanner.outstanding()


class Cancellation(CollectRun):
    """Cancels the jobs in flight, or some of them.

    Only the final status counts: the result of a job that completed first is fetched. What isn't
    to be cancelled isn't waited for; what of it arrives meanwhile is fetched.
    """

    def __init__(self, means: RunContext) -> None:
        super().__init__(means)
        self._only = means.only
        self._awaited = None if means.only is None else SomeDocuments(self.ledger, means.only, OUT)

    @property
    def unscanned(self) -> str:
        return "`batcher cancel` reads no folder"

    async def to_its_end(self) -> None:
        # and also what would be sent again
        await self.ledger.call_off("by batcher cancel", only=self._only)
        await super().to_its_end()

    def stages(self) -> list[Stage]:
        return [*super().stages(), self.canceller]

    def out(self) -> Sequence[Awaited]:
        if self._awaited is None:
            return super().out()
        return (self.recovery, self._awaited, self.copier)


def _passwords_of(manifest: Manifest) -> tuple[Passwords, ManifestError | None]:
    """Return the passwords of all sources; if they aren't where they should be, none, and why."""
    try:
        return Passwords(manifest.sources, where=manifest.where), None
    except ManifestError as error:
        return Passwords((), where=manifest.where), error


def in_one_line(error: BatcherError) -> str:
    """Return the message as the reason for which a run ended."""
    return "; ".join(str(error).splitlines())


def _name(stage: Stage) -> str:
    name = _CAPITALS.sub(" ", type(stage).__name__).lower()
    return f"running the {name}"
