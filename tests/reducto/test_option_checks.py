"""Options held against the API's description: every path it has, and none that it hasn't."""

import json
from pathlib import Path
from typing import Any

import pytest

from batcher.reducto.option_checks import partial_problems, problems
from batcher.reducto.option_shapes import SHAPES

DESCRIPTION = json.loads(
    (Path(__file__).parents[1] / "service" / "openapi-v1.12.20.json").read_text()
)
OWN = {"input", "async"}


def told(endpoint: str, options: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in problems(endpoint, options, key="job.options")]


def test_a_misspelt_key_is_found_with_its_path_and_the_nearest_name() -> None:
    """On its level, or wherever else in the body the name stands."""
    assert told("parse", {"settings": {"page_rang": {"start": 1}}}) == [
        "job.options.settings.page_rang: unknown key (did you mean page_range?)"
    ]
    (said,) = told("parse", {"settings": {"chunk_mode": "page"}})
    assert "did you mean job.options.retrieval.chunking.chunk_mode?" in said
    (said,) = told("extract", {"retrieval": {}})
    assert "did you mean job.options.parsing.retrieval?" in said


@pytest.mark.parametrize(
    ("endpoint", "options", "words"),
    [
        (
            "parse",
            {"settings": {"timeout": "5m"}},
            "job.options.settings.timeout: a number is wanted",
        ),
        (
            "parse",
            {"settings": {"page_range": {"start": "one"}}},
            "job.options.settings.page_range.start",
        ),
        (
            "parse",
            {"settings": {"return_images": ["figures"]}},
            'return_images[0]: "figures" is not known (did you mean figure?)',
        ),
        ("parse", {"enhance": {"agentic": [{"scope": "tables"}]}}, "agentic[0].scope"),
        ("parse", {"enhance": {"agentic": [{"prompt": "x"}]}}, "agentic[0].scope: missing"),
        ("parse", {"retrieval": []}, "job.options.retrieval: a table is wanted"),
        ("parse", {"formatting": {"merge_tables": 1}}, "merge_tables: true or false is wanted"),
        ("split", {}, "job.options.split_description: missing"),
        ("pipeline", {}, "job.options.pipeline_id: missing"),
        (
            "classify",
            {"classification_schema": [{"category": "a"}]},
            "classification_schema[0].criteria: missing",
        ),
    ],
)
def test_a_value_that_cannot_be_is_told(endpoint: str, options: dict[str, Any], words: str) -> None:
    """One problem, at its place."""
    (said,) = told(endpoint, options)
    assert words in said


@pytest.mark.parametrize(
    "page_range",
    [None, {"start": 1, "end": 3}, [{"start": 2}], [1, 5], ["Sheet 1"]],
    ids=lambda value: str(value),
)
def test_every_form_of_a_page_range_is_taken(page_range: Any) -> None:
    """Five of them, by the description."""
    assert told("parse", {"settings": {"page_range": page_range}}) == []


def test_options_that_are_laid_over_others_need_not_be_whole() -> None:
    """A row of a listing changes one thing."""
    assert list(partial_problems("split", {"settings": {"deep_split": True}}, key="options")) == []


@pytest.mark.parametrize(
    ("options", "unknown"),
    [
        ({"settings": {"beta": {"x": 1}}}, True),
        ({"brand_new": []}, True),
        ({"retrieval": {"chunking": {"chunk_mode": "paragraph"}}}, True),
        ({"enhance": {"agentic": [{"scope": "formula", "prompt": "x"}]}}, True),
        ({"enhance": {"agentic": [{"scope": "table", "depth": 3}]}}, True),
        ({"settings": {"page_range": {"start": 1, "step": 2}}}, True),
        ({"settings": {"timeout": "5m"}}, False),
        ({"settings": {"page_range": "all"}}, False),
        ({"enhance": {"agentic": [{"prompt": "x"}]}}, False),
        ({"enhance": {"agentic": [{"scope": "text", "prompt": 5}]}}, False),
    ],
    ids=str,
)
def test_what_may_be_newer_is_told_from_what_is_wrong(
    options: dict[str, Any], unknown: bool
) -> None:
    """A key or a value that the description hasn't, as against one that it has and that can't be
    so.
    """
    found = list(problems("parse", options, key="job.options"))
    assert found
    assert all(problem.unknown for problem in found) is unknown


def test_alpha_is_known() -> None:
    """The service takes it, though its description doesn't say so."""
    assert told("parse", {"settings": {"alpha": {"anything": 1}}}) == []
    assert told("extract", {"parsing": {"settings": {"alpha": True}}}) == []


def test_the_table_has_the_keys_of_the_description_and_no_others() -> None:
    """Walked side by side, endpoint by endpoint."""
    for endpoint, body in SHAPES.items():
        path = (
            DESCRIPTION["paths"].get(f"/{endpoint}_async") or DESCRIPTION["paths"][f"/{endpoint}"]
        )
        described = path["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert ours(body, endpoint) == theirs(described, endpoint)


def ours(shape: Any, path: str) -> set[str]:
    found = set[str]()
    for part in shape if isinstance(shape, list) else [shape]:
        if part == "null" and not path.endswith(".settings.model"):
            found.add(f"{path}=null")
        if isinstance(part, dict):
            found |= {f"{path}={value}" for value in part.get("among", ())}
            found |= {f"{path}.{name}!" for name in part.get("needs", ())}
            found |= ours(part["each"], f"{path}[]") if "each" in part else set()
            for name, inner in part.get("keys", {}).items():
                if name == "alpha":  # the service takes it all the same
                    continue
                found |= {f"{path}.{name}"} | ours(inner, f"{path}.{name}")
    return found


def theirs(schema: dict[str, Any], path: str) -> set[str]:
    if path.endswith(".settings.model"):  # the documentation knows more of them
        return set()
    if "$ref" in schema:
        return theirs(DESCRIPTION["components"]["schemas"][schema["$ref"].rpartition("/")[2]], path)
    found = {f"{path}={value}" for value in schema.get("enum", ())}
    found |= {f"{path}={schema['const']}"} if "const" in schema else set()
    found |= {f"{path}=null"} if schema.get("type") == "null" else set()
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found |= theirs(part, path)
    if "items" in schema:
        found |= theirs(schema["items"], f"{path}[]")
    for name, inner in schema.get("properties", {}).items():
        if not (name in OWN and "." not in path):
            found |= {f"{path}.{name}"} | theirs(inner, f"{path}.{name}")
    needs = (name for name in schema.get("required", ()) if not (name in OWN and "." not in path))
    return found | {f"{path}.{name}!" for name in needs if "properties" in schema}
