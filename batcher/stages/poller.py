"""Checks every job in flight and passes each that has ended to the fetcher.

It fetches no result and starts no job. There are two ways: a sweep of the job list gives the status
of hundreds of jobs in one request; a few jobs are asked for one by one, which checks and fetches in
the same request. It takes whichever needs fewer requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

from batcher.core import events
from batcher.core.inflight import is_overdue
from batcher.core.lifecycle import State
from batcher.core.poll_schedule import SHORT, PollSchedule
from batcher.errors import BatcherError, ServiceError, Unauthorised
from batcher.exit_codes import ExitCode
from batcher.ledger.ledger import Transition
from batcher.reducto.api_types import ENDED, JOBS_PAGE_LIMIT, JobRow
from batcher.stages import job_list
from batcher.stages.boundary import Boundary
from batcher.stages.context import StageContext
from batcher.stages.job_list import EndlessListing
from batcher.stages.job_tracker import BETWEEN_LOOKS, LONGEST_GATHER, Watched

FEW: Final = 4  # as many jobs are asked for one by one, whatever a sweep would cost
# at least this share may still be running, whatever the latest checks found: the jobs of a
# wave are alike
DOUBT: Final = 0.05
# a page of 500 rows takes about as long as this many jobs asked for by name, side by side
A_PAGE: Final = 50
# failed sweeps in a row, after which jobs are asked for one by one for once
SWEEPS_IN_VAIN: Final = 2
# seconds after which a job is asked for by name again: the job list may lag for hours
OWN_WORD: Final = 1800.0
# seconds until the next check, after one that failed unexpectedly
AFTER_TROUBLE: Final = 5.0
_IN_FLIGHT_BY: Final = (events.Accepted, events.Adopted, events.FileMissed)
EARLY: Final = 1000  # remembered jobs that ended before their acceptance was recorded here


class Poller:
    def __init__(self, context: StageContext, schedule: PollSchedule) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._rate_limits = context.rate_limits
        self._control = context.control
        self._jobs = context.jobs
        self._clock = context.clock
        self._schedule = schedule
        # pages that the last sweep read: the account's job list may hold other people's jobs
        self._pages = 1
        self._in_vain = 0
        self._boundary = Boundary(context.control, "looking at jobs", abort=True)
        self._looking = False
        self._early: dict[str, None] = {}
        self._accepted: list[int] = []

    async def run(self) -> None:
        """Check jobs for as long as the run lasts."""
        self._ledger.listeners.append(self._hear)
        for flight in self._ledger.tracking.in_flight():
            self._jobs.add(flight, look_in=0.0, age=max(0.001, self._clock() - flight.accepted_at))
        while True:
            self._looking = True
            await self._look_around_safely()
            self._looking = False
            self._jobs.progressed.give()
            self._jobs.caught_up.set()
            await self._jobs.until_due()

    def outstanding(self) -> int:
        """Return 1 if a check is due or in progress, else 0."""
        return int(self._looking or self._jobs.has_due)

    def settled(self) -> Coroutine[Any, Any, object]:
        """See `stage.Awaited`."""
        return self._jobs.progressed.wait()

    def look_at_all(self) -> None:
        """Check every job in flight once, whenever it was due: for a run that is about to stop."""
        for document in self._jobs.documents():
            watched = self._jobs.get(document)
            if watched is not None and not watched.fetching:
                self._jobs.look_in(document, 0.0, punctual=True)

    def ask_now(self, job_id: str) -> None:
        """Ask for a job that is said to have ended; only the service's own answer is believed."""
        watched = self._jobs.of_job(job_id)
        if watched is not None:
            self._jobs.fetch(watched.flight.document)
            return
        self._early[job_id] = None
        if len(self._early) > EARLY:
            del self._early[next(iter(self._early))]

    def _hear(self, change: Transition) -> None:
        is_taken_up = change.before is State.STUCK and isinstance(change.event, events.JobExchanged)
        if is_taken_up or isinstance(change.event, _IN_FLIGHT_BY):
            # jobs accepted in one commit are announced together, so one query serves them all
            if not self._accepted:
                asyncio.get_running_loop().call_soon(self._watch_accepted)
            self._accepted.append(change.event.document)

    def _watch_accepted(self) -> None:
        for flight in self._ledger.tracking.in_flight_of(self._accepted):
            span = self._schedule.first_delay(flight.size)
            self._jobs.add(
                flight, look_in=span, punctual=span < SHORT and self._schedule.is_learned
            )
            if self._early.pop(flight.job_id, self) is None:
                self._jobs.fetch(flight.document)
        self._accepted.clear()
        for lane in (self._rate_limits.fetch, self._rate_limits.list):
            # an adopted job may have less time left than all others
            if lane.held_for > BETWEEN_LOOKS:
                lane.shorten(self._jobs.longest_wait(self._clock()))

    async def _look_around_safely(self) -> None:
        """Check the jobs that are due; after an unexpected error they are checked again."""
        due = self._jobs.due()
        try:
            await self._look_at(due)
            self._boundary.passed()
        except BatcherError:
            raise
        except Exception as error:
            self._boundary.caught(error, about="a check of the jobs in flight")
            for watched in due:
                if self._jobs.get(watched.flight.document) is watched and not watched.fetching:
                    self._jobs.look_in(watched.flight.document, AFTER_TROUBLE)

    async def _look_at(self, due: Sequence[Watched]) -> None:
        if self._is_worth_a_sweep(due):
            await self._sweep(due)
            return
        for watched in due:
            self._jobs.fetch(watched.flight.document)

    def _is_worth_a_sweep(self, due: Sequence[Watched]) -> bool:
        """Return whether a sweep of the job list is cheaper than asking for the jobs one by one.

        A sweep costs its pages; asking one by one costs only the requests that come too early.
        """
        if len(due) <= FEW or self._rate_limits.list.held_for > LONGEST_GATHER:
            return False
        if self._in_vain >= SWEEPS_IN_VAIN:
            self._in_vain = 0
            return False
        return len(due) * max(DOUBT, self._schedule.too_soon) > self._pages

    async def _sweep(self, due: Sequence[Watched]) -> None:
        """Read the job list as far down as it takes to see every job that is due."""
        unseen = {watched.flight.job_id for watched in due}
        try:
            await self._read_listing(unseen)
            self._in_vain = 0
        except Unauthorised as error:
            self._control.stop(str(error), ExitCode.SERVICE_FAILED, abort=True)
        except ServiceError as error:
            self._in_vain += 1
            self._rate_limits.list.hold(error, most=self._jobs.patience_with(error, self._clock()))
        for watched in due:
            if watched.fetching or self._jobs.get(watched.flight.document) is not watched:
                # a webhook was quicker: the result may have been fetched while the list was read
                continue
            not_shown = watched.flight.job_id in unseen and not self._in_vain
            if not_shown or self._wants_its_own_word(watched):
                self._jobs.fetch(watched.flight.document)
            else:
                self._look_later(watched)

    def _wants_its_own_word(self, watched: Watched) -> bool:
        """Return whether the job list alone can't settle the job's status."""
        long_ago = asyncio.get_running_loop().time() - watched.asked_at > OWN_WORD
        return long_ago or is_overdue(watched.flight, self._clock())

    async def _read_listing(self, unseen: set[str]) -> None:
        """Read the job list until every due job was seen, or asking by name is quicker."""
        number = 0
        listing = job_list.pages(
            self._client,
            self._rate_limits.list,
            most=self._pages_worth_while(len(unseen)),
            # If somebody else was told to wait meanwhile, asking by name costs no more than the
            # wait.
            longest_wait=LONGEST_GATHER,
            with_requests=False,
        )
        # Jobs that are on further pages, or never listed, are asked for by name.
        with suppress(EndlessListing):
            async with aclosing(listing):
                async for page in listing:
                    number += 1
                    for row in page.jobs:
                        unseen.discard(row.job_id)
                        self._take_in(row)
                    if not unseen:
                        break
        self._pages = max(1, number)

    def _pages_worth_while(self, due: int) -> int:
        """Return how many pages to read at most.

        As many as our own jobs fill, or as can be read sooner than the due jobs can be asked for by
        name.
        """
        own = -(-len(self._jobs) // JOBS_PAGE_LIMIT) + 1
        return min(due, max(own, due // A_PAGE))

    def _take_in(self, row: JobRow) -> None:
        watched = self._jobs.of_job(row.job_id)
        if watched is None or row.status not in ENDED or watched.is_resting:
            return
        self._jobs.fetch(watched.flight.document)

    def _look_later(self, watched: Watched) -> None:
        if self._in_vain == 0:
            watched.looked(self._schedule, done=False)
        self._jobs.look_in(watched.flight.document, self._schedule.next_delay(watched.age))
