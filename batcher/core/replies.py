"""What an answer of the service means: a value that was asked for, or one error of the tree. Pure; sends nothing.

Bodies come in many shapes (the API's own, FastAPI's, the gateway's JSON, nginx's HTML); here they become one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

import msgspec

from batcher.core import wire
from batcher.core.results import Buffer
from batcher.core.secrets import scrubbed
from batcher.errors import BadReply, Busy, Gone, NotFound, Refused, ServiceError, Unauthorised

T = TypeVar("T")

REFUSALS: Final[Mapping[int, type[Refused]]] = {
    401: Unauthorised,
    403: Unauthorised,
    404: NotFound,
    409: Gone,
    410: Gone,
    429: Busy,
    503: Busy,
}
SURELY_REFUSED: Final = frozenset({400, 401, 402, 403, 404, 410, 413, 415, 422, 429, 442})  # where a submission ends
FULL_QUEUES: Final = frozenset({wire.ErrorName.QUEUE_FULL, wire.ErrorName.BATCH_QUEUE_FULL, wire.ErrorName.RATE_LIMIT})
_MISFITS: Final = (msgspec.DecodeError, ValueError, RecursionError)  # ValueError: of bytes that are no UTF-8
LINK_AT_MOST: Final = 16 << 10  # bytes of an inner result that is looked at for a link; a longer one isn't read
_WORDS_AT_MOST: Final = 500  # of a foreign message; a gateway's page of HTML is longer than it is useful
_TITLE: Final = re.compile(rb"<title[^>]*>(.*?)(?:</title|\Z)", re.IGNORECASE | re.DOTALL)


# --- refusals -------------------------------------------------------------------------------------------------------


def refusal(call: str, status: int, headers: Mapping[str, str], body: bytes) -> ServiceError:
    """The error that an answer other than the one hoped for stands for. `headers` are looked up case-insensitively.

    A 4xx is `Refused`, save 408; 503 is `Busy`; anything else says nothing to rely on and is `BadReply`.
    """
    name, message = explanation(body)
    if status != 503 and (status == 408 or not 400 <= status < 500):
        return BadReply(call, f"{status} {name} {message}".replace("  ", " ").strip(), status=status)
    kind = REFUSALS.get(status, Refused)
    return kind(call, message, status=status, name=name, retry_after=retry_after(headers))


def submission_refusal(
    call: str, status: int, headers: Mapping[str, str], body: bytes, *, queue: str | None = None
) -> ServiceError:
    """The same for a submission, where `Refused` must mean: surely not accepted. All else is `BadReply`: maybe paid.

    `queue` is the request's `queue_priority`: only the batch queue answers a bare 503 with Retry-After when it's full.
    """
    error = refusal(call, status, headers, body)
    if isinstance(error, Refused) and not _surely_refused(error, body, queue):
        return BadReply(call, f"{status} {error.name} {error.said}".replace("  ", " ").strip(), status=status)
    return error


def _surely_refused(error: Refused, body: bytes, queue: str | None) -> bool:
    if error.status == 503:
        full = error.name in FULL_QUEUES or (queue == "batch" and error.retry_after is not None)
        return full and not names_a_job(body)
    if error.status == 429:
        return not names_a_job(body)  # it would be sent again, so a job behind it would be paid for twice
    return error.status in SURELY_REFUSED


def names_a_job(body: bytes) -> bool:
    """Whether an error's body carries a job id after all, at its top or inside `error`."""
    said = _object(body)
    return bool(said.get("job_id") or _inner(said, "error").get("job_id"))


def explanation(body: bytes) -> tuple[str, str]:
    """The error name (one of the API's, or empty) and the words for people in an answer's body, whatever its shape."""
    said = _object(body)
    if not said:
        return "", _page_words(body)
    error = _inner(said, "error")
    name = error.get("name") or error.get("type") or ""
    message = error.get("message") or said.get("message") or said.get("reason") or _validation(said.get("detail"))
    return (name if isinstance(name, str) else ""), _clip(message or said.get("error") or "")


def _validation(detail: Any) -> Any:
    """FastAPI's `detail`: a string, or a list of what is wrong where."""
    if not isinstance(detail, list):
        return detail
    problems = [item for item in detail if isinstance(item, dict)]
    return "; ".join(
        f"{'.'.join(map(str, item.get('loc') or ['request']))}: {item.get('msg', '')}" for item in problems
    )


def _page_words(body: bytes) -> str:
    title = _TITLE.search(body)
    if title is not None:
        return "a page of HTML: " + _clip(title[1].decode("utf-8", "replace"))
    return _beginning(body, 4 * _WORDS_AT_MOST)


def _beginning(body: bytes, most: int) -> str:
    """Marked where it is cut off: half a password is one to be cut out, too."""
    return _clip(body[:most].decode("utf-8", "replace") + ("…" if len(body) > most else ""))


def _clip(words: Any) -> str:
    text = words if isinstance(words, str) else msgspec.json.encode(words).decode()
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())  # it may end on a terminal
    text = scrubbed(text)  # … or in a file: a signed address is a secret
    return text if len(text) <= _WORDS_AT_MOST else text[: _WORDS_AT_MOST - 1] + "…"


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except _MISFITS:
        return {}
    return said if isinstance(said, dict) else {}


