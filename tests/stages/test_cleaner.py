"""`clean = "saved"`: what is safely on disk is deleted at the service, and nothing else is."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from contexts import context_of
from house import House
from virtual import run_virtually

from batcher.core import events
from batcher.core.account import Account
from batcher.core.lifecycle import State
from batcher.errors import NotFound, ReplyLostError
from batcher.ledger.connection import reader
from batcher.ledger.intake import Version
from batcher.ledger.ledger import memory_ledger
from batcher.maintenance.retry import retry
from batcher.maintenance.verify import repair
from batcher.outputs.result_store import Store
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.stages.cleaner import Cleaner


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.clean = "saved"
    return house


class Deaf(FakeClient):
    """Jobs are deleted, and the answer is lost."""

    async def reach(self, call: str, act: Callable[[], Any]) -> Any:
        if call == "delete_job":
            with suppress(NotFound):
                await super().reach(call, act)
            raise ReplyLostError(call, "reset")
        return await super().reach(call, act)


def test_jobs_and_uploads_are_gone_when_the_run_ends(house: House) -> None:
    """Copies have none; and it is on record."""

    async def work() -> None:
        house.put(a="one", b="one", c="two")
        assert await house.run() == {"saved": 3}
        assert all(job.deleted for job in house.service.jobs.values())
        assert not house.service.uploads
        assert cleaned(house) == 2
        assert house.audit.agrees, "nobody misses them in the listing"

    run_virtually(work())


def test_it_is_off_unless_asked_for(house: House) -> None:
    """The service deletes them by itself when their time is up."""

    async def work() -> None:
        house.clean = "never"
        house.put(a="one")
        await house.run()
        assert not any(job.deleted for job in house.service.jobs.values())

    run_virtually(work())


def test_a_result_that_is_not_what_was_saved_keeps_its_job(house: House) -> None:
    """It was cut off on disk between two runs: the job is all there is left of it, and `verify
    --repair` fetches it.
    """

    async def work() -> None:
        house.clean = "never"
        house.put(a="one", b="two")
        await house.run()
        (house.out / "a.txt.json").unlink()
        house.clean = "saved"
        assert await house.run() == {"saved": 2}
        assert cleaned(house) == 1
        assert [job.deleted for job in house.service.jobs.values()].count(True) == 1

    run_virtually(work())


def test_what_a_run_leaves_undone_the_next_one_does(house: House) -> None:
    """No answer comes to any deletion of the first run; the second finds that they had been
    done.
    """

    async def work() -> None:
        house.put(a="one", b="two")
        house.client = Deaf(house.service)
        assert await house.run() == {"saved": 2}
        assert any("2 jobs could not be deleted" in note for note in house.audit.notes)
        assert cleaned(house) == 0
        house.client = FakeClient(house.service)
        await house.run()
        assert cleaned(house) == 2

    run_virtually(work())


class Watchful(FakeClient):
    """Notes for each deletion what the ledger on disk said when it was asked for."""

    def __init__(self, service: FakeService, ledger: Path) -> None:
        super().__init__(service)
        self.ledger = ledger
        self.on_record: list[bool] = []

    async def delete_job(self, job_id: str, *, include_persisted: bool = False) -> None:
        sql = "SELECT deletion_started_at IS NOT NULL FROM attempts WHERE job_id = ?"
        with closing(sqlite3.connect(self.ledger)) as db:
            self.on_record += [bool(row[0]) for row in db.execute(sql, (job_id,))]
        await super().delete_job(job_id, include_persisted=include_persisted)


def test_a_deletion_is_on_record_before_it_is_asked_for(house: House) -> None:
    """A crash right after it leaves no job of which nobody knows whether the listing must show
    it.
    """

    async def work() -> None:
        house.put(a="one", b="two")
        house.client = client = Watchful(house.service, house.out / ".batcher" / "ledger.db")
        await house.run()
        assert client.on_record == [True, True]

    run_virtually(work())


def test_a_cleaned_result_that_is_lost_on_disk_must_be_paid_again(house: House) -> None:
    """`verify --repair` says so, instead of waiting for a job that is gone."""

    async def work() -> None:
        house.put(a="one")
        await house.run()
        (house.out / "a.txt.json").unlink()

    run_virtually(work())
    _, requeued, kept, _ = asyncio.run(repair(house.out / ".batcher" / "ledger.db", house.out))
    assert (requeued.documents, kept) == (1, 0)


def test_a_job_that_was_deleted_before_it_was_on_record_is_not_waited_for(house: House) -> None:
    """Cut off in between, and then the result is lost on disk: a person decides at once, not after
    twelve hours.
    """

    async def work() -> None:
        house.put(a="one")
        house.client = Deaf(house.service)
        assert await house.run() == {"saved": 1}
        assert cleaned(house) == 0 and all(job.deleted for job in house.service.jobs.values())
        house.client = FakeClient(house.service)
        (house.out / "a.txt.json").unlink()

    async def again() -> None:
        began = asyncio.get_running_loop().time()
        assert await house.run() == {"lost": 1}
        assert asyncio.get_running_loop().time() - began < 600.0
        assert house.paid() == 1

    run_virtually(work())
    ledger = house.out / ".batcher" / "ledger.db"
    _, requeued, kept, _ = asyncio.run(repair(ledger, house.out))
    assert (requeued.documents, kept) == (0, 1)
    run_virtually(again())
    assert asyncio.run(retry(ledger, only="lost")).credits == 1.0
    run_virtually(_quiet(house))
    assert house.paid() == 2


def test_a_result_paid_for_twice_over_can_be_lost_and_fetched_again(house: House) -> None:
    """Two attempts of one document are saved by then: the later one's job is fetched."""
    house.clean = "never"
    house.put(a="one")
    ledger = house.out / ".batcher" / "ledger.db"
    run_virtually(_quiet(house))
    house.service.jobs.clear()
    _forget_time(house)
    (house.out / "a.txt.json").unlink()
    _, requeued, kept, _ = asyncio.run(repair(ledger, house.out))
    assert (requeued.documents, kept) == (1, 0)
    run_virtually(_quiet(house))
    (house.out / "a.txt.json").unlink()
    _, requeued, kept, _ = asyncio.run(repair(ledger, house.out))
    assert (requeued.documents, kept) == (0, 1)
    run_virtually(_quiet(house))
    assert (house.out / "a.txt.json").exists()


