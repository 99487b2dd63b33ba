"""Groups of categories that mean nothing are refused."""

from __future__ import annotations

import pytest

CATEGORIES = [{"category": "t", "criteria": ["total"]}]


@pytest.mark.parametrize("groups", [{"j": 3}, {"j": "subtotal"}, {"j": None}, {"j": [3]}, ["t"]])
async def test_groups_of_categories_are_lists_of_labels(client, groups):
    """422, and no error that is blamed on the document."""
    body = {
        "input": await client.upload(),
        "classification_schema": CATEGORIES,
        "category_groups": groups,
    }
    status, answer = await client.call("POST", "/classify_async", json=body)
    assert status == 422
    assert answer["detail"][0]["loc"][:2] == ["body", "category_groups"]


async def test_groups_as_they_are_described_are_taken(client):
    """A list for each group, also an empty one, or null for none at all."""
    for groups in ({"g": ["t"], "h": []}, {}, None):
        body = {
            "input": await client.upload(),
            "classification_schema": CATEGORIES,
            "category_groups": groups,
        }
        status, _ = await client.call("POST", "/classify_async", json=body)
        assert status == 200
