"""Resolve a request's `input` into files for a worker, when its work begins.

If an upload is deleted after the job is accepted, the job fails because its input is missing, as
with the hosted service. `fetching` does the downloads.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from batcher.reducto.api_types import ErrorName, JobStatus, JobType
from batcher.service.answers import ApiError
from batcher.service.fetching import DocumentFetcher
from batcher.service.jobs import Jobs
from batcher.service.requests import told
from batcher.service.results import Results
from batcher.service.tasks import TaskInput
from batcher.service.unserved import wanted_of_a_parse
from batcher.service.uploads import Uploads

# The jobs that accept jobid:// inputs.
CHAINED: Final = frozenset({JobType.PARSE, JobType.EXTRACT, JobType.SPLIT})
LONGEST_CHAIN: Final = 20  # jobs, each on the one before, that are followed to their documents
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
            anew = type == JobType.PARSE and bool(wanted_of_a_parse(request))
            found: list[TaskInput] = []
            for name in names:
                if name.startswith(JOB):
                    found += self._of_earlier(name.removeprefix(JOB), type, anew=anew)
                else:
                    found.append(await self._locate(name, stack))
            yield found

    async def _locate(self, name: str, stack: contextlib.AsyncExitStack) -> TaskInput:
        if name.startswith(ADDRESSES):
            return await stack.enter_async_context(self._fetcher.fetched(name))
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

    def _of_earlier(self, job_id: str, type: JobType, *, anew: bool) -> list[TaskInput]:
        """Return an earlier parse's result or, to be read `anew`, its documents.

        If not all of these are there any more, it is the result again.
        """
        if type not in CHAINED:
            raise ApiError(ErrorName.INVALID_CONFIG, f"{type} doesn't take jobid:// inputs")
        row = self._completed_parse(job_id)
        documents = list(self._documents(row)) if anew else [None]
        there = [document for document in documents if document is not None]
        if len(there) == len(documents):
            return there
        asked = _asked_by(row)
        return [TaskInput(str(self._results.path(job_id)), "json", job=True, asked=asked)]

    def _completed_parse(self, job_id: str) -> sqlite3.Row:
        try:
            row = self._jobs.find(job_id)
        except ApiError as missing:
            raise ApiError(
                ErrorName.INVALID_CONFIG, f"jobid://{job_id}: {missing.message}"
            ) from missing
        if row["status"] != JobStatus.COMPLETED or row["type"] != JobType.PARSE:
            raise ApiError(ErrorName.INVALID_CONFIG, f"jobid://{job_id} is no completed parse job")
        return row

    def _documents(
        self, row: sqlite3.Row, steps: int = LONGEST_CHAIN
    ) -> Iterator[TaskInput | None]:
        """Yield the uploads that a parse read, None for what isn't kept here any more.

        What an address once answered isn't kept, and it may answer something else today.
        """
        for name in names_of(_asked_by(row)["input"]):
            if name.startswith(JOB):
                yield from self._documents_of(name.removeprefix(JOB), steps - 1)
                continue
            found = self._uploads.readable(name) if name.startswith(UPLOAD) else None
            yield found and TaskInput(str(found[0]), found[1].extension, paid=True)

    def _documents_of(self, job_id: str, steps: int) -> Iterator[TaskInput | None]:
        try:
            row = self._completed_parse(job_id)
        except ApiError:
            row = None
        if row is None or not steps:
            yield None
        else:
            yield from self._documents(row, steps)


def _asked_by(row: sqlite3.Row) -> dict[str, Any]:
    return told(row["raw_config"], JobType(row["type"]))


def names_of(given: Any) -> list[str]:
    """Return the documents of `input`: a string, a list of them, or an upload's answer."""
    if isinstance(given, Mapping):
        return [given["file_id"]]
    return [given] if isinstance(given, str) else list(given)
