"""Compares the service's job list with the ledger, in one pass at the end of a run.

It shows jobs of ours that the ledger doesn't hold: duplicates, made when our POST was repeated on
its way or arrived after all. And it shows jobs that the ledger holds for another document than they
were submitted for. This only looks; the auditor puts things right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from batcher.common.formatting import pluralize
from batcher.core.account import Account
from batcher.core.crossed_jobs import Crossed
from batcher.core.duplicate_jobs import (
    CLOCK_SKEW,
    AttemptRef,
    DuplicateJob,
    age_of,
    counts_as_twin,
    marks_in,
)
from batcher.ledger.queries.rows import Holder
from batcher.reducto.api_types import JOBS_PAGE_LIMIT, JobRow
from batcher.stages import job_list
from batcher.stages.context import StageContext
from batcher.stages.job_list import CircularListing, EndlessListing

LAG: Final = 60.0  # seconds in which the job list may not show a new job yet
PATIENCE: Final = 30.0  # seconds for the whole audit, plus …
PATIENCE_PER_PAGE: Final = 2.0  # … these for each page that our own jobs fill
# a hundred thousand submissions of one run: more isn't worth a long wait
OWN_PAGES_AT_MOST: Final = 200
SPARE_PAGES: Final = 8  # pages beyond our own: the account's job list may hold other people's jobs


@dataclass(slots=True)
class Pass:
    """One pass over the job list, and what it has shown so far.

    It goes back to the moment `since`, but over no more than `pages`, and for `patience` seconds at
    most. `unseen` are the jobs that it must still show.
    """

    since: float
    unseen: set[str]
    pages: int
    patience: float
    twins: list[DuplicateJob] = field(default_factory=list)
    crossed: dict[str, Crossed] = field(default_factory=dict)  # by job id
    # jobs that no attempt holds, by the nonces of attempts that hold another's instead
    unclaimed: dict[str, str] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    shows_ours: bool = False
    unreadable: int = 0  # number of rows
    is_whole: bool = False  # it went as far back as necessary, or to the end of the list

    def reaches_back(self, rows: Sequence[JobRow]) -> bool:
        """Return whether nothing of interest can follow after the page `rows`.

        That is so when everything that had to be shown was, and the last row is older than any
        submission that is audited.
        """
        if self.unseen or not rows:
            return False
        made_at = age_of(rows[-1].created_at)
        return made_at is not None and made_at < self.since

    def doubts(self) -> Iterator[str]:
        """Yield why a duplicate may have gone unseen, in words for people."""
        if self.unseen:
            yield (
                f"the service's listing doesn't show {len(self.unseen)} of our jobs, e.g. "
                f"{min(self.unseen)}: "
                "a second job for one of these documents would not be seen"
            )
        if self.unreadable:
            rows = pluralize(self.unreadable, "row")
            yield (
                f"{rows} of the service's listing can't be read: "
                "a second job for one of these documents may be among them"
            )


class JobListAudit:
    """Looks at the jobs of one account; `endpoints` are by job name.

    A row of another type than its job's endpoint is a part of one of our jobs, not a duplicate.
    """

    def __init__(
        self, context: StageContext, account: Account, endpoints: Mapping[str, str]
    ) -> None:
        self._client = context.client
        self._rate_limit = context.rate_limits.list
        self._clock = context.clock
        self._queries = context.ledger.audit
        self._account = account
        self._endpoints = endpoints
        # nonces by upload, read when a row shows no nonce of ours
        self._nonces: dict[str, str] | None = None

    def begin(self, first_sent_at: float) -> Pass:
        """Return a pass that goes back to that submission."""
        now = self._clock()
        account = self._account
        since = max(first_sent_at, now - account.retention) - CLOCK_SKEW
        unseen = self._queries.listed_jobs(
            account.service, account.key_fingerprint, accepted_before=now - LAG, alive_at=now
        )
        # the list is newest first, so newer jobs come before those
        ours = self._queries.number_listed(account.service, account.key_fingerprint, alive_at=now)
        own_pages = min(-(-ours // JOBS_PAGE_LIMIT), OWN_PAGES_AT_MOST)
        pages = 2 * own_pages + SPARE_PAGES
        patience = PATIENCE + PATIENCE_PER_PAGE * own_pages
        return Pass(since, unseen, pages, patience)

    async def read(self, looking: Pass) -> None:
        """Read the job list as far back as necessary; raises ServiceError."""
        listing = job_list.pages(self._client, self._rate_limit, most=looking.pages)
        try:
            async with aclosing(listing):
                async for page in listing:
                    looking.unreadable += page.unreadable
                    self._take_in(page.jobs, looking)
                    if looking.reaches_back(page.jobs):
                        break
        except CircularListing:
            pass  # it has shown everything that it ever will
        except EndlessListing:
            return
        finally:
            _set_apart_unclaimed(looking)
        looking.is_whole = True

    def _take_in(self, rows: Sequence[JobRow], looking: Pass) -> None:
        service = self._account.service
        known = self._queries.known_jobs(service, [row.job_id for row in rows])
        looking.unseen -= known
        looking.shown |= known
        looking.shows_ours = looking.shows_ours or bool(known)
        holders = self._queries.holders(service, list(known))
        for row in rows:
            if row.job_id not in known:
                self._take_in_unknown(row, looking)
            elif row.job_id in holders:
                self._take_in_held(row, holders[row.job_id], looking)

    def _take_in_unknown(self, row: JobRow, looking: Pass) -> None:
        twin = self._twin_of(row)
        if twin is not None:
            looking.twins.append(twin)

    def _take_in_held(self, row: JobRow, holder: Holder, looking: Pass) -> None:
        crossed = self._crossed(row, holder)
        if crossed is not None:
            looking.crossed[row.job_id] = crossed

    def _crossed(self, row: JobRow, holder: Holder) -> Crossed | None:
        """Return None if the job is its holder's own, or doesn't say whose it is."""
        nonces, _ = marks_in(row)
        if holder.nonce in nonces:
            return None
        named = self._attempt_of(nonces)
        own = self._attempt_of([holder.nonce])
        if named is None or own is None:
            return None
        return Crossed(own, named)

    def _twin_of(self, row: JobRow) -> DuplicateJob | None:
        """Return the duplicate that a row shows of one of our attempts.

        None if it is nobody's, or the first job of an attempt in doubt.
        """
        nonces, file_ids = marks_in(row)
        attempt = self._attempt_of(nonces)
        if attempt is None:
            attempt = self._attempt_by_upload(file_ids)
        if attempt is None:
            return None
        endpoint = self._endpoints.get(attempt.job, "")
        if not counts_as_twin(row, attempt, endpoint):
            return None
        return DuplicateJob(row.job_id, row.status, attempt, made_at=age_of(row.created_at))

    def _attempt_by_upload(self, file_ids: Sequence[str]) -> AttemptRef | None:
        if self._nonces is None:
            self._nonces = self._queries.nonces_by_upload()
        for file_id in file_ids:
            nonce = self._nonces.get(file_id)
            if nonce:
                return self._attempt_of([nonce])
        return None

    def _attempt_of(self, nonces: Sequence[str]) -> AttemptRef | None:
        account = self._account
        return self._queries.attempt_of(account.service, account.key_fingerprint, nonces)


def _set_apart_unclaimed(looking: Pass) -> None:
    """Move the jobs of attempts that hold another's from the duplicates to the unclaimed ones.

    Where another attempt holds one of theirs, that is the one they get back.
    """
    crossed = [one for one in looking.crossed.values() if one.matters]
    misled = {one.holder.nonce for one in crossed} - {one.named.nonce for one in crossed}
    by_use = sorted(looking.twins, key=lambda twin: twin.has_failed)
    for twin in by_use:
        nonce = twin.attempt.nonce
        if nonce in misled and nonce not in looking.unclaimed:
            looking.unclaimed[nonce] = twin.job_id
            looking.twins.remove(twin)
