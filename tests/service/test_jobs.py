"""The life of a job as its owner sees it: listed, cancelled, deleted, expired."""

from __future__ import annotations

import json
from datetime import datetime

from batcher.reducto.api_types import RETENTION, UPLOAD_RETENTION


async def test_the_listing_shows_the_request_as_it_came(client):
    """`raw_config` is a JSON string that holds input and metadata, by which a lost submission is
    found again.
    """
    file_id = await client.upload()
    job_id = await client.submit(file_id, **{"async": {"metadata": {"nonce": "n-1"}}})
    await client.end_of(job_id)
    _, page = await client.call("GET", "/jobs")
    row = page["jobs"][0]
    config = json.loads(row["raw_config"])
    assert config["input"] == file_id and config["async"]["metadata"] == {"nonce": "n-1"}
    assert (row["job_id"], row["type"], row["status"], row["num_pages"]) == (
        job_id,
        "Parse",
        "Completed",
        1,
    )
    assert datetime.fromisoformat(row["created_at"]).tzinfo is None


async def test_passwords_are_not_listed(client):
    """The request is shown without the password of its document."""
    await client.parsed(settings={"document_password": "hunter2"})
    _, page = await client.call("GET", "/jobs")
    assert "hunter2" not in json.dumps(page) and "redacted" in page["jobs"][0]["raw_config"]


async def test_pages_run_from_the_newest_to_the_oldest(client):
    """Cursors lead through every job once."""
    submitted = [await client.submit("reducto://none") for _ in range(5)]
    seen = []
    cursor = ""
    while cursor is not None:
        _, page = await client.call(
            "GET", f"/jobs?limit=2&exclude_configs=true{cursor and '&cursor=' + cursor}"
        )
        seen += [row["job_id"] for row in page["jobs"]]
        assert all(row["raw_config"] == "" for row in page["jobs"])
        cursor = page["next_cursor"]
    assert seen == submitted[::-1]


async def test_a_running_job_is_in_progress_and_can_be_cancelled(client, tmp_path):
    """Cancelling ends the work at once, and the next job finds a worker."""
    started = tmp_path / "never"
    job_id = await client.submit(await client.upload(f"wait for {started}".encode()))
    waiting = await client.submit(await client.upload(b"next"))
    assert (await client.call("GET", f"/job/{waiting}"))[1]["status"] == "Pending"
    assert (await client.call("POST", f"/cancel/{job_id}"))[0] == 200
    _, answer = await client.call("GET", f"/job/{job_id}")
    assert answer["status"] == "Cancelled" and answer["error"]["name"] == "JOB_CANCELLED"
    assert (await client.end_of(waiting))["status"] == "Completed"


async def test_a_pending_job_is_cancelled_without_being_read(client, tmp_path):
    """What is cancelled in the queue never reaches a worker."""
    gate = tmp_path / "gate"
    notes = tmp_path / "notes"
    first = await client.submit(await client.upload(f"wait for {gate}".encode()))
    second = await client.submit(await client.upload(f"note read in {notes}".encode()))
    await client.call("POST", f"/cancel/{second}")
    gate.touch()
    await client.end_of(first)
    await client.parsed(b"another")
    assert (await client.end_of(second))["status"] == "Cancelled" and not notes.exists()


async def test_cancelling_a_finished_job_changes_nothing(client):
    """Only the final status counts, and it stays."""
    job_id, _ = await client.parsed()
    assert (await client.call("POST", f"/cancel/{job_id}"))[0] == 200
    assert (await client.end_of(job_id))["status"] == "Completed"


async def test_a_deleted_job_is_going_and_then_gone(client, clock):
    """202, then 409 while the deletion runs, then 410, and in no listing."""
    job_id, _ = await client.parsed()
    assert (await client.call("DELETE", f"/job/{job_id}"))[0] == 202
    assert (await client.call("GET", f"/job/{job_id}"))[0] == 409
    clock.now += 2
    status, answer = await client.call("GET", f"/job/{job_id}")
    assert status == 410 and answer["error"]["name"] == "JOB_DELETED"
    assert (await client.call("GET", "/jobs"))[1]["jobs"] == []


async def test_a_persisted_job_outlives_a_plain_deletion(client):
    """`include_persisted` is what removes it."""
    job_id, _ = await client.parsed(settings={"persist_results": True})
    assert (await client.call("DELETE", f"/job/{job_id}"))[0] == 202
    assert (await client.end_of(job_id))["status"] == "Completed"
    await client.call("DELETE", f"/job/{job_id}?include_persisted=true")
    assert (await client.call("GET", f"/job/{job_id}"))[0] == 409


async def test_unknown_jobs_are_not_found(client):
    """Every call that names a job says so in the API's envelope."""
    for method, path in [("GET", "/job/x"), ("DELETE", "/job/x"), ("POST", "/cancel/x")]:
        status, answer = await client.call(method, path)
        assert (
            status == 404
            and answer["error"]["name"] == "NOT_FOUND"
            and answer["detail"] == "Job not found"
        )


async def test_results_expire_from_submission(client, clock):
    """After the retention the job is unknown, its files are gone, and the listing is empty."""
    job_id, _ = await client.parsed()
    clock.now += RETENTION - 1
    assert (await client.call("GET", f"/job/{job_id}"))[0] == 200
    clock.now += 1
    assert (await client.call("GET", f"/job/{job_id}"))[0] == 404
    assert (await client.call("GET", "/jobs"))[1]["jobs"] == []
    await client.service.sweep()
    assert not list((client.service.options.data_dir / "results").iterdir())


async def test_persisted_results_stay(client, clock):
    """`persist_results` is exempt from the retention."""
    job_id, _ = await client.parsed(settings={"persist_results": True})
    clock.now += 30 * RETENTION
    await client.service.sweep()
    assert (await client.end_of(job_id))["status"] == "Completed"


async def test_uploads_expire_after_a_day(client, clock):
    """Then they are as unknown as if they had never been."""
    file_id = await client.upload()
    clock.now += UPLOAD_RETENTION
    await client.service.sweep()
    assert not list((client.service.options.data_dir / "uploads").iterdir())
    assert (await client.end_of(await client.submit(file_id)))["error"]["name"] == "INVALID_CONFIG"
