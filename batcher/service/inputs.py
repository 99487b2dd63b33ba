"""Resolve a request's `input` into files for a worker, when its work begins.

If an upload is deleted after the job is accepted, the job fails because its input is missing, as
with the hosted service. `fetching` does the downloads.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from batcher.reducto.api_types import ErrorName, JobStatus, JobType
from batcher.service.answers import ApiError
from batcher.service.fetching import DocumentFetcher
from batcher.service.jobs import Jobs
from batcher.service.results import Results
from batcher.service.tasks import TaskInput
from batcher.service.uploads import Uploads

# The jobs that accept jobid:// inputs.
CHAINED: Final = frozenset({JobType.PARSE, JobType.EXTRACT, JobType.SPLIT})
UPLOAD: Final = "reducto://"
JOB: Final = "jobid://"
ADDRESSES: Final = ("http://", "https://")


class InputReader:
    """Finds the files behind uploads, earlier jobs and addresses."""

    def __init__(
        self, uploads: Uploads, jobs: Jobs, results: Results, fetcher: DocumentFetcher
    ) -> None:
        self._uploads = uploads
        self._jobs = jobs
        self._results = results
        self._fetcher = fetcher

    @contextlib.asynccontextmanager
    async def opened(
        self, request: Mapping[str, Any], type: JobType
    ) -> AsyncIterator[list[TaskInput]]:
        """Yield the files to read, for the duration of the block.

        Raises ApiError, mostly INVALID_CONFIG, if one of them can't be had.
        """
        names = names_of(request["input"])
        if not names:
            raise ApiError(ErrorName.INVALID_CONFIG, "The input names no document")
        async with contextlib.AsyncExitStack() as stack:
            yield [await self._locate(name, type, stack) for name in names]

    async def _locate(
        self, name: str, type: JobType, stack: contextlib.AsyncExitStack
    ) -> TaskInput:
        if name.startswith(ADDRESSES):
            return await stack.enter_async_context(self._fetcher.fetched(name))
        if name.startswith(JOB):
            return self._earlier_result(name.removeprefix(JOB), type)
        if not name.startswith(UPLOAD):
            raise ApiError(
                ErrorName.INVALID_CONFIG,
                f"This service reads uploads (reducto://) and jobs (jobid://): {name}",
            )
        found = self._uploads.readable(name)
        if found is None:
            raise ApiError(ErrorName.INVALID_CONFIG, f"File not found: {name}")
        path, upload = found
        return TaskInput(str(path), upload.extension)

    def _earlier_result(self, job_id: str, type: JobType) -> TaskInput:
        if type not in CHAINED:
            raise ApiError(ErrorName.INVALID_CONFIG, f"{type} doesn't take jobid:// inputs")
        try:
            row = self._jobs.find(job_id)
        except ApiError as missing:
            raise ApiError(
                ErrorName.INVALID_CONFIG, f"jobid://{job_id}: {missing.message}"
            ) from missing
        if row["status"] != JobStatus.COMPLETED or row["type"] != JobType.PARSE:
            raise ApiError(ErrorName.INVALID_CONFIG, f"jobid://{job_id} is no completed parse job")
        return TaskInput(str(self._results.path(job_id)), "json", job=True)


def names_of(given: Any) -> list[str]:
    """Return the documents of `input`: a string, a list of them, or an upload's answer."""
    if isinstance(given, Mapping):
        return [given["file_id"]]
    return [given] if isinstance(given, str) else list(given)
