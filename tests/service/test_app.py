"""The endpoints, one property a test, against a real service on loopback."""

from __future__ import annotations

import aiohttp
import pytest


async def test_a_text_comes_back_as_a_parse_result(client):
    """What was uploaded and submitted is read, and the result has the API's shape."""
    job_id, answer = await client.parsed(b"hello world")
    assert answer["status"] == "Completed"
    result = answer["result"]
    assert result["response_type"] == "parse" and result["job_id"] == job_id
    assert result["usage"]["num_pages"] == 1 and result["duration"] >= 0
    assert result["result"]["chunks"][0]["content"] == "hello world"


async def test_a_synchronous_parse_answers_with_the_bare_result(client):
    """POST /parse without `async` waits and gives what GET /job has under `result`."""
    status, answer = await client.call(
        "POST", "/parse", json={"input": await client.upload(b"now")}
    )
    assert status == 200 and answer["result"]["chunks"][0]["content"] == "now"


async def test_a_synchronous_path_with_an_async_object_submits(client):
    """The `async` object turns the synchronous endpoint into a submission."""
    job_id = await client.submit(await client.upload(), "parse", **{"async": {"priority": True}})
    assert (await client.end_of(job_id))["status"] == "Completed"


async def test_a_broken_document_is_a_failed_job_with_status_200(client):
    """A document's own fault stands in the job: reason, name, code, message, job_id."""
    job_id, answer = await client.parsed(b"refuse")
    assert answer["status"] == "Failed" and answer["reason"] == "The document is broken"
    error = {
        "code": 415,
        "name": "DOCUMENT_CORRUPT",
        "message": "The document is broken",
        "job_id": job_id,
    }
    assert answer["error"] == error


async def test_a_broken_document_refuses_the_synchronous_caller(client):
    """Synchronously the same fault is the answer's own status, in the API's envelope."""
    status, answer = await client.call(
        "POST", "/parse", json={"input": await client.upload(b"refuse")}
    )
    assert status == 415 and answer["error"]["name"] == "DOCUMENT_CORRUPT"


@pytest.mark.parametrize(
    "source", ["reducto://11111111-1111-1111-1111-111111111111.pdf", "reducto://../../etc/passwd"]
)
async def test_an_unknown_upload_is_accepted_and_then_fails(client, source):
    """The hosted service looks at the input at work time, and so do we."""
    answer = await client.end_of(await client.submit(source))
    assert answer["error"]["name"] == "INVALID_CONFIG" and answer["error"]["code"] == 400


async def test_an_upload_deleted_after_acceptance_fails_the_job(client, tmp_path):
    """A fenced submission can only end as a job without input: the upload is read when the work
    begins.
    """
    gate = tmp_path / "gate"
    first = await client.submit(await client.upload(f"wait for {gate}".encode()))
    file_id = await client.upload()
    second = await client.submit(file_id)
    status, _ = await client.call("DELETE", f"/upload/{file_id.replace('/', '%2F')}")
    gate.touch()
    assert status == 200 and (await client.end_of(first))["status"] == "Completed"
    assert (await client.end_of(second))["error"]["name"] == "INVALID_CONFIG"


async def test_an_upload_is_deleted_once(client):
    """The id comes as one path segment with %2F; the second deletion finds nothing."""
    path = "/upload/" + (await client.upload()).replace("/", "%2F")
    assert [(await client.call("DELETE", path))[0] for _ in range(2)] == [200, 404]


async def test_a_presigned_upload_is_read_like_any_other(client):
    """An upload without bytes gets an address that takes them without the key."""
    _, announced = await client.call("POST", "/upload?extension=.txt", json={})
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.put(announced["presigned_url"], data=b"put here") as put,
    ):
        assert put.status == 200
    answer = await client.end_of(await client.submit(announced))
    assert answer["result"]["result"]["chunks"][0]["content"] == "put here"
    assert announced["file_id"].endswith(".txt")


async def test_a_forced_url_result_is_served_without_the_key(client):
    """The inner result moves to an unguessable address, and comes whole from there."""
    _, answer = await client.parsed(b"far away", settings={"force_url_result": True})
    linked = answer["result"]["result"]
    assert linked["type"] == "url" and linked["result_id"]
    async with aiohttp.ClientSession() as stranger, stranger.get(linked["url"]) as fetched:
        inner = await fetched.json()
    assert inner["type"] == "full" and inner["chunks"][0]["content"] == "far away"


