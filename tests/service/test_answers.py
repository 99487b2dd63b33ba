"""Extract, split, classify and pipeline through the whole service, over real documents: right
values, right shapes.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from service_client import Client, Clock
from test_contract import check

from batcher.service import pipelines
from batcher.service.local import LocalOptions, LocalService

DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"
INVOICE = "invoices/2026/INV-2026-001.pdf"
SCHEMA = json.loads((pipelines.SHIPPED / "invoice.schema.json").read_text())
SECTIONS = [
    {
        "name": "Invoices",
        "description": "invoice with subtotal, VAT and total",
        "partition_key": "invoice number",
    },
    {"name": "Stock", "description": "stock report: parts on hand, minimum, on order"},
    {"name": "Diagnoses", "description": "a patient's diagnosis"},
]
CATEGORIES = [
    {
        "category": "invoice",
        "criteria": ["names an invoice number", "has a subtotal, VAT and a total"],
    },
    {"category": "stock_report", "criteria": ["lists parts on hand and their minimum"]},
]


@pytest.fixture
async def reader(
    tmp_path: Path, clock: Clock, session: aiohttp.ClientSession
) -> AsyncIterator[Client]:
    """A service with the parser that ships."""
    async with LocalService(
        LocalOptions(tmp_path / "service", workers=1, clock=clock), key="secret"
    ) as service:
        yield Client(session, service)


async def uploaded(reader: Client, name: str) -> str:
    return await reader.upload((DOCUMENTS / name).read_bytes(), name)


async def answered(reader: Client, endpoint: str, source: Any, **more: Any) -> dict[str, Any]:
    """The result of a job that must complete, in the described shape."""
    answer = await reader.end_of(await reader.submit(source, f"{endpoint}_async", **more))
    check(answer, "AsyncJobResponse")
    assert answer["status"] == "Completed", answer
    return answer["result"]


async def test_an_extract_finds_what_an_invoice_says(reader):
    """Head, sums and lines; what isn't there is null."""
    answer = await answered(
        reader, "extract", await uploaded(reader, INVOICE), instructions={"schema": SCHEMA}
    )
    assert answer["response_type"] == "v3_extract"
    (found,) = answer["result"]
    assert (
        found["total"] == 700.08
        and found["due_date"] == "2026-02-14"
        and found["purchase_order"] is None
    )
    assert [line["amount"] for line in found["line_items"]] == [507.0, 38.4, 38.0]
    assert answer["usage"] == {"num_pages": 1, "num_fields": 23, "credits": 3.0}


async def test_an_extract_cites_where_each_value_stands(reader):
    """Each leaf with its citations, in a box that holds the value's text."""
    settings = {"citations": {"enabled": True}}
    answer = await answered(
        reader,
        "extract",
        await uploaded(reader, INVOICE),
        instructions={"schema": SCHEMA},
        settings=settings,
    )
    total = answer["result"]["total"]
    (citation,) = total["citations"]
    assert (
        total["value"] == 700.08
        and citation["content"] == "700.08"
        and citation["confidence"] == "high"
    )
    assert (
        citation["bbox"]["page"] == 1
        and citation["bbox"]["left"] > 0.8
        and citation["bbox"]["width"] < 0.1
    )
    assert "Total" in citation["parentBlock"]["content"]
    assert answer["result"]["purchase_order"] == {"value": None, "citations": []}


async def test_an_extract_from_an_earlier_parse_is_not_charged_for_it_again(reader):
    """jobid:// gives the same values, at the price of the extract alone."""
    parse = await reader.submit(await uploaded(reader, INVOICE))
    await reader.end_of(parse)
    answer = await answered(reader, "extract", f"jobid://{parse}", instructions={"schema": SCHEMA})
    (found,) = answer["result"]
    head = ("invoice_number", "invoice_date", "due_date", "supplier", "customer", "total")
    assert [found[name] for name in head] == [
        "INV-2026-001",
        "2026-01-14",
        "2026-02-14",
        "Saltmarsh Lantern Works",
        "Harbour Museum Trust",
        700.08,
    ]
    assert answer["usage"]["credits"] == 2.0


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({}, "top level"),
        ({"type": "array", "items": {}}, "top level"),
        ({"type": "object", "properties": {}}, "no properties"),
        (
            {"type": "object", "properties": {"a": {"type": "text"}}},
            "instructions.schema.a has the type 'text'",
        ),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}}, "isn't there"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "refers to itself"),
        ("no schema", "an object of JSON Schema"),
    ],
)
async def test_an_invalid_schema_fails_the_job(reader, schema, word):
    """With INVALID_SCHEMA / 400 and the place of what is wrong, whoever asks."""
    body = {"input": await reader.upload(), "instructions": {"schema": schema}}
    job = await reader.end_of(
        await reader.submit(body["input"], "extract_async", instructions=body["instructions"])
    )
    assert (
        job["status"] == "Failed"
        and job["error"]["name"] == "INVALID_SCHEMA"
        and job["error"]["code"] == 400
    )
    assert word in job["error"]["message"]
    status, answer = await reader.call("POST", "/extract", json=body)
    assert status == 400 and answer["error"]["name"] == "INVALID_SCHEMA"


