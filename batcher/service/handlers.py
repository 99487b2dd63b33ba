"""What a worker does for each type of job: from its documents to the API's answer.

Runs in worker processes. The work itself is in parsing, extraction, classification and pipelines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batcher.reducto.api_types import JobType
from batcher.service.assembly import copied, free, join, without_places
from batcher.service.pipelines import Recipe, recipe_of
from batcher.service.rendering import Answer, parse_body
from batcher.service.task_context import Desk
from batcher.service.unserved import unserved

if TYPE_CHECKING:
    from batcher.service.extraction.document_index import Evidence

# per page, in addition to the parse, by the rate card that was valid before 2026-09-01
EXTRACT_CREDITS: Final = 2.0
SPLIT_CREDITS: Final = 2.0
CLASSIFY_CREDITS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Work:
    """An answer to store. `pages` is the number of pages for the job list."""

    body: dict[str, Any]
    pages: int


def perform(desk: Desk) -> Work:
    """Do the task and return its answer.

    Raises the parser's DocumentProblem if the document or the request can't be served.
    """
    return DUTIES[JobType(desk.task.type)](desk)


def _parse(desk: Desk) -> Work:
    answer = desk.whole(desk.task.request)
    return Work(parse_body(desk.task, answer), answer.num_pages)


def _extract(desk: Desk) -> Work:
    from batcher.service.extraction.schema import read_schema

    # Check the schema before reading, so that a bad one costs no parse.
    read_schema(_schema(desk.task.request))
    answer = desk.with_places(desk.task.request)
    return Work(extract_body(desk, desk.task.request, answer), answer.num_pages)


def _split(desk: Desk) -> Work:
    answer = desk.with_places(desk.task.request)
    return Work(split_body(desk, desk.task.request, answer), answer.num_pages)


def _classify(desk: Desk) -> Work:
    from batcher.service.classification.classifying import classify

    answer = desk.beginnings(desk.task.request)
    categories = len(desk.task.request.get("classification_schema") or [])
    usage = {
        "num_pages": answer.num_pages,
        "num_categories": categories,
        "credits": CLASSIFY_CREDITS * answer.num_pages,
    }
    body = {
        "response_type": "classify",
        "job_id": desk.task.job_id,
        "duration": None,
        "usage": {
            **usage,
            **_not_served([*unserved(desk.task.request, JobType.CLASSIFY), *answer.notes]),
        },
        **classify(answer.result, desk.task.request),
    }
    return Work(body, answer.num_pages)


def _pipeline(desk: Desk) -> Work:
    """Do the API's three steps over one reading of the documents; its pages are paid for once."""
    recipe = recipe_of(desk.task.request, desk.task.tools.pipelines)
    answers = list(desk.each_with_places(recipe.parse))
    whole = free(join([copied(answer) for answer, _ in answers]))
    parses = [
        {
            **parse_body(desk.task, without_places(answer, recipe.parse)),
            "duration": round(seconds, 6),
        }
        for answer, seconds in answers
    ]
    split = split_body(desk, recipe.split, whole) if recipe.split is not None else None
    extract = _pipeline_extract(desk, recipe, whole, split)
    extracted = [part["result"] for part in extract] if isinstance(extract, list) else [extract]
    steps = [step for step in (*parses, split, *extracted) if step is not None]
    body = {
        "response_type": "pipeline",
        "job_id": desk.task.job_id,
        "usage": {
            "num_pages": whole.num_pages,
            "credits": sum(step["usage"]["credits"] for step in steps),
            **_not_served(_notes_of(steps)),
        },
        "result": {
            "parse": parses if len(parses) > 1 else parses[0],
            "extract": extract,
            "split": split,
            "edit": None,
        },
    }
    return Work(body, whole.num_pages)


def _notes_of(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return each note of the steps once."""
    notes = [note for step in steps for note in step["usage"].get("not_served", ())]
    return list(dict.fromkeys(notes))


def _pipeline_extract(
    desk: Desk, recipe: Recipe, whole: Answer, split: Mapping[str, Any] | None
) -> Any:
    """Return the document's extract, or one for each partition of each split that has one."""
    if not recipe.extracts:
        return None
    if split is None:
        return extract_body(desk, recipe.extracts[""], whole)
    return [
        {
            "split_name": section["name"],
            "page_range": part["pages"],
            "partition": part.get("name"),
            "result": extract_body(
                desk, recipe.extracts[section["name"]], whole, frozenset(part["pages"])
            ),
        }
        for section in split["result"]["splits"]
        if section["name"] in recipe.extracts and section["pages"]
        for part in section["partitions"] or [{"pages": section["pages"]}]
    ]


DUTIES: Final[Mapping[JobType, Callable[[Desk], Work]]] = {
    JobType.PARSE: _parse,
    JobType.EXTRACT: _extract,
    JobType.SPLIT: _split,
    JobType.CLASSIFY: _classify,
    JobType.PIPELINE: _pipeline,
}


# --- the answers ----------------------------------------------------------------------------------


def extract_body(
    desk: Desk, request: Mapping[str, Any], answer: Answer, pages: frozenset[int] | None = None
) -> dict[str, Any]:
    """Return the body of an extract's answer, over all pages or only over `pages`.

    It has the API's V3 shape, the only one that its description gives to /extract: without
    citations a list of one object, with them an object with {value, citations} at each leaf.
    """
    from batcher.service.extraction.citing import cited, count_leaves, plain
    from batcher.service.extraction.document_index import gather
    from batcher.service.extraction.schema import unheeded

    found = _found(desk, request, gather(answer.result, pages))
    settings = (request.get("settings") or {}).get("citations") or {}
    num_pages = answer.num_pages if pages is None else len(pages)
    usage = {
        "num_pages": num_pages,
        "num_fields": count_leaves(found),
        "credits": answer.credits + EXTRACT_CREDITS * num_pages,
        **_not_served(
            [
                *unserved(request, JobType.EXTRACT, model=desk.task.tools.model),
                *unheeded(_schema(request)),
                *answer.notes,
            ]
        ),
    }
    return {
        "response_type": "v3_extract",
        "job_id": desk.task.job_id,
        "duration": None,
        "studio_link": None,
        "usage": usage,
        "result": cited(found, settings) if settings.get("enabled") else [plain(found)],
    }


def _found(desk: Desk, request: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    """Extract by the model if there is one, otherwise by rules; the schema has the last word."""
    from batcher.service.extraction.asking import ask_model
    from batcher.service.extraction.filling import fill
    from batcher.service.extraction.fitting import fitted
    from batcher.service.extraction.schema import read_schema

    schema = read_schema(_schema(request))
    if not desk.task.tools.model:
        return fitted(fill(schema, evidence), schema, evidence)
    prompt = (request.get("instructions") or {}).get("system_prompt") or ""
    said = ask_model(schema, evidence, system_prompt=prompt, ask=desk.ask)
    return fitted(said, schema, evidence)


def split_body(desk: Desk, request: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    """Return the body of a split's answer."""
    from batcher.service.classification.splitting import split

    usage = {
        "num_pages": answer.num_pages,
        "credits": answer.credits + SPLIT_CREDITS * answer.num_pages,
        **_not_served([*unserved(request, JobType.SPLIT), *answer.notes]),
    }
    frame = {"response_type": "split", "job_id": desk.task.job_id, "duration": None, "usage": usage}
    return {**frame, "result": split(answer.result, request)}


def _schema(request: Mapping[str, Any]) -> Any:
    return (request.get("instructions") or {}).get("schema") or {}


def _not_served(notes: list[str]) -> dict[str, list[str]]:
    return {"not_served": notes} if notes else {}
