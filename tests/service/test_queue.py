"""In which order jobs run, and what a caller who waits too long is told."""

from __future__ import annotations

import asyncio
import json

import pytest
from service_client import PARSER, Client

from batcher.reducto.api_types import JobType
from batcher.service.jobs import JobLane, StoredJob
from batcher.service.local import LocalOptions, LocalService
from batcher.service.requests import lane_of, read_request


async def test_who_waits_goes_first(client, tmp_path):
    """Sync before priority before standard before batch, whatever the order of acceptance."""
    gate = tmp_path / "gate"
    notes = tmp_path / "notes"
    blocker = await client.submit(await client.upload(f"wait for {gate}".encode()))
    document = {lane: await client.upload(f"note {lane} in {notes}".encode()) for lane in LANES}
    jobs = [
        await client.submit(document[lane], **wish)
        for lane, wish in LANES.items()
        if lane != "sync"
    ]
    waiting = asyncio.create_task(client.call("POST", "/parse", json={"input": document["sync"]}))
    while len((await client.call("GET", "/jobs"))[1]["jobs"]) < 1 + len(LANES):
        pass
    gate.touch()
    await waiting
    ends = [await client.end_of(job_id) for job_id in (blocker, *jobs)]
    assert {end["status"] for end in ends} == {"Completed"}
    assert notes.read_text().split() == ["sync", "priority", "standard", "batch"]


LANES = {
    "batch": {"queue_priority": "batch"},
    "standard": {},
    "priority": {"async": {"priority": True}},
    "sync": {},
}


@pytest.mark.parametrize(
    ("type", "body", "lane"),
    [
        ("Parse", {}, JobLane.STANDARD),
        ("Parse", {"async": {"priority": True}}, JobLane.PRIORITY),
        ("Parse", {"queue_priority": "batch", "async": {"priority": True}}, JobLane.BATCH),
        ("Parse", {"queue_priority": "standard"}, JobLane.STANDARD),
        ("Classify", {}, JobLane.PRIORITY),
        ("Classify", {"priority": False}, JobLane.STANDARD),
    ],
)
def test_a_submission_s_lane(type, body, lane):
    """By its own words; a classification has priority unless it declines."""
    assert (
        lane_of(read_request(json.dumps({"input": "reducto://x", **body}).encode(), JobType(type)))
        is lane
    )


async def test_a_service_may_be_told_to_be_slow(tmp_path, session):
    """Twelve jobs at twenty a second take half a second and more, however many workers there
    are.
    """
    options = LocalOptions(tmp_path / "service", workers=2, parser=PARSER, capacity=20.0)
    async with LocalService(options, key="secret") as service:
        client = Client(session, service)
        document = await client.upload(b"a letter")
        began = asyncio.get_running_loop().time()
        jobs = [await client.submit(document) for _ in range(12)]
        ends = [await client.end_of(job_id) for job_id in jobs]
        assert asyncio.get_running_loop().time() - began >= 9 / 20
    assert {end["status"] for end in ends} == {"Completed"}


async def test_a_caller_who_waits_too_long_is_cut_off(tmp_path, session):
    """504 from the edge, without a job id; the job runs on."""
    options = LocalOptions(tmp_path / "service", workers=1, parser=PARSER, sync_patience=0.05)
    gate = tmp_path / "gate"
    async with LocalService(options, key="secret") as service:
        client = Client(session, service)
        body = {"input": await client.upload(f"wait for {gate}".encode())}
        async with session.post(service.url + "/parse", json=body) as answer:
            assert answer.status == 504 and answer.content_type == "text/html"
        gate.touch()
        _, page = await client.call("GET", "/jobs")
        assert (await client.end_of(page["jobs"][0]["job_id"]))["status"] == "Completed"


@pytest.fixture
async def half_accepted(client, monkeypatch, tmp_path):
    """A submission held between being durable and being queued, its job's id, and what lets it go
    on.
    """
    jobs = client.service.rooms.jobs
    durable = asyncio.Event()
    gate = asyncio.Event()
    create = jobs.create

    async def linger(job: StoredJob) -> None:
        await create(job)
        durable.set()
        await gate.wait()

    monkeypatch.setattr(jobs, "create", linger)
    document = await client.upload(f"note ran in {tmp_path / 'notes'}".encode())
    async with asyncio.TaskGroup() as group:
        group.create_task(client.submit(document))
        await durable.wait()
        (row,) = (await client.call("GET", "/jobs"))[1]["jobs"]
        yield row["job_id"], gate
        gate.set()


async def test_a_job_is_under_way_from_the_moment_it_can_be_listed(client, half_accepted):
    """Before it is queued it can neither be deleted nor seem to have ended."""
    job_id, gate = half_accepted
    status, _ = await client.call("DELETE", f"/job/{job_id}")
    gate.set()
    assert status == 409
    assert (await client.end_of(job_id))["status"] == "Completed"


async def test_a_cancellation_that_overtakes_the_queueing_holds(client, half_accepted, tmp_path):
    """The job is not run after all."""
    job_id, gate = half_accepted
    await client.call("POST", f"/cancel/{job_id}")
    gate.set()
    await client.parsed()  # whoever was queued before has had its turn
    assert (await client.end_of(job_id))["status"] == "Cancelled"
    assert not (tmp_path / "notes").exists()


async def test_a_job_that_could_not_be_made_durable_is_not_under_way(client, monkeypatch):
    """Its caller is told, and nothing stays behind that would count as live."""
    made = []

    async def fail(job: StoredJob) -> None:
        made.append(job.job_id)
        raise OSError("disk full")

    monkeypatch.setattr(client.service.rooms.jobs, "create", fail)
    file_id = await client.upload()
    async with client.session.post(
        client.service.url + "/parse_async", json={"input": file_id}
    ) as answer:
        assert answer.status == 503
    assert client.service.rooms.queue.live(made[0]) is None
