"""Shapes of extracted values, and the cells of tables in each form that the service writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.outputs.shapes import fit, settled, shape_of_schema, widened
from batcher.outputs.tables import cells_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_a_shape_found_in_values_holds_them_all(values: list[Any]) -> None:
    """None of them is left over, whatever they are."""
    shape = widened("unknown", values[0])
    for value in values[1:]:
        shape = widened(shape, value)
    assert json.loads(json.dumps(settled(shape))) == settled(shape)
    for value in values:
        misfits: dict[str, Any] = {}
        fit(value, settled(shape), misfits)
        assert misfits == {} or any(_is_large(inner) for inner in misfits.values())


def _is_large(value: Any) -> bool:
    """An integer that is lost in a column of floats."""
    return isinstance(value, int) and abs(value) > 1 << 53


@pytest.mark.parametrize(
    ("schema", "shape"),
    [
        ({"type": "array", "items": {"type": "integer"}}, ["integer"]),
        ({"type": "object"}, "json"),
        ({"type": ["string", "integer"]}, "json"),
        ({"enum": [1, 2, None]}, "integer"),
        ({"const": True}, "boolean"),
        ({"$ref": "#"}, "json"),
        ({"$ref": "#/a", "a": {"properties": {"x": {"$ref": "#/a"}}}}, None),  # endless
        (True, "json"),
    ],
)
def test_a_schema_says_the_shape_or_that_it_is_open(schema: Any, shape: Any) -> None:
    """Whatever a schema says, there is an end."""
    found = shape_of_schema(schema)
    assert shape is None or found == shape


ROWS = [["Part", "Store"], ["wick | x", "7"]]


@pytest.mark.parametrize(
    "content",
    [
        "<table><tr><th>Part<th>Store<tr><td>wick |  x</td><td>7</table>",
        "| Part | Store |\n|:--|--:|\n| wick \\| x | 7 |",
        '[["Part", "Store"], [{"text": "wick | x", "bbox": {}}, 7]]',
        '[{"Part": "wick | x", "Store": 7}]',
        "Part,Store\nwick | x,7",
    ],
)
def test_a_table_is_read_in_each_form(content: str) -> None:
    assert cells_of(content) == ROWS


@pytest.mark.parametrize(
    "content", ["", "no table", "[1, 2]", "{", "<td rowspan=99999999 colspan=1000>x" * 300]
)
def test_what_is_no_table_has_few_cells_or_none(content: str) -> None:
    assert sum(map(len, cells_of(content))) < 400_000
