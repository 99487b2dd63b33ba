"""One pass over the service's job list, compared with the ledger.

It finds the jobs of attempts in doubt, and our jobs that the list doesn't show. It only reads and
compares; `recovery` decides what follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from batcher.core.absence import RETENTION_MARGIN
from batcher.core.account import Account
from batcher.core.duplicate_jobs import (
    CLOCK_SKEW,
    age_of,
    fits,
    is_mute,
    marks_in,
    names_upload,
    preference,
)
from batcher.errors import ServiceError, Unauthorised
from batcher.ledger.ledger import Unknown
from batcher.ledger.queries.rows import Holder
from batcher.reducto.api_types import JobRow, JobsPage
from batcher.stages.context import StageContext
from batcher.stages.job_list import TRIES_OF_PAGE, EndlessListing, pages

# seconds that one page may take, including the wait for its turn: Retry-After may be hours
PAGE_AT_MOST: Final = 600.0
# at most this many jobs that the list lacks are looked up again in the ledger, because no more
# than this are ever deleted at once
AGAIN_AT_MOST: Final = 1000

Rank = tuple[bool, bool, bool]  # the job with the lowest rank is adopted


@dataclass(slots=True)
class JobListScan:
    """What one pass over the job list showed."""

    begun_at: float  # in the event loop's time …
    seen_at: float  # … and in the machine's time
    jobs: dict[int, str] = field(default_factory=dict)  # jobs to adopt, by document in doubt
    # jobs that are only a part of such a job, by document
    parts: dict[int, str] = field(default_factory=dict)
    # jobs of ours not shown so far, and when each was accepted
    unshown: dict[str, float] = field(default_factory=dict)
    # since when a pass of this run has known those that seem to be new, in the event loop's time
    known_since: Mapping[str, float] = field(default_factory=dict)
    shown_to: float | None = None  # when the latest of our jobs that it shows was accepted
    # by type: the latest job that could be anybody's, with the time when it was made
    mute: dict[str, tuple[float, str]] = field(default_factory=dict)
    unreadable: int = 0  # number of rows
    broken: str = ""  # why the pass is incomplete
    # when the last job shown was made, as long as jobs come newest first
    goes_back_to: float = float("inf")

    def follow_order(self, rows: Sequence[JobRow]) -> bool:
        """Return whether these rows go on newest first, each no newer than the one before."""
        for row in rows:
            made_at = age_of(row.created_at)
            if made_at is None or made_at > self.goes_back_to:
                return False
            self.goes_back_to = made_at
        return True

    def lacking(self, settle: float) -> str | None:
        """Return the earliest accepted of our jobs that the list must show by now and doesn't.

        If the machine's clock was set back, a job seems to be newer than it is, or from the future:
        so a job counts, too, that an earlier pass knew `settle` seconds ago.
        """
        late = [
            (accepted_at, job_id)
            for job_id, accepted_at in self.unshown.items()
            if not self.seen_at - settle < accepted_at <= self.seen_at
            or self.known_since.get(job_id, self.begun_at) <= self.begun_at - settle
        ]
        return min(late)[1] if late else None

    def lags_since(self, moment: float) -> bool:
        """Return whether jobs of ours were accepted since `moment` and it shows none of them."""
        younger = any(accepted_at > moment for accepted_at in self.unshown.values())
        return younger and (self.shown_to is None or self.shown_to <= moment)

    def anybodys(self, endpoint: str, sent_at: float) -> str | None:
        """Return a job of unknown origin that may have been submitted at `sent_at`, if any."""
        rows = [row for kind, row in self.mute.items() if not endpoint or kind in ("", endpoint)]
        made_at, job_id = max(rows, default=(0.0, ""))
        return job_id if made_at >= sent_at - CLOCK_SKEW else None


class JobListReader:
    """Reads the job list; `endpoints` are by job name.

    A job of ours is new for `settle` seconds, in which the list needn't show it. A row of another
    type than its job's endpoint is a part of a job, not the job itself.
    """

    def __init__(
        self,
        context: StageContext,
        *,
        account: Account,
        settle: float,
        endpoints: Mapping[str, str],
    ) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._settle = settle
        self._known_since: dict[str, float] = {}
        self._lane = context.rate_limits.list
        self._account = account
        self._endpoints = endpoints
        self._clock = context.clock

    async def through(self, unknown: Sequence[Unknown]) -> JobListScan:
        """Read the list to its end, or as far as possible. Raises only Unauthorised."""
        now = self._clock()
        scan = JobListScan(asyncio.get_running_loop().time(), now)
        scan.unshown = self._ledger.audit.accepted_jobs(
            self._account.service, self._account.key_fingerprint, alive_at=now + RETENTION_MARGIN
        )
        scan.known_since = self._known_since = {
            job_id: self._known_since.get(job_id, scan.begun_at)
            for job_id, accepted_at in scan.unshown.items()
            if accepted_at > now - self._settle
        }
        ranks: dict[int, Rank] = {}
        try:
            await self._read(unknown, scan, ranks)
        except Unauthorised:
            raise
        except EndlessListing as error:
            scan.broken = error.message
        except ServiceError as error:
            self._lane.hold(error)
            scan.broken = str(error)
        except TimeoutError:
            scan.broken = f"no page of it within {PAGE_AT_MOST / 60:.0f} minutes"
        self._forgive(scan)
        return scan

    async def _read(
        self, unknown: Sequence[Unknown], scan: JobListScan, ranks: dict[int, Rank]
    ) -> None:
        listing = pages(self._client, self._lane, tries=TRIES_OF_PAGE)
        earliest = min((attempt.sent_at for attempt in unknown), default=0.0) - CLOCK_SKEW
        newest_first = True
        while True:
            async with asyncio.timeout(PAGE_AT_MOST):
                page = await anext(listing, None)
            if page is None:
                return
            self._take_in(page, unknown, scan, ranks)
            newest_first = newest_first and scan.follow_order(page.jobs)
            if newest_first and not scan.unshown and scan.goes_back_to < earliest:
                # everything due was shown, and what follows is older than any attempt in doubt
                return

    def _forgive(self, scan: JobListScan) -> None:
        """Drop jobs that were deleted or expired while the list was read."""
        if not scan.unshown:
            return
        asked = list(scan.unshown)[:AGAIN_AT_MOST]
        alive_at = self._clock() + RETENTION_MARGIN
        still = self._ledger.audit.still_accepted(
            self._account.service, self._account.key_fingerprint, asked, alive_at=alive_at
        )
        for job_id in asked:
            if job_id not in still:
                del scan.unshown[job_id]

    # --- rows -------------------------------------------------------------------------------------

    def _take_in(
        self,
        page: JobsPage,
        unknown: Sequence[Unknown],
        scan: JobListScan,
        ranks: dict[int, Rank],
    ) -> None:
        scan.unreadable += page.unreadable
        holders = self._ledger.audit.holders(
            self._account.service, [row.job_id for row in page.jobs]
        )
        for row in page.jobs:
            holder = holders.get(row.job_id)
            if holder is not None:
                self._account_for(row, holder, scan)
            for attempt in self._named(row, holder, unknown):
                self._claim(row, attempt, scan, ranks)
        self._note_mute(
            [row for row in page.jobs if row.job_id not in holders and is_mute(row)], scan
        )

    def _account_for(self, row: JobRow, holder: Holder, scan: JobListScan) -> None:
        """Count a job of ours as shown, but only if its row holds what we sent.

        If it names another attempt, two answers were mixed up on their way.
        """
        accepted_at = scan.unshown.get(row.job_id)
        if accepted_at is None:
            return
        text = row.text()
        if holder.nonce not in text:
            if self._names_another(row, holder.nonce):
                del scan.unshown[row.job_id]
                return
            if not holder.file_id or not names_upload(text, holder.file_id):
                return
        del scan.unshown[row.job_id]
        scan.shown_to = max(scan.shown_to or accepted_at, accepted_at)

    def _named(
        self, row: JobRow, holder: Holder | None, unknown: Sequence[Unknown]
    ) -> Iterator[Unknown]:
        """Yield the attempts that a row belongs to.

        They are found by nonce, or by upload if the row doesn't echo the request with its nonce.
        """
        text = row.text()
        for attempt in unknown:
            if attempt.nonce in text:
                yield attempt
            elif attempt.has_upload and names_upload(text, str(attempt.file_id)):
                of_another = holder is not None and holder.file_id == attempt.file_id
                if not of_another and not self._names_another(row, attempt.nonce):
                    yield attempt

    def _names_another(self, row: JobRow, nonce: str) -> bool:
        nonces, _ = marks_in(row)
        if not nonces:
            return False
        attempt = self._ledger.audit.attempt_of(
            self._account.service, self._account.key_fingerprint, nonces
        )
        return attempt is not None and attempt.nonce != nonce

    def _claim(
        self, row: JobRow, attempt: Unknown, scan: JobListScan, ranks: dict[int, Rank]
    ) -> None:
        endpoint = self._endpoints.get(attempt.job, "")
        if endpoint and not fits(row, endpoint):
            scan.parts[attempt.id] = row.job_id
            return
        # the step is no longer in the manifest
        is_part = not endpoint and row.type.lower() != "pipeline"
        rank = (is_part, *preference(row))
        if attempt.id not in ranks or rank < ranks[attempt.id]:
            scan.jobs[attempt.id] = row.job_id
            ranks[attempt.id] = rank

    def _note_mute(self, rows: Sequence[JobRow], scan: JobListScan) -> None:
        """Note rows that don't show their request.

        They may be ours as long as nothing rules it out.
        """
        known = (
            self._ledger.audit.known_jobs(self._account.service, [row.job_id for row in rows])
            if rows
            else ()
        )
        for row in rows:
            if row.job_id not in known:
                made_at = age_of(row.created_at)
                one = (float("inf") if made_at is None else made_at, row.job_id)
                kind = row.type.lower()
                scan.mute[kind] = max(scan.mute.get(kind, one), one)
