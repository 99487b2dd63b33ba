"""What failed for a passing reason is taken up by the next runs by themselves, and nothing else
is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from house import House, all_waiting
from virtual import run_virtually

from batcher.errors import BadReply, Refused, ReplyLostError
from batcher.ledger.ledger import Ledger, open_ledger
from batcher.maintenance.retry import requeue
from batcher.reducto.fake_client import FakeClient, FakeJob
from batcher.reducto.job import Job
from batcher.stages.scanner import Scanner

HOUR = 3600.0


@contextmanager
def ledger_of(house: House) -> Iterator[Ledger]:
    clock = asyncio.get_running_loop().time
    with closing(
        open_ledger(house.out / ".batcher" / "ledger.db", batch="b", clock=clock, inline=True)
    ) as ledger:
        yield ledger


def waiting(house: House) -> list[tuple[int, int]]:
    """(document, runs that have tried it) of those that the next run takes up."""
    with ledger_of(house) as ledger:
        return ledger.reporting.passing()


def fails(name: str | None) -> Callable[[FakeJob], tuple[float, str | None]]:
    return lambda job: (30.0, name)


@pytest.mark.parametrize(
    "name", ["TIMEOUT", "PROCESSING_FAILED", "INTERNAL_ERROR", "NEW_LAST_WEEK"]
)
def test_a_passing_failure_is_tried_by_three_runs_and_no_more(house: House, name: str) -> None:
    """One submission in each further run: whatever it may cost after all, it is three and two at
    most.
    """

    async def work() -> None:
        house.put(a="one", b="two")
        house.service.work = fails(name)
        jobs = list[int]()
        told = list[int]()
        for _ in range(5):
            assert await house.run() == {"failed": 2}
            jobs.append(house.paid())
            told.append(len(waiting(house)))
        assert told == [2, 2, 0, 0, 0]
        assert [later - earlier for earlier, later in pairwise(jobs)] == [2, 2, 0, 0]

    run_virtually(work())


def test_what_passes_is_saved_by_the_next_run(house: House) -> None:
    async def work() -> None:
        house.put(a="one", b="two")
        house.service.work = fails("GPU_UNAVAILABLE")
        assert await house.run() == {"failed": 2}
        house.service.work = fails(None)
        assert await house.run() == {"saved": 2}
        assert waiting(house) == []

    run_virtually(work())


@pytest.mark.parametrize("name", ["DOCUMENT_CORRUPT", "INVALID_CONFIG", "CUSTOMER_TIMEOUT"])
def test_a_verdict_about_the_document_or_the_job_stands(house: House, name: str) -> None:
    async def work() -> None:
        house.put(a="one", b="two")
        house.service.work = fails(name)
        assert await house.run() == {"failed": 2}
        paid = len(house.service.jobs)
        house.service.work = fails(None)
        assert await house.run() == {"failed": 2} and len(house.service.jobs) == paid

    run_virtually(work())


@pytest.mark.parametrize("what", ["expired", "lost", "stuck", "cancelled"])
def test_what_was_or_may_have_been_paid_is_a_person_s_to_decide(house: House, what: str) -> None:
    async def work() -> None:
        house.put(a="one")
        house.service.work = lambda job: (14 * HOUR if what == "stuck" else 30.0, None)
        await house.run(until=all_waiting(1))
        (job,) = house.service.jobs.values()
        if what == "expired":
            await asyncio.sleep(13 * HOUR)
        job.deleted = what == "lost"
        job.cancelled = what == "cancelled"
        if what == "stuck":
            house.service.retention = 20 * HOUR
        house.put(b="two") if what == "lost" else None
        assert what in await house.run()
        jobs = len(house.service.jobs)
        assert (
            what in await house.run() and len(house.service.jobs) == jobs and waiting(house) == []
        )

    run_virtually(work())


class Swallowing(FakeClient):
    """Every submission's answer is lost, and it never arrives; only what is about `spared` does."""

    spared = "fence"
    swallows = True

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        if self.swallows and self.service.uploads[str(source)] != self.spared.encode():
            raise ReplyLostError("run_job", "reset")
        return await super().run_job(endpoint, source, options, **more)


