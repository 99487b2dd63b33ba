"""From a request's body to a job; refused as FastAPI would where it doesn't fit.

What bodies look like stands in `bodies`; the job keeps its request as it came.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from batcher.core.wire import ErrorName, JobType
from batcher.service.answers import ApiError, InvalidRequest
from batcher.service.bodies import BODIES, Body, ClassifyBody
from batcher.service.jobs import Job, Lane

PASSWORD: Final = "document_password"  # noqa: S105 (a key's name)
SHOWN_INSTEAD: Final = "[redacted]"
NESTED: Final = 200  # levels; schemas have a dozen, and each level costs stack in everything that walks them
OLD_FORM: Final = (
    "document_url, options, advanced_options and experimental_options belong to the older form of requests, which this "
    "service doesn't take, nor a mixture of both: name the document as `input` and the options as the API does today"
)


class _Older(msgspec.Struct):
    """Keys that only requests of the API's version 2 have."""

    document_url: Any = None
    options: Any = None
    advanced_options: Any = None
    experimental_options: Any = None


_OLDER: Final = msgspec.json.Decoder(_Older)
_DECODERS: Final = {type: msgspec.json.Decoder(body) for type, body in BODIES.items()}
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_PLACE: Final = re.compile(r"(.*) - at `\$(.*)`")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def read_request(body: bytes, type: JobType) -> Body:
    """`InvalidRequest` where the body is no JSON, or not of the endpoint's shape; `ApiError` where it is of old."""
    _check_whole(body)
    try:
        if any(value is not None for value in msgspec.structs.astuple(_OLDER.decode(body))):
            raise ApiError(ErrorName.INVALID_CONFIG, OLD_FORM)
        return _DECODERS[type].decode(body)
    except msgspec.ValidationError as refusal:
        raise _explain(str(refusal)) from refusal
    except (msgspec.DecodeError, UnicodeDecodeError) as refusal:
        raise InvalidRequest.at("body", 0, msg=f"JSON decode error: {refusal}", type="json_invalid") from refusal


def _check_whole(body: bytes) -> None:
    """What the shapes skip is read again when the work begins: a number or a depth that nobody can read ends here."""
    try:
        value = msgspec.json.decode(body)
        msgspec.json.encode(value)
        body.decode()
    except RecursionError as refusal:
        raise _too_deep() from refusal
    except (ValueError, OverflowError, msgspec.MsgspecError) as refusal:
        raise InvalidRequest.at("body", 0, msg=f"JSON decode error: {refusal}", type="json_invalid") from refusal
    if _is_deeper(value, NESTED):
        raise _too_deep()


def _too_deep() -> InvalidRequest:
    return InvalidRequest.at("body", 0, msg=f"Nested more than {NESTED} deep", type="recursion_loop")


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


def accept(body: bytes, request: Body, type: JobType, *, lane: Lane, now: float) -> Job:
    """The job this request becomes."""
    text = body.decode()
    return Job(
        type=type,
        lane=lane,
        created_at=now,
        raw_config=_without_passwords(text),
        request=text,
        persist=request.persists,
    )


def lane_of(request: Body) -> Lane:
    """Where a submission queues; a caller who waits has a lane of his own."""
    if request.queue_priority == "batch":
        return Lane.BATCH
    if request.asynchronous is not None and request.asynchronous.priority:
        return Lane.PRIORITY
    if isinstance(request, ClassifyBody) and request.priority:  # by default, unlike all others
        return Lane.PRIORITY
    return Lane.STANDARD


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
        return {name: SHOWN_INSTEAD if name == PASSWORD and item else _redact(item) for name, item in value.items()}
    return value
