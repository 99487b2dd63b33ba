"""Runs one job by one hand, and reports how it went.

It reads the job's inputs, retries once after a reader has died, and turns every failure into a
report. It writes no end of a job, and doesn't decide which job runs next: see `queue`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec

from batcher.cluster.hands import Hand
from batcher.reducto.api_types import ErrorName, JobStatus
from batcher.service.answers import ApiError
from batcher.service.faults import Chaos, transient_failure
from batcher.service.inputs import InputReader
from batcher.service.jobs import StoredJob
from batcher.service.requests import asked_of
from batcher.service.results import Results
from batcher.service.shared_pages import SharedDocuments
from batcher.service.tasks import Report, Task, TaskInput, Tools

JOB_SECONDS: Final = 900.0  # processor time one document may take
# Wall-clock time allowed, in multiples of the processor time. Work without end is stopped by the
# limit of processor time; this one only catches processes that wait.
BY_THE_CLOCK: Final = 1.5
FORGOTTEN: Final = "The service was restarted, and keeps no document's password: send it again"
PROGRESS: Final[Mapping[str, float | None]] = {
    "Pending": None,
    "InProgress": 0.1,
    "Completing": 0.9,
}

Performance = Callable[[], Awaitable[Report]]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class LiveJob:
    """A job that has not ended. `ended` is set when its end is durable."""

    job: StoredJob
    status: JobStatus = JobStatus.PENDING
    hand: Hand | None = None
    cancelled: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def progress(self) -> float | None:
        """The fraction done, as the API shows it."""
        return PROGRESS[self.status]


class JobRunner:
    """Runs jobs, each with `seconds` of processor time and with `tools`."""

    def __init__(
        self,
        inputs: InputReader,
        results: Results,
        *,
        chaos: Chaos,
        tools: Tools,
        seconds: float = JOB_SECONDS,
    ) -> None:
        self._inputs = inputs
        self._results = results
        self._chaos = chaos
        self._tools = tools
        self._seconds = seconds

    async def run(self, live: LiveJob, hand: Hand, shared: SharedDocuments) -> Report:
        """Run the job, of whose pages other hands may read some, and report how it went.

        An unexpected exception is reported as this job's failure, and ends what the hand is at.
        """
        try:
            return await self._report(live, hand, shared)
        except Exception as bug:
            log.exception("job %s", live.job.job_id)
            await hand.close()
            message = f"The service made a mistake; see its log: {type(bug).__name__}"
            return Report(name=ErrorName.INTERNAL_INVARIANT_VIOLATION, code=500, message=message)

    async def _report(self, live: LiveJob, hand: Hand, shared: SharedDocuments) -> Report:
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
                task = self._task(job, request, sources)
                return await self._perform(live, hand, task, shared)
        except ApiError as refusal:
            return Report(name=refusal.name, code=refusal.code, message=refusal.message)

    async def _perform(
        self, live: LiveJob, hand: Hand, task: Task, shared: SharedDocuments
    ) -> Report:
        if live.cancelled:  # cancelled while its document was being downloaded
            return Report(name=ErrorName.JOB_CANCELLED)
        limit, overrun = self._patience(task.request)

        async def perform() -> Report:
            with shared.sharing(task, limit) as pages:
                return await hand.read(
                    task,
                    seconds=limit,
                    on_stage=partial(_advance, live),
                    share=pages.answer,
                )

        report = await perform()
        if _may_be_read_again(report) and not live.cancelled:
            report = await self._tried_again(live, perform)
        return (
            msgspec.structs.replace(report, name=overrun)
            if report.name == ErrorName.TIMEOUT
            else report
        )

    async def _tried_again(self, live: LiveJob, perform: Performance) -> Report:
        """Try once more after a reader died.

        The first death may have an outside cause. A second one is caused by the document, and would
        happen every time.
        """
        live.status = JobStatus.IN_PROGRESS
        report = await perform()
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
            seconds=int(self._seconds),
            tools=self._tools,
        )

    def _patience(self, request: Mapping[str, Any]) -> tuple[float, ErrorName]:
        """Return the seconds allowed and the error for exceeding them.

        The caller's `settings.timeout` counts if it is shorter than the service's own limit.
        """
        parsing = request.get("parsing") or request
        wanted = (parsing.get("settings") or {}).get("timeout")
        if wanted is None or wanted >= self._seconds:
            return self._seconds * BY_THE_CLOCK, ErrorName.TIMEOUT
        return wanted, ErrorName.CUSTOMER_TIMEOUT


def _may_be_read_again(report: Report) -> bool:
    """Tell whether a reader died, and no cluster has tried the document on other machines yet."""
    return report.name == ErrorName.SUBPROCESS_CRASHED and not report.machines


def _advance(live: LiveJob, stage: str) -> None:
    if not live.cancelled:
        live.status = JobStatus(stage)
