"""Compares attempts, jobs at the service and files on disk at the end of a run.

What the job list shows (`stages.job_list_audit`) is put right: duplicates are cancelled if they
still run, and reported with their cost. If two answers were mixed up on their way, each document
gets its own job back. Nothing is submitted or fetched. A job list that can't be read or trusted is
not the batch's fault: it is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from typing import Final

from batcher.common.formatting import pluralize
from batcher.common.signals import until_any
from batcher.core import events
from batcher.core.account import Account
from batcher.core.duplicate_jobs import (
    AttemptRef,
    DuplicateJob,
)
from batcher.core.lifecycle import Impossible
from batcher.core.summary import Audit
from batcher.errors import AttemptOpen, NotFound, Outdated, ServiceError
from batcher.exit_codes import ExitCode
from batcher.outputs.result_store import Store
from batcher.reducto.api_types import ENDED, JobStatus
from batcher.reducto.error_rules import ErrorClass
from batcher.reducto.inputs import UpstreamJob
from batcher.stages.context import StageContext
from batcher.stages.job_list_audit import Crossed, JobListAudit
from batcher.stages.run_control import PATIENCE_WHEN_STOPPED

# seconds after which no request of ours can turn up any more; younger ones are checked again
LATE: Final = 600.0


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
        """Exchange the jobs of documents that were told each other's, before the run has ended.

        Returns the ids of those of our jobs that the job list showed, and a message for each pair
        that was exchanged. If the list can't be read in time, it showed none.
        """
        _, first_sent_at = self._ledger.audit.unaudited()
        looking = self._job_list.begin(first_sent_at or self._clock())
        try:
            async with asyncio.timeout(looking.patience):
                await self._job_list.read(looking)
                told = await self._exchange_all(looking.crossed)
        except (TimeoutError, ServiceError):
            return frozenset(), ()
        return looking.shown, told

    async def _exchange_all(self, crossed: Mapping[str, Crossed]) -> tuple[str, ...]:
        """Exchange the jobs of pairs that hold each other's, and return what to say of each."""
        told: list[str] = []
        for job_id, holder, named in _pairs(crossed):
            made = await self._exchange(job_id, holder, named)
            if made is not None:
                told.append(
                    f"{holder.source} and {named.source} were told each other's jobs: the right "
                    f"results are fetched now, for nothing{_and_later(made)}"
                )
        return tuple(told)

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
                undecided = [pair for pair in _pairs(looking.crossed) if self._is_undecided(*pair)]
                self._mixed_up = await self._put_right(looking.crossed)
                new = await self._settled(looking.twins)
        except (TimeoutError, ServiceError) as error:
            return [], (_not_compared(error),)
        if not looking.is_whole:
            return new, (_cut_short(looking.pages),)
        doubts = (*looking.doubts(), *(_not_yet(holder, named) for _, holder, named in undecided))
        # else the next run checks again, for as long as the service keeps these jobs
        if not doubts:
            # A job list that shows nothing of ours may be an empty one: then only what it has
            # forgotten counts as settled.
            within = LATE if looking.shows_ours else self._retention
            await self._ledger.audited(last, sent_before=now - within)
        return new, doubts

    async def _put_right(self, crossed: Mapping[str, Crossed]) -> tuple[str, ...]:
        """Exchange the jobs of pairs that hold each other's, and return what to report.

        The next run fetches both results again, without paying.
        """
        told: list[str] = []
        for job_id, (holder, named) in crossed.items():
            if not _is_mutual(holder, named, crossed):
                told.append(_one_sided(job_id, holder, named))
        for pair in _pairs(crossed):
            told += await self._each_its_own(*pair)
        return tuple(told)

    async def _each_its_own(self, job_id: str, holder: AttemptRef, named: AttemptRef) -> list[str]:
        """Exchange the jobs of a pair, and return what to report.

        If they can't be exchanged, each result on disk is still wrong. That also matters for a
        document that was replaced by a newer version: every document with the same bytes shares its
        result.
        """
        made = await self._exchange(job_id, holder, named)
        if made is not None:
            return [
                f"{holder.source} and {named.source} had each other's results, because two "
                "answers of the service "
                "were mixed up on their way; run the same command again to fetch the right ones "
                f"for nothing{_and_later(made)}"
            ]
        pairs = ((job_id, holder, named), (str(named.job_id), named, holder))
        return [_one_sided(*pair) for pair in pairs if pair[1].outcome == "saved"]

    async def _exchange(
        self, job_id: str, holder: AttemptRef, named: AttemptRef
    ) -> Sequence[AttemptRef] | None:
        """Exchange their jobs, and return the attempts of later steps that read the wrong one.

        Those come to a verdict, for only a person pays again. Copies wait for the right results.
        Returns None, and changes nothing, if one of the two isn't saved or was replaced by a newer
        version, or if a later step of theirs is at the service.
        """
        if self._is_undecided(job_id, holder, named):
            return None
        later = self._made_from(job_id, named)
        made = [attempt for attempt in later if attempt.outcome == "saved"]
        copies = [
            events.Rejoined(copy, payer)
            for payer in (holder.document, named.document, *(one.document for one in made))
            for copy in self._ledger.sharing.saved_copies(payer)
        ]
        reason = f"{holder.source} and {named.source} had each other's results"
        wrong = f"made from another document's result, because {reason}"
        try:
            await self._ledger.record(
                # no job may belong to two documents, not even for a moment
                events.JobExchanged(holder.document, ""),
                events.JobExchanged(named.document, job_id),
                events.JobExchanged(holder.document, str(named.job_id)),
                events.FileMissed(holder.document, reason),
                events.FileMissed(named.document, reason),
                *(events.WrongInput(one.document, wrong, ErrorClass.TRANSIENT) for one in made),
                *copies,
            )
        except (Impossible, AttemptOpen, Outdated):
            return None
        return made

    def _is_undecided(self, job_id: str, holder: AttemptRef, named: AttemptRef) -> bool:
        """Whether one of the two, or a later step of theirs, may still bring a result."""
        attempts = (holder, named, *self._made_from(job_id, named))
        return any(attempt.outcome in ("open", "accepted") for attempt in attempts)

    def _made_from(self, job_id: str, named: AttemptRef) -> Sequence[AttemptRef]:
        """Return the attempts of later steps that read one of the two jobs."""
        jobs = [UpstreamJob(job_id), UpstreamJob(str(named.job_id))]
        return self._ledger.audit.made_from([job.known_as for job in jobs])

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


def _pairs(crossed: Mapping[str, Crossed]) -> Iterator[tuple[str, AttemptRef, AttemptRef]]:
    """Yield the attempts that hold each other's jobs, each pair once."""
    for job_id, (holder, named) in crossed.items():
        if _is_mutual(holder, named, crossed) and holder.nonce < named.nonce:
            yield job_id, holder, named


def _is_mutual(holder: AttemptRef, named: AttemptRef, crossed: Mapping[str, Crossed]) -> bool:
    other = crossed.get(named.job_id or "")
    return other is not None and other.named.nonce == holder.nonce


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
    return f"{holder.source} holds job {job_id}, which was submitted for {named.source}"


def _not_yet(holder: AttemptRef, named: AttemptRef) -> str:
    return (
        f"{holder.source} and {named.source} hold each other's jobs, which may still bring "
        "results: the next run looks again"
    )


def _and_later(made: Sequence[AttemptRef]) -> str:
    """Return what to add to a message if later steps have read a wrong job."""
    if not made:
        return ""
    steps = pluralize(len(made), "later step")
    return f"; {steps} made from the wrong ones failed: batcher retry pays for them again"
