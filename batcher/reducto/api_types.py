"""The API on the wire: names, request bodies, and answers read defensively. Knows no transport and
keeps no state.

Facts come from the service's OpenAPI description, v1.12.20; where they don't, the comment says from
where.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

ENDPOINTS: Final = ("parse", "extract", "split", "pipeline", "classify")
SERVICES: Final = {
    "reducto": "https://platform.reducto.ai",
    "reducto-eu": "https://eu.platform.reducto.ai",
    "reducto-au": "https://au.platform.reducto.ai",
}
# of a job's result, in seconds; the documentation leaves open from when, so: from submission
RETENTION: Final = 12 * 3600.0
UPLOAD_RETENTION: Final = 24 * 3600.0
DIRECT_UPLOAD_LIMIT: Final = 100_000_000  # bytes; above it an upload goes through a presigned PUT
PRESIGNED_UPLOAD_LIMIT: Final = 5_000_000_000
UNITS_AT_MOST: Final = 1e12  # pages or credits of one result; beyond, it's no bill but a mistake
JOBS_PAGE_LIMIT: Final = 500
LIST_JOBS: Final = "GET /jobs"  # the call, as errors name it
UPLOAD: Final = "reducto://"  # how an input begins that is an upload …
JOB: Final = "jobid://"  # … and one that is an earlier job's result
# endpoints that go on from a parse job, whose pages aren't paid twice
READS_JOBS: Final = frozenset({"extract", "split"})
# where a submission's own {batch, document, attempt, nonce} stand in its metadata
METADATA_KEY: Final = "batcher"


# What the hosted service reads, by its documentation, and HTML, which stands in its price list
# alone.
HOSTED_TYPES: Final = frozenset(
    """
    pdf docx doc dotx rtf txt wpd xlsx xlsm xls xltx xltm csv qpw pptx ppt html htm
    png jpg jpeg gif bmp tif tiff heic psd pcx ppm apng cur dcx ftex pixar
    """.split()
)
# What the local service reads: it has fewer of the old formats, and more of others.
LOCAL_TYPES: Final = frozenset(
    """
    pdf docx dotx doc dot rtf txt text log md markdown html htm odt epub eml msg
    xlsx xlsm xlsb xls xltx xltm ods csv tsv pptx
    png apng jpg jpeg gif bmp tif tiff heic heif webp psd pcx ppm pgm pbm dcx cur ftex pixar
    """.split()
)


def types_taken(service: str) -> frozenset[str]:
    """Extensions that are worth sending to `service`.

    One known by its URL alone may be either, and judges itself.
    """
    if service == "local":
        return LOCAL_TYPES
    return HOSTED_TYPES if service else HOSTED_TYPES | LOCAL_TYPES


class JobStatus(StrEnum):
    """`GET /jobs` knows all seven; a status not listed here means the job is still running."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    COMPLETING = "Completing"
    IDLE = "Idle"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


ENDED: Final = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


class JobType(StrEnum):
    PARSE = "Parse"
    EXTRACT = "Extract"
    SPLIT = "Split"
    EDIT = "Edit"
    PIPELINE = "Pipeline"
    CLASSIFY = "Classify"
    CHART = "Chart"


class ErrorName(StrEnum):
    """The 44 names of the API's `ErrorCode`; the list has grown before, so any other string is
    possible.
    """

    TIMEOUT = "TIMEOUT"
    CAPACITY_TIMEOUT = "CAPACITY_TIMEOUT"
    CUSTOMER_TIMEOUT = "CUSTOMER_TIMEOUT"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    GPU_ALLOCATION_ERROR = "GPU_ALLOCATION_ERROR"
    GPU_POOL_SATURATED = "GPU_POOL_SATURATED"
    BATCH_QUEUE_FULL = "BATCH_QUEUE_FULL"
    QUEUE_FULL = "QUEUE_FULL"
    JOB_STATE_ERROR = "JOB_STATE_ERROR"
    DOCUMENT_CORRUPT = "DOCUMENT_CORRUPT"
    DOCUMENT_EMPTY = "DOCUMENT_EMPTY"
    DOCUMENT_UNSUPPORTED = "DOCUMENT_UNSUPPORTED"
    DOCUMENT_TOO_LARGE = "DOCUMENT_TOO_LARGE"
    OFFICE_CONVERSION_TOO_LARGE = "OFFICE_CONVERSION_TOO_LARGE"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    IMAGE_TOO_SMALL = "IMAGE_TOO_SMALL"
    IMAGE_INVALID_ASPECT_RATIO = "IMAGE_INVALID_ASPECT_RATIO"
    DOCUMENT_PASSWORD_PROTECTED = "DOCUMENT_PASSWORD_PROTECTED"  # noqa: S105 (a name, no password)
    FORM_FILL_FAILED = "FORM_FILL_FAILED"
    INTERNAL_INVARIANT_VIOLATION = "INTERNAL_INVARIANT_VIOLATION"
    GPU_UNAVAILABLE = "GPU_UNAVAILABLE"
    CONTEXT_WINDOW_EXCEEDED = "CONTEXT_WINDOW_EXCEEDED"
    OUTPUT_LIMIT_EXCEEDED = "OUTPUT_LIMIT_EXCEEDED"
    PROCESSING_FAILED = "PROCESSING_FAILED"
    INFERENCE_METHOD_UNSUPPORTED = "INFERENCE_METHOD_UNSUPPORTED"
    SUBPROCESS_CRASHED = "SUBPROCESS_CRASHED"
    BATCH_ORPHANED = "BATCH_ORPHANED"
    OVERSIZED_RESULT = "OVERSIZED_RESULT"
    LLM_OUTPUT_PARSE_FAILED = "LLM_OUTPUT_PARSE_FAILED"
    LLM_PROVIDER_ERROR = "LLM_PROVIDER_ERROR"
    INVALID_CONFIG = "INVALID_CONFIG"
    INVALID_SCHEMA = "INVALID_SCHEMA"
    AUTH_ERROR = "AUTH_ERROR"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    REGION_UNAVAILABLE = "REGION_UNAVAILABLE"
    NOT_FOUND = "NOT_FOUND"
    JOB_DELETION_IN_PROGRESS = "JOB_DELETION_IN_PROGRESS"
    JOB_DELETED = "JOB_DELETED"
    JOB_NOT_COMPLETE = "JOB_NOT_COMPLETE"
    JOB_CANCELLED = "JOB_CANCELLED"
    RATE_LIMIT = "RATE_LIMIT"
    CELL_COUNT_EXCEEDED = "CELL_COUNT_EXCEEDED"
    URL_NOT_ALLOWED = "URL_NOT_ALLOWED"


