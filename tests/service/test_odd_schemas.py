"""Whatever a schema says and a document holds: an answer in the schema's shape, or a word on what
is wrong with it.
"""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from test_extraction import block, grid

from batcher.reducto.api_types import ErrorName
from batcher.service.classification.classifying import classify
from batcher.service.classification.splitting import split
from batcher.service.extraction.citing import cited, count_leaves, plain
from batcher.service.extraction.document_index import gather
from batcher.service.extraction.filling import fill
from batcher.service.extraction.schema import Field, read_schema
from batcher.service.parsing.pages import DocumentProblem

NAMES = st.sampled_from(
    ["total", "date", "invoice_number", "customer", "name", "type", "", "Ünï çødé", "x" * 60]
)
SCALARS = st.one_of(
    st.sampled_from(
        [{"type": kind} for kind in ("string", "number", "integer", "boolean", "null")]
    ),
    st.sampled_from(
        [{}, {"enum": ["a", None, 3, True]}, {"const": 1}, {"type": ["number", "null"]}]
    ),
    st.sampled_from(
        [
            {"type": "string", "format": one}
            for one in ("date", "date-time", "time", "email", "uri", "x")
        ]
    ),
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, max_size=4).map(
            lambda p: {"type": "object", "properties": p}
        ),
        inner.map(lambda item: {"type": "array", "items": item}),
        inner.map(
            lambda one: {"anyOf": [one, {"type": "null"}], "description": "not this but that"}
        ),
    ),
    max_leaves=8,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["type", "properties", "items", "$ref", "anyOf", "enum", "required", "format", "title", "a"]
    ), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "Total",
        "Date:",
        "12.50",
        "Invoice",
        "number:",
        "1.2.2026",
        "EUR",
        "|",
        ":",
        "",
        "\t",
        "€",
        "\n",
    ]
)
TEXTS = st.lists(WORDS, max_size=12).map(" ".join)
GRIDS = st.lists(st.lists(TEXTS, min_size=1, max_size=3), min_size=1, max_size=3).map(
    lambda rows: grid(*rows)
)
BLOCKS = st.lists(TEXTS.map(block) | GRIDS, max_size=5)


def fits(value: Any, field: Field) -> bool:
    if field.kind == "object":
        return all(fits(value[child.name], child) for child in field.children)
    if field.kind == "array":
        return isinstance(value, list) and all(fits(one, field.item) for one in value)
    kinds = {"string": str, "number": (int, float), "integer": int, "boolean": bool}
    return value is None or bool(field.enum) or isinstance(value, kinds.get(field.kind, object))


@given(st.dictionaries(NAMES, SCHEMAS, min_size=1, max_size=5), BLOCKS)
@settings(deadline=None, max_examples=150)
def test_an_answer_has_the_schema_s_shape(properties, blocks):
    """Types included, with citations and without."""
    schema = read_schema({"type": "object", "properties": properties})
    found = fill(schema, gather({"chunks": [{"blocks": blocks}]}))
    assert fits(plain(found), schema)
    assert count_leaves(found) >= 0 and isinstance(
        cited(found, {"parent_block": "bbox_only"}), dict
    )


@given(JSON)
@settings(deadline=None, max_examples=300)
def test_any_json_is_a_schema_or_refused(schema):
    """With INVALID_SCHEMA and nothing else."""
    try:
        assert read_schema(schema).children
    except DocumentProblem as problem:
        assert problem.name == ErrorName.INVALID_SCHEMA and problem.message.startswith(
            "instructions.schema"
        )


@given(BLOCKS, st.lists(TEXTS, max_size=3))
@settings(deadline=None, max_examples=100)
def test_any_document_is_split_and_classified(blocks, texts):
    """Into sections in order, and into one of the categories or none."""
    result = {"chunks": [{"blocks": blocks}]}
    wanted = [
        {"name": f"{number}", "description": text, "partition_key": text}
        for number, text in enumerate(texts)
    ]
    parts = split(result, {"split_description": wanted})
    assert list(parts["section_mapping"]) == [one["name"] for one in wanted]
    categories = [{"category": text, "criteria": [text]} for text in dict.fromkeys(texts)]
    answer = classify(result, {"classification_schema": categories})
    assert answer["result"]["category"] in (*texts, "unknown")


def test_a_document_of_one_endless_line_takes_no_endless_time():
    """Patterns are not tried on what is no label and no value."""
    began = time.process_time()
    for text in (
        " " * 200_000,
        "no. " * 50_000,
        "a:" * 100_000,
        "1," * 100_000,
        "." * 100_000 + "1",
        "Total " * 40_000,
    ):
        fill(read_schema({"type": "object", "properties": {"total": {"type": "number"}}}), gather(
            {"chunks": [{"blocks": [block(f"x{text}y")]}]}
        ))  # fmt: skip
    assert time.process_time() - began < 10