def _inner(said: dict[str, Any], key: str) -> dict[str, Any]:
    value = said.get(key)
    return value if isinstance(value, dict) else {}


# --- headers --------------------------------------------------------------------------------------------------------


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, 0 or more, from seconds or an HTTP date; the date is compared with the server's own `Date`."""
    said = headers.get("Retry-After", "").strip()
    if said.isdecimal() and said.isascii():
        return float(said)
    until, now = http_date(said), http_date(headers.get("Date", ""))
    if until is None:
        return None
    return max(0.0, until - (datetime.now(UTC).timestamp() if now is None else now))


def http_date(text: str) -> float | None:
    """Unix time of an HTTP date; None if it isn't one."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


# --- values ---------------------------------------------------------------------------------------------------------


class _Job(msgspec.Struct):
    """A job's answer as it comes: only `status` must be there, no side key's type is worth losing a result over.

    msgspec reads `Raw | None` as null alone, hence the plain `Raw` here and not `wire.JobAnswer` itself.
    """

    status: str
    result: msgspec.Raw = msgspec.Raw(b"null")
    progress: Any = None
    reason: Any = None
    error: Any = None


_JOB: Final = msgspec.json.Decoder(_Job)


def read(call: str, status: int, body: Buffer, decoder: msgspec.json.Decoder[T]) -> T:
    """The body decoded, or `BadReply` where it isn't JSON of that shape."""
    try:
        return decoder.decode(body)
    except _MISFITS as error:
        what = _misfit(bytes(body), error)
        raise BadReply(call, f"{status}, but not what was asked for: {what}", status=status) from error


def read_job(call: str, status: int, body: bytes) -> wire.JobAnswer:
    """A job's answer; its `result` is a slice of `body`, byte for byte, None where it is null."""
    job = read(call, status, body, _JOB)
    result = None if bytes(memoryview(job.result)[:4]) == b"null" else job.result
    progress = _units(job.progress)
    reason = None if job.reason is None else _clip(job.reason)
    return wire.JobAnswer(job.status, result, progress, reason, _error_detail(job.error))


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a result: `usage` as the service tells it; `url` where its inner result is elsewhere.

    `inner` is that link as it stands in the body, empty where it's too long for one.
    """

    response_type: Any
    pages: int | None
    usage: Mapping[str, Any]
    inner: bytes
    url: str | None
    duration: float | None = None


_HEAD: Final = msgspec.json.Decoder(wire.ResultHead)
_LINKED: Final = msgspec.json.Decoder(wire.Linked)


def read_head(body: Buffer, job_id: str) -> Head:
    """Raises BadReply where the result can't be read, or is another job's than `job_id`."""
    head = read("GET /job", 200, body, _HEAD)
    if head.job_id is not None and head.job_id != job_id:
        raise BadReply("GET /job", f"a result that names job {_clip(head.job_id)}", status=200)
    usage = head.usage if isinstance(head.usage, dict) else {}
    pages = _units(usage.get("num_pages"))
    inner = bytes(head.result) if len(memoryview(head.result)) <= LINK_AT_MOST else b""
    pages = None if pages is None else round(pages)
    return Head(head.response_type, pages, usage, inner, _link(inner), _units(head.duration))


def _units(number: Any) -> float | None:
    sane = isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number < wire.UNITS_AT_MOST
    return number if sane else None


def _link(inner: bytes) -> str | None:
    if inner[:1] != b"{":
        return None
    linked = read("GET /job", 200, inner, _LINKED)
    return linked.url or None if linked.type == "url" and isinstance(linked.url, str) else None


def _error_detail(error: Any) -> wire.ErrorDetail | None:
    if not isinstance(error, dict):
        return None if error is None else wire.ErrorDetail(message=_clip(error))
    name, code = error.get("name"), error.get("code")
    return wire.ErrorDetail(
        name=name if isinstance(name, str) else "",
        code=code if isinstance(code, int) else 0,
        message=_clip(error.get("message") or ""),
    )


def _misfit(body: bytes, error: Exception) -> str:
    return _page_words(body) if body.lstrip()[:1] == b"<" else f"{error} in {_beginning(body, 80)!r}"


# --- results --------------------------------------------------------------------------------------------------------


def around(body: Buffer, head: Head, first: bytes) -> tuple[bytes, bytes]:
    """What stands before and after the link in the result `body`, for what stands at its URL to go between.

    `first` is that one's first byte: some answers at the URL are the bare list of a parse's chunks.
    """
    before, _, after = bytes(body).partition(head.inner)
    if first == b"[" and head.response_type == "parse":
        return before + b'{"type":"full","chunks":', b"}" + after
    return before, after


def is_closed(first: bytes, last: bytes) -> bool:
    """Whether JSON that begins with byte `first` may end with `last`: what was cut off hardly ever does."""
    return (first, last) in {(b"{", b"}"), (b"[", b"]")}
