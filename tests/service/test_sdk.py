"""The official SDK works against the local service, changed in nothing but its base URL."""

from __future__ import annotations

import asyncio

import pytest
import reducto


@pytest.fixture
async def sdk(client):
    async with reducto.AsyncReducto(api_key="secret", base_url=client.service.url, max_retries=0) as sdk:
        yield sdk


async def completed(sdk, client, job_id):
    await client.end_of(job_id)
    return await sdk.job.get(job_id)


async def test_a_submitted_parse_is_read_back_typed(sdk, client, tmp_path):
    """Upload a path, submit, poll, and read chunks from the typed result."""
    document = tmp_path / "letter.txt"
    document.write_text("Dear reader")
    upload = await sdk.upload(file=document)
    submitted = await sdk.parse.run_job(input=upload, async_={"metadata": {"mine": 1}})
    job = await completed(sdk, client, submitted.job_id)
    assert upload.file_id.endswith(".txt") and job.status == "Completed"
    assert job.result.result.chunks[0].content == "Dear reader" and job.result.usage.num_pages == 1


async def test_a_synchronous_parse_returns_its_response(sdk):
    """`run` waits for the result."""
    upload = await sdk.upload(file=b"bytes", extension="txt")
    response = await sdk.parse.run(input=upload.file_id)
    assert response.response_type == "parse" and response.result.chunks[0].blocks[0].type == "Text"


async def test_the_listing_is_typed_and_paged(sdk, client):
    """`get_all` follows the cursor it was given."""
    for _ in range(3):
        await sdk.parse.run(input=(await sdk.upload(file=b"x", extension="txt")).file_id)
    first = await sdk.job.get_all(limit=2)
    second = await sdk.job.get_all(limit=2, cursor=first.next_cursor, exclude_configs=True)
    assert len(first.jobs) == 2 and len(second.jobs) == 1 and second.next_cursor is None
    assert first.jobs[0].status == "Completed" and first.jobs[0].created_at.year >= 2026


async def test_jobs_and_uploads_are_cancelled_and_deleted(sdk, client):
    """Cancel, delete the job, delete the upload; what is deleted raises what the SDK has for it."""
    upload = await sdk.upload(file=b"x", extension="txt")
    submitted = await sdk.parse.run_job(input=upload.file_id)
    await completed(sdk, client, submitted.job_id)
    await sdk.job.cancel(submitted.job_id)
    assert (await sdk.job.delete(submitted.job_id)).job_id == submitted.job_id
    with pytest.raises(reducto.ConflictError):
        await sdk.job.get(submitted.job_id)
    assert (await sdk.delete_upload(upload.file_id)).file_id == upload.file_id
    with pytest.raises(reducto.NotFoundError):
        await sdk.delete_upload(upload.file_id)


async def test_a_failed_job_carries_its_error(sdk, client):
    """Name and code are there to be branched on."""
    upload = await sdk.upload(file=b"refuse", extension="txt")
    job = await completed(sdk, client, (await sdk.parse.run_job(input=upload.file_id)).job_id)
    assert job.status == "Failed" and job.error.name == "DOCUMENT_CORRUPT"


async def test_a_url_result_is_read_by_the_sdk_s_own_helper(sdk, client):
    """The address it is given serves a full result to anyone who holds it."""
    from reducto.lib.helpers import handle_url_response

    upload = await sdk.upload(file=b"elsewhere", extension="txt")
    response = await sdk.parse.run(input=upload.file_id, settings={"force_url_result": True})
    whole = await asyncio.to_thread(handle_url_response, response)
    assert whole.result.chunks[0].content == "elsewhere"


async def test_the_synchronous_client_works_as_well(client, tmp_path):
    """A plain script, blocking in a thread of its own."""

    def script() -> str:
        with reducto.Reducto(api_key="secret", base_url=client.service.url) as sdk:
            response = sdk.parse.run(input=sdk.upload(file=b"plain", extension="txt"))
            return response.result.chunks[0].content

    assert await asyncio.to_thread(script) == "plain"


async def test_a_wrong_key_raises_what_it_should(client):
    """401 is AuthenticationError."""
    async with reducto.AsyncReducto(api_key="wrong", base_url=client.service.url) as sdk:
        with pytest.raises(reducto.AuthenticationError):
            await sdk.job.get_all(limit=1)
