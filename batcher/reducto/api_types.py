"""The API's types and constants: names, request bodies, and answers. No transport, no state.

The facts come from the service's OpenAPI description, v1.12.20; if not, a comment names the source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec

ENDPOINTS: Final = ("parse", "extract", "split", "pipeline", "classify")
SERVICES: Final = {
    "reducto": "https://platform.reducto.ai",
    "reducto-eu": "https://eu.platform.reducto.ai",
    "reducto-au": "https://au.platform.reducto.ai",
}
# Seconds for which a job's result is kept. The documentation doesn't say from when, so it is
# counted from the submission.
RETENTION: Final = 12 * 3600.0
UPLOAD_RETENTION: Final = 24 * 3600.0
DIRECT_UPLOAD_LIMIT: Final = 100_000_000  # bytes; above it an upload goes through a presigned PUT
PRESIGNED_UPLOAD_LIMIT: Final = 5_000_000_000
# pages or credits of one result; a higher number is a mistake and no bill
UNITS_AT_MOST: Final = 1e12
JOBS_PAGE_LIMIT: Final = 500
LIST_JOBS: Final = "GET /jobs"  # the call's name in errors
UPLOAD: Final = "reducto://"  # prefix of an input that is an upload …
JOB: Final = "jobid://"  # … and one that is an earlier job's result
# Endpoints that can read a parse job, so that its pages aren't paid for twice.
READS_JOBS: Final = frozenset({"extract", "split"})
# The key in a submission's metadata that holds our own {batch, document, attempt, nonce}.
METADATA_KEY: Final = "batcher"


# What the hosted service reads according to its documentation, and HTML, which only its price list
# mentions.
HOSTED_TYPES: Final = frozenset(
    """
    pdf docx doc dotx rtf txt wpd xlsx xlsm xls xltx xltm csv qpw pptx ppt html htm
    png jpg jpeg gif bmp tif tiff heic psd pcx ppm apng cur dcx ftex pixar
    """.split()
)
# What the local service reads: fewer of the old formats, and more of others.
LOCAL_TYPES: Final = frozenset(
    """
    pdf docx dotx docm dotm doc dot wpd rtf txt text log md markdown html htm epub eml msg
    xlsx xlsm xlsb xls xltx xltm ods csv tsv
    pptx pptm potx potm ppsx ppsm ppt pot pps
    odt ott fodt odp otp fodp
    png apng jpg jpeg gif bmp tif tiff heic heif webp psd pcx ppm pgm pbm dcx cur ftex pixar
    """.split()
)


def types_taken(service: str) -> frozenset[str]:
    """Return the extensions that are worth sending to `service`.

    A service that is known only by its URL may be either kind, and decides for itself.
    """
    if service == "local":
        return LOCAL_TYPES
    return HOSTED_TYPES if service else HOSTED_TYPES | LOCAL_TYPES


class JobStatus(StrEnum):
    """The seven statuses of `GET /jobs`. Any other status means that the job is still running."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    COMPLETING = "Completing"
    IDLE = "Idle"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


ENDED: Final = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})

# What a block of a parsed document may be.
BlockType = Literal[
    "Header",
    "Footer",
    "Title",
    "Section Header",
    "Page Number",
    "List Item",
    "Figure",
    "Table",
    "Key Value",
    "Text",
    "Comment",
    "Signature",
]


class JobType(StrEnum):
    PARSE = "Parse"
    EXTRACT = "Extract"
    SPLIT = "Split"
    EDIT = "Edit"
    PIPELINE = "Pipeline"
    CLASSIFY = "Classify"
    CHART = "Chart"


class ErrorName(StrEnum):
    """The 44 names of the API's `ErrorCode`; it has grown before, so any other string is
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
    """Return the body of a submission: the manifest's options, `input`, and the `async` object."""
    return msgspec.json.encode(
        {**options, "input": source, "async": {**options.get("async", {}), **asynchronous}}
    )


# --- answers --------------------------------------------------------------------------------------


class ErrorDetail(msgspec.Struct):
    """Why a job failed. The answer about a failed job is still an HTTP 200."""

    name: str = ""
    code: int = 0
    message: str = ""


class JobAnswer(msgspec.Struct):
    """The answer to `GET /job/{id}`.

    `result` is an undecoded slice of the body, since encoding it again would never be
    byte-identical. `raw_config` holds the request as JSON in a string, in the larger of the two
    shapes that the API describes; which one an account gets is undocumented.
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
        """Return the request that the answer echoes, in whatever form; empty if it echoes none."""
        return "" if self.raw_config is None else _as_text(self.raw_config)


class ResultHead(msgspec.Struct):
    """What batcher itself reads of a result; everything else is passed on unread.

    Each field accepts any type, since none is worth the loss of a result.
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

    `raw_config` holds the request as JSON in a string, unless it is excluded.
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
        """Whether the echoed request or its source contains `needle`, a nonce or a `file_id`."""
        return needle in self.text()

    def text(self) -> str:
        """Return all of the request that the row echoes, in whatever form.

        Escaped slashes, which some JSON writers produce, are unescaped.
        """
        return f"{_as_text(self.raw_config)} {_as_text(self.source)}".replace("\\/", "/")

    def names_its_input(self) -> bool:
        """Whether anything in the request shows whose job it is.

        Plain words don't: an option may hold any address, and secrets are blotted out.
        """
        if isinstance(self.source, str) and self.source.startswith(("http://", "https://")):
            return True
        return _NAMES_INPUT.search(self.text()) is not None


def uploads_in(text: str) -> list[str]:
    """Return what may be file ids of uploads in the text of a request."""
    return _UPLOADS.findall(text)


class JobsPage(msgspec.Struct):
    """A page of the job list.

    `unreadable` counts rows that can't be read. Whose they are is unknown, so they may be ours.
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
        ):  # jobs are found again by this id, and every job would contain an empty one
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
