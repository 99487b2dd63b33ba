"""A fake of the client: the same calls, answered in process by a service of a few dictionaries.

It runs in the event loop's time, real or virtual, for tests and rehearsals in which hours must pass
in a moment. It reads no documents and uses no HTTP. Misbehaviour is left to subclasses: each call
passes through `FakeClient.reach`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from batcher.errors import NotFound, SourceChangedError
from batcher.reducto import api_types
from batcher.reducto.api_types import JobStatus
from batcher.reducto.client import Around, ResponseBudget

T = TypeVar("T")
PLACES: Final = "https://places.invalid/"  # what the addresses of announced uploads begin with


@dataclass(slots=True)
class FakeJob:
    """A job of the fake service.

    `ends_at` is by the service's clock. `error` is the name with which it fails; None if it
    completes.
    """

    job_id: str
    endpoint: str
    source: str
    config: str
    accepted_at: float
    ends_at: float
    error: str | None = None
    cancelled: bool = False
    deleted: bool = False
    took: float = 0.0  # seconds of work, as stated in its result


@dataclass(slots=True)
class FakeService:
    """The state of the service, which outlives every client. `clock` is its own.

    `work` returns how many seconds a submission takes, and the error with which it ends, if any.
    With a `capacity`, in jobs per second, jobs queue up: their ends are at least 1/capacity seconds
    apart, and each is worked on alone for that time.
    """

    clock: Callable[[], float]
    work: Callable[[FakeJob], tuple[float, str | None]] = lambda job: (1.0, None)
    retention: float = api_types.RETENTION
    credits: float = 1.0  # billed for a page
    # Returns pages and credits; None means one page at `credits`.
    bill: Callable[[FakeJob], tuple[int, float]] | None = None
    capacity: float | None = None
    # whether an address can be read; its content is the address itself
    read_addresses: bool = False
    # Whether `GET /job` echoes the request: the API describes both shapes.
    echoes: bool = True
    uploads: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    _free_at: float = 0.0  # when all accepted jobs have ended, if there is a capacity
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def take_upload(self, content: bytes, extension: str) -> str:
        file_id = f"reducto://{next(self._numbers):08x}{extension}"
        self.uploads[file_id] = content
        return file_id

    def announce(self, extension: str) -> api_types.Upload:
        """Return an upload whose bytes are still to come, with the address to put them at."""
        file_id = f"{api_types.UPLOAD}{next(self._numbers):08x}{extension}"
        return api_types.Upload(file_id, f"{PLACES}{file_id}")

    def put(self, url: str, content: bytes) -> None:
        """Take the bytes that are put at an announced address; later ones replace earlier ones."""
        self.uploads[url.removeprefix(PLACES)] = content

    def accept(self, endpoint: str, source: str, config: str) -> FakeJob:
        """Accept a job even if its upload is gone: it then fails, as at the hosted service.

        Several inputs are given as a JSON list.
        """
        now = self.clock()
        job = FakeJob(f"{next(self._numbers):08x}", endpoint, source, config, now, now)
        span, job.error = self.work(job)
        if self.capacity is not None:
            self._free_at = max(self._free_at, now) + 1 / self.capacity
            span = max(span, self._free_at - now)
        job.ends_at = now + span
        job.took = span if self.capacity is None else 1 / self.capacity
        if self.content(source) is None:
            job.error = api_types.ErrorName.INVALID_CONFIG
        self.jobs[job.job_id] = job
        return job

    def content(self, source: str) -> bytes | None:
        """Return the bytes that a job with this input reads: an upload's, or an earlier parse's."""
        if source.startswith("["):
            parts = [self.content(part) for part in json.loads(source)]
            return None if None in parts else b" ".join(filter(None, parts))
        if self.read_addresses and source.startswith(("http://", "https://")):
            return source.encode()
        if not source.startswith(api_types.JOB):
            return self.uploads.get(source)
        job = self.known(source.removeprefix(api_types.JOB))
        if job is None or job.endpoint != "parse" or self.status(job) is not JobStatus.COMPLETED:
            return None
        return self.content(job.source)

    def known(self, job_id: str) -> FakeJob | None:
        """Return the job; None if it never existed, was deleted, or has outlived its retention."""
        job = self.jobs.get(job_id)
        if job is None or job.deleted or self.clock() >= job.accepted_at + self.retention:
            return None
        return job

    def status(self, job: FakeJob) -> JobStatus:
        if job.cancelled:
            return JobStatus.CANCELLED
        if self.clock() < job.ends_at:
            return JobStatus.IN_PROGRESS
        return JobStatus.FAILED if job.error else JobStatus.COMPLETED

    def result(self, job: FakeJob) -> bytes:
        """Return a result of one block that holds the hash of the bytes read.

        So a test can distinguish one result from another.
        """
        digest = hashlib.sha256(self.content(job.source) or b"").hexdigest()
        pages, credits = self.bill(job) if self.bill else (1, self.credits)
        return json.dumps(
            {
                "job_id": job.job_id,
                "response_type": job.endpoint,
                "duration": job.took,
                "usage": {"num_pages": pages, "credits": credits},
                "result": {"type": "full", "chunks": [{"content": digest, "blocks": []}]},
            }
        ).encode()

    def paid(self) -> list[FakeJob]:
        """Return the jobs that cost something: those that got their input."""
        return [
            job for job in self.jobs.values() if job.error != api_types.ErrorName.INVALID_CONFIG
        ]


class FakeClient:
    """Implements `client.Api` with a `FakeService`. `latency` is the seconds for each exchange."""

    def __init__(self, service: FakeService, *, latency: float = 0.01) -> None:
        self.service = service
        self.latency = latency

    async def reach(self, call: str, act: Callable[[], T]) -> T:
        """Make one exchange: travel there, call `act` at the service, and travel back."""
        await asyncio.sleep(self.latency / 2)
        value = act()
        await asyncio.sleep(self.latency / 2)
        return value

    async def upload(
        self, content: bytes | Path, *, name: str, sha256: str | None = None
    ) -> api_types.Upload:
        data = (
            content if isinstance(content, bytes) else await asyncio.to_thread(content.read_bytes)
        )
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise SourceChangedError(f"{name}: its bytes are no longer those that were planned")
        file_id = await self.reach(
            "upload", lambda: self.service.take_upload(data, Path(name).suffix)
        )
        return api_types.Upload(file_id)

    async def announce(self, *, name: str) -> api_types.Upload:
        return await self.reach("announce", lambda: self.service.announce(Path(name).suffix))

    async def delete_upload(self, file_id: str) -> bool:
        return await self.reach(
            "delete_upload", lambda: self.service.uploads.pop(file_id, None) is not None
        )

    async def run_job(
        self,
        endpoint: str,
        source: str | list[str],
        options: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        priority: bool = False,
        webhook: Mapping[str, Any] | None = None,
    ) -> str:
        config = api_types.job_request(
            options or {}, source, asynchronous={"metadata": metadata, "priority": priority}
        )
        named = source if isinstance(source, str) else json.dumps(source)
        job = await self.reach(
            "run_job", lambda: self.service.accept(endpoint, named, config.decode())
        )
        return job.job_id

    async def job(
        self, job_id: str, *, room: ResponseBudget | None = None
    ) -> tuple[api_types.JobAnswer, int]:
        answer = await self.reach("job", lambda: self._answer(job_id))
        size = len(answer.result or b"")
        if room is not None:
            await room.take(size)
        return answer, size

    def _answer(self, job_id: str) -> api_types.JobAnswer:
        job = self.service.known(job_id)
        if job is None:
            raise NotFound("GET /job", "Job not found", status=404, name="NOT_FOUND")
        status = self.service.status(job)
        request = job.config if self.service.echoes else None
        if status is JobStatus.COMPLETED:
            result = msgspec.Raw(self.service.result(job))
            return api_types.JobAnswer(status, result, raw_config=request)
        error = (
            api_types.ErrorDetail(job.error, message="as ordered")
            if job.error and status is JobStatus.FAILED
            else None
        )
        return api_types.JobAnswer(status, error=error, raw_config=request)

    async def jobs(
        self, *, cursor: str | None = None, limit: int = 500, exclude_configs: bool = False
    ) -> api_types.JobsPage:
        return await self.reach("jobs", lambda: self._page(int(cursor or 0), limit))

    def _page(self, start: int, limit: int) -> api_types.JobsPage:
        known = [job for job in reversed(self.listed()) if self.service.known(job.job_id)]
        rows = [self._row(job) for job in known[start : start + limit]]
        more = start + limit < len(known)
        return api_types.JobsPage(rows, str(start + limit) if more else None)

    def _row(self, job: FakeJob) -> api_types.JobRow:
        made_at = datetime.fromtimestamp(job.accepted_at, UTC).isoformat()
        status = self.service.status(job)
        return api_types.JobRow(
            job.job_id, status, made_at, raw_config=job.config, source=job.source
        )

    def listed(self) -> list[FakeJob]:
        """Return the jobs in the job list, oldest first."""
        return list(self.service.jobs.values())

    async def cancel(self, job_id: str) -> None:
        await self._change("cancel", job_id, "cancelled")

    async def delete_job(self, job_id: str, *, include_persisted: bool = False) -> None:
        await self._change("delete_job", job_id, "deleted")

    async def _change(self, call: str, job_id: str, mark: str) -> None:
        def act() -> None:
            job = self.service.known(job_id)
            if job is None:
                raise NotFound(call, "Job not found", status=404, name="NOT_FOUND")
            if mark == "deleted" or self.service.status(job) is JobStatus.IN_PROGRESS:
                setattr(job, mark, True)

        await self.reach(call, act)

    async def download(
        self, url: str, into: Path, *, around: Around | None = None
    ) -> tuple[str, int]:
        raise NotFound("GET a signed URL", "the twin links to nothing", status=404)
