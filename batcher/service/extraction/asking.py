"""Extraction by a model: the prompt, the check of the answer against the schema, and its citations.

Runs in worker processes; the call to the model is the service's. A value that isn't found in the
document is kept without a citation and with low confidence.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from batcher.reducto.api_types import ErrorName
from batcher.service.extraction.document_index import Evidence, Spot
from batcher.service.extraction.found import Value
from batcher.service.extraction.schema import Field
from batcher.service.extraction.values import cast, customs_of
from batcher.service.parsing.pages import DocumentProblem
from batcher.service.tasks import Question, Reply

Ask = Callable[[Question], Reply]

SAID_AND_SEEN: Final = 0.9  # score of a value that the document shows exactly once
# Score of a value that the document shows several times; which place the model meant isn't known.
SEEN_OFTEN: Final = 0.75
ROUNDS: Final = 2  # the answer and one correction of it
LONGEST_PROMPT: Final = 400_000  # characters of a document
SYSTEM: Final = (
    "You extract data from documents. Answer with one JSON object that follows the schema. Take "
    "values only from the "
    "document; where it doesn't say, answer null, or an empty array. Never guess, never calculate."
)


def ask_model(root: Field, evidence: Evidence, *, system_prompt: str, ask: Ask) -> dict[str, Any]:
    """Return a dict in the schema's shape with a `Value` at each leaf.

    `ask` sends one question to the model and returns its reply. Raises DocumentProblem
    CONTEXT_WINDOW_EXCEEDED if the document is too long, the error that the model's reply names
    (LLM_PROVIDER_ERROR, OUTPUT_LIMIT_EXCEEDED or CONTEXT_WINDOW_EXCEEDED), or
    LLM_OUTPUT_PARSE_FAILED if the second answer doesn't follow the schema either.
    """
    text = "\n\n".join(_shown(evidence))
    if len(text) > LONGEST_PROMPT:
        raise DocumentProblem(
            ErrorName.CONTEXT_WINDOW_EXCEEDED, f"The document has {len(text)} characters", 422
        )
    strict = strictly(root)
    messages = [
        {"role": "system", "content": f"{SYSTEM}\n{system_prompt}".strip()},
        {"role": "user", "content": f"<document>\n{text}\n</document>"},
    ]
    for _ in range(ROUNDS):
        said = _said(ask(Question(messages=messages, schema=strict)))
        answer, problem = _checked(said, strict)
        if not problem:
            tree: dict[str, Any] = _Seeker(evidence).tree(root, answer)
            return tree
        complaint = (
            f"That doesn't follow the schema: {problem}. Answer again with the whole "
            "corrected JSON object only."
        )
        messages = [
            *messages,
            {"role": "assistant", "content": said},
            {"role": "user", "content": complaint},
        ]
    raise DocumentProblem(
        ErrorName.LLM_OUTPUT_PARSE_FAILED,
        f"The model's answer doesn't fit the schema: {problem}",
        502,
    )


def _shown(evidence: Evidence) -> Iterator[str]:
    """Yield the document's blocks, with a line before each page."""
    for page, blocks in itertools.groupby(evidence.blocks, key=lambda block: block["bbox"]["page"]):
        yield f"[page {page}]"
        yield from (block["content"] for block in blocks if block["content"])


def strictly(field: Field) -> dict[str, Any]:
    """Return the schema in the strict form that model servers require.

    Every property is required, no other is allowed, and every leaf may be null.
    """
    about = {"description": field.description} if field.description else {}
    if field.branches and not field.enum and not field.family:
        return {**about, "anyOf": [strictly(branch) for branch in field.branches]}
    if field.kind == "object":
        properties = {child.name: strictly(child) for child in field.children}
        return {
            **about,
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    if field.kind == "array":
        assert field.item is not None
        return {**about, "type": "array", "items": strictly(field.item)}
    if field.enum:
        return {**about, "enum": list(dict.fromkeys([*field.enum, None]))}
    kinds = ["string", "number", "boolean"] if field.kind == "any" else [field.kind]
    return {**about, "type": list(dict.fromkeys([*kinds, "null"]))}


def _said(reply: Reply) -> str:
    if reply.name:
        raise DocumentProblem(ErrorName(reply.name), reply.message, 502)
    return reply.text


def _checked(said: str, schema: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the parsed answer, and the problem with it or ""."""
    import jsonschema

    fenced = re.fullmatch(r"\s*```(?:json)?\s*(.*?)\s*```\s*", said, re.DOTALL)
    try:
        answer = msgspec.json.decode(fenced[1] if fenced else said)
    except msgspec.DecodeError as problem:
        return None, f"it is no JSON ({problem})"
    error = next(iter(jsonschema.Draft202012Validator(schema).iter_errors(answer)), None)
    return answer, f"{error.json_path}: {error.message}" if error else ""


# --- where the answer stands in the document ------------------------------------------------------


class _Seeker:
    """Looks for the answer's values in the document.

    Plain strings are compared as text, numbers and dates by value, however they are written.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._places = list(_places(evidence))
        self._customs = customs_of(text for _, text in self._places)

    def tree(self, field: Field, answer: Any) -> Any:
        """Return the answer in the schema's shape, with a `Value` at each leaf."""
        match field.kind:
            case "object":
                return {
                    child.name: self.tree(child, (answer or {}).get(child.name))
                    for child in field.children
                }
            case "array":
                assert field.item is not None
                return [self.tree(field.item, one) for one in answer or []]
        return self._value(field, answer)

    def _value(self, field: Field, answer: Any) -> Value:
        if answer is None:
            return Value()
        spots = [(spot, text) for spot, text in self._places if self._says(text, field, answer)]
        whole = [(spot, text) for spot, text in spots if len(text) <= 2 * len(str(answer))]
        spots = whole or spots
        score = SAID_AND_SEEN if len(spots) == 1 else SEEN_OFTEN if spots else 0.0
        return Value(answer, score, tuple(spots[:1]))

    def _says(self, text: str, field: Field, answer: Any) -> bool:
        if field.branches:
            return any(self._says(text, branch, answer) for branch in field.branches)
        if isinstance(answer, str) and not field.format:
            return _plain(answer) in _plain(text)
        if isinstance(answer, bool):
            return False
        parts = [text, *re.split(r"[:：]\s+|\s{2,}", text), *re.findall(r"\S+", text)]
        return any(cast(part, field, self._customs) == answer for part in parts)


def _places(evidence: Evidence) -> Iterator[tuple[Spot, str]]:
    yield from ((line.spot, line.text) for line in evidence.lines)
    for grid in evidence.grids:
        yield from (
            (evidence.spot_of(cell, grid.spot), cell)
            for row in grid.rows
            for cell in row
            if cell.strip()
        )


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
