"""What listings and manifests hold, as JSON can carry it."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.common.json_values import DEEPEST, as_json

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.timedeltas()
    | st.decimals()
    | st.uuids(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(ANYTHING)
def test_whatever_is_carried_is_json_to_everybody(value: Any) -> None:
    """Strictly, in UTF-8, and the same when it is read back; all else is refused by its name."""
    try:
        carried = as_json(value, "column")
    except ValueError as error:
        assert str(error).startswith("column")
        return
    text = json.dumps(carried, ensure_ascii=False, allow_nan=False).encode()
    assert json.loads(text) == carried


@pytest.mark.parametrize(
    ("value", "carried"),
    [
        (datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (Decimal("12.50"), "12.50"),
        (Decimal("1E+3"), "1000"),
        (b"x", "x"),
        (nan, None),
        ({"scores": [1.5, nan]}, {"scores": [1.5, None]}),
        (2**70, 2**70),
    ],
)
def test_what_json_has_no_kind_for_goes_as_text(value: Any, carried: Any) -> None:
    """With nothing lost of it; what is missing is null."""
    assert as_json(value, "column") == carried


@pytest.mark.parametrize(
    "value", [inf, -inf, b"\xff", "\ud83d", {"\ud83d": 1}, {1: 2}, object(), {"a": [inf]}]
)
def test_what_has_no_form_is_refused_by_its_name(value: Any) -> None:
    """The column is named, and where in it."""
    with pytest.raises(ValueError, match=r"^column"):
        as_json(value, "column")


def test_nesting_has_an_end() -> None:
    """Long before recursion has."""
    value: Any = 1
    for _ in range(DEEPEST):
        value = [value]
    assert as_json(value, "column") == value
    with pytest.raises(ValueError, match="deep"):
        as_json([value], "column")
