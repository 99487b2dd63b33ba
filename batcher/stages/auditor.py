"""Compares attempts, jobs at the service and files on disk at the end of a run.

One pass over the job list shows jobs of ours that the ledger doesn't hold: duplicates, made when
our POST was repeated on its way or arrived after all. They are cancelled if they still run, and
reported with their cost. If two answers were mixed up on their way, each document gets its own job
back. Nothing is submitted or fetched. A job list that can't be read or trusted is not the batch's
fault: it is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from batcher.common.formatting import pluralize
from batcher.common.signals import until_any
from batcher.core import events
from batcher.core.account import Account
from batcher.core.duplicate_jobs import (
    CLOCK_SKEW,
    AttemptRef,
    DuplicateJob,
    age_of,
    counts_as_twin,
    marks_in,
)
from batcher.core.lifecycle import Impossible
from batcher.core.summary import Audit
from batcher.errors import AttemptOpen, NotFound, Outdated, ServiceError
from batcher.exit_codes import ExitCode
from batcher.ledger.queries.rows import Holder
from batcher.outputs.result_store import Store
from batcher.reducto.api_types import ENDED, JOBS_PAGE_LIMIT, JobRow, JobStatus
from batcher.reducto.error_rules import ErrorClass
from batcher.reducto.inputs import UpstreamJob
from batcher.stages import job_list
from batcher.stages.context import StageContext
from batcher.stages.job_list import CircularListing, EndlessListing
from batcher.stages.run_control import PATIENCE_WHEN_STOPPED

# seconds after which no request of ours can turn up any more; younger ones are checked again
LATE: Final = 600.0
LAG: Final = 60.0  # seconds in which the job list may not show a new job yet
PATIENCE: Final = 30.0  # seconds for the whole audit, plus …
PATIENCE_PER_PAGE: Final = 2.0  # … these for each page that our own jobs fill
# a hundred thousand submissions of one run: more isn't worth a long wait
OWN_PAGES_AT_MOST: Final = 200
SPARE_PAGES: Final = 8  # pages beyond our own: the account's job list may hold other people's jobs


class Crossed(NamedTuple):
    """A job that the ledger holds for `holder` although it was submitted for `named`."""

    holder: AttemptRef
    named: AttemptRef


@dataclass(slots=True)
class _Pass:
    """One pass over the job list: what it must still show, what it showed, how far back it goes."""

    since: float
    unseen: set[str]
    pages: int
    twins: list[DuplicateJob] = field(default_factory=list)
    crossed: dict[str, Crossed] = field(default_factory=dict)  # by job id
    shown: set[str] = field(default_factory=set)
    shows_ours: bool = False
    unreadable: int = 0  # number of rows
    is_whole: bool = False  # it went as far back as necessary, or to the end of the list


class Auditor:
    """Audits a run; `endpoints` are by job name.

    A row of another type than its job's endpoint is a part of one of our jobs, not a duplicate.
    """

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
        self._rate_limits = context.rate_limits
        self._control = context.control
        self._store = store
        self._account = account
        self._endpoints = endpoints
        self._clock = context.clock
        self._since = self._ledger.reporting.last_event()
        self._mixed_up: tuple[str, ...] = ()
        # nonces by upload, read when a row shows no nonce of ours
        self._nonces: dict[str, str] | None = None

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
        looking, patience = self._new_pass(first_sent_at or self._clock())
        try:
            async with asyncio.timeout(patience):
                await self._read_listing(looking)
                told = [
                    f"{holder.source} and {named.source} were told each other's jobs: the right "
                    f"results are fetched now, for nothing{_and_later(made)}"
                    for job_id, holder, named in _pairs(looking.crossed)
                    if (made := await self._exchange(job_id, holder, named)) is not None
                ]
        except (TimeoutError, ServiceError):
            return frozenset(), ()
        return looking.shown, tuple(told)

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
        sizes = await asyncio.to_thread(lambda: [self._store.size(output) for output, _ in saved])
        return tuple(
            output for (output, size), found in zip(saved, sizes, strict=True) if found != size
        )

    # --- duplicate jobs ---------------------------------------------------------------------------

    async def _twins(self) -> tuple[list[DuplicateJob], tuple[str, ...]]:
        """Return the new duplicates, and messages about the job list."""
        last, first_sent_at = self._ledger.audit.unaudited()
        if first_sent_at is None:
            return [], ()
        now = self._clock()
        looking, patience = self._new_pass(first_sent_at)
        try:
            async with asyncio.timeout(patience):
                await self._read_listing(looking)
                self._mixed_up = await self._put_right(looking.crossed)
                new = [
                    settled
                    for twin in looking.twins
                    if (settled := await self._settled(twin)) is not None
                ]
        except (TimeoutError, ServiceError) as error:
            reason = "it took too long" if isinstance(error, TimeoutError) else str(error)
            return [], (
                f"the jobs at the service were not held against the ledger: {reason}; the next "
                "run does it",
            )
        if not looking.is_whole:
            return new, (
                f"after {looking.pages} pages of a listing that others share not all of our jobs "
                "had been shown: "
                "a second job for one of these documents would not be seen; the next run looks "
                "again",
            )
        doubts = tuple(self._doubts(looking))
        # else the next run checks again, for as long as the service keeps these jobs
        if not doubts:
            # A job list that shows nothing of ours may be an empty one: then only what it has
            # forgotten counts as settled.
            within = LATE if looking.shows_ours else self._account.retention
            await self._ledger.audited(last, sent_before=now - within)
        return new, doubts

    def _new_pass(self, first_sent_at: float) -> tuple[_Pass, float]:
        """Return a pass that goes back to that submission, and the seconds that it may take."""
        now = self._clock()
        since = max(first_sent_at, now - self._account.retention) - CLOCK_SKEW
        unseen = self._ledger.audit.listed_jobs(
            self._account.service,
            self._account.key_fingerprint,
            accepted_before=now - LAG,
            alive_at=now,
        )
        # the list is newest first, so newer jobs come before those
        ours = self._ledger.audit.number_listed(
            self._account.service, self._account.key_fingerprint, alive_at=now
        )
        own_pages = min(-(-ours // JOBS_PAGE_LIMIT), OWN_PAGES_AT_MOST)
        looking = _Pass(since, unseen, 2 * own_pages + SPARE_PAGES)
        return looking, PATIENCE + PATIENCE_PER_PAGE * own_pages

    async def _read_listing(self, looking: _Pass) -> None:
        listing = job_list.pages(self._client, self._rate_limits.list, most=looking.pages)
        try:
            async with aclosing(listing):
                async for page in listing:
                    looking.unreadable += page.unreadable
                    self._take_in(page.jobs, looking)
                    if _reaches_back(page.jobs, looking):
                        break
        except CircularListing:
            pass  # it has shown everything that it ever will
        except EndlessListing:
            return
        looking.is_whole = True

    def _take_in(self, rows: Sequence[JobRow], looking: _Pass) -> None:
        known = self._ledger.audit.known_jobs(self._account.service, [row.job_id for row in rows])
        looking.unseen -= known
        looking.shown |= known
        looking.shows_ours = looking.shows_ours or bool(known)
        holders = self._ledger.audit.holders(self._account.service, list(known))
        for row in rows:
            if row.job_id not in known and (twin := self._twin_of(row)) is not None:
                looking.twins.append(twin)
            elif (
                row.job_id in holders
                and (crossed := self._crossed(row, holders[row.job_id])) is not None
            ):
                looking.crossed[row.job_id] = crossed

    def _crossed(self, row: JobRow, holder: Holder) -> Crossed | None:
        """Return None if the job is its holder's own, or doesn't say whose it is."""
        nonces, _ = marks_in(row)
        if holder.nonce in nonces:
            return None
        named = self._ledger.audit.attempt_of(
            self._account.service, self._account.key_fingerprint, nonces
        )
        own = self._ledger.audit.attempt_of(
            self._account.service, self._account.key_fingerprint, [holder.nonce]
        )
        return None if named is None or own is None else Crossed(own, named)

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
        jobs = [UpstreamJob(job_id), UpstreamJob(str(named.job_id))]
        later = self._ledger.audit.made_from([job.known_as for job in jobs])
        if any(attempt.outcome in ("open", "accepted") for attempt in later):
            return None
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

    def _twin_of(self, row: JobRow) -> DuplicateJob | None:
        """Return the duplicate that a row shows of one of our attempts.

        None if it is nobody's, or the first job of an attempt in doubt.
        """
        nonces, file_ids = marks_in(row)
        attempt = self._ledger.audit.attempt_of(
            self._account.service, self._account.key_fingerprint, nonces
        )
        if attempt is None and (nonce := self._by_upload(file_ids)) is not None:
            attempt = self._ledger.audit.attempt_of(
                self._account.service, self._account.key_fingerprint, [nonce]
            )
        if attempt is None or not counts_as_twin(
            row, attempt, self._endpoints.get(attempt.job, "")
        ):
            return None
        return DuplicateJob(row.job_id, row.status, attempt, made_at=age_of(row.created_at))

    def _by_upload(self, file_ids: Sequence[str]) -> str | None:
        if self._nonces is None:
            self._nonces = self._ledger.audit.nonces_by_upload()
        return next((nonce for file_id in file_ids if (nonce := self._nonces.get(file_id))), None)

    async def _settled(self, twin: DuplicateJob) -> DuplicateJob | None:
        """Cancel a duplicate that still runs, and record it.

        Return None if that was done before, or if the duplicate cost nothing.
        """
        if twin.status not in ENDED:
            await self._cancel(twin.job_id)
        if twin.status not in ENDED or twin.status == JobStatus.FAILED:
            twin = await self._as_it_ended(twin)
        return twin if not twin.is_harmless and await self._ledger.note_twin(twin) else None

    async def _cancel(self, job_id: str) -> None:
        with suppress(NotFound):
            await self._client.cancel(job_id)

    async def _as_it_ended(self, twin: DuplicateJob) -> DuplicateJob:
        """Return the duplicate with its final status, as the service's own answer gives it."""
        try:
            answer, _ = await self._client.job(twin.job_id)
        except NotFound:
            return twin if twin.status in ENDED else replace(twin, status=JobStatus.CANCELLED)
        return replace(twin, status=answer.status, error=answer.error.name if answer.error else "")

    def _doubts(self, looking: _Pass) -> Iterator[str]:
        if looking.unseen:
            yield (
                f"the service's listing doesn't show {len(looking.unseen)} of our jobs, e.g. "
                f"{min(looking.unseen)}: "
                "a second job for one of these documents would not be seen"
            )
        if looking.unreadable:
            yield (
                f"{pluralize(looking.unreadable, 'row')} of the service's listing can't be read: "
                "a second job for one of these documents may be among them"
            )


