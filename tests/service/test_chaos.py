"""Ordered faults do what their names say, and are accounted for."""

from __future__ import annotations

import aiohttp
import pytest
from service_client import PARSER, Client

from batcher.service.faults import read_orders
from batcher.service.local import LocalOptions, LocalService


@pytest.fixture
def disturbed(tmp_path, session, clock):
    """Opens a service with the faults of an order."""

    def open_with(orders: str) -> LocalService:
        options = LocalOptions(
            tmp_path / "service", workers=1, parser=PARSER, clock=clock, chaos=read_orders(orders)
        )
        return LocalService(options, key="secret")

    return open_with


async def listed(client: Client) -> list[dict]:
    return (await client.call("GET", "/jobs"))[1]["jobs"]


async def test_a_lost_reply_leaves_an_accepted_job(disturbed, session):
    """The caller sees a broken connection; the job runs."""
    async with disturbed("lost-reply=1") as service:
        client = Client(session, service)
        file_id = await client.upload()
        with pytest.raises(aiohttp.ClientError):
            await client.submit(file_id)
        (row,) = await listed(client)
        assert (await client.end_of(row["job_id"]))["status"] == "Completed"


async def test_a_late_acceptance_comes_after_the_broken_connection(disturbed, session):
    """First there is no job, and then there is one after all."""
    async with disturbed("late-acceptance=1:0.05") as service:
        client = Client(session, service)
        file_id = await client.upload()
        with pytest.raises(aiohttp.ClientError):
            await client.submit(file_id)
        assert await listed(client) == []
        while not await listed(client):
            pass


async def test_a_fence_makes_a_late_acceptance_fail(disturbed, session):
    """An upload deleted before the late job is read leaves it without input."""
    async with disturbed("late-acceptance=1:1") as service:
        client = Client(session, service)
        file_id = await client.upload()
        with pytest.raises(aiohttp.ClientError):
            await client.submit(file_id)
        await client.call("DELETE", "/upload/" + file_id.replace("/", "%2F"))
        while not (rows := await listed(client)):
            pass
        assert (await client.end_of(rows[0]["job_id"]))["error"]["name"] == "INVALID_CONFIG"


async def test_a_reset_accepts_nothing(disturbed, session):
    """Indistinguishable for the caller, but no job comes of it."""
    async with disturbed("reset=1") as service:
        client = Client(session, service)
        with pytest.raises(aiohttp.ClientError):
            await client.submit("reducto://none")
        assert service.rooms.jobs.page(limit=10, before=None)[0] == []


async def test_a_truncated_body_accepts_and_breaks_off(disturbed, session):
    """The status is 200 and the answer is cut in two."""
    async with disturbed("truncated-body=1") as service:
        client = Client(session, service)
        with pytest.raises(aiohttp.ClientError):
            await client.submit("reducto://none")
        assert len(service.rooms.jobs.page(limit=10, before=None)[0]) == 1


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [("429-1000", 429, "CODE 1000"), ("500", 500, "INTERNAL"), ("503-300", 503, "FULL")],
)
async def test_refusals_look_like_the_hosted_ones(disturbed, session, fault, status, words):
    """Status and words by which clients tell them apart, and no job."""
    async with disturbed(f"{fault}=1") as service:
        url = service.url + "/parse_async"
        async with session.post(url, json={"input": "reducto://none"}) as answer:
            assert answer.status == status and words in await answer.text()
            assert answer.headers.get("Retry-After") == ("300" if status == 503 else None)
        assert service.rooms.jobs.page(limit=10, before=None)[0] == []


async def test_a_limit_takes_so_many_calls_in_a_second_and_refuses_the_rest(disturbed, session):
    """Of all kinds together, and those that are refused don't count; what tells of the faults isn't
    counted.
    """
    async with disturbed("limit-1000=4") as service:
        client = Client(session, service)
        answers = [
            await client.call("GET", path) for path in ("/jobs", "/version", "/job/none") * 3
        ]
        assert [status for status, _ in answers] == [200, 200, 404, 200, *[429] * 5]
        assert answers[-1][1]["message"].startswith("[CODE 1000]")
        assert (await client.call("GET", "/__chaos"))[1]["done"] == {"limit-1000": 5}


