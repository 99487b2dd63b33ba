"""Requests of the API's version 2: what each asks for is done, in the words of today, or refused by
its name.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from service_client import Client
from specification import check

from batcher.reducto.api_types import JobType
from batcher.service.answers import ApiError, InvalidRequest
from batcher.service.older_forms import FORMS
from batcher.service.older_requests import told_today
from batcher.service.requests import read_request

SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}}
SECTIONS = [{"name": "letters", "description": "all letters"}]
NEEDED: dict[JobType, dict[str, Any]] = {
    JobType.PARSE: {},
    JobType.EXTRACT: {"schema": SCHEMA},
    JobType.SPLIT: {"split_description": SECTIONS},
    JobType.PIPELINE: {"pipeline_id": "invoice"},
}
TODAY = {
    JobType.PARSE: "AsyncParseConfig",
    JobType.EXTRACT: "AsyncExtractConfig",
    JobType.SPLIT: "config__v3__AsyncSplitConfig",
    JobType.PIPELINE: "V3AsyncPipelineConfig",
}
RICH: dict[str, Any] = {
    "options": {
        "ocr_mode": "agentic",
        "extraction_mode": "hybrid",
        "chunking": {"chunk_mode": "section", "chunk_size": 800},
        "table_summary": {"enabled": True},
        "figure_summary": {"enabled": True, "advanced_chart_agent": True},
        "filter_blocks": ["Header"],
        "force_url_result": True,
    },
    "advanced_options": {
        "ocr_system": "multilingual",
        "table_output_format": "md",
        "merge_tables": True,
        "include_formula_information": True,
        "include_color_information": True,
        "include_dropdown_information": True,
        "page_range": [{"start": 1, "end": 2}],
        "force_file_extension": ".pdf",
        "large_table_chunking": {"enabled": False, "size": 20},
        "spreadsheet_table_clustering": "intelligent",
        "add_page_markers": True,
        "return_ocr_data": True,
        "document_password": "sesame",
        "read_comments": True,
        "persist_results": True,
        "exclude_hidden_sheets": True,
        "exclude_hidden_rows_cols": True,
        "enable_change_tracking": True,
        "enable_highlight_detection": True,
        "ignore_watermarks": True,
    },
    "experimental_options": {
        "return_figure_images": True,
        "return_table_images": True,
        "return_page_images": True,
        "embed_text_metadata_pdf": True,
        "detect_signatures": True,
        "user_specified_timeout_seconds": 30,
    },
}


def told(type: JobType = JobType.PARSE, **more: Any) -> dict[str, Any]:
    return told_today({"document_url": "reducto://a", **NEEDED[type], **more}, type)


def refusal(type: JobType = JobType.PARSE, **more: Any) -> InvalidRequest:
    body = msgspec.json.encode({"document_url": "reducto://a", **NEEDED[type], **more})
    with pytest.raises(InvalidRequest) as caught:
        read_request(body, type)
    return caught.value


def place(refused: InvalidRequest) -> list[Any]:
    (problem,) = refused.problems
    return problem["loc"]


@pytest.mark.parametrize(
    "webhook",
    [{}, {"mode": "svix", "channels": ["a"]}, {"mode": "direct", "url": "https://x.example"}],
)
@pytest.mark.parametrize("rich", [False, True])
@pytest.mark.parametrize("type", FORMS)
def test_what_is_told_has_the_shape_of_today_s_description(
    type: JobType, rich: bool, webhook: dict[str, Any]
) -> None:
    """Bare or with all that can be told, for every endpoint that had the older form."""
    more = {
        **(RICH if rich and type != JobType.PIPELINE else {}),
        "webhook": {**webhook, "metadata": {"mine": 1}},
    }
    today = told(type, **more)
    check(today, TODAY[type])
    assert today["input"] == "reducto://a" and today["async"]["metadata"] == {"mine": 1}


def test_every_option_with_a_counterpart_arrives_there() -> None:
    """All of them, each in its place."""
    today = told(**RICH)
    assert today["enhance"] == {
        "agentic": [{"scope": "text"}, {"scope": "table"}],
        "summarize_figures": True,
        "advanced_chart_agent": True,
    }
    assert today["retrieval"] == {
        "chunking": {"chunk_mode": "section", "chunk_size": 800, "chunk_overlap": 0},
        "embedding_optimized": True,
        "filter_blocks": ["Header"],
    }
    assert today["formatting"] == {
        "table_output_format": "md",
        "merge_tables": True,
        "add_page_markers": True,
        "include": ["change_tracking", "highlight", "comments", "signatures", "ignore_watermarks"],
    }
    assert today["spreadsheet"] == {
        "include": ["cell_colors", "formula", "dropdowns"],
        "exclude": ["hidden_sheets", "hidden_rows", "hidden_cols"],
        "split_large_tables": {"enabled": False, "size": 20},
        "clustering": "accurate",
    }
    assert today["settings"] == {
        "return_ocr_data": True,
        "persist_results": True,
        "embed_pdf_metadata": True,
        "return_images": ["figure", "table", "page"],
        "force_url_result": True,
        "extraction_mode": "hybrid",
        "ocr_system": "standard",
        "page_range": [{"start": 1, "end": 2}],
        "force_file_extension": ".pdf",
        "document_password": "sesame",
        "timeout": 30.0,
    }


def test_what_the_older_form_takes_where_nothing_is_said_is_said_today() -> None:
    """Its defaults are others: chunks of variable length, tables in HTML, no summaries of
    figures.
    """
    today = told()
    assert today["retrieval"]["chunking"]["chunk_mode"] == "variable"
    assert today["formatting"]["table_output_format"] == "html"
    assert today["enhance"]["summarize_figures"] is False
    assert today["settings"]["persist_results"] is False


def test_an_extract_s_own_options_arrive() -> None:
    """Its schema, prompt, citations and the like beside the parse options; chunks only where they
    are wanted.
    """
    own = {
        "system_prompt": "Be brief.",
        "deep_extract": True,
        "include_images": True,
        "latency_sensitive": True,
    }
    cited = {"generate_citations": True, "citations_options": {"numerical_confidence": True}}
    today = told(
        JobType.EXTRACT,
        **own,
        **cited,
        array_extract={"enabled": True},
        options={"force_url_result": True},
    )
    assert today["instructions"] == {"schema": SCHEMA, "system_prompt": "Be brief."}
    assert today["settings"] == {
        "deep_extract": True,
        "array_extract": True,
        "include_images": True,
        "optimize_for_latency": True,
        "citations": {"enabled": True, "numerical_confidence": True},
        "force_url_result": True,
    }
    assert (
        "chunking" not in today["parsing"]["retrieval"]
        and not today["parsing"]["settings"]["force_url_result"]
    )
    assert "chunking" in told(JobType.EXTRACT, use_chunking=True)["parsing"]["retrieval"]


def test_a_split_s_own_options_arrive() -> None:
    """Its sections, rules and settings."""
    today = told(
        JobType.SPLIT,
        split_rules="none",
        deep_split=True,
        split_options={"table_cutoff": "preserve"},
    )
    assert (today["split_description"], today["split_rules"]) == (SECTIONS, "none")
    assert today["settings"] == {
        "table_cutoff": "preserve",
        "deep_split": True,
        "force_url_result": False,
    }


@pytest.mark.parametrize("type", [JobType.EXTRACT, JobType.SPLIT, JobType.PIPELINE])
def test_several_documents_of_one_request_stay_in_their_order(type: JobType) -> None:
    """As `input` has them."""
    assert told(type, document_url=["reducto://b", "reducto://a"])["input"] == [
        "reducto://b",
        "reducto://a",
    ]


def test_a_parse_of_the_older_form_has_one_document() -> None:
    """Lists are the form of today's alone, for this endpoint."""
    assert place(refusal(document_url=["reducto://a", "reducto://b"])) == ["body", "document_url"]


