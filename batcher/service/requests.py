"""From a request's body to a job; refused as FastAPI would where it doesn't fit.

What bodies look like stands in `bodies`; the job keeps its request as it came.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from batcher.core.wire import JobType
from batcher.service.answers import InvalidRequest
from batcher.service.bodies import BODIES, Body
from batcher.service.jobs import Job, Lane

PASSWORD: Final = "document_password"  # noqa: S105 (a key's name)
SHOWN_INSTEAD: Final = "[redacted]"
_DECODERS: Final = {type: msgspec.json.Decoder(body) for type, body in BODIES.items()}
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_PLACE: Final = re.compile(r"(.*) - at `\$(.*)`")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def read_request(body: bytes, type: JobType) -> Body:
    """`InvalidRequest` where the body is no JSON, or not of the endpoint's shape."""
    try:
        return _DECODERS[type].decode(body)
    except msgspec.ValidationError as refusal:
        raise _explain(str(refusal)) from refusal
    except (msgspec.DecodeError, UnicodeDecodeError) as refusal:
        raise InvalidRequest.at("body", 0, msg=f"JSON decode error: {refusal}", type="json_invalid") from refusal


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