async def test_a_limit_on_polling_leaves_other_calls_alone(disturbed, session):
    async with disturbed("limit-2000=1") as service:
        client = Client(session, service)
        answers = [
            await client.call("GET", path) for path in ("/job/none", "/job/none", "/jobs", "/jobs")
        ]
        assert [status for status, _ in answers] == [404, 429, 200, 200]
        assert answers[1][1]["message"].startswith("[CODE 2000]")


async def test_polling_has_a_limit_of_its_own(disturbed, session):
    """429 with CODE 2000 on GET /job only."""
    async with disturbed("429-2000=1") as service:
        client = Client(session, service)
        job_id = await client.submit("reducto://none")
        status, answer = await client.call("GET", f"/job/{job_id}")
        assert status == 429 and "CODE 2000" in answer["message"]


async def test_a_lagging_listing_shows_the_job_later(disturbed, session, clock):
    """For its seconds the job isn't listed, though it can be asked for."""
    async with disturbed("listing-lag=1:30") as service:
        client = Client(session, service)
        job_id, answer = await client.parsed()
        assert answer["status"] == "Completed" and await listed(client) == []
        clock.now += 30
        assert [row["job_id"] for row in await listed(client)] == [job_id]


async def test_a_bare_listing_tells_no_requests(disturbed, session):
    """Nonce and file_id can't be found in it."""
    async with disturbed("listing-bare=1") as service:
        client = Client(session, service)
        await client.parsed()
        assert (await listed(client))[0]["raw_config"] == ""


async def test_a_stuck_job_stays_pending_and_can_be_cancelled(disturbed, session):
    """It never reaches a worker."""
    async with disturbed("stuck=1") as service:
        client = Client(session, service)
        job_id = await client.submit(await client.upload())
        assert (await client.call("GET", f"/job/{job_id}"))[1]["status"] == "Pending"
        await client.call("POST", f"/cancel/{job_id}")
        assert (await client.end_of(job_id))["status"] == "Cancelled"


async def test_a_slow_job_ends_all_the_same(disturbed, session):
    """It waits its seconds, and then runs."""
    async with disturbed("slow=1:0.05") as service:
        assert (await Client(session, service).parsed())[1]["status"] == "Completed"


async def test_a_transient_failure_names_a_transient_error(disturbed, session):
    """The document is not to blame."""
    async with disturbed("fail-transient=1") as service:
        _, answer = await Client(session, service).parsed()
        assert answer["error"]["name"] in {"INTERNAL_ERROR", "CAPACITY_TIMEOUT", "GPU_UNAVAILABLE"}


async def test_an_early_expiry_takes_the_result_before_its_time(disturbed, session, clock):
    """404 long before the retention is over."""
    async with disturbed("early-expiry=1:60") as service:
        client = Client(session, service)
        job_id, _ = await client.parsed()
        clock.now += 60
        assert (await client.call("GET", f"/job/{job_id}"))[0] == 404


async def test_every_strike_is_accounted_for(disturbed, session):
    """`GET /__chaos` says what was ordered, how often it happened, and to what."""
    async with disturbed("lost-reply=1,slow=0.5:2") as service:
        client = Client(session, service)
        with pytest.raises(aiohttp.ClientError):
            await client.submit("reducto://none")
        _, account = await client.call("GET", "/__chaos")
    assert account["done"]["lost-reply"] == 1 and account["orders"]["slow"] == {
        "rate": 0.5,
        "seconds": 2,
    }
    assert {"fault": "lost-reply", "what": "POST /parse_async"} in account["latest"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lost-replay=1", "lost-reply"),
        ("slow=2", "0 and 1"),
        ("slow=x", "NAME=RATE"),
        ("slow=1:inf", "NAME=RATE"),
    ],
)
def test_a_misspelt_order_is_refused(text, words):
    """With the nearest name, or what a rate is."""
    with pytest.raises(ValueError, match=words):
        read_orders(text)
