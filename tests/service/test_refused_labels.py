"""Names of sections and groups of categories that would lose pages or mean nothing are refused."""

from __future__ import annotations

import pytest

SECTIONS = [{"name": "A", "description": "invoice"}, {"name": "A", "description": "lease"}]
CATEGORIES = [{"category": "t", "criteria": ["total"]}]


async def test_two_sections_of_one_name_are_refused(client):
    """422 with the place of the second, since the answer maps names to pages."""
    body = {"input": await client.upload(), "split_description": SECTIONS}
    status, answer = await client.call("POST", "/split_async", json=body)
    assert status == 422
    (detail,) = answer["detail"]
    assert detail["loc"] == ["body", "split_description", 1, "name"] and "'A'" in detail["msg"]


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
