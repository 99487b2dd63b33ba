"""Every answer of the local service has the shape that the API's OpenAPI description v1.12.20 gives
it.
"""

from __future__ import annotations

import pytest
from specification import check


@pytest.mark.parametrize("content", [b"plain text", b"picture", b"refuse", b"die"])
@pytest.mark.parametrize("settings", [{}, {"force_url_result": True}])
async def test_a_job_s_answer(client, content, settings):
    """Completed or Failed, full or by address."""
    _, answer = await client.parsed(content, settings=settings)
    check(answer, "AsyncJobResponse")
    assert {
        "type",
        "created_at",
        "raw_config",
        "num_pages",
        "duration",
        "source",
        "bucket",
    } <= answer.keys()


async def test_a_pending_job_s_answer(client, tmp_path):
    """While it waits its turn."""
    await client.submit(await client.upload(f"wait for {tmp_path / 'never'}".encode()))
    job_id = await client.submit(await client.upload())
    check((await client.call("GET", f"/job/{job_id}"))[1], "AsyncJobResponse")


async def test_a_synchronous_answer(client):
    """The bare response."""
    check(
        (await client.call("POST", "/parse", json={"input": await client.upload()}))[1],
        "ParseResponse",
    )


@pytest.mark.parametrize("query", ["", "?exclude_configs=true", "?limit=1"])
async def test_a_listing(client, query):
    """With jobs in several states."""
    await client.parsed()
    await client.parsed(b"refuse")
    check((await client.call("GET", f"/jobs{query}"))[1], "JobsResponse")


async def test_uploads_submissions_and_deletions(client):
    """The small answers."""
    for body in ({}, {"file": None}):
        _, announced = await client.call("POST", "/upload", json=body)
        check(announced, "UploadResponse")
        assert announced["presigned_url"]
    file_id = await client.upload()
    _, submitted = await client.call("POST", "/parse_async", json={"input": file_id})
    check(submitted, "AsyncParseResponse")
    await client.end_of(submitted["job_id"])
    check((await client.call("DELETE", f"/job/{submitted['job_id']}"))[1], "DeleteJobResponse")
    check(
        (await client.call("DELETE", f"/upload/{file_id.replace('/', '%2F')}"))[1],
        "DeleteUploadResponse",
    )


async def test_a_refused_request(client):
    """FastAPI's 422."""
    check((await client.call("POST", "/parse_async", json={}))[1], "HTTPValidationError")
