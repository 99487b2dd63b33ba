"""From a request's `input` to files a worker can open, looked up when the work begins and not before.

An upload deleted between acceptance and work is therefore a job that fails for want of its input, as at the hosted
service. Fetches nothing from the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from batcher.core.wire import ErrorName, JobStatus, JobType
from batcher.service.answers import ApiError
from batcher.service.jobs import Jobs
from batcher.service.results import Results
from batcher.service.tasks import Source
from batcher.service.uploads import Uploads

CHAINED: Final = frozenset({JobType.PARSE, JobType.EXTRACT, JobType.SPLIT})  # which endpoints take jobid://
UPLOAD: Final = "reducto://"
JOB: Final = "jobid://"


class Inputs:
    def __init__(self, uploads: Uploads, jobs: Jobs, results: Results) -> None:
        self._uploads = uploads
        self._jobs = jobs
        self._results = results

    def resolve(self, request: Mapping[str, Any], type: JobType) -> list[Source]:
        """The files to read; `ApiError` INVALID_CONFIG where one can't be had."""
        sources = [self._locate(name, type) for name in names_of(request["input"])]
        if not sources:
            raise ApiError(ErrorName.INVALID_CONFIG, "The input names no document")
        return sources

    def _locate(self, name: str, type: JobType) -> Source:
        if name.startswith(JOB):
            return self._earlier_result(name.removeprefix(JOB), type)
        if not name.startswith(UPLOAD):
            raise ApiError(
                ErrorName.INVALID_CONFIG, f"This service reads uploads (reducto://) and jobs (jobid://): {name}"
            )
        found = self._uploads.readable(name)
        if found is None:
            raise ApiError(ErrorName.INVALID_CONFIG, f"File not found: {name}")
        path, upload = found
        return Source(str(path), upload.extension)

    def _earlier_result(self, job_id: str, type: JobType) -> Source:
        if type not in CHAINED:
            raise ApiError(ErrorName.INVALID_CONFIG, f"{type} doesn't take jobid:// inputs")
        try:
            row = self._jobs.find(job_id)
        except ApiError as missing:
            raise ApiError(ErrorName.INVALID_CONFIG, f"jobid://{job_id}: {missing.message}") from missing
        if row["status"] != JobStatus.COMPLETED or row["type"] != JobType.PARSE:
            raise ApiError(ErrorName.INVALID_CONFIG, f"jobid://{job_id} is no completed parse job")
        return Source(str(self._results.path(job_id)), "json", job=True)


def names_of(given: Any) -> list[str]:
    """The three forms of `input`: a string, a list of them, or an upload's answer as it came."""
    if isinstance(given, Mapping):
        return [given["file_id"]]
    return [given] if isinstance(given, str) else list(given)