@pytest.mark.parametrize(
    ("type", "more", "where"),
    [
        (
            JobType.PARSE,
            {"advanced_options": {"keep_line_breaks": True}},
            "advanced_options.keep_line_breaks",
        ),
        (
            JobType.PARSE,
            {"advanced_options": {"continue_hierarchy": False}},
            "advanced_options.continue_hierarchy",
        ),
        (
            JobType.PARSE,
            {"experimental_options": {"rotate_pages": False}},
            "experimental_options.rotate_pages",
        ),
        (
            JobType.PARSE,
            {"experimental_options": {"enrich": {"enabled": True}}},
            "experimental_options.enrich",
        ),
        (
            JobType.PARSE,
            {"experimental_options": {"unheard_of": 1}},
            "experimental_options.unheard_of",
        ),
        (
            JobType.PARSE,
            {"options": {"table_summary": {"enabled": True, "prompt": "x"}}},
            "options.table_summary.prompt",
        ),
        (JobType.PARSE, {"options": {"extraction_mode": "metadata"}}, "options.extraction_mode"),
        (
            JobType.PARSE,
            {"advanced_options": {"table_output_format": "ai_json"}},
            "advanced_options.table_output_format",
        ),
        (JobType.EXTRACT, {"agent_extract": {"enabled": True}}, "agent_extract"),
        (JobType.EXTRACT, {"spreadsheet_agent": True}, "spreadsheet_agent"),
        (
            JobType.EXTRACT,
            {"array_extract": {"enabled": True, "mode": "streaming"}},
            "array_extract.mode",
        ),
        (JobType.SPLIT, {"include_confidence": True}, "include_confidence"),
        (JobType.PARSE, {"schema": SCHEMA}, "schema"),
        (JobType.PARSE, {"opshuns": {}}, "opshuns"),
        (
            JobType.PARSE,
            {"options": {"chunking": {"chunk_size": "many"}}},
            "options.chunking.chunk_size",
        ),
    ],
)
def test_what_has_no_counterpart_is_refused_by_its_name(
    type: JobType, more: dict[str, Any], where: str
) -> None:
    """422 in the words of the older form: what was sent is named, and nothing that it would have
    become.
    """
    assert place(refusal(type, **more)) == ["body", *where.split(".")]


