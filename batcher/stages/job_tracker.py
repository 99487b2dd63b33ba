"""Jobs in flight: when to check each next, and which to fetch, nearest deadline first.

It keeps order and time for the poller and the fetcher; it asks nobody and decides nothing. Times
are the event loop's.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from batcher.common.signals import Signal
from batcher.core.inflight import InFlightJob
from batcher.core.poll_schedule import LATEST, PollSchedule, share
from batcher.errors import Busy, ServiceError

# share of a job's age by which a check may be late, so that one sweep serves many jobs
GATHER: Final = 0.05
LONGEST_GATHER: Final = 3.0  # seconds
# the share of the time to the nearest deadline after which the next check comes at the latest
OF_WHAT_IS_LEFT: Final = 0.5
BETWEEN_LOOKS: Final = 30.0  # seconds between two checks, however near a deadline is
# seconds between checks of jobs whose results the service may have deleted
NO_DEADLINE: Final = 600.0


@dataclass(slots=True)
class Watched:
    flight: InFlightJob
    accepted_at: float
    look_at: float
    asked_at: float  # when it was last asked for by name, or added
    # submitted by this run; when the jobs of an earlier run ended isn't known
    ours: bool = True
    company: float = GATHER  # share of its age that the next check may wait for other jobs
    checks: int = 0
    misses: int = 0
    missed_at: float = 0.0  # the first of these misses
    failures: int = 0  # failures in a row to get an answer, or a result that can be read
    failed_at: float = 0.0  # the last of these failures
    silent_since: float = 0.0  # the first request, in a row, that got no answer
    silences: int = 0
    alone: int = 0  # how many of the last silences in a row came while other jobs were answered
    unread_since: float = 0.0  # when it was first reported as completed but couldn't be read
    unread: int = 0  # how many times
    fetching: bool = False
    running_at: float = 0.0  # when it was last known to be running
    first_at: float = 0.0  # when its first check was due

    @property
    def age(self) -> float:
        return _now() - self.accepted_at

    @property
    def is_resting(self) -> bool:
        """Whether a request for it failed, and it isn't to be asked for again yet."""
        return self.failures > 0 and self.look_at > _now()

    def looked(self, schedule: PollSchedule, *, done: bool) -> None:
        """Count a check, and let it teach the `schedule`.

        A job's wait for its turn is no part of how long the job took.
        """
        age = min(self.age, self.look_at - self.accepted_at) if done else self.age
        if self.ours and not (done and (self.failures or self._was_left_alone)):
            schedule.learn(self.flight.size, age, done=done, first=self.checks == 0)
        self.checks += 1
        if not done:
            self.running_at = _now()

    @property
    def _was_left_alone(self) -> bool:
        """Whether the check was due long ago, as after an outage.

        Its time then says nothing about how long such a job takes.
        """
        return _now() - max(self.first_at, self.running_at) > max(2 * LATEST, self.age / 2)


