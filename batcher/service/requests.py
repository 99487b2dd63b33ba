"""From a request's body to a job; refused as FastAPI would where it doesn't fit.

What bodies look like stands in `bodies`; the job keeps its request as it came.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from batcher.reducto.api_types import JobType
from batcher.service import older_requests
from batcher.service.answers import InvalidRequest
from batcher.service.bodies import BODIES, Body, ClassifyBody
from batcher.service.jobs import JobLane, StoredJob

PASSWORD: Final = "document_password"  # noqa: S105 (a key's name)
SHOWN_INSTEAD: Final = "[redacted]"
# levels; schemas have a dozen, and each level costs stack in everything that walks them
NESTED: Final = 200
_DECODERS: Final = {type: msgspec.json.Decoder(body) for type, body in BODIES.items()}
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_PLACE: Final = re.compile(r"(.*) - at `\$(.*)`")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def read_request(body: bytes, type: JobType) -> Body:
    """As the API has it today, whichever form it came in.

    Raises `InvalidRequest` where it is no JSON, or not of the endpoint's shape; `ApiError` where
    two forms are mixed.
    """
    value = _check_whole(body)
    try:
        if older_requests.is_older(value):
            return msgspec.convert(older_requests.told_today(value, type), BODIES[type])
        return _DECODERS[type].decode(body)
    except msgspec.ValidationError as refusal:
        raise _explain(str(refusal)) from refusal
    except (msgspec.DecodeError, UnicodeDecodeError) as refusal:
        raise InvalidRequest.at(
            "body", 0, msg=f"JSON decode error: {refusal}", type="json_invalid"
        ) from refusal


def _check_whole(body: bytes) -> Any:
    """The body as it is.

    What the shapes skip is read again when the work begins: what nobody can read ends here.
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
    """The job this request becomes."""
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
    """A job's request, as the API has it today; `text` is the whole of it, or what may be shown."""
    return older_requests.told_today(msgspec.json.decode(text), job.type)


def waits(body: bytes, request: Body) -> bool:
    """Whether whoever calls a synchronous path wants the result there: an `async` object says no.

    Raises InvalidRequest where the older form, which has no such object, asks for a webhook all the
    same.
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
    """Where a submission queues; a caller who waits has a lane of his own."""
    if request.queue_priority == "batch":
        return JobLane.BATCH
    if request.asynchronous is not None and request.asynchronous.priority:
        return JobLane.PRIORITY
    if isinstance(request, ClassifyBody) and request.priority:  # by default, unlike all others
        return JobLane.PRIORITY
    return JobLane.STANDARD


def _explain(message: str) -> InvalidRequest:
    """msgspec's words as FastAPI's: where in the body, and what is wrong there."""
    placed = _PLACE.fullmatch(message)
    text, path = (placed[1], placed[2]) if placed else (message, "")
    place = [name or int(index) for name, index in _STEP.findall(path)]
    missing = _MISSING.fullmatch(text)
    if missing:
        return InvalidRequest.at("body", *place, missing[1], msg="Field required", type="missing")
    return InvalidRequest.at("body", *place, msg=text)


def _without_passwords(text: str) -> str:
    """What is listed and kept never holds a document's password."""
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
