"""Every form an `input` can have, and what of it can't be had."""

from __future__ import annotations

import pytest


def contents(answer: dict) -> list[str]:
    return [chunk["content"] for chunk in answer["result"]["result"]["chunks"]]


async def test_a_list_of_documents_is_one_job(client):
    """Chunks one after the other, pages counted through, each block's own page kept."""
    names = [await client.upload(text) for text in (b"first", b"second", b"picture")]
    answer = await client.end_of(await client.submit(names))
    assert (
        contents(answer) == ["first", "second", "picture"]
        and answer["result"]["usage"]["num_pages"] == 3
    )
    boxes = [chunk["blocks"][0]["bbox"] for chunk in answer["result"]["result"]["chunks"]]
    assert [(box["page"], box["original_page"]) for box in boxes] == [(1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize("settings", [{}, {"force_url_result": True}])
async def test_an_earlier_job_is_read_again(client, settings):
    """`jobid://` gives what that parse found, wherever its result lies, and isn't charged for."""
    job_id, _ = await client.parsed(b"once", settings=settings)
    again = await client.end_of(await client.submit(f"jobid://{job_id}"))
    assert contents(again) == ["once"] and again["result"]["usage"]["credits"] == 0


@pytest.mark.parametrize(
    "source", ["jobid://none", "file:///etc/passwd", "s3://bucket/key", "plain", []]
)
async def test_what_can_t_be_read_fails_the_job(client, source):
    """INVALID_CONFIG, and no file of this machine is ever opened."""
    answer = await client.end_of(await client.submit(source))
    assert answer["status"] == "Failed" and answer["error"]["name"] == "INVALID_CONFIG"


async def test_an_upload_that_never_came_fails_the_job(client):
    """Announced, but nothing was PUT."""
    _, announced = await client.call("POST", "/upload", json={})
    answer = await client.end_of(await client.submit(announced["file_id"]))
    assert answer["error"]["name"] == "INVALID_CONFIG"


async def test_an_expired_job_is_no_input(client, clock):
    """`jobid://` dies with its job."""
    job_id, _ = await client.parsed(b"once")
    clock.now += 12 * 3600
    answer = await client.end_of(await client.submit(f"jobid://{job_id}"))
    assert answer["error"]["name"] == "INVALID_CONFIG"
