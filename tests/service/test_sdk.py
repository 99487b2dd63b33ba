"""The official SDK works against the local service, changed in nothing but its base URL: both of
its clients.
"""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
import reducto
from reducto.lib.helpers import handle_url_response


class Either:
    """One of the two clients; the blocking one runs in a thread, as in a plain script."""

    def __init__(self, sdk: Any, service_client: Any) -> None:
        self.sdk = sdk
        self.service = service_client

    async def __call__(self, name: str, *args: Any, **words: Any) -> Any:
        call = self.sdk
        for part in name.split("."):
            call = getattr(call, part)
        if isinstance(self.sdk, reducto.AsyncReducto):
            return await call(*args, **words)
        return await asyncio.to_thread(call, *args, **words)

    async def upload(self, content: bytes = b"Dear reader") -> str:
        return (await self("upload", file=content, extension="txt")).file_id

    async def job(self, job_id: str) -> Any:
        """Typed, once it has ended."""
        await self.service.end_of(job_id)
        return await self("job.get", job_id)


@pytest.fixture(params=["Reducto", "AsyncReducto"])
async def sdk(client, request):
    made = getattr(reducto, request.param)(
        api_key="secret",
        base_url=client.service.url,
        max_retries=0,
        _strict_response_validation=True,
    )
    yield Either(made, client)
    closing = made.close()
    if inspect.isawaitable(closing):
        await closing


async def test_a_submitted_parse_is_read_back_typed(sdk, tmp_path):
    """Upload a path, submit, poll, and read chunks from the typed result."""
    document = tmp_path / "letter.txt"
    document.write_text("Dear reader")
    upload = await sdk("upload", file=document)
    submitted = await sdk("parse.run_job", input=upload, async_={"metadata": {"mine": 1}})
    job = await sdk.job(submitted.job_id)
    assert upload.file_id.endswith(".txt") and job.status == "Completed"
    assert job.result.result.chunks[0].content == "Dear reader" and job.result.usage.num_pages == 1


async def test_a_synchronous_parse_returns_its_response(sdk):
    """`run` waits for the result."""
    response = await sdk("parse.run", input=await sdk.upload())
    assert response.response_type == "parse" and response.result.chunks[0].blocks[0].type == "Text"


async def test_run_with_an_async_object_submits(sdk):
    """The same endpoint answers with a job id then."""
    submitted = await sdk("parse.run", input=await sdk.upload(), async_={"priority": True})
    assert (await sdk.job(submitted.job_id)).result.result.chunks[0].content == "Dear reader"


async def test_bytes_are_put_at_a_presigned_address(sdk, client):
    """`upload()` without a file tells where."""
    upload = await sdk("upload", extension="txt")
    async with client.session.put(upload.presigned_url, data=b"Dear reader") as put:
        assert put.status == 200
    response = await sdk("parse.run", input=upload)
    assert response.result.chunks[0].content == "Dear reader"


async def test_the_listing_is_typed_and_paged(sdk):
    """`get_all` follows the cursor it was given."""
    for _ in range(3):
        await sdk("parse.run", input=await sdk.upload())
    first = await sdk("job.get_all", limit=2)
    second = await sdk("job.get_all", limit=2, cursor=first.next_cursor, exclude_configs=True)
    assert len(first.jobs) == 2 and len(second.jobs) == 1 and second.next_cursor is None
    assert first.jobs[0].status == "Completed" and first.jobs[0].created_at.year >= 2026


async def test_jobs_and_uploads_are_cancelled_and_deleted(sdk):
    """Cancel, delete the job, delete the upload; what is deleted raises what the SDK has for it."""
    file_id = await sdk.upload()
    submitted = await sdk("parse.run_job", input=file_id)
    await sdk.job(submitted.job_id)
    await sdk("job.cancel", submitted.job_id)
    assert (
        await sdk("job.delete", submitted.job_id, include_persisted=True)
    ).job_id == submitted.job_id
    with pytest.raises(reducto.ConflictError):
        await sdk("job.get", submitted.job_id)
    assert (await sdk("delete_upload", file_id)).file_id == file_id
    with pytest.raises(reducto.NotFoundError):
        await sdk("delete_upload", file_id)


async def test_a_failed_job_carries_its_error(sdk):
    """Name and code are there to be branched on."""
    job = await sdk.job((await sdk("parse.run_job", input=await sdk.upload(b"refuse"))).job_id)
    assert job.status == "Failed" and (job.error.name, job.error.code) == ("DOCUMENT_CORRUPT", 415)


