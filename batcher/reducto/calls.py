"""Who is told of requests, and names for the API's calls: there are few, and none holds a path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from batcher.errors import BadReply, BatcherError, Refused, ReplyLostError, Unreachable

DOWNLOAD: Final = "download"
OTHER: Final = "other"
_CALLS: Final = (  # the first that fits
    ("POST", "/upload", "upload"),
    ("DELETE", "/upload/", "delete_upload"),
    ("GET", "/jobs", "list"),
    ("GET", "/job/", "fetch"),
    ("DELETE", "/job/", "delete_job"),
    ("POST", "/cancel/", "cancel"),
)
SUBMIT: Final = "submit"
PRESIGNED: Final = "presigned_upload"


# Called after each request with the call, as in "GET /job/7f", its status, and the seconds it took.
# The call has no query and no signed address. The status is None where no complete answer came.
Observer = Callable[[str, int | None, float], None]


class Meter(Protocol):
    """Counts requests."""

    def exchanged(self, call: str, outcome: str, *, sent: int, received: int) -> None:
        """Count a request that has ended.

        `call` is a name from `call_of`, `outcome` an HTTP status or a word from `outcome_of`;
        `sent` and `received` are bytes of bodies. The bodies of refusals aren't counted.
        """


def call_of(method: str, path: str, *, signed: bool) -> str:
    """Return the name of a call; `signed` says that `path` is an address that the service gave."""
    if signed:
        return PRESIGNED if method == "PUT" else DOWNLOAD
    if method == "POST" and path.endswith("_async"):
        return SUBMIT
    for verb, start, name in _CALLS:
        if method == verb and path.startswith(start):
            return name
    return OTHER


def outcome_of(error: BatcherError) -> str:
    """Return the HTTP status of a failed request, or a word where no status came."""
    match error:
        case Refused():
            return str(error.status) if 100 <= error.status < 600 else OTHER
        case Unreachable():
            return "unreachable"
        case ReplyLostError():
            return "lost"
        case BadReply():
            return "malformed"
    return "broken_off"  # by the document itself: it changed while it was sent
