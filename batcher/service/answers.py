"""Answers other than results: the API's error envelope, FastAPI's 422, and the edge's HTML.

Only the shapes are here; each handler decides when to send them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from batcher.reducto.api_types import ErrorName

STATUS_OF: Final = {
    ErrorName.INVALID_CONFIG: 400,
    ErrorName.AUTH_ERROR: 401,
    ErrorName.URL_NOT_ALLOWED: 400,
    ErrorName.NOT_FOUND: 404,
    ErrorName.JOB_DELETION_IN_PROGRESS: 409,
    ErrorName.JOB_NOT_COMPLETE: 409,
    ErrorName.JOB_DELETED: 410,
    ErrorName.JOB_CANCELLED: 409,
    ErrorName.TIMEOUT: 504,
    ErrorName.CUSTOMER_TIMEOUT: 408,
    ErrorName.SERVICE_UNAVAILABLE: 503,
    ErrorName.QUEUE_FULL: 503,
    ErrorName.BATCH_QUEUE_FULL: 503,
    ErrorName.SUBPROCESS_CRASHED: 500,
    ErrorName.INTERNAL_ERROR: 500,
    ErrorName.DOCUMENT_TOO_LARGE: 413,
}


class ApiError(Exception):
    """An error in the API's envelope.

    `code` is the HTTP status, by default the one of the name; `retry_after` is in seconds, 0 for no
    header.
    """

    def __init__(
        self, name: ErrorName, message: str, *, code: int | None = None, retry_after: int = 0
    ) -> None:
        message = _writable(message)
        super().__init__(message)
        self.name = name
        self.message = message
        self.code = code or STATUS_OF.get(name, 500)
        self.retry_after = retry_after

    def answer(self) -> web.Response:
        """Return the error as an HTTP response."""
        error = {"code": self.code, "name": self.name, "message": self.message}
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after else None
        return as_json({"error": error, "detail": self.message}, status=self.code, headers=headers)


class InvalidRequest(Exception):
    """FastAPI's 422: one entry for each problem, with its place in the request.

    Each problem has `type`, `loc`, `msg` and `input`.
    """

    def __init__(self, *problems: dict[str, Any]) -> None:
        super().__init__("; ".join(problem["msg"] for problem in problems))
        self.problems = problems

    @classmethod
    def at(cls, *loc: str | int, msg: str, type: str = "value_error") -> InvalidRequest:
        """Return the error with a single problem at the place `loc`."""
        return cls({"type": type, "loc": list(loc), "msg": _writable(msg), "input": None})

    def answer(self, *, status: int = 422) -> web.Response:
        """Return the error as an HTTP response."""
        return as_json({"detail": list(self.problems)}, status=status)


def as_json(
    value: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """Return a response with `value` as JSON."""
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def _writable(message: str) -> str:
    """Return the message without halves of surrogate pairs, which JSON in UTF-8 can't hold.

    They stand for bytes of a request that are no UTF-8, where a library quotes what it refuses.
    """
    return message.encode("utf-8", "replace").decode()


def html_page(status: int, reason: str) -> web.Response:
    """Return the HTML that the hosted service's edge sends before a request reaches the API."""
    title = f"{status} {reason}"
    body = f"<body>\r\n<center><h1>{title}</h1></center>\r\n</body>"
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n{body}\r\n</html>"
    return web.Response(text=page, status=status, content_type="text/html")


def job_not_found() -> ApiError:
    """Return the error for a job that is unknown or expired."""
    return ApiError(ErrorName.NOT_FOUND, "Job not found")