def _pairs(crossed: Mapping[str, Crossed]) -> Iterator[tuple[str, AttemptRef, AttemptRef]]:
    """Yield the attempts that hold each other's jobs, each pair once."""
    for job_id, (holder, named) in crossed.items():
        if _is_mutual(holder, named, crossed) and holder.nonce < named.nonce:
            yield job_id, holder, named


def _is_mutual(holder: AttemptRef, named: AttemptRef, crossed: Mapping[str, Crossed]) -> bool:
    other = crossed.get(named.job_id or "")
    return other is not None and other.named.nonce == holder.nonce


def _one_sided(job_id: str, holder: AttemptRef, named: AttemptRef) -> str:
    return f"{holder.source} holds job {job_id}, which was submitted for {named.source}"


def _and_later(made: Sequence[AttemptRef]) -> str:
    """Return what to add to a message if later steps have read a wrong job."""
    if not made:
        return ""
    outcome = pluralize(len(made), "later step")
    return f"; {outcome} made from the wrong ones failed: batcher retry pays for them again"


def _reaches_back(rows: Sequence[JobRow], looking: _Pass) -> bool:
    """Return whether nothing of interest can follow.

    That is so when everything that had to be shown was, and the last row is older than any
    submission that is audited.
    """
    if looking.unseen or not rows:
        return False
    made_at = age_of(rows[-1].created_at)
    return made_at is not None and made_at < looking.since