@pytest.mark.parametrize("settings", [{}, {"citations": {"enabled": True}}])
async def test_an_extract_by_address(reader, settings):
    """With citations and without, the result stands at a URL where that was asked for."""
    more = {"instructions": {"schema": SCHEMA}, "settings": {"force_url_result": True, **settings}}
    answer = await answered(reader, "extract", await uploaded(reader, INVOICE), **more)
    assert answer["result"]["type"] == "url"
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.get(answer["result"]["url"]) as fetched,
    ):
        assert "INV-2026-001" in await fetched.text()


async def test_what_this_service_does_not_know_is_named(reader):
    """Keys that no body has pass, as they do at the hosted service, and the answer says that
    nothing came of them.
    """
    more = {
        "settings": {"alpha": {"x": 1}},
        "enhance": {"agentic": [{"scope": "text", "depth": 3}]},
        "later": [],
    }
    answer = await answered(reader, "parse", await uploaded(reader, INVOICE), **more)
    notes = [note.partition(":")[0] for note in answer["usage"]["not_served"]]
    assert notes == ["enhance.agentic", "settings.alpha", "enhance.agentic.depth", "later"]
    more = {"instructions": {"schema": SCHEMA, "beta": 1}, "parsing": {"settings": {"alpha": True}}}
    answer = await answered(reader, "extract", await uploaded(reader, INVOICE), **more)
    notes = [note.partition(":")[0] for note in answer["usage"]["not_served"]]
    assert notes == ["instructions.beta", "parsing.settings.alpha"]


async def test_what_no_rule_can_do_is_named(reader):
    """A system prompt and deep extraction want a model."""
    more = {
        "instructions": {"schema": SCHEMA, "system_prompt": "Guess wildly."},
        "settings": {"deep_extract": True},
        "parsing": {"enhance": {"agentic": [{"scope": "text"}]}},
    }
    answer = await answered(reader, "extract", await uploaded(reader, INVOICE), **more)
    assert [note.partition(":")[0] for note in answer["usage"]["not_served"]] == [
        "instructions.system_prompt",
        "settings.deep_extract",
        "parsing.enhance.agentic",
    ]


async def test_what_of_a_schema_changes_nothing_is_named(reader):
    """Beside the answer; what is heeded isn't named."""
    total = {"type": "number", "maximum": 5}
    schema = {"type": "object", "properties": {"total": total}, "patternProperties": {"^x": {}}}
    answer = await answered(
        reader, "extract", await uploaded(reader, INVOICE), instructions={"schema": schema}
    )
    assert answer["result"] == [{"total": None}]
    assert answer["usage"]["not_served"] == [
        "instructions.schema.patternProperties: values are looked for by the names of properties"
    ]


async def test_only_the_pages_asked_for_are_extracted_from(reader):
    """By number in a PDF; what stands on another page is not found."""
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    source = await uploaded(reader, "handbook/workshop-handbook.pdf")
    more = {"instructions": {"schema": schema}, "settings": {"page_range": {"start": 2, "end": 3}}}
    answer = await answered(reader, "extract", source, **more)
    assert answer["usage"]["num_pages"] == 2


async def test_a_split_names_pages_and_partitions(reader):
    """Two invoices with a stock report between them, and a section that isn't there."""
    names = (INVOICE, "reports/stock-2026-q2.pdf", INVOICE.replace("001", "002"))
    sources = [await uploaded(reader, name) for name in names]
    answer = await answered(reader, "split", sources, split_description=SECTIONS)
    assert answer["result"]["section_mapping"] == {
        "Invoices": [1, 3],
        "Stock": [2],
        "Diagnoses": [],
    }
    invoices, stock, diagnoses = answer["result"]["splits"]
    assert [(part["name"], part["pages"]) for part in invoices["partitions"]] == [
        ("INV-2026-001", [1]),
        ("INV-2026-002", [3]),
    ]
    assert (invoices["conf"], stock["conf"], diagnoses["conf"]) == ("high", "high", "low")
    assert answer["usage"]["num_pages"] == 3 and answer["usage"]["credits"] == 9.0


async def test_a_deep_split_is_an_ordinary_one_and_says_so(reader):
    """The wish stands in `not_served`."""
    source = await uploaded(reader, INVOICE)
    answer = await answered(
        reader,
        "split",
        source,
        split_description=SECTIONS[:1],
        settings={"deep_split": True, "force_url_result": True},
    )
    assert answer["result"]["type"] == "url" and answer["usage"]["not_served"][0].startswith(
        "settings.deep_split"
    )


async def test_a_document_is_classified_by_its_words(reader):
    """With a confidence for each category and criterion, and the group it belongs to."""
    more = {"classification_schema": CATEGORIES, "category_groups": {"payable": ["invoice"]}}
    answer = await answered(reader, "classify", await uploaded(reader, INVOICE), **more)
    assert answer["result"] == {"category": "invoice"} and answer["extra_metadata"] == {
        "grouping": "payable"
    }
    first, second = answer["response_confidence"]["categories"]
    assert first["confidence"] > 0.8 > 0.2 > second["confidence"]
    assert [c["confidence"] for c in first["criteria_confidence"]] == ["high", "high"]
    assert answer["usage"] == {"num_pages": 1, "num_categories": 2, "credits": 0.5}


