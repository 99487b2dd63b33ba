"""How object stores say of an object which version of it they mean."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from batcher.sources.object_store import _content


def meta(tag: str | None) -> dict[str, Any]:
    return {"e_tag": tag, "size": 3, "last_modified": datetime(2026, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize("elsewhere", ["0x8DCA", 'W/"0x8DCA"'])
def test_a_tag_is_the_same_in_a_listing_and_in_an_answer(elsewhere: str) -> None:
    """Azure writes it with quotes here and without them there; it was taken for a change."""
    assert _content("a.txt", meta(elsewhere)) == _content("a.txt", meta('"0x8DCA"'))
    assert _content("a.txt", meta(elsewhere)) != _content("a.txt", meta('"0x8DCB"'))


def test_an_object_without_a_tag_goes_by_its_time() -> None:
    """And by its size, as all do."""
    assert (
        _content("a.txt", meta(None))
        == _content("a.txt", meta(None))
        != _content("a.txt", meta("x"))
    )
