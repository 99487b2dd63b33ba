"""Compares attempts, jobs at the service and files on disk at the end of a run.

What the job list shows (`stages.job_list_audit`) is put right: duplicates are cancelled if they
still run, and reported with their cost. If answers were mixed up on their way, each document gets
its own job back. Nothing is submitted or fetched. A job list that can't be read or trusted is
not the batch's fault: it is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from typing import Final

from batcher.common.formatting import pluralize
from batcher.common.signals import until_any
from batcher.core import events
from batcher.core.account import Account
from batcher.core.crossed_jobs import Exchange, exchanges, stranded
from batcher.core.duplicate_jobs import (
    AttemptRef,
    DuplicateJob,
)
from batcher.core.lifecycle import Impossible, State
from batcher.core.summary import Audit
from batcher.errors import AttemptOpen, NotFound, Outdated, OutputError, ServiceError
from batcher.exit_codes import ExitCode
from batcher.outputs.result_store import Store
from batcher.reducto.api_types import ENDED, JobStatus
from batcher.reducto.error_rules import ErrorClass
from batcher.reducto.inputs import UpstreamJob
from batcher.stages.context import StageContext
from batcher.stages.job_list_audit import JobListAudit, Pass
from batcher.stages.run_control import PATIENCE_WHEN_STOPPED

# seconds after which no request of ours can turn up any more; younger ones are checked again
LATE: Final = 600.0
NAMED_AT_MOST: Final = 5  # documents in one message


class Auditor:
    """Audits a run; `endpoints` are by job name."""

    def __init__(
        self,
        context: StageContext,
        store: Store,
        *,
        account: Account,
        endpoints: Mapping[str, str],
    ) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._control = context.control
        self._store = store
        self._retention = account.retention
        self._job_list = JobListAudit(context, account, endpoints)
        self._clock = context.clock
        self._since = self._ledger.reporting.last_event()
        self._mixed_up: tuple[str, ...] = ()

    async def run(self) -> Audit:
        """Audit this run's submissions and those that no earlier audit has seen settled."""
        damaged = await self._damaged_files()
        if self._control.exit_code == ExitCode.SERVICE_FAILED or self._control.abort:
            # the service refuses our requests, or somebody is in a hurry: the next run checks
            return Audit(damaged=damaged)
        looking = asyncio.create_task(self._twins())
        await until_any(asyncio.wait({looking}), self._until_urged())
        if not looking.done():
            looking.cancel()
            await asyncio.wait({looking})
            return Audit(damaged=damaged)
        twins, notes = looking.result()
        return Audit(
            damaged=damaged, twins=tuple(map(str, twins)), mixed_up=self._mixed_up, notes=notes
        )

    async def put_right(self) -> tuple[Set[str], tuple[str, ...]]:
        """Exchange the jobs of documents that were told others', before the run has ended.

        Returns the ids of our jobs that the job list showed as their documents' own, and a message
        for each exchange. If the list can't be read in time, it showed none.
        """
        _, first_sent_at = self._ledger.audit.unaudited()
        looking = self._job_list.begin(first_sent_at or self._clock())
        try:
            async with asyncio.timeout(looking.patience):
                await self._job_list.read(looking)
                return await self._exchange_all(looking)
        except (TimeoutError, ServiceError):
            return frozenset(), ()

    async def _exchange_all(self, looking: Pass) -> tuple[Set[str], tuple[str, ...]]:
        told: list[str] = []
        wrong = set(looking.crossed)
        for exchange in exchanges(looking.crossed, looking.unclaimed):
            made = await self._exchange(exchange)
            if made is None:
                continue
            own = {one.job_id for one in exchange.own_jobs}
            looking.shown |= own
            wrong -= own
            told.append(
                f"{_were_told(exchange)}: the right results are fetched now, for nothing"
                f"{_and_later(made)}"
            )
        return looking.shown - wrong, tuple(told)

    async def _until_urged(self) -> None:
        """Return once somebody wants the run to end; the next run then does the audit."""
        loop = asyncio.get_running_loop()
        patient_until = loop.time() + PATIENCE_WHEN_STOPPED
        while not self._control.abort:
            on_request = self._control.stopped.is_set() and not self._control.home
            left = patient_until - loop.time() if on_request else None
            if left is not None and left <= 0:
                return
            await self._control.asked.wait(within=left)

    async def _damaged_files(self) -> tuple[str, ...]:
        """Return results saved by this run that are missing on disk or have changed in size."""
        saved = self._ledger.reporting.saved_since(self._since)
        return await asyncio.to_thread(self._damaged_among, saved)

    def _damaged_among(self, saved: Sequence[tuple[str, int]]) -> tuple[str, ...]:
        return tuple(output for output, size in saved if self._store.size(output) != size)

    # --- duplicate jobs ---------------------------------------------------------------------------

    async def _twins(self) -> tuple[list[DuplicateJob], tuple[str, ...]]:
        """Return the new duplicates, and messages about the job list."""
        last, first_sent_at = self._ledger.audit.unaudited()
        if first_sent_at is None:
            return [], ()
        now = self._clock()
        looking = self._job_list.begin(first_sent_at)
        try:
            async with asyncio.timeout(looking.patience):
                await self._job_list.read(looking)
                found = exchanges(looking.crossed, looking.unclaimed)
                undecided = [exchange for exchange in found if self._is_undecided(exchange)]
                self._mixed_up = await self._put_right(looking, found)
                new = await self._settled(looking.twins)
        except (TimeoutError, ServiceError) as error:
            return [], (_not_compared(error),)
        if not looking.is_whole:
            return new, (_cut_short(looking.pages),)
        doubts = (*looking.doubts(), *map(_not_yet, undecided))
        # else the next run checks again, for as long as the service keeps these jobs
        if not doubts:
            # A job list that shows nothing of ours may be an empty one: then only what it has
            # forgotten counts as settled.
            within = LATE if looking.shows_ours else self._retention
            await self._ledger.audited(last, sent_before=now - within)
        return new, doubts

    async def _put_right(self, looking: Pass, found: Sequence[Exchange]) -> tuple[str, ...]:
        """Exchange the jobs of documents that were told others', and return what to report.

        The next run fetches their results again, without paying.
        """
        told = [
            _one_sided(job_id, *crossed)
            for job_id, crossed in stranded(looking.crossed, found).items()
        ]
        for exchange in found:
            told += await self._each_its_own(exchange, looking)
        return tuple(told)

    async def _each_its_own(self, exchange: Exchange, looking: Pass) -> list[str]:
        """Exchange jobs, and return what to report.

        If they can't be exchanged, each result on disk is still wrong. That also matters for a
        document that was replaced by a newer version: every document with the same bytes shares its
        result.
        """
        made = await self._exchange(exchange)
        if made is not None:
            return [
                f"{_had(exchange)}, because answers of the service were mixed up on their way; run "
                f"the same command again to fetch the right ones for nothing{_and_later(made)}"
            ]
        nonces = {attempt.nonce for attempt in exchange.attempts if attempt.outcome == "saved"}
        return [
            _one_sided(job_id, *crossed)
            for job_id, crossed in looking.crossed.items()
            if crossed.holder.nonce in nonces
        ]

    async def _exchange(self, exchange: Exchange) -> Sequence[AttemptRef] | None:
        """Give each its own job, and return the attempts of later steps that read the wrong one.

        Those come to a verdict, for only a person pays again. Copies wait for the right results.
        Returns None, and changes nothing, if one of the documents is neither saved nor stuck, was
        replaced by a newer version or has a later attempt, or if a later step of theirs is at the
        service.
        """
        if self._is_undecided(exchange) or not all(map(self._is_latest, exchange.attempts)):
            return None
        later = self._made_from(exchange)
        made = [attempt for attempt in later if attempt.outcome == "saved"]
        documents = [attempt.document for attempt in exchange.attempts]
        copies = [
            events.Rejoined(copy, payer)
            for payer in (*documents, *(one.document for one in made))
            for copy in self._ledger.sharing.saved_copies(payer)
        ]
        reason = _had(exchange)
        wrong = f"made from another document's result, because {reason}"
        # no job may belong to two documents, not even for a moment
        let_go = [events.JobExchanged(documents[-1], "")] if exchange.is_ring else []
        saved = [one.document for one in exchange.attempts if one.outcome == "saved"]
        wrong_files = self._ledger.audit.results_of([*saved, *(one.document for one in made)])
        try:
            await self._ledger.record(
                *let_go,
                *(
                    events.JobExchanged(one.attempt.document, one.job_id)
                    for one in exchange.own_jobs
                ),
                *(events.FileMissed(document, reason) for document in saved),
                *(events.WrongInput(one.document, wrong, ErrorClass.TRANSIENT) for one in made),
                *copies,
            )
        except (Impossible, AttemptOpen, Outdated):
            return None
        await asyncio.to_thread(self._set_aside, wrong_files)
        return made

    def _set_aside(self, files: Sequence[tuple[str, str]]) -> None:
        """Move wrong results, given with their hashes, to where nobody takes them for right ones.

        If the disk refuses, they stay until the right ones replace them.
        """
        for output, sha256 in files:
            if self._store.digest(output) == sha256:
                with suppress(OutputError):
                    self._store.move_aside(output)

    def _is_undecided(self, exchange: Exchange) -> bool:
        """Whether one of the documents, or a later step of theirs, may still bring a result."""
        attempts = [attempt for attempt in exchange.attempts if not self._is_stuck(attempt)]
        attempts += self._made_from(exchange)
        return any(attempt.outcome in ("open", "accepted") for attempt in attempts)

    def _is_latest(self, attempt: AttemptRef) -> bool:
        return self._ledger.audit.holding(attempt.document) == attempt.nonce

    def _is_stuck(self, attempt: AttemptRef) -> bool:
        return self._ledger.tracking.state_of(attempt.document) is State.STUCK

    def _made_from(self, exchange: Exchange) -> Sequence[AttemptRef]:
        """Return the attempts of later steps that read one of the jobs."""
        held = {str(attempt.job_id) for attempt in exchange.attempts}
        jobs = held | {one.job_id for one in exchange.own_jobs}
        return self._ledger.audit.made_from([UpstreamJob(job).known_as for job in sorted(jobs)])

    async def _settled(self, twins: Sequence[DuplicateJob]) -> list[DuplicateJob]:
        """Cancel duplicates that still run, and record them.

        Return those for which that wasn't done before, and which cost something.
        """
        new: list[DuplicateJob] = []
        for twin in twins:
            ended = await self._ended(twin)
            if not ended.is_harmless and await self._ledger.note_twin(ended):
                new.append(ended)
        return new

    async def _ended(self, twin: DuplicateJob) -> DuplicateJob:
        """Return a duplicate with its final status; one that still runs is cancelled first."""
        if twin.status not in ENDED:
            await self._cancel(twin.job_id)
        elif twin.status != JobStatus.FAILED:
            return twin
        return await self._as_it_ended(twin)

    async def _cancel(self, job_id: str) -> None:
        with suppress(NotFound):
            await self._client.cancel(job_id)

    async def _as_it_ended(self, twin: DuplicateJob) -> DuplicateJob:
        """Return the duplicate with its status as the service's own answer gives it."""
        try:
            answer, _ = await self._client.job(twin.job_id)
        except NotFound:
            if twin.status in ENDED:
                return twin
            return replace(twin, status=JobStatus.CANCELLED)
        error = answer.error.name if answer.error else ""
        return replace(twin, status=answer.status, error=error)


