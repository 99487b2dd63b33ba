"""Real documents through the whole service: the answer keeps to the API's description, whatever was
asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from service_client import Client, Clock
from specification import check

from batcher.service.local import LocalOptions, LocalService

REPORTS = Path(__file__).parents[2] / "examples" / "documents" / "reports"
EVERYTHING = {
    "settings": {
        "return_images": ["page", "table"],
        "return_ocr_data": True,
        "extract_document_properties": True,
        "embed_pdf_metadata": True,
    },
    "formatting": {"table_output_format": "html", "add_page_markers": True, "merge_tables": True},
    "enhance": {"agentic": [{"scope": "text"}]},
}


@pytest.fixture
async def reader(
    tmp_path: Path, clock: Clock, session: aiohttp.ClientSession
) -> AsyncIterator[Client]:
    """A service with the parser that ships."""
    async with LocalService(
        LocalOptions(tmp_path / "service", workers=1, clock=clock), key="secret"
    ) as service:
        yield Client(session, service)


async def parsed(reader: Client, name: str) -> dict:
    file_id = await reader.upload((REPORTS / name).read_bytes(), name)
    return await reader.end_of(await reader.submit(file_id, **EVERYTHING))


@pytest.mark.parametrize(
    "name", ["stock-2026-q2.pdf", "annual-review.pptx", "hours.xlsx", "price-list.html"]
)
async def test_an_answer_to_every_wish_at_once(reader, name):
    """Completed, in the described shape, and with a note of what can't be had here."""
    answer = await parsed(reader, name)
    check(answer, "AsyncJobResponse")
    assert answer["status"] == "Completed"
    assert answer["result"]["usage"]["not_served"][0].startswith("enhance.agentic")


async def test_the_document_with_its_words_is_served(reader):
    """A PDF at `pdf_url`, for whoever holds the address."""
    answer = await parsed(reader, "stock-2026-q2.pdf")
    assert await look(answer["result"]["pdf_url"]) == (200, b"%PDF")


async def test_pictures_are_served_until_their_job_is_gone(reader, clock):
    """Each address of the answer leads to a PNG without a key, and to nothing once the job has
    expired.
    """
    answer = await parsed(reader, "stock-2026-q2.pdf")
    (block, *_) = [
        b for b in answer["result"]["result"]["chunks"][0]["blocks"] if b["type"] == "Table"
    ]
    addresses = [block["image_url"], block["extra"]["page_image_url"]]
    assert [await look(address) for address in addresses] == [(200, b"\x89PNG")] * 2
    clock.now += 13 * 3600
    assert [(await look(address))[0] for address in addresses] == [404] * 2


async def look(address: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        return answer.status, (await answer.read())[:4]
