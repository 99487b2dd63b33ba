"""In which order jobs run, and what a caller who waits too long is told."""

from __future__ import annotations

import asyncio
import json

import pytest
from service_client import PARSER, Client

from batcher.core.wire import JobType
from batcher.service.jobs import Lane
from batcher.service.local import LocalService, Options
from batcher.service.requests import lane_of, read_request


async def test_who_waits_goes_first(client, tmp_path):
    """Sync before priority before standard before batch, whatever the order of acceptance."""
    gate, notes = tmp_path / "gate", tmp_path / "notes"
    blocker = await client.submit(await client.upload(f"wait for {gate}".encode()))
    document = {lane: await client.upload(f"note {lane} in {notes}".encode()) for lane in LANES}
    jobs = [await client.submit(document[lane], **wish) for lane, wish in LANES.items() if lane != "sync"]
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
        ("Parse", {}, Lane.STANDARD),
        ("Parse", {"async": {"priority": True}}, Lane.PRIORITY),
        ("Parse", {"queue_priority": "batch", "async": {"priority": True}}, Lane.BATCH),
        ("Parse", {"queue_priority": "standard"}, Lane.STANDARD),
        ("Classify", {}, Lane.PRIORITY),
        ("Classify", {"priority": False}, Lane.STANDARD),
    ],
)
def test_a_submission_s_lane(type, body, lane):
    """By its own words; a classification has priority unless it declines."""
    assert lane_of(read_request(json.dumps({"input": "reducto://x", **body}).encode(), JobType(type))) is lane


async def test_a_caller_who_waits_too_long_is_cut_off(tmp_path, session):
    """504 from the edge, without a job id; the job runs on."""
    options = Options(tmp_path / "service", workers=1, parser=PARSER, sync_patience=0.05)
    gate = tmp_path / "gate"
    async with LocalService(options, key="secret") as service:
        client = Client(session, service)
        body = {"input": await client.upload(f"wait for {gate}".encode())}
        async with session.post(service.url + "/parse", json=body) as answer:
            assert answer.status == 504 and answer.content_type == "text/html"
        gate.touch()
        _, page = await client.call("GET", "/jobs")
        assert (await client.end_of(page["jobs"][0]["job_id"]))["status"] == "Completed"