def test_submissions_that_never_arrive_are_made_again_by_the_next_run(house: House) -> None:
    """Proven absent three times, so nothing was paid: each further run has three chances of its
    own.
    """

    async def work() -> None:
        house.put(a="fence", b="lost")
        house.client = client = Swallowing(house.service)
        for runs in (1, 2):
            house.put(a="fence", **{f"c{runs}": "fence"})
            assert (await house.run())["failed"] == 1
            assert [tried for _, tried in waiting(house)] == [runs]
        client.swallows = False
        assert (await house.run()).keys() == {"saved"}
        assert house.paid() == 2

    run_virtually(work())


def test_an_upload_that_is_never_taken_is_made_again_by_the_next_run(house: House) -> None:
    class Deaf(FakeClient):
        broken = True

        async def upload(self, content: Any, **more: Any) -> Any:
            if self.broken:
                raise BadReply("POST /upload", "500", status=500)
            return await super().upload(content, **more)

    async def work() -> None:
        house.put(a="one")
        house.client = client = Deaf(house.service)
        assert await house.run() == {"failed": 1}
        client.broken = False
        assert await house.run() == {"saved": 1}

    run_virtually(work())


def test_copies_share_the_tries_of_the_one_that_pays(house: House) -> None:
    """One submission for all of them; and where that one is gone by then, another pays."""

    async def work() -> None:
        house.put(a="same", b="same", c="same")
        house.service.work = fails("TIMEOUT")
        assert await house.run() == {"failed": 3}
        (house.inbox / "a.txt").unlink()
        house.service.work = fails(None)
        before = house.paid()
        tally = await house.run()
        assert (tally["saved"], house.paid() - before) == (2, 1)
        assert house.result("b") == house.result("c")

    run_virtually(work())


def test_the_steps_that_follow_come_after(house: House) -> None:
    """Of a chain: what was blocked by a passing failure isn't, and one that fails itself repeats no
    step before it.
    """

    async def work() -> None:
        house.put(a="one")
        house.later_jobs = (
            Job(name="extract", endpoint="extract"),
            Job(name="split", endpoint="split"),
        )
        house.service.work = fails("TIMEOUT")
        assert await house.run() == {"failed": 1, "blocked": 2}
        with ledger_of(house) as ledger:
            waits = [document for document, _ in ledger.reporting.passing()]
            assert (
                ledger.reporting.verdicts_since(0),
                ledger.reporting.verdicts_since(0, but=waits),
            ) == (3, 0)
        house.service.work = lambda job: (30.0, "TIMEOUT" if job.endpoint == "extract" else None)
        assert await house.run() == {"saved": 2, "failed": 1}
        house.service.work = fails(None)
        assert await house.run() == {"saved": 3}
        counts = Counter(job.endpoint for job in house.service.jobs.values() if not job.error)
        assert counts == {"parse": 1, "extract": 1, "split": 1}

    run_virtually(work())


def test_what_is_not_asked_for_any_more_is_not_taken_up(house: House) -> None:
    async def work() -> None:
        house.put(a="one", b="two")
        house.service.work = fails("TIMEOUT")
        assert await house.run() == {"failed": 2}
        (house.inbox / "b.txt").unlink()
        house.service.work = fails(None)
        before = house.paid()
        assert (await house.run())["saved"] == 1
        assert house.paid() - before == 1

    run_virtually(work())


def test_a_run_over_another_folder_leaves_the_verdict_alone(house: House) -> None:
    """Two folders go to one output in turns: each folder's failures wait for its own next run."""

    async def work() -> None:
        first = house.inbox
        second = first.parent / "another inbox"
        second.mkdir()
        house.put(a="one")
        house.service.work = fails("TIMEOUT")
        assert await house.run() == {"failed": 1}
        house.service.work = fails(None)
        for _ in range(3):
            house.inbox = second
            house.put(b="two")
            assert await house.run() == {"failed": 1, "saved": 1}
            assert [tried for _, tried in waiting(house)] == [1]
        house.inbox = first
        assert await house.run() == {"saved": 2}

    run_virtually(work())


