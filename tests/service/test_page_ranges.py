"""Which pages a range selects, and what is said of those that there aren't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_answers import CATEGORIES, uploaded
from test_reading_again import PAGES, VALUE, reader  # noqa: F401 (a fixture)

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing import DocumentProblem, parse

HANDBOOK = "handbook/workshop-handbook.pdf"


def read(folder: Path, asked: Any) -> Any:
    path = folder / "a.txt"
    path.write_bytes(PAGES)
    return parse(path, extension="txt", options={"settings": {"page_range": asked}})


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({}, 3),
        ({"start": None, "end": None}, 3),
        ({"end": 1}, 1),
        ({"start": 2}, 2),
        ({"start": 2, "end": 400}, 2),
        ([3, 1, 3], 2),
        ([{"start": 2, "end": 2}, 3], 2),
    ],
)
def test_pages_that_are_there_are_read(tmp_path, asked, number):
    """An end that is left out, or lies beyond the document, is the last page."""
    parsed = read(tmp_path, asked)
    assert parsed.num_pages == number and not parsed.notes


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"end": 0}, "counted from 1"),
        ({"start": 0, "end": 0}, "counted from 1"),
        ({"start": 0}, "counted from 1"),
        ({"start": -5, "end": 2}, "counted from 1"),
        ([-1, 2], "counted from 1"),
        ([0], "counted from 1"),
        ({"start": 3, "end": 1}, "3 comes after 1"),
        ([1, {"start": 3, "end": 1}], "3 comes after 1"),
        ([99], "outside"),
    ],
)
def test_what_is_no_page_is_refused(tmp_path, asked, words):
    """With INVALID_CONFIG, and never taken for all pages or left out."""
    with pytest.raises(DocumentProblem, match=words) as caught:
        read(tmp_path, asked)
    assert caught.value.name == ErrorName.INVALID_CONFIG


def test_pages_beyond_the_document_are_named(tmp_path):
    """Those that are there are read."""
    parsed = read(tmp_path, [99, 2, {"start": 7, "end": 9}])
    assert parsed.num_pages == 1
    assert parsed.notes == ["settings.page_range: of its 3 pages the document has none with 7, 99"]


@pytest.mark.parametrize("earlier", [False, True])
async def test_an_extract_names_pages_beyond_the_document(reader, earlier):  # noqa: F811
    """In the place where the request has its range, of an upload and of an earlier parse."""
    source = await reader.upload(PAGES)
    if earlier:
        job = await reader.submit(source)
        await reader.end_of(job)
        source = f"jobid://{job}"
    for more, place in (
        ({"settings": {"page_range": [2, 9]}}, "settings.page_range"),
        ({"parsing": {"settings": {"page_range": [2, 9]}}}, "parsing.settings.page_range"),
    ):
        job = await reader.submit(source, "extract_async", instructions={"schema": VALUE}, **more)
        answer = await reader.end_of(job)
        assert answer["result"]["result"] == [{"value": 2}]
        (note,) = answer["result"]["usage"]["not_served"]
        assert note.startswith(f"{place}: ")


@pytest.mark.parametrize(
    "asked",
    [
        {"start": 1},
        {"start": 1, "end": 11},
        [{"start": 1, "end": 30}],
        [{"start": 1, "end": 6}, {"start": 7, "end": 11}],
        [*range(1, 12)],
        [{"end": 10}, 12],
        {"start": 1, "end": 10**15},
    ],
)
async def test_no_more_than_ten_pages_are_classified_by(reader, asked):  # noqa: F811
    """However the range is written: what it selects is counted."""
    source = await uploaded(reader, HANDBOOK)
    more = {"classification_schema": CATEGORIES, "page_range": asked}
    job = await reader.end_of(await reader.submit(source, "classify_async", **more))
    assert job["status"] == "Failed", job
    assert job["error"]["name"] == "INVALID_CONFIG" and "10 pages" in job["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "number"),
    [({"start": 1, "end": 10}, 10), ([*range(1, 11), 3], 10), ([{"end": 2}, {"end": 3}], 3)],
)
async def test_ten_pages_are_classified_by(reader, asked, number):  # noqa: F811
    """A page that is named twice counts once."""
    source = await uploaded(reader, HANDBOOK)
    more = {"classification_schema": CATEGORIES, "page_range": asked}
    job = await reader.end_of(await reader.submit(source, "classify_async", **more))
    assert job["result"]["usage"]["num_pages"] == number


async def test_a_classification_ignores_pages_of_what_is_no_pdf(reader):  # noqa: F811
    """As the API's description says, it is read whole; and it names absent pages of a PDF."""
    more = {"classification_schema": CATEGORIES, "page_range": {"start": 1}}
    source = await reader.upload(PAGES)
    job = await reader.end_of(await reader.submit(source, "classify_async", **more))
    assert job["result"]["usage"]["num_pages"] == 3
    source = await uploaded(reader, HANDBOOK)
    more["page_range"] = [1, 999]
    job = await reader.end_of(await reader.submit(source, "classify_async", **more))
    assert job["result"]["usage"]["not_served"][0].startswith("page_range: ")
