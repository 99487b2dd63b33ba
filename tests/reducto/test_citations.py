"""Pictures of what an extract cites: found where the API has its blocks, never in what a document's
author wrote.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from batcher.reducto.citations import asks_for_citations
from batcher.reducto.results import images_of, pdfs_of, read_result

BOX = {"left": 0.1, "top": 0.1, "width": 0.2, "height": 0.1, "page": 1, "original_page": 1}
EVIL = "https://evil.example/a.png"


def block(url: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "Figure", "bbox": BOX, "content": "x", "image_url": url, **more}


def citation(url: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "Figure", "bbox": BOX, "content": "5", "parentBlock": block(url, **more)}


def leaf(value: Any, *citations: dict[str, Any]) -> dict[str, Any]:
    return {"value": value, "citations": list(citations)}


def images(value: Any, *, cited: bool = True) -> list[str]:
    return list(images_of(read_result(json.dumps(value).encode()), cited=cited))


def v3(result: Any) -> dict[str, Any]:
    return {
        "response_type": "v3_extract",
        "job_id": "j",
        "usage": {"num_pages": 1},
        "result": result,
    }


def test_blocks_that_are_cited_around_values_have_pictures() -> None:
    """Of every leaf, each address once, with the picture of its page and those of the tables merged
    into it.
    """
    more = {
        "extra": {"page_image_url": "page"},
        "merged_tables": [{"content": "", "bbox": BOX, "image_url": "part"}],
    }
    result = {
        "total": leaf(5, citation("first", **more)),
        "items": [{"name": leaf("a", citation("second"), citation("first"))}, {"name": leaf(None)}],
    }
    assert images(v3(result)) == ["first", "page", "part", "second"]
    assert images(v3([result])) == ["first", "page", "part", "second"]


def test_blocks_that_are_cited_beside_the_result_have_pictures() -> None:
    """Whatever was asked for: `citations` there is the API's own name."""
    cited = [{"total": [citation("first")], "items": [{"name": [citation("second")]}]}]
    answer = {"response_type": "extract", "usage": {}, "result": [{"total": 5}], "citations": cited}
    assert images(answer, cited=False) == ["first", "second"]
    assert images({**answer, "citations": None}) == []
    assert (
        images({**answer, "citations": {"type": "url", "url": "https://h/c", "result_id": "r"}})
        == []
    )


@pytest.mark.parametrize(
    "result",
    [
        {"note": "no citations here", "a": leaf("x", citation(EVIL))},
        {"a": leaf("x", citation(EVIL)), "b": [1]},
        {"a": leaf({"value": "x", "citations": [citation(EVIL)]})},
        {"a": leaf([citation(EVIL)])},
        {"image_url": EVIL, "parentBlock": {"image_url": EVIL}},
        {"image_url": leaf(EVIL), "pdf_url": leaf(EVIL)},
        {"value": leaf("x"), "citations": leaf([citation(EVIL)])},
        {"value": leaf("x"), "citations": [{k: leaf(v) for k, v in citation(EVIL).items()}]},
        {"a": {"value": "x", "citations": [{"image_url": EVIL, "content": "x"}]}},
        {"a": {"value": "x", "citations": EVIL}},
        EVIL,
    ],
)
def test_what_an_author_wrote_is_no_citation(result: Any) -> None:
    """Whatever it looks like, where citations were asked for."""
    assert images(v3(result)) == []


def test_without_citations_asked_for_everything_is_the_author_s() -> None:
    """A schema that leaves its names open may hold anything."""
    assert images(v3({"a": leaf("x", citation(EVIL))}), cited=False) == []


def test_a_pipeline_s_parts_are_each_looked_at_as_what_they_are() -> None:
    """Pictures and PDFs of its parses, citations beside its extracts; around values nobody asked
    for any here.
    """
    parse = {
        "response_type": "parse",
        "pdf_url": "pdf",
        "result": {"type": "full", "chunks": [{"content": "", "blocks": [block("parsed")]}]},
    }
    beside = {
        "response_type": "extract",
        "result": [{"a": EVIL}],
        "citations": [{"a": [citation("cited")]}],
    }
    sections = [
        {"split_name": "A", "page_range": [1], "result": part}
        for part in (beside, v3({"a": leaf(1, citation(EVIL))}))
    ]
    for extract in (sections, beside):
        whole = {
            "response_type": "pipeline",
            "job_id": "j",
            "result": {"parse": [parse], "extract": extract, "split": None},
        }
        assert images(whole) == ["parsed", "cited"]
        assert list(pdfs_of(read_result(json.dumps(whole).encode()))) == ["pdf"]


def test_pictures_of_merged_tables_come_after_all_others() -> None:
    """So that what was fetched earlier keeps its number."""
    tables = [{"content": "", "bbox": BOX, "image_url": url} for url in ("part", None, "one")]
    blocks = [block("one", merged_tables=tables), block("two")]
    chunks = [{"content": "", "blocks": blocks}]
    assert images({"response_type": "parse", "result": {"type": "full", "chunks": chunks}}) == [
        "one",
        "two",
        "part",
    ]


@pytest.mark.parametrize(
    ("endpoint", "options", "asks"),
    [
        ("extract", {"settings": {"citations": {"enabled": True}}}, True),
        ("extract", {"settings": {"citations": {"enabled": False}}}, False),
        ("extract", {"settings": {"citations": {}}}, False),
        ("extract", {}, False),
        ("pipeline", {"settings": {"citations": {"enabled": True}}}, False),
        ("parse", {"settings": {"citations": {"enabled": True}}}, False),
    ],
)
def test_only_an_extract_asks_for_citations(
    endpoint: str, options: dict[str, Any], asks: bool
) -> None:
    """By its own settings."""
    assert asks_for_citations(endpoint, options) is asks