def test_what_is_left_out_for_a_night_is_taken_up_by_the_next_one(house: House) -> None:
    """Its verdict stands meanwhile, as that of any other document that isn't there."""

    async def work() -> None:
        house.put(a="one", b="two")
        house.service.work = fails("TIMEOUT")
        assert await house.run() == {"failed": 2}
        house.service.work = fails(None)
        there = (house.inbox / "b.txt").rename(house.inbox.parent / "b.txt")
        assert await house.run() == {"failed": 1, "saved": 1}
        there.rename(house.inbox / "b.txt")
        assert await house.run() == {"saved": 2}

    run_virtually(work())


def test_what_fails_while_the_scan_goes_on_is_left_to_the_next_run(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run tries it once, however long its scan takes."""
    walk = Scanner._walk_all

    async def walk_for_long(self: Scanner) -> None:
        await walk(self)
        await asyncio.sleep(HOUR)

    monkeypatch.setattr(Scanner, "_walk_all", walk_for_long)

    async def work() -> None:
        house.put(a="one")
        house.service.work = fails("TIMEOUT")
        for runs in (1, 2):
            assert await house.run() == {"failed": 1}
            assert [tried for _, tried in waiting(house)] == [runs]

    run_virtually(work())


def test_a_person_s_retry_begins_the_count_anew(house: House) -> None:
    async def work() -> None:
        house.put(a="one")
        house.service.work = fails("TIMEOUT")
        for _ in range(3):
            await house.run()
        assert waiting(house) == []
        with ledger_of(house) as ledger:
            await requeue(ledger, list(ledger.repair.with_verdict()))
        await house.run()
        assert [tried for _, tried in waiting(house)] == [1]

    run_virtually(work())


@pytest.mark.parametrize("runs", [0, 1])
def test_who_wants_no_second_tries_gets_none(house: House, runs: int) -> None:
    async def work() -> None:
        house.put(a="one")
        house.runs = runs
        house.service.work = fails("TIMEOUT")
        assert await house.run() == {"failed": 1}
        house.service.work = fails(None)
        assert await house.run() == {"failed": 1}

    run_virtually(work())


def test_a_run_that_is_cut_off_uses_up_no_try(house: House) -> None:
    """What it had put back in the queue stays there; only a failure counts."""

    async def work() -> None:
        house.put(a="one")
        house.service.work = fails("TIMEOUT")
        await house.run()
        for _ in range(4):
            await house.run(until=lambda ledger: ledger.tally["queued"] == 1)
        assert await house.run() == {"failed": 1}
        assert [tried for _, tried in waiting(house)] == [2]

    run_virtually(work())


def test_a_submission_that_is_refused_for_good_is_not_tried_again(house: House) -> None:
    class Refusing(FakeClient):
        async def run_job(
            self, endpoint: str, source: Any, options: Any = None, **more: Any
        ) -> str:
            raise Refused("POST /parse_async", "too large", status=413)

    async def work() -> None:
        house.put(a="one")
        house.client = Refusing(house.service)
        assert await house.run() == {"failed": 1}
        house.client = FakeClient(house.service)
        assert await house.run() == {"failed": 1}

    run_virtually(work())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_what_a_twin_has_got_meanwhile_is_copied(house: House) -> None:
    """It was away when the other was tried again, and has used up its tries since."""

    async def work() -> None:
        house.put(a="same", b="same")
        house.service.work = fails("TIMEOUT")
        assert await house.run() == {"failed": 2}
        house.service.work = fails(None)
        away = (house.inbox / "b.txt").rename(house.inbox.parent / "b.txt")
        assert await house.run() == {"saved": 1, "failed": 1}
        jobs = len(house.service.jobs)
        away.rename(house.inbox / "b.txt")
        assert await house.run() == {"saved": 2}
        assert len(house.service.jobs) == jobs and house.result("b") == house.result("a")

    run_virtually(work())
