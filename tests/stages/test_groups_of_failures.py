"""Failures of one kind are one group, whatever ids the service writes into its answers."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from house import House, all_waiting
from virtual import run_virtually

from batcher.errors import NotFound, Refused
from batcher.ledger.ledger import open_ledger
from batcher.reducto import api_types
from batcher.reducto.fake_client import FakeClient, FakeJob

DOCUMENTS = 12


class Chatty(FakeClient):
    """Names the job, and its own request, wherever it can, as the real client does with each
    call.
    """

    async def job(self, job_id: str, *, room: object = None) -> tuple[api_types.JobAnswer, int]:
        call = f"GET /job/{job_id}"
        request = uuid.uuid5(uuid.NAMESPACE_URL, job_id)
        try:
            answer, size = await super().job(job_id)
        except NotFound:
            raise NotFound(
                call, f"no job {job_id} (request {request})", status=404, name="NOT_FOUND"
            ) from None
        if answer.error is None:
            return answer, size
        error = msgspec.structs.replace(
            answer.error, message=f"job {job_id} of jobid://{job_id}, request {request}"
        )
        return msgspec.structs.replace(answer, error=error), size


class Choosy(FakeClient):
    async def run_job(self, endpoint: str, source: str, *args: object, **more: object) -> str:
        raise Refused(
            "POST /parse_async", f"{source} is no document", status=415, name="DOCUMENT_UNSUPPORTED"
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.put(**{f"letter-{number}": f"letter {number}" for number in range(DOCUMENTS)})
    return house


def groups(house: House) -> list[tuple[str, int]]:
    """By state, as `batcher failures` has them."""
    ledger = open_ledger(
        house.out / ".batcher" / "ledger.db", batch="b", clock=lambda: 2e9, inline=True
    )
    found = [(group.state, group.documents) for group in ledger.reporting.failures()]
    ledger.close()
    return found


def reasons(house: House) -> list[str]:
    """As they stand in the ledger's view."""
    with closing(sqlite3.connect(house.out / ".batcher" / "ledger.db")) as ledger:
        return [str(row[0]) for row in ledger.execute("SELECT reason FROM failures")]


def test_expired_results_are_one_group(house: House) -> None:
    """A run was cut off, and the next one came too late."""

    async def work() -> None:
        house.client = Chatty(house.service)
        await house.run(until=all_waiting(DOCUMENTS))
        await asyncio.sleep(house.retention + 60)
        await house.run()

    run_virtually(work())
    assert groups(house) == [("expired", DOCUMENTS)]
    assert not [
        job for job in house.service.jobs for reason in reasons(house) if f"no job {job}" in reason
    ]


def test_jobs_that_failed_of_the_same_are_one_group(house: House) -> None:
    """The service names job and request in its words."""
    house.client = Chatty(house.service)
    house.service.work = lambda job: (1.0, "DOCUMENT_CORRUPT")
    run_virtually(house.run())
    assert groups(house) == [("failed", DOCUMENTS)]
    assert all("job … of jobid://…" in reason for reason in reasons(house))


def test_refusals_of_uploads_are_one_group_in_the_view_too(house: House) -> None:
    """The id of an upload is that of one document alone."""
    house.client = Choosy(house.service)
    run_virtually(house.run())
    assert groups(house) == [("failed", DOCUMENTS)]
    assert reasons(house) == ["POST /parse_async: 415 DOCUMENT_UNSUPPORTED … is no document"]


def test_each_kind_stays_a_group_of_its_own(house: House) -> None:
    """Half of them are broken, half too large."""

    def work(job: FakeJob) -> tuple[float, str | None]:
        return 1.0, "DOCUMENT_CORRUPT" if int(job.job_id, 16) % 4 < 2 else "DOCUMENT_TOO_LARGE"

    house.client = Chatty(house.service)
    house.service.work = work
    run_virtually(house.run())
    assert len(groups(house)) == 2
    assert sum(number for _, number in groups(house)) == DOCUMENTS
