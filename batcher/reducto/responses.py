"""Turns an answer of the service into the value that was asked for, or into one error. Pure.

Error bodies come in many shapes (the API's own, FastAPI's, the gateway's JSON, nginx's HTML); here
they become one. Nothing is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

import msgspec

from batcher.common import json_syntax
from batcher.common.secrets import redact_urls
from batcher.errors import BadReply, Busy, Gone, NotFound, Refused, ServiceError, Unauthorised
from batcher.reducto import api_types
from batcher.reducto.result_links import LOOKED_AT, Asked, BadLink, link_in
from batcher.reducto.results import Buffer

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
# Statuses after which a submission has certainly ended without a job.
SURELY_REFUSED: Final = frozenset({400, 401, 402, 403, 404, 410, 413, 415, 422, 429, 442})
FULL_QUEUES: Final = frozenset(
    {
        api_types.ErrorName.QUEUE_FULL,
        api_types.ErrorName.BATCH_QUEUE_FULL,
        api_types.ErrorName.RATE_LIMIT,
    }
)
# ValueError: the bytes aren't UTF-8.
_MISFITS: Final = (
    msgspec.DecodeError,
    ValueError,
    RecursionError,
)
# Seconds. A longer value means never, and dates have a maximum.
RETRY_AFTER_AT_MOST: Final = 366 * 86400.0
# Of a foreign message; a gateway's HTML page is longer than is useful.
_WORDS_AT_MOST: Final = 500
# characters of what the local service says it left out; each ledger keeps them for each document
NOT_SERVED_AT_MOST: Final = 2_000
_TITLE: Final = re.compile(rb"<title[^>]*>(.*?)(?:</title|\Z)", re.IGNORECASE | re.DOTALL)


# --- refusals -------------------------------------------------------------------------------------


def refusal(call: str, status: int, headers: Mapping[str, str], body: bytes) -> ServiceError:
    """Return the error for an answer that isn't the one hoped for.

    `headers` must be case-insensitive. A 4xx other than 408 is `Refused`, and 503 is `Busy`; no
    other status can be relied on, so it is `BadReply`.
    """
    name, message = explanation(body)
    if 300 <= status < 400 and "Location" in headers:
        message = f"a redirect to {_clip(redact_urls(headers['Location']))}"
    if status != 503 and (status == 408 or not 400 <= status < 500):
        return BadReply(
            call, f"{status} {name} {message}".replace("  ", " ").strip(), status=status
        )
    kind = REFUSALS.get(status, Refused)
    return kind(call, message, status=status, name=name, retry_after=retry_after(headers))


def submission_refusal(
    call: str, status: int, headers: Mapping[str, str], body: bytes, *, queue: str | None = None
) -> ServiceError:
    """Return the error for a submission, where `Refused` means that no job was certainly accepted.

    Everything else is `BadReply`: the job may have to be paid for. `queue` is the request's
    `queue_priority`: only the batch queue answers a bare 503 with Retry-After when it's full.
    """
    error = refusal(call, status, headers, body)
    if isinstance(error, Refused) and not _surely_refused(error, body, queue):
        return BadReply(
            call, f"{status} {error.name} {error.said}".replace("  ", " ").strip(), status=status
        )
    return error


def _surely_refused(error: Refused, body: bytes, queue: str | None) -> bool:
    if error.status == 503:
        full = error.name in FULL_QUEUES or (queue == "batch" and error.retry_after is not None)
        return full and not names_a_job(body)
    if error.status == 429:
        # It would be sent again, so a job behind it would be paid for twice.
        return not names_a_job(body)
    return error.status in SURELY_REFUSED


def names_a_job(body: bytes) -> bool:
    """Whether an error's body has a job id after all, at its top level or inside `error`."""
    said = _object(body)
    return bool(said.get("job_id") or _inner(said, "error").get("job_id"))


def explanation(body: bytes) -> tuple[str, str]:
    """Return the error name (one of the API's, or empty) and the message in an answer's body.

    Any shape of body is accepted.
    """
    said = _object(body)
    if not said:
        return "", _page_words(body)
    error = _inner(said, "error")
    name = error.get("name") or error.get("type") or ""
    message = (
        error.get("message")
        or said.get("message")
        or said.get("reason")
        or _validation(said.get("detail"))
    )
    return (_clip(name) if isinstance(name, str) else ""), _clip(message or said.get("error") or "")