def _not_compared(error: TimeoutError | ServiceError) -> str:
    reason = "it took too long" if isinstance(error, TimeoutError) else str(error)
    return (
        f"the jobs at the service were not held against the ledger: {reason}; the next run does it"
    )


def _cut_short(pages: int) -> str:
    return (
        f"after {pages} pages of a listing that others share not all of our jobs had been shown: "
        "a second job for one of these documents would not be seen; the next run looks again"
    )


def _one_sided(job_id: str, holder: AttemptRef, named: AttemptRef) -> str:
    return (
        f"{holder.source} holds job {job_id}, which was submitted for {named.source}: before you "
        "use its result, see whether it is that document's"
    )


def _not_yet(exchange: Exchange) -> str:
    return (
        f"{_names(exchange)} hold {_whose(exchange)} jobs, which may still bring results: the next "
        "run looks again"
    )


def _were_told(exchange: Exchange) -> str:
    were = "were" if len(exchange.own_jobs) > 1 else "was"
    return f"{_names(exchange)} {were} told {_whose(exchange)} jobs"


def _had(exchange: Exchange) -> str:
    return f"{_names(exchange)} had {_whose(exchange)} results"


def _names(exchange: Exchange) -> str:
    """Return the documents' names for people; of many the first ones."""
    names = sorted(attempt.source for attempt in exchange.attempts)
    if len(names) > NAMED_AT_MOST:
        names[NAMED_AT_MOST - 1 :] = [f"{len(names) - NAMED_AT_MOST + 1} more"]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _whose(exchange: Exchange) -> str:
    if not exchange.is_ring:
        return "other documents'"
    return "each other's" if len(exchange.own_jobs) == 2 else "one another's"


def _and_later(made: Sequence[AttemptRef]) -> str:
    """Return what to add to a message if later steps have read a wrong job."""
    if not made:
        return ""
    steps = pluralize(len(made), "later step")
    return f"; {steps} made from the wrong ones failed: batcher retry pays for them again"
