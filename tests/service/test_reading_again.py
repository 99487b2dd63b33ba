"""What a request on an earlier parse (`jobid://`) asks for is done, or named in `not_served`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from service_client import Client

from batcher.service.local import LocalOptions, LocalService

PAGES = "\f".join(f"Page {number}\n\nValue: {number}" for number in range(1, 4)).encode()
VALUE = {"type": "object", "properties": {"value": {"type": "number"}}}


@pytest.fixture
async def reader(tmp_path, clock, session) -> AsyncIterator[Client]:
    """A service with the parser that ships."""
    options = LocalOptions(tmp_path / "service", workers=1, clock=clock)
    async with LocalService(options, key="secret") as service:
        yield Client(session, service)


async def parsed_again(reader: Client, source: Any, **more: Any) -> dict[str, Any]:
    answer = await reader.end_of(await reader.submit(source, **more))
    assert answer["status"] == "Completed", answer
    return answer["result"]


def pages_of(answer: dict[str, Any]) -> list[list[int]]:
    """The pages of each chunk, as the document numbers them."""
    return [
        sorted({block["bbox"]["original_page"] for block in chunk["blocks"]})
        for chunk in answer["result"]["chunks"]
    ]


async def test_a_document_is_read_again_with_other_options(reader):
    """Pages and chunks as this request wants them, at no charge for the parse."""
    job_id, _ = await reader.parsed(PAGES, settings={"page_range": [1]})
    again = await parsed_again(
        reader,
        f"jobid://{job_id}",
        retrieval={"chunking": {"chunk_mode": "page"}},
        settings={"page_range": [2, 3], "return_images": ["page"]},
        bogus=1,
    )
    assert pages_of(again) == [[2], [3]] and again["usage"]["credits"] == 0
    assert again["usage"]["not_served"] == [
        "settings.return_images: only of image, pdf",
        "bogus: not known here",
    ]


async def test_every_document_of_a_job_is_read_again(reader):
    """Also through a job that itself was an earlier job read again."""
    names = [await reader.upload(PAGES), await reader.upload(b"another")]
    chunking = {"chunking": {"chunk_mode": "page"}}
    first = await parsed_again(reader, names)
    second = await parsed_again(reader, f"jobid://{first['job_id']}")
    again = await parsed_again(reader, f"jobid://{second['job_id']}", retrieval=chunking)
    assert pages_of(second) == [[1, 2, 3], [1]]
    assert pages_of(again) == [[1], [2], [3], [1]]


async def test_what_is_no_longer_there_cannot_be_read_again(reader):
    """The stored result is given, and each option that it wasn't made with is named."""
    upload = await reader.upload(PAGES)
    earlier = await parsed_again(reader, upload, formatting={"add_page_markers": True})
    assert (await reader.call("DELETE", f"/upload/{upload.removeprefix('reducto://')}"))[0] < 500
    again = await parsed_again(
        reader,
        f"jobid://{earlier['job_id']}",
        retrieval={"chunking": {"chunk_mode": "page"}, "filter_blocks": []},
        formatting={"add_page_markers": True, "table_output_format": "html"},
        settings={"page_range": [2], "force_url_result": False, "model": "r-1"},
        bogus=1,
    )
    assert pages_of(again) == [[1, 2, 3]]
    notes = again["usage"]["not_served"]
    assert [note.partition(": ")[0] for note in notes] == [
        "settings.model",
        "bogus",
        "retrieval.chunking.chunk_mode",
        "formatting.table_output_format",
        "settings.page_range",
    ]
    assert "as it was read then" in notes[-1]


@pytest.mark.parametrize("endpoint", ["extract", "split"])
async def test_parse_options_of_a_later_step_are_named(reader, endpoint):
    """They are for the parse, which is done; pages are chosen from it, and nobody is told of what
    wasn't asked for.
    """
    own = {
        "extract": {"instructions": {"schema": VALUE}},
        "split": {"split_description": [{"name": "a", "description": "page value"}]},
    }[endpoint]
    job_id, _ = await reader.parsed(PAGES)
    parsing = {
        "enhance": {"agentic": [{"scope": "text"}]},
        "formatting": {"table_output_format": "html"},
        "settings": {"page_range": [2]},
        "bogus": 1,
    }
    more = {"parsing": parsing, **own}
    answer = await reader.end_of(
        await reader.submit(f"jobid://{job_id}", f"{endpoint}_async", **more)
    )
    usage = answer["result"]["usage"]
    assert usage["num_pages"] == 1
    assert [note.partition(": ")[0] for note in usage["not_served"]] == [
        "parsing.enhance.agentic",
        "parsing.bogus",
        "parsing.formatting.table_output_format",
    ]
    answer = await reader.end_of(
        await reader.submit(f"jobid://{job_id}", f"{endpoint}_async", **own)
    )
    assert "not_served" not in answer["result"]["usage"]