def _validation(detail: Any) -> Any:
    """Return FastAPI's `detail` as text: it is a string, or a list of problems and places."""
    if not isinstance(detail, list):
        return detail
    problems = [item for item in detail if isinstance(item, dict)]
    return "; ".join(
        f"{'.'.join(map(str, item.get('loc') or ['request']))}: {item.get('msg', '')}"
        for item in problems
    )


def _page_words(body: bytes) -> str:
    title = _TITLE.search(body)
    if title is not None:
        return "a page of HTML: " + _clip(title[1].decode("utf-8", "replace"))
    return _beginning(body, 4 * _WORDS_AT_MOST)


def _beginning(body: bytes, most: int) -> str:
    """Return the beginning, marked if it is cut off: half a password has to be blotted out too."""
    return _clip(body[:most].decode("utf-8", "replace") + ("…" if len(body) > most else ""))


def _clip(words: Any) -> str:
    text = words if isinstance(words, str) else _spelt(words)
    # the text may be shown in a terminal
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = redact_urls(text)  # … or be written to a file, and a signed address is a secret
    return text if len(text) <= _WORDS_AT_MOST else text[: _WORDS_AT_MOST - 1] + "…"


def _spelt(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except _MISFITS:
        return {}
    return said if isinstance(said, dict) else {}


def _inner(said: dict[str, Any], key: str) -> dict[str, Any]:
    value = said.get(key)
    return value if isinstance(value, dict) else {}


# --- headers --------------------------------------------------------------------------------------


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, 0 or more, from a number or from an HTTP date.

    A date is compared with the server's own `Date`. None if the header is missing, or if it is a
    date and there is no `Date`; see `client.dated`.
    """
    said = headers.get("Retry-After", "").strip()
    if said.isdecimal() and said.isascii():
        return min(RETRY_AFTER_AT_MOST, float(said))
    until = http_date(said)
    now = http_date(headers.get("Date", ""))
    if until is None or now is None:
        return None
    return min(RETRY_AFTER_AT_MOST, max(0.0, until - now))


def http_date(text: str) -> float | None:
    """Return the Unix time of an HTTP date; None if it isn't one."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


# --- values ---------------------------------------------------------------------------------------


class _Job(msgspec.Struct):
    """A job's answer as received. Only `status` is required.

    No wrong type of another key is worth the loss of a result. msgspec reads `Raw | None` only as
    null, which is why `result` is a plain `Raw` here and `api_types.JobAnswer` isn't decoded
    directly.
    """

    status: str
    result: msgspec.Raw = msgspec.Raw(b"null")
    progress: Any = None
    reason: Any = None
    error: Any = None
    raw_config: Any = None


_JOB: Final = msgspec.json.Decoder(_Job)


def read(call: str, status: int, body: Buffer, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode the body; raise `BadReply` if it isn't JSON of that shape."""
    try:
        return decoder.decode(body)
    except _MISFITS as error:
        what = _misfit(bytes(body), error)
        raise BadReply(
            call, f"{status}, but not what was asked for: {what}", status=status
        ) from error


def read_job(call: str, status: int, body: bytes) -> api_types.JobAnswer:
    """Return a job's answer. Its `result` is an unchanged slice of `body`, or None if it is
    null.
    """
    job = _leniently(call, status, body, _JOB, _Job)
    result = None if _is_null(job.result) else job.result
    progress = _units(job.progress)
    reason = None if job.reason is None else _clip(job.reason)
    return api_types.JobAnswer(
        _status(job.status), result, progress, reason, _error_detail(job.error), job.raw_config
    )


def _status(said: str) -> str:
    """Return a status that is fit to be shown.

    An unknown status may be shown to people, and cleaning it must not turn it into a known one.
    """
    if said in api_types.ENDED:
        return said
    return f"{_clip(said)!r}" if _clip(said) in api_types.ENDED else _clip(said)


def _leniently(
    call: str, status: int, body: Buffer, decoder: msgspec.json.Decoder[T], shape: type[T]
) -> T:
    """Decode like `read`, for an answer that is paid for: nothing else in it makes it unreadable.

    The wanted values are found by position, so half a surrogate pair, NaN or a thousand levels
    elsewhere don't matter, and are passed on as they came.
    """
    try:
        return decoder.decode(body)
    except _MISFITS as error:
        try:
            return msgspec.convert(_of_use(_parts(body), shape), shape)
        except (json_syntax.NotWhole, msgspec.ValidationError):
            raise BadReply(
                call, f"{status}, but {_misfit(bytes(body), error)}", status=status
            ) from error


def _parts(body: Buffer) -> dict[str, bytes]:
    """Return the values of an object by name, undecoded, in any condition. Raises NotWhole."""
    return {
        _name(quoted): bytes(memoryview(body)[start:end])
        for quoted, start, end in json_syntax.members(body)
    }


def _name(quoted: bytes) -> str:
    try:
        return msgspec.json.decode(quoted, type=str)
    except _MISFITS:
        return quoted.decode("utf-8", "replace")


def _of_use(parts: Mapping[str, bytes], wanted: type) -> dict[str, Any]:
    """Return those fields of `wanted` that can be decoded."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(wanted):
        text = parts.get(field.name)
        if text is None:
            continue
        with suppress(*_MISFITS):
            values[field.name] = (
                msgspec.Raw(text) if field.type is msgspec.Raw else json.loads(text, strict=False)
            )
    return values


def _is_null(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:4]) == b"null"


class _Page(msgspec.Struct):
    """A page of the job list as it should be …"""

    jobs: list[api_types.JobRow]
    next_cursor: str | None = None


class _OddPage(msgspec.Struct):
    """… and as it may come."""

    jobs: list[msgspec.Raw]
    next_cursor: Any = None


class _OddRow(msgspec.Struct):
    job_id: Any = None
    status: Any = None
    created_at: Any = None
    type: Any = None
    raw_config: Any = None
    source: Any = None
    num_pages: Any = None


_PAGE: Final = msgspec.json.Decoder(_Page)
_ODD_PAGE: Final = msgspec.json.Decoder(_OddPage)
_ODD_ROW: Final = msgspec.json.Decoder(_OddRow)


def read_jobs(call: str, status: int, body: bytes) -> api_types.JobsPage:
    """Return a page of the job list.

    A row that can't be read is counted, and doesn't prevent others from being read.
    """
    try:
        page = _PAGE.decode(body)
    except _MISFITS:
        return _row_by_row(read(call, status, body, _ODD_PAGE))
    return api_types.JobsPage(page.jobs, page.next_cursor)


def _row_by_row(page: _OddPage) -> api_types.JobsPage:
    read_rows = [_job_row(raw) for raw in page.jobs]
    rows = [row for row in read_rows if row is not None]
    cursor, is_cursor = _cursor(page.next_cursor)
    # Behind an unreadable cursor there are rows that can't be seen.
    return api_types.JobsPage(rows, cursor, len(read_rows) - len(rows) + (not is_cursor))


def _job_row(raw: msgspec.Raw) -> api_types.JobRow | None:
    """Return a row; None if it lacks a job id or a status."""
    try:
        row = _ODD_ROW.decode(raw)
    except _MISFITS:
        return None
    if not (isinstance(row.job_id, str) and row.job_id and isinstance(row.status, str)):
        return None
    created_at, kind = (
        (value if isinstance(value, str) else "") for value in (row.created_at, row.type)
    )
    pages = None if (number := _units(row.num_pages)) is None else round(number)
    return api_types.JobRow(
        row.job_id, row.status, created_at, kind, row.raw_config, row.source, pages
    )


def _cursor(value: Any) -> tuple[str | None, bool]:
    """Return the cursor, and whether it is a valid one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value), True
    return (value, True) if value is None or isinstance(value, str) else (None, False)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a result.

    `usage` is as the service states it. `url` is the link to the inner result if that is stored
    elsewhere, and `link_at` is where the link begins and ends in the body. `duration` is in
    seconds. `not_served` says what of the document or of the request the local service left out, a
    sentence on each line; it is None if there is nothing, and always for the hosted API.
    """

    response_type: str
    pages: int | None
    usage: Mapping[str, Any]
    link_at: tuple[int, int]
    url: str | None
    duration: float | None = None
    not_served: str | None = None


_HEAD: Final = msgspec.json.Decoder(api_types.ResultHead)
# For these, the API defines the content of the result.
_NEVER_NULL: Final = frozenset({"parse", "split", "pipeline", "classify"})


def read_head(body: Buffer, job_id: str, was_asked: Callable[[], Asked] = Asked) -> Head:
    """Read the head of a result.

    `was_asked` is called for what the job was asked for if that is needed to distinguish a link
    from a result. Raises BadReply if the result can't be read, or belongs to a job other than
    `job_id`.
    """
    head = _leniently("GET /job", 200, body, _HEAD, api_types.ResultHead)
    if head.job_id is not None and head.job_id != job_id:
        raise BadReply("GET /job", f"a result that names job {_clip(head.job_id)}", status=200)
    response_type = head.response_type if isinstance(head.response_type, str) else ""
    if response_type in _NEVER_NULL and _is_null(head.result):
        raise BadReply("GET /job", "a result of null", status=200)
    usage = head.usage if isinstance(head.usage, dict) else {}
    pages = _units(usage.get("num_pages"))
    pages = None if pages is None else round(pages)
    url = _link(head.result, response_type, was_asked)
    place = _place_of_result(body) if url is not None else (0, 0)
    return Head(
        response_type,
        pages,
        usage,
        place,
        url,
        _units(head.duration),
        _not_served(usage.get("not_served")),
    )


def _not_served(said: Any) -> str | None:
    """Return the sentences of the local service's `usage.not_served`, one on each line.

    Those beyond `NOT_SERVED_AT_MOST` characters are only counted.
    """
    sentences = [one for one in said if isinstance(one, str)] if isinstance(said, list) else []
    lines: list[str] = []
    left = NOT_SERVED_AT_MOST
    for sentence in sentences:
        line = _clip(sentence)
        left -= len(line) + 1
        if left < 0:
            lines.append(f"… and {len(sentences) - len(lines)} more")
            break
        lines.append(line)
    return "\n".join(filter(None, lines)) or None


def is_about(answer: api_types.JobAnswer, job_id: str) -> bool:
    """Whether the answer carries a result that names this job: nothing else in it says which job it
    is about.
    """
    if answer.result is None:
        return False
    try:
        return bool(_HEAD.decode(answer.result).job_id == job_id)
    except _MISFITS:
        return False


def _link(inner: msgspec.Raw, response_type: str, was_asked: Callable[[], Asked]) -> str | None:
    if len(memoryview(inner)) > LOOKED_AT:
        return None
    try:
        return link_in(bytes(inner), response_type, was_asked)
    except BadLink as error:
        raise BadReply("GET /job", str(error), status=200) from error


def _place_of_result(body: Buffer) -> tuple[int, int]:
    """Return where the value of `result` is; if there are several, the last, as JSON readers do."""
    *_, place = [
        (start, end) for name, start, end in json_syntax.members(body) if _name(name) == "result"
    ]
    return place


def _units(number: Any) -> float | None:
    sane = (
        isinstance(number, int | float)
        and not isinstance(number, bool)
        and 0 <= number < api_types.UNITS_AT_MOST
    )
    return number if sane else None


def _error_detail(error: Any) -> api_types.ErrorDetail | None:
    if not isinstance(error, dict):
        return None if error is None else api_types.ErrorDetail(message=_clip(error))
    name = error.get("name")
    code = error.get("code")
    return api_types.ErrorDetail(
        name=_clip(name) if isinstance(name, str) else "",
        code=code if isinstance(code, int) else 0,
        message=_clip(error.get("message") or ""),
    )


def _misfit(body: bytes, error: Exception) -> str:
    return (
        _page_words(body) if body.lstrip()[:1] == b"<" else f"{error} in {_beginning(body, 80)!r}"
    )


# --- results --------------------------------------------------------------------------------------


def around(body: Buffer, head: Head, first: bytes) -> tuple[bytes, bytes]:
    """Return what goes before and after the linked content, in the place of the link in `body`.

    `first` is the first byte of the content: for a parse, some answers are the bare list of chunks.
    """
    start, end = head.link_at
    before = bytes(memoryview(body)[:start])
    after = bytes(memoryview(body)[end:])
    if first == b"[" and head.response_type == "parse":
        return before + b'{"type":"full","chunks":', b"}" + after
    return before, after