def test_a_run_that_is_cut_off_has_deleted_nothing_it_still_needs(house: House) -> None:
    """Only what was saved; the rest comes home."""

    async def work() -> None:
        house.put(**{f"n{number}": f"letter {number}" for number in range(20)})
        house.service.work = lambda job: (float(len(house.service.jobs)), None)
        await house.run(until=lambda ledger: ledger.tally[State.SAVED] >= 5)
        assert await house.run() == {"saved": 20}
        assert cleaned(house) == 20
        assert house.paid() == 20

    run_virtually(work())


async def _quiet(house: House) -> None:
    assert await house.run() == {"saved": 1}


def _forget_time(house: House) -> None:
    """Twelve hours later, for the ledger."""
    with sqlite3.connect(house.out / ".batcher" / "ledger.db") as ledger:
        ledger.execute("UPDATE attempts SET deadline_at = 1")
    ledger.close()


def cleaned(house: House) -> int:
    connection = reader(house.out / ".batcher" / "ledger.db")
    try:
        return int(
            connection.execute(
                "SELECT count(*) FROM attempts WHERE cleaned_at IS NOT NULL"
            ).fetchone()[0]
        )
    finally:
        connection.close()


def test_a_run_that_sends_nothing_does_not_wait_for_what_is_still_to_be_sent() -> None:
    """With a chain, jobs are deleted once nothing is open; a collection never gets there, and ends
    all the same.
    """

    async def work() -> None:
        clock = asyncio.get_running_loop().time
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=clock)
        facts = {"folder": "/in", "job": "parse", "step": "s", "size": 1, "mtime_ns": 0, "inode": 0}
        names = ("a.pdf", "b.pdf")
        await ledger.admit(
            [Version(source=n, content=n, output=f"{n}.json", **facts) for n in names]
        )
        await ledger.record(
            events.Uploaded(1, "reducto://1"),
            events.Sending(1, "n", "twin", "none", 1.0),
            events.Accepted(1, "job", clock() + 43200.0),
            events.Ended(1, 1, 1.0),
            events.Saved(1, "a.pdf.json", "hash", 1),
        )
        client = FakeClient(FakeService(clock))
        cleaner = Cleaner(
            context_of(ledger, client),
            Store(Path("absent")),
            account=Account("twin", "none", 43_200.0),
            in_the_end=True,
            is_wanted=lambda document: False,
            is_doubtful=lambda: False,
        )
        assert ledger.tracking.uncleaned("twin", "none", alive_at=clock()) == [1]
        assert cleaner.outstanding() == 0

    run_virtually(work())
