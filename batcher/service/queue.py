"""The service's queue: which accepted job runs next, by which hand, and how it ended.

It is in memory, over the record in `jobs`; a restart queues again what had not ended. Parses no
request and answers no client.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from batcher.cluster.hands import Hand, Hands
from batcher.reducto.api_types import ErrorName, JobStatus
from batcher.service.answers import ApiError
from batcher.service.faults import Chaos
from batcher.service.job_runner import JobRunner, LiveJob
from batcher.service.jobs import Done, Failure, JobLane, Jobs, StoredJob
from batcher.service.shared_pages import SharedDocuments
from batcher.service.tasks import Report

LONGEST: Final = 200_000  # jobs; each costs about a kilobyte of memory here
# The lane of pages that idle hands read: after all jobs.
HELP: Final = max(JobLane) + 1
# Seconds, for the header Retry-After of a full queue.
RETRY_AFTER: Final = 30
CANCELLING: Final = 2.0  # seconds a call of `cancel` waits for the job to end
DISK_PAUSE: Final = 2.0  # seconds before the end of a job that couldn't be written is tried again
End = Callable[[], Awaitable[None]]

log = logging.getLogger(__name__)


class Queue:
    """Runs jobs. `work` runs until cancelled; call everything else on the same event loop.

    `on_end` is called for each job once its end is durable.
    """

    def __init__(
        self,
        jobs: Jobs,
        runner: JobRunner,
        *,
        hands: Hands,
        chaos: Chaos,
        on_end: Callable[[StoredJob, JobStatus], None],
    ) -> None:
        self._jobs = jobs
        self._runner = runner
        self._hands = hands
        self._chaos = chaos
        self._on_end = on_end
        self._between = 0.0  # seconds from the start of one job to the next
        self._next_at = 0.0
        self._order = itertools.count()
        # None stands for pages of documents in progress, for which no job waits.
        self._waiting: asyncio.PriorityQueue[tuple[int, int, LiveJob | None]]
        self._waiting = asyncio.PriorityQueue()
        self._live: dict[str, LiveJob] = {}
        self._shared = SharedDocuments(self._call_for_help)
        self._has_called = False

    def restore(self, jobs: Iterable[StoredJob]) -> None:
        """Queue jobs of an earlier process."""
        for job in jobs:
            live = self._live[job.job_id] = LiveJob(job)
            self._enqueue(live)

    async def submit(self, job: StoredJob) -> LiveJob:
        """Record the job, then queue it.

        Raises ApiError 503 with Retry-After if the queue is full.
        """
        if len(self._live) >= LONGEST:
            raise ApiError(ErrorName.QUEUE_FULL, "The queue is full", retry_after=RETRY_AFTER)
        # Before it can be listed, or it would be shown with the status of its row.
        live = self._live[job.job_id] = LiveJob(job)
        try:
            await self._jobs.create(job)
        except BaseException:
            self._live.pop(job.job_id, None)
            raise
        self._enqueue(live)
        return live

    def live(self, job_id: str) -> LiveJob | None:
        """Return the job if it has not ended."""
        return self._live.get(job_id)

    def status_of(self, job_id: str, stored: str) -> str:
        """Return the status to list: that of a job in progress, otherwise `stored`, the row's."""
        live = self._live.get(job_id)
        return live.status if live else stored

    async def cancel(self, job_id: str) -> None:
        """End a job that has not ended; one whose result is being stored is left to complete."""
        live = self._live.get(job_id)
        if live is None or live.cancelled or live.status is JobStatus.COMPLETING:
            return
        live.cancelled = True
        if live.hand is not None:
            live.hand.kill()  # `_run` sees that the reader died, and records the end
            with contextlib.suppress(TimeoutError):  # A download in progress is not interrupted.
                async with asyncio.timeout(CANCELLING):
                    await live.ended.wait()
        elif live.status is JobStatus.PENDING:
            await self._record(live, JobStatus.CANCELLED, lambda: self._jobs.cancel(job_id))

    async def work(self, *, capacity: float | None = None) -> None:
        """Run jobs with all hands until cancelled.

        `capacity` limits how many are started per second.
        """
        self._between = 1 / capacity if capacity else 0.0
        async with asyncio.TaskGroup() as group:
            async for hand in self._hands.each():
                group.create_task(self._serve(hand))

    def _enqueue(self, live: LiveJob) -> None:
        job = live.job
        place = (job.lane, next(self._order), live)
        if self._chaos.hits("stuck", job.job_id):
            self._chaos.record("stuck", job.job_id)
        elif self._chaos.hits("slow", job.job_id):
            self._chaos.record("slow", job.job_id)
            asyncio.get_running_loop().call_later(
                self._chaos.seconds("slow"), self._waiting.put_nowait, place
            )
        else:
            self._waiting.put_nowait(place)

    async def _serve(self, hand: Hand) -> None:
        try:
            with contextlib.suppress(OSError):  # the first job will report it
                await hand.warm_up()
            while True:
                await self._turn()
                live = await self._next_job(hand)
                if not live.cancelled:
                    await self._run(live, hand)
        finally:
            await hand.close()

    async def _next_job(self, hand: Hand) -> LiveJob:
        """Return the job whose turn it is; until there is one, the hand helps with others."""
        while True:
            _, _, live = await self._waiting.get()
            if live is not None:
                return live
            self._has_called = False
            await self._shared.help(hand)

    def _call_for_help(self) -> None:
        """Have an idle hand help a document in progress; one that isn't idle, after all jobs."""
        if not self._has_called:
            self._has_called = True
            self._waiting.put_nowait((HELP, next(self._order), None))

    async def _turn(self) -> None:
        """Wait until the next job may start, if `capacity` limits it."""
        if not self._between:
            return
        now = asyncio.get_running_loop().time()
        begin = max(now, self._next_at)
        self._next_at = begin + self._between
        await asyncio.sleep(begin - now)

    async def _run(self, live: LiveJob, hand: Hand) -> None:
        live.status = JobStatus.IN_PROGRESS
        live.hand = hand
        report = await self._runner.run(live, hand, self._shared)
        live.hand = None
        if live.cancelled and report.name:
            await self._record(
                live, JobStatus.CANCELLED, lambda: self._jobs.cancel(live.job.job_id)
            )
            return
        live.status = JobStatus.COMPLETING
        status = JobStatus.FAILED if report.name else JobStatus.COMPLETED
        await self._record(live, status, lambda: self._conclude(live.job.job_id, report))

    async def _conclude(self, job_id: str, report: Report) -> None:
        if report.name:
            await self._jobs.fail(job_id, Failure(report.name, report.code, report.message))
        else:
            await self._jobs.complete(
                job_id, Done(report.num_pages, report.duration, report.linked)
            )

    async def _record(self, live: LiveJob, status: JobStatus, end: End) -> None:
        """Write the end of a job; only when it is durable does anybody learn of it."""
        await self._written(live, end)
        del self._live[live.job.job_id]
        live.ended.set()
        try:
            self._on_end(live.job, status)
        except Exception:
            log.exception("job %s has ended, and its webhook is not sent", live.job.job_id)

    async def _written(self, live: LiveJob, end: End) -> None:
        """Write until it succeeds, since a full disk must not end the worker's loop."""
        while True:
            try:
                return await end()
            except sqlite3.Error as refusal:
                log.warning(
                    "job %s: its end can't be written, trying again: %s",
                    live.job.job_id,
                    refusal,
                )
                await asyncio.sleep(DISK_PAUSE)