def test_a_key_that_asks_for_nothing_is_passed_over() -> None:
    """Clients of that time may send every default."""
    options = {"figure_summary": {"enabled": False, "override": False, "enhanced": False}}
    advanced = {
        "continue_hierarchy": True,
        "keep_line_breaks": False,
        "track_offsets": False,
        "page_range": {},
    }
    tried = {
        "enrich": {"enabled": False, "mode": "standard"},
        "rotate_pages": True,
        "layout_model": "default",
    }
    check(
        told(options=options, advanced_options=advanced, experimental_options=tried),
        "AsyncParseConfig",
    )
    own = {
        "agent_extract": {"enabled": False},
        "experimental_table_citations": True,
        "spreadsheet_agent": False,
    }
    array = {
        "enabled": False,
        "mode": "legacy",
        "pages_per_segment": 10,
        "streaming_extract_item_density": 50,
    }
    check(told(JobType.EXTRACT, **own, array_extract=array), "AsyncExtractConfig")


@pytest.mark.parametrize("newer", ["input", "enhance", "settings", "async"])
def test_both_forms_in_one_request_are_refused(newer: str) -> None:
    """400 INVALID_CONFIG, and both are named."""
    with pytest.raises(ApiError, match=rf"document_url.*{newer}") as caught:
        told(**{newer: {}})
    assert caught.value.code == 400


def test_a_classification_never_had_the_older_form() -> None:
    """400 INVALID_CONFIG with what to write instead."""
    with pytest.raises(ApiError, match=r"classify.*`input`"):
        told_today({"document_url": "reducto://a"}, JobType.CLASSIFY)


# --- through the door -----------------------------------------------------------------------------


@pytest.mark.parametrize("type", FORMS)
async def test_a_job_of_the_older_form_ends_as_one_of_today_s_does(
    client: Client, type: JobType
) -> None:
    """The whole way, and `raw_config` shows what was sent."""
    body = {"document_url": await client.upload(b"Total: 5"), **NEEDED[type]}
    status, submitted = await client.call("POST", f"/{type.value.lower()}_async", json=body)
    assert status == 200, submitted
    answer = await client.end_of(submitted["job_id"])
    check(answer, "AsyncJobResponse")
    assert answer["status"] == "Completed", answer
    assert msgspec.json.decode(answer["raw_config"]) == body


async def test_a_call_of_the_older_form_waits_for_its_result(client: Client) -> None:
    """Also with `priority`, which no `async` object holds there; with a webhook it is refused, as
    the API does.
    """
    body = {"document_url": await client.upload(), "priority": True}
    status, answer = await client.call("POST", "/parse", json=body)
    assert status == 200, answer
    check(answer, "ParseResponse")
    status, answer = await client.call("POST", "/parse", json={**body, "webhook": {"mode": "svix"}})
    check(answer, "HTTPValidationError")
    assert status == 422 and answer["detail"][0]["loc"] == ["body", "webhook"]


async def test_a_refusal_of_the_older_form_has_the_api_s_shape(client: Client) -> None:
    """FastAPI's 422."""
    body = {"document_url": "reducto://none", "advanced_options": {"keep_line_breaks": True}}
    status, answer = await client.call("POST", "/parse_async", json=body)
    check(answer, "HTTPValidationError")
    assert status == 422 and "leave it out" in answer["detail"][0]["msg"]


async def test_a_password_of_the_older_form_is_shown_to_nobody(client: Client) -> None:
    """Wherever it stood."""
    body = {
        "document_url": await client.upload(),
        "advanced_options": {"document_password": "sesame"},
    }
    _, submitted = await client.call("POST", "/parse_async", json=body)
    assert "sesame" not in str(await client.end_of(submitted["job_id"]))
    assert "sesame" not in str(await client.call("GET", "/jobs"))
