"""Request bodies: what the service itself reads of them, refused as FastAPI would where they don't fit.

Options that only a parser understands are passed through as they came.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from batcher.core.wire import JobType
from batcher.service.answers import InvalidRequest
from batcher.service.jobs import Job, Lane

PASSWORD: Final = "document_password"  # noqa: S105 (a key's name)
SHOWN_INSTEAD: Final = "[redacted]"


class UploadAnswer(msgspec.Struct):
    """An upload's answer may be given as it came."""

    file_id: str
    presigned_url: str | None = None


class SvixWebhook(msgspec.Struct, tag_field="mode", tag="svix"):
    channels: list[str] | None = None


class DirectWebhook(msgspec.Struct, tag_field="mode", tag="direct"):
    url: str


class AsyncOptions(msgspec.Struct):
    metadata: Any = None
    priority: bool = False
    webhook: SvixWebhook | DirectWebhook | None = None


class Settings(msgspec.Struct):
    persist_results: bool = False
    force_url_result: bool = False
    timeout: float | None = None
    document_password: str | None = None


class Request(msgspec.Struct):
    """What every endpoint's body has in common; `asynchronous` is `async` on the wire."""

    input: str | list[str] | UploadAnswer
    asynchronous: AsyncOptions | None = msgspec.field(name="async", default=None)
    settings: Settings | None = None
    queue_priority: Literal["auto", "standard", "batch"] | None = None


_DECODER: Final = msgspec.json.Decoder(Request)
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_PLACE: Final = re.compile(r"(.*) - at `\$(.*)`")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def read_request(body: bytes) -> Request:
    """`InvalidRequest` where the body is no JSON, or not of the endpoint's shape."""
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as refusal:
        raise _explain(str(refusal)) from refusal
    except (msgspec.DecodeError, UnicodeDecodeError) as refusal:
        raise InvalidRequest.at("body", 0, msg=f"JSON decode error: {refusal}", type="json_invalid") from refusal


def accept(body: bytes, request: Request, type: JobType, *, lane: Lane, now: float) -> Job:
    """The job this request becomes."""
    text = body.decode()
    return Job(
        type=type,
        lane=lane,
        created_at=now,
        raw_config=_without_passwords(text),
        request=text,
        persist=bool(request.settings and request.settings.persist_results),
    )


def lane_of(request: Request) -> Lane:
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
