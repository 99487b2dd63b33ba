"""Write answers to disk, in the worker that made them.

Runs in worker processes. The service's own address is written as `tasks.ADDRESS`, and replaced
when the answer is served.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from batcher.service.tasks import ADDRESS, Task

# The name, among a parser's images, of the document with its words embedded.
DOCUMENT: Final = "document.pdf"
INLINE_LIMIT: Final = 6_000_000  # bytes of result JSON; a larger result is answered as a link


class Answer(Protocol):
    """What a parser returns; its own class need not inherit from this."""

    result: dict[str, Any]
    num_pages: int
    credits: float
    images: dict[str, bytes]
    document_properties: dict[str, Any] | None
    notes: list[str]
    billed: list[str]


def parse_body(task: Task, answer: Answer) -> dict[str, Any]:
    """Return the API's ParseResponse, with its pictures on disk and linked by address."""
    for name, content in answer.images.items():
        write_whole(_attachment(task, name), content)
        _point_blocks(task, answer.result, name)
    return {
        "response_type": "parse",
        "job_id": task.job_id,
        "duration": None,
        "pdf_url": address_of(task, DOCUMENT) if DOCUMENT in answer.images else None,
        "studio_link": None,
        "usage": _usage(answer),
        "result": answer.result,
        "parse_mode": "base",
        "document_properties": answer.document_properties,
    }


def store(task: Task, body: dict[str, Any], *, duration: float) -> bool:
    """Write an answer to disk; return whether it holds addresses of the service.

    It is durable on return. `duration` is in seconds.
    """
    if "duration" in body:
        body["duration"] = round(duration, 6)
    if (
        body["response_type"] == "pipeline"
    ):  # The API has no link for a pipeline's result as a whole, only for each of its parses.
        content = msgspec.json.encode(
            {**body, "result": _with_large_parses_linked(task, body["result"])}
        )
    else:
        content = msgspec.json.encode(
            {**body, "result": _linked(task, body["result"], "result.json")}
        )
    write_whole(Path(task.result), content)
    return ADDRESS in content


def address_of(task: Task, name: str) -> str:
    """Return the address of a file of this job."""
    return f"{ADDRESS.decode()}/files/{task.job_id}/{task.token}/{name}"


def _linked(task: Task, result: Any, name: str) -> Any:
    """Return the result, or a link to it if it is too large or the request asks for one."""
    inner = msgspec.json.encode(result)
    if len(inner) <= INLINE_LIMIT and not _wants_url(task.request):
        return msgspec.Raw(inner)
    write_whole(_attachment(task, name), inner)
    return {"type": "url", "url": address_of(task, name), "result_id": task.job_id}


def _with_large_parses_linked(task: Task, result: dict[str, Any]) -> dict[str, Any]:
    given = result["parse"]
    parses = given if isinstance(given, list) else [given]
    for number, parse in enumerate(parses, 1):
        parse["result"] = _linked(task, parse["result"], f"parse-{number}.json")
    return result


def _point_blocks(task: Task, result: dict[str, Any], name: str) -> None:
    """Replace the image's name, by which the parser refers to it, by its address."""
    for block in (block for chunk in result["chunks"] for block in chunk["blocks"]):
        if block.get("image_url") == name:
            block["image_url"] = address_of(task, name)
        extra = block.get("extra") or {}
        if extra.get("page_image_url") == name:
            extra["page_image_url"] = address_of(task, name)


def _usage(answer: Answer) -> dict[str, Any]:
    """Return the usage; `not_served`, a key that the API doesn't have, only if there are notes."""
    breakdown = {str(number): [feature] for number, feature in enumerate(answer.billed, 1)}
    usage = {
        "num_pages": answer.num_pages,
        "credits": answer.credits,
        "page_billing_breakdown": breakdown or None,
    }
    return {**usage, "not_served": answer.notes} if answer.notes else usage


def _wants_url(request: Mapping[str, Any]) -> bool:
    return bool(
        (request.get("settings") or {}).get("force_url_result") or request.get("force_url_result")
    )


def _attachment(task: Task, name: str) -> Path:
    folder = Path(task.attachments)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / name


def write_whole(path: Path, content: bytes) -> None:
    """Write the whole file or nothing; the job is recorded as Completed only after this returns."""
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
