"""The reference of options is complete, and its defaults are the description's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batcher.reducto.option_meanings import MEANINGS, default_of, options_of
from batcher.reducto.option_shapes import SHAPES

DESCRIPTION = json.loads(
    (Path(__file__).parents[1] / "service" / "openapi-v1.12.20.json").read_text("utf-8")
)
BODIES = {
    "parse": "AsyncParseConfig",
    "extract": "AsyncExtractConfig",
    "split": "config__v3__AsyncSplitConfig",
    "pipeline": "V3AsyncPipelineConfig",
    "classify": "ClassifyConfig",
}


def test_every_option_is_explained_and_nothing_else_is() -> None:
    told = set[str]()
    for endpoint in SHAPES:
        for option in options_of(endpoint):
            assert option.about.endswith("."), option
            own = f"{endpoint}:{option.path}"
            told.add(own if own in MEANINGS else option.path.removeprefix("parsing."))
    assert told == set(MEANINGS)


@pytest.mark.parametrize("endpoint", SHAPES)
def test_defaults_are_those_of_the_description(endpoint: str) -> None:
    """What it says of the value itself; null where it names none, which then means the same."""
    described = dict(defaults({"$ref": f"#/components/schemas/{BODIES[endpoint]}"}, ""))
    compared = 0
    for option in options_of(endpoint):
        theirs = described.get(option.path)
        if isinstance(theirs, dict) and theirs:
            continue  # a table's default says again what its keys say
        if option.path in described:
            assert default_of(option) == theirs, option
            compared += 1
        elif option.default:
            assert option.default == "null", option
    assert compared or endpoint == "pipeline"


def defaults(schema: Any, path: str) -> list[tuple[str, Any]]:
    """Return (path, default) for each key that has one, below and within lists and alternatives."""
    found: list[tuple[str, Any]] = []
    while "$ref" in schema:
        schema = DESCRIPTION["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    for name, inner in schema.get("properties", {}).items():
        place = f"{path}.{name}" if path else name
        if "default" in inner:
            found.append((place, inner["default"]))
        found += defaults(inner, place)
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        found += defaults(one, path)
    if "items" in schema:
        found += defaults(schema["items"], f"{path}[]")
    return found
