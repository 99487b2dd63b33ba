"""Turn a request's body into a job, or refuse it as FastAPI would.

The types of bodies are in `reducto.request_schema`; the job keeps its request as it came.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from batcher.reducto.api_types import JobType
from batcher.reducto.request_schema import BODIES, Body, ClassifyBody
from batcher.service import older_requests
from batcher.service.answers import InvalidRequest
from batcher.service.jobs import JobLane, StoredJob

PASSWORD: Final = "document_password"  # noqa: S105 (a key's name)
SHOWN_INSTEAD: Final = "[redacted]"
# Levels of nesting. Schemas have a dozen; each level costs stack in everything that walks the body.
NESTED: Final = 200
EXACT: Final = 2.0**53  # from here on not every integer has a float
THEIRS: Final = frozenset({"schema", "metadata"})  # keys whose values are the caller's own
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_PLACE: Final = re.compile(r"(.*) - at `\$(.*)`")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def read_request(body: bytes, type: JobType) -> Body:
    """Return the body in today's form, whichever form it came in.

    Raises InvalidRequest if it is no JSON or not of the endpoint's shape, and ApiError if it mixes
    two forms.
    """
    value = whole_numbers(_check_whole(body))
    try:
        if older_requests.is_older(value):
            value = older_requests.told_today(value, type)
        return msgspec.convert(value, BODIES[type])
    except msgspec.ValidationError as refusal:
        raise _explain(str(refusal)) from refusal


def _check_whole(body: bytes) -> Any:
    """Return the whole body, including the parts that no shape describes.

    A worker reads it again, so what can't be read or is nested too deeply is refused here.
    """
    try:
        value = msgspec.json.decode(body)
        msgspec.json.encode(value)
        body.decode()
    except RecursionError as refusal:
        raise _too_deep() from refusal
    except (ValueError, OverflowError, msgspec.MsgspecError) as refusal:
        raise InvalidRequest.at(
            "body", 0, msg=f"JSON decode error: {refusal}", type="json_invalid"
        ) from refusal
    if _is_deeper(value, NESTED):
        raise _too_deep()
    return value


def _too_deep() -> InvalidRequest:
    return InvalidRequest.at(
        "body", 0, msg=f"Nested more than {NESTED} deep", type="recursion_loop"
    )


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            item
            for one in level
            if isinstance(one, list | dict)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def accept(body: bytes, request: Body, type: JobType, *, lane: JobLane, now: float) -> StoredJob:
    """Return the job for a request; `now` is in seconds since the epoch."""
    text = body.decode()
    return StoredJob(
        type=type,
        lane=lane,
        created_at=now,
        raw_config=_without_passwords(text),
        request=text,
        persist=request.persists,
    )


def asked_of(job: StoredJob, text: str) -> dict[str, Any]:
    """Return a job's request in today's form.

    `text` is its whole request, or the part that may be shown.
    """
    return told(text, job.type)


def told(text: str, type: JobType) -> dict[str, Any]:
    """Return a stored request of this type in today's form."""
    return older_requests.told_today(whole_numbers(msgspec.json.decode(text)), type)


def whole_numbers(value: Any) -> Any:
    """Return the value with numbers such as 50.0 as integers, which they are for JSON Schema.

    What isn't ours to read stays as it came.
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < EXACT else value
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {
            name: item if name in THEIRS else whole_numbers(item) for name, item in value.items()
        }
    return value


def waits(body: bytes, request: Body) -> bool:
    """Tell whether the caller of a synchronous path waits: not if there is an `async` object.

    Raises InvalidRequest if a request in the older form, which has no such object, asks for a
    webhook.
    """
    value = msgspec.json.decode(body)
    if not older_requests.is_older(value):
        return request.asynchronous is None
    if value.get("webhook") is not None:
        raise InvalidRequest.at(
            "body", "webhook", msg=older_requests.NOT_PERMITTED, type="extra_forbidden"
        )
    return True


def lane_of(request: Body) -> JobLane:
    """Return the lane of a submission; synchronous calls have their own."""
    if request.waits_in_batch:
        return JobLane.BATCH
    if request.asynchronous is not None and request.asynchronous.priority:
        return JobLane.PRIORITY
    # the default for classify, unlike all other types
    if isinstance(request, ClassifyBody) and request.priority:
        return JobLane.PRIORITY
    return JobLane.STANDARD


def _explain(message: str) -> InvalidRequest:
    """Convert msgspec's message into FastAPI's: the place in the body, and what is wrong there."""
    placed = _PLACE.fullmatch(message)
    text, path = (placed[1], placed[2]) if placed else (message, "")
    place = [name or int(index) for name, index in _STEP.findall(path)]
    missing = _MISSING.fullmatch(text)
    if missing:
        return InvalidRequest.at("body", *place, missing[1], msg="Field required", type="missing")
    return InvalidRequest.at("body", *place, msg=text)


def _without_passwords(text: str) -> str:
    """Remove documents' passwords: what is listed and stored never holds one."""
    if PASSWORD not in text:
        return text
    return msgspec.json.encode(_redact(msgspec.json.decode(text))).decode()


def _redact(value: Any) -> Any:
    if isinstance(value, list):
        return [_redact(item) for item in value]
    if isinstance(value, dict):
        return {
            name: SHOWN_INSTEAD if name == PASSWORD and item else _redact(item)
            for name, item in value.items()
        }
    return value