async def test_what_no_category_describes_stays_unknown(reader):
    """A two-column article is neither; nothing is chosen for want of something better."""
    source = await uploaded(reader, "reports/on-lanterns.pdf")
    answer = await answered(reader, "classify", source, classification_schema=CATEGORIES)
    assert answer["result"] == {"category": "unknown"}
    with_rest = [*CATEGORIES, {"category": "other", "criteria": ["anything else"]}]
    answer = await answered(reader, "classify", source, classification_schema=with_rest)
    assert answer["result"] == {"category": "other"}


async def test_a_long_document_is_classified_by_its_beginning(reader):
    """Five pages unless others are asked for; more than ten are refused."""
    source = await uploaded(reader, "handbook/workshop-handbook.pdf")
    answer = await answered(reader, "classify", source, classification_schema=CATEGORIES)
    assert answer["usage"]["num_pages"] == 5
    answer = await answered(
        reader, "classify", source, classification_schema=CATEGORIES, page_range=[9]
    )
    assert answer["usage"]["num_pages"] == 1
    job = await reader.end_of(
        await reader.submit(
            source, "classify_async", classification_schema=CATEGORIES, page_range={"end": 12}
        )
    )
    assert job["error"]["name"] == "INVALID_CONFIG" and "10 pages" in job["error"]["message"]


async def test_the_invoice_pipeline_parses_and_extracts(reader):
    """It ships with the service."""
    answer = await answered(
        reader, "pipeline", await uploaded(reader, INVOICE), pipeline_id="invoice"
    )
    assert (
        answer["result"]["parse"]["result"]["chunks"]
        and answer["result"]["parse"]["result"]["ocr"] is None
    )
    assert (
        answer["result"]["extract"]["result"]["total"]["value"] == 700.08
        and answer["result"]["split"] is None
    )
    assert answer["usage"] == {"num_pages": 1, "credits": 3.0}


async def test_a_pipeline_with_a_split_extracts_from_each_partition(reader):
    """Three documents in, a parse for each out, and an extract for each of the two invoices."""
    names = (INVOICE, "correspondence/repair-agreement.docx", INVOICE.replace("001", "003"))
    sources = [await uploaded(reader, name) for name in names]
    result = (await answered(reader, "pipeline", sources, pipeline_id="mailroom"))["result"]
    assert len(result["parse"]) == 3 and result["split"]["result"]["section_mapping"][
        "Contracts"
    ] == [2]
    assert [(part["partition"], part["page_range"]) for part in result["extract"]] == [
        ("INV-2026-001", [1]),
        ("INV-2026-003", [3]),
    ]
    assert [part["result"]["result"][0]["total"] for part in result["extract"]] == [700.08, 647.04]


async def test_an_unknown_pipeline_fails_the_job_and_names_those_there_are(reader):
    """INVALID_CONFIG / 400, as any input that can't be had; an id is never a path."""
    for name in ("nightly", "../pipelines/invoice", ""):
        job = await reader.end_of(
            await reader.submit(await reader.upload(), "pipeline_async", pipeline_id=name)
        )
        assert job["error"]["name"] == "INVALID_CONFIG" and job["error"]["code"] == 400
        assert "invoice, mailroom, receipt" in job["error"]["message"]


async def test_a_pipeline_s_password_opens_the_document(reader):
    """As a setting of the request; without it the job fails as a parse would."""
    content = (DOCUMENTS.parent / "trouble" / "locked.pdf").read_bytes()
    source = await reader.upload(content, "locked.pdf")
    answer = await answered(
        reader, "pipeline", source, pipeline_id="invoice", settings={"document_password": "batcher"}
    )
    assert answer["usage"]["num_pages"] >= 1
    job = await reader.end_of(await reader.submit(source, "pipeline_async", pipeline_id="invoice"))
    assert job["error"]["name"] == "DOCUMENT_PASSWORD_PROTECTED"


async def test_pipelines_of_one_s_own(tmp_path, clock, session):
    """A TOML file in the folder is one at once; what is wrong in it is said to whoever names it."""
    folder = tmp_path / "pipelines"
    folder.mkdir()
    options = LocalOptions(tmp_path / "service", workers=1, clock=clock, pipelines=folder)
    async with LocalService(options, key="secret") as service:
        reader = Client(session, service)
        (folder / "plain.toml").write_text('[parse.retrieval.chunking]\nchunk_mode = "block"\n')
        result = (
            await answered(reader, "pipeline", await uploaded(reader, INVOICE), pipeline_id="plain")
        )["result"]
        assert len(result["parse"]["result"]["chunks"]) > 5 and result["extract"] is None
        (folder / "plain.toml").write_text('[parse.retrieval.chunking]\nchunk_mode = "line"\n')
        job = await reader.end_of(
            await reader.submit(await reader.upload(), "pipeline_async", pipeline_id="plain")
        )
        assert "plain.toml" in job["error"]["message"] and "chunk_mode" in job["error"]["message"]