# --- requests -------------------------------------------------------------------------------------


def job_request(
    options: Mapping[str, Any], source: str | list[str], *, asynchronous: Mapping[str, Any]
) -> bytes:
    """The body of a submission: the options as the manifest has them, `input`, and the `async`
    object.
    """
    return msgspec.json.encode(
        {**options, "input": source, "async": {**options.get("async", {}), **asynchronous}}
    )


# --- answers --------------------------------------------------------------------------------------


class ErrorDetail(msgspec.Struct):
    """What a job failed of. A failed job is still an HTTP 200."""

    name: str = ""
    code: int = 0
    message: str = ""


class JobAnswer(msgspec.Struct):
    """`GET /job/{id}`.

    `result` is the slice of the body as it came, undecoded: a re-dump is never byte-identical.
    `raw_config` holds the request as JSON in a string, in the larger of the two shapes that the API
    describes; which one an account gets is undocumented.
    """

    status: str
    result: msgspec.Raw | None = None
    progress: float | None = None
    reason: str | None = None
    error: ErrorDetail | None = None
    raw_config: Any = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def request(self) -> str:
        """The request that it echoes, in whatever form; empty where it echoes none."""
        return "" if self.raw_config is None else _as_text(self.raw_config)


class ResultHead(msgspec.Struct):
    """What batcher itself reads of a result; everything else in it is passed through unread.

    Of any type each: none of them is worth losing a result over.
    """

    job_id: Any = None
    response_type: Any = None
    usage: Any = None
    duration: Any = None
    result: msgspec.Raw = msgspec.Raw(b"null")


_UPLOADS: Final = re.compile(rf"{UPLOAD}[\w.~-]+")
_NAMES_INPUT: Final = re.compile(
    rf'{UPLOAD}|{JOB}|"(?:input|document_url)"\s*:\s*\[?\s*"https?://|"nonce"\s*:\s*"\w'
)


class JobRow(msgspec.Struct):
    """One row of `GET /jobs`.

    `raw_config` holds the request as JSON in a string, when it isn't excluded.
    """

    job_id: str
    status: str
    created_at: str = ""
    type: str = ""
    raw_config: Any = None
    source: Any = None
    num_pages: int | None = None

    def __post_init__(self) -> None:
        if not self.job_id:
            raise ValueError("an empty job_id")

    def mentions(self, needle: str) -> bool:
        """Whether the request or its source carries `needle`, a nonce or a `file_id`, however it is
        echoed.
        """
        return needle in self.text()

    def text(self) -> str:
        """All of the request that it echoes, in whatever form; some writers of JSON escape the
        slash.
        """
        return f"{_as_text(self.raw_config)} {_as_text(self.source)}".replace("\\/", "/")

    def names_its_input(self) -> bool:
        """Whether anything in the request tells whose job it is.

        Words alone don't: an option may hold any address, and what is secret is blotted out.
        """
        if isinstance(self.source, str) and self.source.startswith(("http://", "https://")):
            return True
        return _NAMES_INPUT.search(self.text()) is not None


def uploads_in(text: str) -> list[str]:
    """What may be the file ids of uploads in the text of a request."""
    return _UPLOADS.findall(text)


class JobsPage(msgspec.Struct):
    """`unreadable`: rows that are there and can't be read.

    Whose they are nobody knows, so they may be ours.
    """

    jobs: list[JobRow]
    next_cursor: str | None = None
    unreadable: int = 0


class Upload(msgspec.Struct):
    file_id: str
    presigned_url: str | None = None

    def __post_init__(self) -> None:
        if not self.file_id.removeprefix(
            UPLOAD
        ):  # jobs are found again by it: all of them would mention this one
            raise ValueError("an empty file_id")


class Submission(msgspec.Struct):
    job_id: str

    def __post_init__(self) -> None:
        if not self.job_id:
            raise ValueError("an empty job_id")


def _as_text(value: Any) -> str:
    return (
        value
        if isinstance(value, str)
        else ""
        if value is None
        else msgspec.json.encode(value).decode()
    )