class JobTracker:
    """Jobs in flight; `caught_up` is set when every job of earlier runs has been checked once."""

    def __init__(self) -> None:
        self.caught_up = asyncio.Event()
        self._jobs: dict[int, Watched] = {}
        self._by_job: dict[str, int] = {}
        # (when to check, document); an entry may be outdated
        self._agenda: list[tuple[float, int]] = []
        self._to_fetch: list[tuple[float, int]] = []  # (deadline, document)
        self._changed = asyncio.Event()
        self._fetchable = asyncio.Event()
        # given when a job was checked or asked for, or when that is no longer to be done
        self.progressed = Signal()

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def backlog(self) -> int:
        """Number of jobs to be fetched now."""
        return len(self._to_fetch)

    def documents(self) -> Iterable[int]:
        return tuple(self._jobs)

    def get(self, document: int) -> Watched | None:
        return self._jobs.get(document)

    def of_job(self, job_id: str) -> Watched | None:
        document = self._by_job.get(job_id)
        return None if document is None else self._jobs.get(document)

    def add(
        self, flight: InFlightJob, *, look_in: float, age: float = 0.0, punctual: bool = False
    ) -> None:
        """Track a job, to be checked first in `look_in` seconds.

        `age` is given, in seconds, for the job of an earlier run. A `punctual` check doesn't wait
        for other jobs.
        """
        now = _now()
        watched = Watched(
            flight,
            now - age,
            now + look_in,
            now,
            ours=age == 0.0,
            company=0.0 if punctual else GATHER,
        )
        watched.running_at = watched.accepted_at
        watched.first_at = watched.look_at
        self._jobs[flight.document] = watched
        self._by_job[flight.job_id] = flight.document
        self._note(flight.document, now + look_in)

    def forget(self, document: int) -> Watched:
        """Track the document's job no more; return what was known of it."""
        watched = self._jobs.pop(document)
        self._by_job.pop(watched.flight.job_id, None)
        self.progressed.give()
        return watched

    def exchange(self, document: int, job_id: str) -> None:
        """Replace the document's job by `job_id` if it is still watched, and check it at once."""
        watched = self._jobs.get(document)
        if watched is None:
            return
        watched.flight = watched.flight._replace(job_id=job_id, deletion_began=False)
        self._by_job[job_id] = document
        self.look_in(document, 0.0)

    def look_in(self, document: int, span: float, *, punctual: bool = False) -> None:
        """Check the document's job in `span` seconds and not earlier.

        A `punctual` check doesn't wait for other jobs.
        """
        watched = self._jobs[document]
        watched.look_at = _now() + span
        watched.company = 0.0 if punctual else GATHER
        watched.fetching = False
        self.progressed.give()
        self._note(document, watched.look_at)

    def fetch(self, document: int) -> None:
        """Queue the job to be fetched, once."""
        watched = self._jobs[document]
        if watched.fetching:
            return
        watched.fetching = True
        self.progressed.give()
        heapq.heappush(self._to_fetch, (watched.flight.deadline_at, document))
        self._fetchable.set()

    def patience_with(self, error: ServiceError, now: float) -> float:
        """Return the seconds for which a rate limiter may back off after `error`.

        `now` is in the time of deadlines. No wait may cost a result that a check in time would have
        saved.
        """
        asked_for = error.retry_after if isinstance(error, Busy) else None
        return (
            math.inf if asked_for is None or asked_for <= BETWEEN_LOOKS else self.longest_wait(now)
        )

    def longest_wait(self, now: float) -> float:
        """Return the seconds until the job nearest to its deadline must be checked again."""
        left = [watched.flight.deadline_at - now for watched in self._jobs.values()]
        in_time = min((span for span in left if span > 0), default=None)
        return NO_DEADLINE if in_time is None else max(BETWEEN_LOOKS, in_time * OF_WHAT_IS_LEFT)

    def due(self) -> list[Watched]:
        """Return the jobs to check now, each once."""
        now = _now()
        due = {}
        while self._agenda and self._agenda[0][0] <= now:
            look_at, document = heapq.heappop(self._agenda)
            watched = self._jobs.get(document)
            if watched and watched.look_at == look_at and not watched.fetching:
                due[document] = watched
        return list(due.values())

    @property
    def has_due(self) -> bool:
        """Whether any job is to be checked now."""
        now = _now()
        return any(
            watched.look_at <= now and not watched.fetching for watched in self._jobs.values()
        )

    async def until_due(self) -> None:
        """Wait until a check is due, and a little longer for other jobs to join it."""
        while (span := self._rest()) is None or span > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(span):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def until_fetchable(self) -> None:
        while not self._to_fetch:
            self._fetchable.clear()
            await self._fetchable.wait()

    async def next_to_fetch(self) -> Watched:
        """Return the job with the nearest deadline.

        The caller must forget it or schedule a check.
        """
        while True:
            await self.until_fetchable()
            watched = self._jobs.get(heapq.heappop(self._to_fetch)[1])
            self.progressed.give()
            if watched is not None and watched.fetching:
                return watched

    def _note(self, document: int, moment: float) -> None:
        heapq.heappush(self._agenda, (moment, document))
        self._changed.set()

    def _rest(self) -> float | None:
        """Return the seconds until the next check, other jobs waited for; None if there is none."""
        while self._agenda:
            look_at, document = self._agenda[0]
            watched = self._jobs.get(document)
            if watched is not None and watched.look_at == look_at and not watched.fetching:
                return (
                    look_at
                    + min(LONGEST_GATHER, share(watched.company, look_at - watched.accepted_at))
                    - _now()
                )
            heapq.heappop(self._agenda)  # outdated
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()