async def test_a_refused_synchronous_parse_raises_its_status(sdk):
    """With the API's envelope as its body."""
    with pytest.raises(reducto.APIStatusError) as caught:
        await sdk("parse.run", input=await sdk.upload(b"refuse"))
    assert (
        caught.value.status_code == 415 and caught.value.body["error"]["name"] == "DOCUMENT_CORRUPT"
    )


async def test_a_url_result_is_read_by_the_sdk_s_own_helper(sdk):
    """The address it is given serves a full result to anyone who holds it."""
    response = await sdk(
        "parse.run", input=await sdk.upload(b"elsewhere"), settings={"force_url_result": True}
    )
    whole = await asyncio.to_thread(handle_url_response, response)
    assert whole.result.chunks[0].content == "elsewhere"


async def test_small_calls(sdk):
    """Version and portal are text."""
    assert "local" in await sdk("api_version")
    assert "/webhooks" in await sdk("webhook.run")


async def test_edit_says_that_it_is_not_served(sdk):
    """A clear 400, not a stranger's 404."""
    for call in ("edit.run", "edit.run_job"):
        with pytest.raises(reducto.BadRequestError, match="not served"):
            await sdk(call, document_url=await sdk.upload(), edit_instructions="Name: Ada")


@pytest.mark.parametrize(("key", "status"), [("wrong", 401)])
async def test_a_wrong_key_raises_what_it_should(client, key, status):
    """401 is AuthenticationError."""
    async with reducto.AsyncReducto(api_key=key, base_url=client.service.url) as sdk:
        with pytest.raises(reducto.AuthenticationError) as caught:
            await sdk.job.get_all(limit=1)
    assert caught.value.status_code == status


async def test_a_script_by_someone_else_works_unchanged(client, tmp_path, monkeypatch):
    """With two environment variables and the documented recipe."""
    monkeypatch.setenv("REDUCTO_API_KEY", "secret")
    monkeypatch.setenv("REDUCTO_BASE_URL", client.service.url)
    document = tmp_path / "letter.txt"
    document.write_text("plain")

    def script() -> str:
        from reducto import Reducto

        with Reducto() as sdk:
            upload = sdk.upload(file=Path(document))
            result = sdk.parse.run(input=upload.file_id)
            return result.result.chunks[0].content

    assert await asyncio.to_thread(script) == "plain"


PAPER = b"Invoice\nInvoice number: A-7\nSubtotal: 100.00\nVAT: 20.50\nTotal: 120.50 EUR"
TOTALS = {"schema": {"type": "object", "properties": {"total": {"type": "number"}}}}
INVOICES = {
    "name": "Invoices",
    "description": "invoice with subtotal, VAT and total",
    "partition_key": "invoice number",
}
REQUESTS = {
    "extract": {"instructions": TOTALS, "settings": {"citations": {"enabled": True}}},
    "split": {"split_description": [INVOICES]},
    "classify": {
        "classification_schema": [
            {"category": "invoice", "criteria": ["has a subtotal, VAT and total"]}
        ]
    },
    "pipeline": {"pipeline_id": "receipt"},
}


@pytest.mark.parametrize("endpoint", REQUESTS)
async def test_each_endpoint_s_answer_is_of_the_sdk_s_own_type(sdk, endpoint):
    """Synchronously and as a job, both are the same answer, and neither is forced into its type."""
    source = await sdk.upload(PAPER)
    answer = await sdk(f"{endpoint}.run", input=source, **REQUESTS[endpoint])
    submitted = await sdk(f"{endpoint}.run_job", input=source, **REQUESTS[endpoint])
    job = await sdk.job(submitted.job_id)
    assert job.status == "Completed" and type(job.result) is type(answer)
    assert job.result.result == answer.result or endpoint == "pipeline"


async def test_what_the_typed_answers_say(sdk):
    """The value, its citation; the section and its partition; the category; the pipeline's
    steps.
    """
    source = await sdk.upload(PAPER)
    extract = await sdk("extract.run", input=source, **REQUESTS["extract"])
    assert extract.response_type == "v3_extract" and extract.result["total"]["value"] == 120.5
    bare = await sdk("extract.run", input=source, instructions=TOTALS)
    assert bare.response_type == "v3_extract" and bare.result == [{"total": 120.5}]
    split = await sdk("split.run", input=source, **REQUESTS["split"])
    assert split.result.splits[0].partitions[0].name == "A-7" and split.result.section_mapping == {
        "Invoices": [1]
    }
    classified = await sdk("classify.run", input=source, **REQUESTS["classify"])
    assert classified.result.category == "invoice" and classified.usage.num_categories == 1
    pipeline = await sdk("pipeline.run", input=source, **REQUESTS["pipeline"])
    assert (
        pipeline.result.parse.usage.num_pages == 1
        and pipeline.result.extract.result[0]["total"] == 120.5
    )
