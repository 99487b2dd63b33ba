"""What a result shows of its document: blocks and citations in their places, of any shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batcher.reducto.result_content import (
    BLOCKS_AT_MOST,
    FIELDS_AT_MOST,
    TEXT_AT_MOST,
    Content,
    content_of,
)
from batcher.reducto.result_places import Box, Confidence


def box(page: int = 1, **more: Any) -> dict[str, Any]:
    return {"left": 0.1, "top": 0.2, "width": 0.5, "height": 0.25, "page": page, **more}


def block(text: Any = "words", page: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "Text", "bbox": box(page), "content": text, **more}


def parsed(*blocks: Any) -> dict[str, Any]:
    chunks = [{"content": "", "embed": "", "blocks": list(blocks)}]
    return {"response_type": "parse", "job_id": "j", "result": {"type": "full", "chunks": chunks}}


def citation(text: str = "5", page: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "Text", "bbox": box(page), "content": text, **more}


def content(value: Any, page: int | None = None) -> Content:
    return content_of(json.dumps(value).encode(), page)


def paths(found: Content) -> dict[str, str | None]:
    return {"/".join(one.path): one.value for one in found.fields}


def test_blocks_of_a_page_have_type_place_and_confidence() -> None:
    """As the hosted API gives them, numbers of confidence included."""
    scored = {"extract_confidence": None, "parse_confidence": 0.25}
    found = content(
        parsed(
            block("a", type="Title", confidence="high"),
            block("b", granular_confidence=scored),
            block("other page", page=2),
        )
    )
    assert [(b.type, b.text, b.page) for b in found.blocks] == [("Title", "a", 1), ("Text", "b", 1)]
    assert found.blocks[0].box == Box(0.1, 0.2, 0.5, 0.25)
    assert found.blocks[0].confidence == Confidence("high")
    assert found.blocks[1].confidence == Confidence(None, 0.25)
    assert found.page_numbers == [1, 2]
    assert (found.all_blocks, found.low_blocks) == (3, 1)


def test_a_page_is_that_of_the_document_itself() -> None:
    """Not that of the pages which were asked for."""
    there = {**block(), "bbox": box(1, original_page=7)}
    assert content(parsed(there)).page == 7


def test_the_first_page_is_shown_wherever_its_blocks_stand() -> None:
    """Blocks without a page belong to it; another page has its own alone."""
    answer = parsed(block("3", 3), {"type": "Text", "content": "none"}, block("2", 2))
    assert [b.text for b in content(answer).blocks] == ["none", "2"]
    assert [b.text for b in content(answer, 3).blocks] == ["3"]
    assert content(answer, 9).blocks == []


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        {"left": 1, "top": 4, "width": 3, "height": 2, "page": 1},  # cells of a spreadsheet
        {**box(), "left": "0.1"},
        {**box(), "width": 0},
        {**box(), "top": float("1e400")},
        {**box(), "height": True},
    ],
)
def test_a_box_that_is_no_place_on_a_page_is_none(odd: Any) -> None:
    """Its text is shown all the same."""
    found = content_of(json.dumps(parsed({**block(), "bbox": odd})).encode())
    assert [(b.text, b.box) for b in found.blocks] == [("words", None)]


def test_a_box_that_sticks_out_a_little_is_cut_at_the_edge() -> None:
    """As boxes that were rounded do."""
    found = content(parsed({**block(), "bbox": {**box(), "left": -0.01, "width": 1.02}}))
    assert found.blocks[0].box == Box(0.0, 0.2, 1.0, 0.25)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"response_type": "parse", "result": null}',
        b'{"response_type": "parse", "result": {"type": "url", "url": "https://h/x?sig=1"}}',
        b'{"response_type": "parse", "result": {"chunks": [null, 7, {"blocks": [null, {}]}]}}',
        b'{"response_type": "extract", "result": null, "citations": 5}',
        b'{"response_type": "v3_extract", "result": "text"}',
        b'{"response_type": "split", "result": {"splits": [null, {"name": null, "pages": 5}]}}',
        b'{"response_type": "edit", "form_schema": [null, {"bbox": 1}], "document_url": null}',
        b'{"response_type": "pipeline", "result": null}',
        b'{"response_type": "pipeline", "result": {"extract": [null, {"result": 5}]}}',
        b'{"response_type": "classify", "result": null}',
        b'{"result": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_no_shape_raises_an_error(answer: bytes) -> None:
    """Whatever a service has sent, the page of the document can be opened."""
    assert isinstance(content_of(answer), Content)


def test_what_is_too_much_is_cut_and_told() -> None:
    """Blocks, texts and values; a huge result gives no huge page."""
    many = content(parsed(*[block(str(n)) for n in range(BLOCKS_AT_MOST + 5)]))
    assert len(many.blocks) == BLOCKS_AT_MOST
    assert "as the page has more" in many.left_out[0]
    long = content(parsed(block("x" * (TEXT_AT_MOST + 1)), block("y")))
    assert [(len(b.text), b.is_cut) for b in long.blocks] == [(TEXT_AT_MOST, True), (1, False)]
    full = content(parsed(*[block("x" * TEXT_AT_MOST) for _ in range(100)]))
    assert sum(len(b.text) for b in full.blocks) == 120_000
    rows = [{"n": n} for n in range(FIELDS_AT_MOST + 1)]
    wide = content({"response_type": "extract", "result": rows})
    assert len(wide.fields) == FIELDS_AT_MOST
    assert wide.left_out == [f"all but {FIELDS_AT_MOST} values, as there are more"]


def test_values_of_an_extract_have_the_citations_beside_them() -> None:
    """By the names that the values have there, in lists by position."""
    found = content(
        {
            "response_type": "extract",
            "result": [{"total": 5, "rows": [{"name": "a"}, {"name": None}], "empty": []}],
            "citations": [
                {"total": [citation("5", 2)], "rows": [{"name": [citation("a")]}, {"name": []}]}
            ],
        }
    )
    assert paths(found) == {"total": "5", "rows/1/name": "a", "rows/2/name": None, "empty": "[]"}
    cited = {"/".join(one.path): [c.page for c in one.citations] for one in found.fields}
    assert cited == {"total": [2], "rows/1/name": [1], "rows/2/name": [], "empty": []}


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value]])
def test_values_of_an_extract_have_the_citations_around_them(wrap: Any) -> None:
    """A dictionary, or a list of one, as the API gives them by turns."""
    sure = citation("5", granular_confidence={"extract_confidence": 0.3})
    result = {
        "total": {"value": 5, "citations": [sure]},
        "rows": [{"name": {"value": "a", "citations": []}}],
    }
    found = content({"response_type": "v3_extract", "result": wrap(result)})
    assert paths(found) == {"total": "5", "rows/1/name": "a"}
    (one,) = found.fields[0].citations
    assert (one.text, one.page, one.confidence.score) == ("5", 1, 0.3)
    assert found.is_doubtful and not content({"response_type": "extract", "result": []}).is_doubtful


def test_values_that_only_look_like_citations_are_values() -> None:
    """An author may have written them: none of them is taken for a place."""
    result = {"a": {"value": "x", "citations": [citation()]}, "b": "bare"}
    found = content({"response_type": "v3_extract", "result": result})
    assert all(not one.citations for one in found.fields)


def test_several_objects_of_an_extract_are_numbered() -> None:
    """Each has its number at the beginning of its paths."""
    found = content({"response_type": "extract", "result": [{"n": 1}, {"n": 2}]})
    assert paths(found) == {"1/n": "1", "2/n": "2"}


def test_a_split_shows_its_sections_also_where_each_page_has_a_reason() -> None:
    """Sections, then their partitions."""
    deep = [{"page_number": 4, "evidence": "a title", "confidence": "low"}]
    splits = [
        {
            "name": "Report",
            "pages": [1, 2],
            "conf": "high",
            "partitions": [{"name": "2026", "pages": [2], "conf": "low"}],
        },
        {"name": "Annex", "pages": deep, "partitions": None},
    ]
    found = content({"response_type": "split", "result": {"splits": splits}})
    assert [(s.name, s.partition, s.pages, s.confidence) for s in found.sections] == [
        ("Report", None, (1, 2), "high"),
        ("Report", "2026", (2,), "low"),
        ("Annex", None, (4,), None),
    ]
    assert found.is_doubtful


def test_a_pipeline_shows_all_its_parts() -> None:
    """Blocks of its parse, sections of its split, and values under their section's name."""
    extract = {
        "split_name": "Invoice",
        "page_range": [1],
        "partition": None,
        "result": {"response_type": "extract", "result": [{"total": 5}]},
    }
    split = {"response_type": "split", "result": {"splits": [{"name": "Invoice", "pages": [1]}]}}
    found = content(
        {
            "response_type": "pipeline",
            "result": {"parse": parsed(block("a")), "extract": [extract], "split": split},
        }
    )
    assert [b.text for b in found.blocks] == ["a"]
    assert paths(found) == {"Invoice/total": "5"}
    assert [s.name for s in found.sections] == ["Invoice"]


def test_a_category_and_a_filled_form_are_shown() -> None:
    """The category is a value, the form's fields are blocks; the signed link is neither."""
    found = content({"response_type": "classify", "result": {"category": "letter"}})
    assert paths(found) == {"category": "letter"}
    widget = {"bbox": box(2), "description": "Name", "type": "text", "value": "Ada"}
    form = content(
        {"response_type": "edit", "document_url": "https://h/x?sig=s", "form_schema": [widget]}
    )
    assert [(b.type, b.text, b.page) for b in form.blocks] == [("Form text", "Name: Ada", 2)]
    assert form.fields == []
