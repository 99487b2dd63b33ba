"""Build answers from other answers: an earlier job's result, or several documents as one.

Runs in worker processes, on answers in memory; no document is parsed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from batcher.service.rendering import Answer
from batcher.service.unserved import is_of_an_option


@dataclass(slots=True)
class Assembled:
    """An `Answer` that was built here and not by a parser."""

    result: dict[str, Any]
    num_pages: int
    credits: float = 0.0  # an earlier result was paid for when it was made
    images: dict[str, bytes] = field(default_factory=dict)
    document_properties: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    billed: list[str] = field(default_factory=list)


def reread(path: Path) -> Assembled:
    """Return the stored result of a parse job; its images stay where they are.

    Of its notes those remain that say what could not be read.
    """
    body = msgspec.json.decode(path.read_bytes())
    result = body["result"]
    if result["type"] == "url":
        result = msgspec.json.decode((path.with_suffix("") / "result.json").read_bytes())
    properties = body.get("document_properties")
    notes = [note for note in body["usage"].get("not_served", ()) if not is_of_an_option(note)]
    pages = body["usage"]["num_pages"]
    return Assembled(result, pages, document_properties=properties, notes=notes)


def join(answers: Sequence[Answer]) -> Answer:
    """Return several documents as one answer.

    Pages are numbered across all documents; `original_page` stays the number in its own document.
    """
    if len(answers) == 1:
        return answers[0]
    whole = Assembled({"type": "full", "chunks": [], "ocr": None, "custom": None}, 0)
    for number, answer in enumerate(answers, 1):
        _append(whole, answer, number)
    return whole


def copied(answer: Answer) -> Assembled:
    """Return a copy that can be joined to others without changing `answer`."""
    return Assembled(
        msgspec.json.decode(msgspec.json.encode(answer.result)), answer.num_pages, answer.credits
    )


def free(answer: Answer) -> Answer:
    """Return the answer without credits, for a step whose pages are paid for already."""
    return Assembled(answer.result, answer.num_pages)


def paid(answer: Answer) -> Answer:
    """Return the answer without a price, for a document whose reading an earlier job paid for."""
    properties = answer.document_properties
    return Assembled(answer.result, answer.num_pages, 0.0, answer.images, properties, answer.notes)


def noted(answer: Answer, notes: list[str]) -> Answer:
    """Return the answer with these notes."""
    properties = answer.document_properties
    return Assembled(
        answer.result,
        answer.num_pages,
        answer.credits,
        answer.images,
        properties,
        notes,
        answer.billed,
    )


def without_places(answer: Answer, options: Mapping[str, Any]) -> Answer:
    """Return the answer without OCR data that only the service needed."""
    if (options.get("settings") or {}).get("return_ocr_data"):
        return answer
    bare = noted(answer, own_notes(answer, options))
    bare.result = {**answer.result, "ocr": None}
    return bare


def own_notes(answer: Answer, options: Mapping[str, Any]) -> list[str]:
    """Return the answer's notes, without those on OCR data that the client didn't ask for."""
    asked = (options.get("settings") or {}).get("return_ocr_data")
    return [
        note for note in answer.notes if asked or not note.startswith("settings.return_ocr_data")
    ]


def _append(whole: Assembled, answer: Answer, number: int) -> None:
    for block in _blocks(answer.result):
        block["bbox"] = {**block["bbox"], "page": block["bbox"]["page"] + whole.num_pages}
        _rename(block, "image_url", answer, number)
        _rename(block.get("extra") or {}, "page_image_url", answer, number)
    whole.result["chunks"] += answer.result["chunks"]
    whole.result["ocr"] = _join_ocr(whole.result["ocr"], answer.result.get("ocr"))
    whole.images |= {f"{number}-{name}": content for name, content in answer.images.items()}
    whole.num_pages += answer.num_pages
    whole.credits += answer.credits
    whole.notes = list(dict.fromkeys([*whole.notes, *answer.notes]))
    whole.billed = [*whole.billed, *answer.billed]


def _rename(holder: dict[str, Any], key: str, answer: Answer, number: int) -> None:
    """Put the document's number before an image's name, which another document may have too."""
    if holder.get(key) in answer.images:
        holder[key] = f"{number}-{holder[key]}"


def _join_ocr(first: dict[str, Any] | None, second: dict[str, Any] | None) -> dict[str, Any] | None:
    if first is None or second is None:
        return first or second
    return {part: [*first[part], *second[part]] for part in ("words", "lines")}


def _blocks(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (block for chunk in result["chunks"] for block in chunk["blocks"])
