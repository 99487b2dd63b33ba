"""The service's queue: which accepted job runs next, on which worker, and how it ended.

It is in memory, over the record in `jobs`; a restart queues again what had not ended. Parses no
request and answers no client.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from batcher.reducto.api_types import ErrorName, JobStatus
from batcher.service.answers import ApiError
from batcher.service.faults import Chaos, transient_failure
from batcher.service.inputs import InputReader
from batcher.service.jobs import Done, Failure, Jobs, StoredJob
from batcher.service.requests import asked_of
from batcher.service.results import Results
from batcher.service.tasks import Report, Task, TaskInput, Tools
from batcher.service.workers import Worker

JOB_SECONDS: Final = 900.0  # processor time one document may take
# Wall-clock time allowed, in multiples of the processor time. Work without end is stopped by the
# limit of processor time; this one only catches processes that wait.
BY_THE_CLOCK: Final = 1.5
LONGEST: Final = 200_000  # jobs; each costs about a kilobyte of memory here
# Seconds, for the header Retry-After of a full queue.
RETRY_AFTER: Final = 30
FORGOTTEN: Final = "The service was restarted, and keeps no document's password: send it again"
CANCELLING: Final = 2.0  # seconds a call of `cancel` waits for the job to end
DISK_PAUSE: Final = 2.0  # seconds before the end of a job that couldn't be written is tried again
PROGRESS: Final[Mapping[str, float | None]] = {
    "Pending": None,
    "InProgress": 0.1,
    "Completing": 0.9,
}

End = Callable[[], Awaitable[None]]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class LiveJob:
    """A job that has not ended. `ended` is set when its end is durable."""

    job: StoredJob
    status: JobStatus = JobStatus.PENDING
    worker: Worker | None = None
    cancelled: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def progress(self) -> float | None:
        """The fraction done, as the API shows it."""
        return PROGRESS[self.status]


class Queue:
    """Runs jobs. `work` runs until cancelled; call everything else on the same event loop.

    `capacity` limits how many jobs are started per second; `job_seconds` is the processor time of
    each.
    """

    def __init__(
        self,
        jobs: Jobs,
        inputs: InputReader,
        results: Results,
        *,
        make_worker: Callable[[], Worker],
        chaos: Chaos,
        on_end: Callable[[StoredJob, JobStatus], None],
        job_seconds: float = JOB_SECONDS,
        capacity: float | None = None,
        tools: Tools,
    ) -> None:
        self._jobs = jobs
        self._inputs = inputs
        self._results = results
        self._make_worker = make_worker
        self._chaos = chaos
        self._on_end = on_end
        self._job_seconds = job_seconds
        # seconds from the start of one job to the next
        self._between = 1 / capacity if capacity else 0.0
        self._next_at = 0.0
        self._tools = tools
        self._order = itertools.count()
        self._waiting: asyncio.PriorityQueue[tuple[int, int, LiveJob]] = asyncio.PriorityQueue()
        self._live: dict[str, LiveJob] = {}
        self._workers = 0
        self._busy = 0

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
        if live.worker is not None:
            live.worker.kill()  # `_run` sees that the worker died, and records the end
            with contextlib.suppress(TimeoutError):  # A download in progress is not interrupted.
                async with asyncio.timeout(CANCELLING):
                    await live.ended.wait()
        elif live.status is JobStatus.PENDING:
            await self._record(live, JobStatus.CANCELLED, lambda: self._jobs.cancel(job_id))

    async def work(self, workers: int) -> None:
        """Run jobs on this many workers until cancelled."""
        self._workers = workers
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._serve(self._make_worker()))

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

    async def _serve(self, worker: Worker) -> None:
        try:
            with contextlib.suppress(OSError):  # the first job will report it
                await worker.warm_up()
            while True:
                await self._turn()
                _, _, live = await self._waiting.get()
                if not live.cancelled:
                    await self._run_counted(live, worker)
        finally:
            await worker.close()

    async def _run_counted(self, live: LiveJob, worker: Worker) -> None:
        self._busy += 1
        try:
            await self._run(live, worker)
        finally:
            self._busy -= 1

    def _share_of_cores(self) -> int:
        """Return how many cores a running job may use: its own, and its share of the idle ones.

        In total that is never more than there are workers.
        """
        idle = self._workers - self._busy
        return 1 + idle // max(1, self._busy)

    async def _turn(self) -> None:
        """Wait until the next job may start, if `capacity` limits it."""
        if not self._between:
            return
        now = asyncio.get_running_loop().time()
        begin = max(now, self._next_at)
        self._next_at = begin + self._between
        await asyncio.sleep(begin - now)

    async def _run(self, live: LiveJob, worker: Worker) -> None:
        live.status = JobStatus.IN_PROGRESS
        live.worker = worker
        report = await self._safely_reported(live, worker)
        live.worker = None
        if live.cancelled and report.name:
            await self._record(
                live, JobStatus.CANCELLED, lambda: self._jobs.cancel(live.job.job_id)
            )
            return
        live.status = JobStatus.COMPLETING
        status = JobStatus.FAILED if report.name else JobStatus.COMPLETED
        await self._record(live, status, lambda: self._conclude(live.job.job_id, report))

    async def _safely_reported(self, live: LiveJob, worker: Worker) -> Report:
        """Report an unexpected exception as this job's failure, and replace the worker."""
        try:
            return await self._report(live, worker)
        except Exception as bug:
            log.exception("job %s", live.job.job_id)
            await worker.close()
            message = f"The service made a mistake; see its log: {type(bug).__name__}"
            return Report(name=ErrorName.INTERNAL_INVARIANT_VIOLATION, code=500, message=message)

    async def _report(self, live: LiveJob, worker: Worker) -> Report:
        job = live.job
        if self._chaos.hits("fail-transient", job.job_id):
            self._chaos.record("fail-transient", job.job_id)
            return Report(
                name=transient_failure(job.job_id), code=500, message="Ordered by --chaos"
            )
        if not job.request:
            return Report(name=ErrorName.JOB_STATE_ERROR, code=500, message=FORGOTTEN)
        request = asked_of(job, job.request)
        try:
            async with self._inputs.opened(request, job.type) as sources:
                return await self._perform(live, worker, self._task(job, request, sources))
        except ApiError as refusal:
            return Report(name=refusal.name, code=refusal.code, message=refusal.message)

    async def _perform(self, live: LiveJob, worker: Worker, task: Task) -> Report:
        if live.cancelled:  # cancelled while its document was being downloaded
            return Report(name=ErrorName.JOB_CANCELLED)
        limit, overrun = self._patience(task.request)
        report = await worker.perform(
            task,
            seconds=limit,
            on_stage=lambda stage: _advance(live, stage),
            cores=self._share_of_cores,
        )
        if report.name == ErrorName.SUBPROCESS_CRASHED and not live.cancelled:
            report = await self._tried_again(live, worker, task, limit)
        return (
            msgspec.structs.replace(report, name=overrun)
            if report.name == ErrorName.TIMEOUT
            else report
        )

    async def _tried_again(self, live: LiveJob, worker: Worker, task: Task, limit: float) -> Report:
        """Try once more after a worker died.

        The first death may have an outside cause. A second one is caused by the document, and would
        happen every time.
        """
        live.status = JobStatus.IN_PROGRESS
        report = await worker.perform(
            task,
            seconds=limit,
            on_stage=lambda stage: _advance(live, stage),
            cores=self._share_of_cores,
        )
        if report.name != ErrorName.SUBPROCESS_CRASHED:
            return report
        message = f"Two processes died while they were reading the document. {report.message}"
        return Report(name=ErrorName.DOCUMENT_CORRUPT, code=415, message=message)

    def _task(self, job: StoredJob, request: dict[str, Any], sources: list[TaskInput]) -> Task:
        return Task(
            job_id=job.job_id,
            type=job.type,
            request=request,
            sources=sources,
            result=str(self._results.path(job.job_id)),
            attachments=str(self._results.attachments(job.job_id)),
            token=job.token,
            seconds=int(self._job_seconds),
            tools=self._tools,
        )

    def _patience(self, request: Mapping[str, Any]) -> tuple[float, ErrorName]:
        """Return the seconds allowed and the error for exceeding them.

        The caller's `settings.timeout` counts if it is shorter than the service's own limit.
        """
        parsing = request.get("parsing") or request
        wanted = (parsing.get("settings") or {}).get("timeout")
        if wanted is None or wanted >= self._job_seconds:
            return self._job_seconds * BY_THE_CLOCK, ErrorName.TIMEOUT
        return wanted, ErrorName.CUSTOMER_TIMEOUT

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


def _advance(live: LiveJob, stage: str) -> None:
    if not live.cancelled:
        live.status = JobStatus(stage)