async def test_a_large_result_moves_to_an_address_by_itself(client):
    """Above 6 MB no one has to ask for it."""
    _, answer = await client.parsed(b"grow")
    assert answer["result"]["result"]["type"] == "url"


async def test_an_image_is_served_at_its_block_s_address(client):
    """What the parser names by key, the client finds by address."""
    _, answer = await client.parsed(b"picture")
    address = answer["result"]["result"]["chunks"][0]["blocks"][0]["image_url"]
    async with aiohttp.ClientSession() as stranger, stranger.get(address) as fetched:
        assert await fetched.read() == b"\x89PNG" and fetched.content_type == "image/png"


async def test_a_wrong_token_finds_no_file(client):
    """An address differs from a guess."""
    job_id, _ = await client.parsed(b"x", settings={"force_url_result": True})
    assert (await client.call("GET", f"/files/{job_id}/guess/result.json"))[0] == 404


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        (b"{", ["body", 0]),
        (b"{}", ["body", "input"]),
        (b'{"input":1}', ["body", "input"]),
        (b'{"input":"reducto://x","settings":{"timeout":"soon"}}', ["body", "settings", "timeout"]),
        (b'{"input":"reducto://x","queue_priority":"now"}', ["body", "queue_priority"]),
        (b'{"input":["a",2]}', ["body", "input", 1]),
        (
            b'{"input":"x","retrieval":{"filter_blocks":["Table","Tabel"]}}',
            ["body", "retrieval", "filter_blocks", 1],
        ),
        (
            b'{"input":"x","async":{"webhook":{"mode":"direct"}}}',
            ["body", "async", "webhook", "url"],
        ),
        (
            b'{"input":"x","settings":{"page_range":[{"start":"one"}]}}',
            ["body", "settings", "page_range", 0, "start"],
        ),
    ],
)
async def test_a_misshapen_request_is_refused_as_fastapi_would(client, body, loc):
    """422, with the place of what is wrong."""
    status, answer = await client.call("POST", "/parse_async", data=body)
    assert status == 422 and answer["detail"][0]["loc"] == loc


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "cursor=x", "exclude_configs=perhaps"]
)
async def test_a_misshapen_listing_query_is_refused(client, query):
    """422 names the parameter."""
    status, answer = await client.call("GET", f"/jobs?{query}")
    assert status == 422 and answer["detail"][0]["loc"] == ["query", query.partition("=")[0]]


async def test_version_needs_no_key(client):
    """As in the specification, which asks for none."""
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.get(client.service.url + "/version") as answer,
    ):
        assert answer.status == 200 and isinstance(await answer.json(), str)


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({}, 403, "text/html"),
        ({"Authorization": "Bearer wrong"}, 401, "application/json"),
        ({"Authorization": "Bearer "}, 401, "application/json"),
        ({"Authorization": "secret"}, 401, "application/json"),
        ({"Authorization": "Basic secret"}, 401, "application/json"),
        ({"Authorization": "Bearer secret", "Host": "evil.example"}, 403, "text/html"),
    ],
)
async def test_strangers_are_refused_the_way_the_hosted_service_does(client, headers, status, kind):
    """HTML from the edge without a header, JSON with a wrong key, nothing under a foreign name."""
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.get(client.service.url + "/jobs", headers=headers) as answer,
    ):
        assert (answer.status, answer.content_type) == (status, kind)


async def test_a_method_or_path_unknown_answers_json(client):
    """Nothing falls through to a plain text page."""
    assert (await client.call("GET", "/nowhere"))[0] == 404
    assert (await client.call("PUT", "/jobs"))[0] == 405


async def test_edit_says_that_it_is_not_served(client):
    """A clear refusal, not a job that never ends."""
    status, answer = await client.call(
        "POST", "/edit", json={"document_url": "x", "edit_instructions": "y"}
    )
    assert status == 400 and answer["error"]["name"] == "INVALID_CONFIG"


async def test_a_classify_waits_even_with_an_async_object(client):
    """Its description has `async` for /classify_async alone, and one kind of answer."""
    body = {
        "input": await client.upload(),
        "classification_schema": [],
        "async": {"priority": False},
    }
    _, answer = await client.call("POST", "/classify", json=body)
    assert set(answer) != {"job_id"}
