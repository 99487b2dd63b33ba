"""Runs when the service, the listing or the moment is against them: all comes home, and the run
ends in time.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import sqlite3
import types
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import house as house_module
import msgspec
import pytest
from aiohttp import web
from house import House, all_waiting, digest_of
from test_auditor import Replaying
from virtual import run_virtually

from batcher.core import events
from batcher.core.lifecycle import State
from batcher.errors import (
    BadReply,
    Busy,
    NotFound,
    Refused,
    ReplyLostError,
    ServiceError,
    Unreachable,
)
from batcher.ledger.ledger import open_ledger
from batcher.manifest.model import Limits
from batcher.reducto import api_types
from batcher.reducto.client import ReductoClient
from batcher.reducto.fake_client import FakeClient, FakeJob
from batcher.reducto.job import Job
from batcher.runs import kinds
from batcher.stages.sink import ByteBudget

HOUR = 3600.0


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Its runs are on record as such, and each draws nonces of its own."""
    seeds = iter(range(100))
    monkeypatch.setattr(
        house_module, "random", types.SimpleNamespace(Random=lambda _: random.Random(next(seeds)))
    )

    def opened(*args: Any, **more: Any) -> Any:
        ledger = open_ledger(*args, **more)
        interrupted = ledger.interrupted

        async def begin() -> None:
            await ledger.begin_run(version="1", service="twin://", manifest="{}")
            await interrupted()

        ledger.interrupted = begin  # type: ignore[method-assign]
        return ledger

    monkeypatch.setattr(house_module, "open_ledger", opened)
    return House(tmp_path)


def now() -> float:
    return asyncio.get_running_loop().time()


class Shared(FakeClient):
    """Others submit `rate` jobs a second since `since`; a page of the listing takes `page`
    seconds.
    """

    rate = 100.0
    since = 0.0
    page = 0.5

    async def jobs(
        self, *, cursor: str | None = None, limit: int = 500, exclude_configs: bool = False
    ) -> api_types.JobsPage:
        await asyncio.sleep(self.page)
        others = int((now() - self.since) * self.rate) if self.since else 0
        start = int(cursor or 0)
        if start < others:  # theirs are newer than ours
            made_at = datetime.fromtimestamp(now(), UTC).isoformat()
            numbers = range(start, min(start + limit, others))
            rows = [api_types.JobRow(f"other-{number}", "Completed", made_at) for number in numbers]
            return api_types.JobsPage(rows, str(start + len(rows)))
        page = self._page(start - others, limit)
        return api_types.JobsPage(
            page.jobs, page.next_cursor and str(int(page.next_cursor) + others)
        )


def test_after_an_outage_jobs_are_asked_by_name_rather_than_looked_for_among_millions(
    house: House,
) -> None:
    """Ours stand last in a listing that others fill, and expire in a quarter of an hour."""

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(1000)})
        house.client = client = Shared(house.service)
        house.service.work = lambda job: (300.0, None)
        await house.run(until=all_waiting(1000))
        client.since = now()
        await asyncio.sleep(11.9 * HOUR)
        assert await house.run() == {"saved": 1000}

    run_virtually(work())


def test_a_listing_that_is_behind_for_hours_delays_and_loses_nothing(house: House) -> None:
    """Whatever it shows, each job is asked by name every now and then."""

    class Frozen(FakeClient):
        def _row(self, job: FakeJob) -> api_types.JobRow:
            row = super()._row(job)
            row.status = "InProgress"
            return row

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(50)})
        house.client = Frozen(house.service)
        house.service.work = lambda job: (random.Random(job.job_id).uniform(100, 300), None)
        began = now()
        assert await house.run() == {"saved": 50}
        assert now() - began < HOUR

    run_virtually(work())


@pytest.mark.parametrize("hours", [1 / 12, 1.0])
def test_fetches_go_on_while_the_listing_is_to_be_left_alone(house: House, hours: float) -> None:
    """One 503 with Retry-After on the listing; jobs answer by name all the time."""

    class BusyListing(FakeClient):
        once = True

        async def jobs(self, **more: Any) -> api_types.JobsPage:
            if self.once:
                self.once = False
                raise Busy("GET /jobs", "later", status=503, retry_after=hours * HOUR)
            return await super().jobs(**more)

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(50)})
        house.client = BusyListing(house.service)
        saved_at: list[float] = []
        began = now()

        def until(ledger: Any) -> bool:
            if ledger.tally[State.SAVED] == 50 and not saved_at:
                saved_at.append(now() - began)
            return False

        assert await house.run(until=until) == {"saved": 50}
        assert saved_at[0] < 200

    run_virtually(work())


@pytest.mark.parametrize("took", [100, 300, 800])
def test_a_stopped_run_brings_home_what_ended_a_moment_ago(house: House, took: int) -> None:
    """The last look at all that is out waits for no company, and the run waits for that look."""

    async def work() -> None:
        house.put(a="one", b="two", c="three")
        house.service.work = lambda job: (took, None)
        stopped: list[float] = []

        def until(ledger: Any) -> bool:
            ended = all(now() > job.ends_at + 1 for job in house.service.jobs.values())
            if not stopped and ledger.tally[State.WAITING] == 3 and ended:
                stopped.append(now())
                house.control.stop("on request", 3)
            return False

        assert await house.run(until=until) == {"saved": 3}

    run_virtually(work())


@pytest.mark.parametrize("late", [False, True])
def test_a_result_that_was_fetched_hours_late_says_nothing_of_how_long_jobs_take(
    house: House, late: bool
) -> None:
    async def work() -> None:
        house.put(a="one")
        house.service.work = lambda job: (5.0, None)
        if late:
            await house.run(until=all_waiting(1))
            await asyncio.sleep(8 * HOUR)
        assert await house.run() == {"saved": 1}
        house.put(**{f"n{number}": f"{number}" for number in range(100)})
        house.max_in_flight = 20
        began = now()
        assert await house.run() == {"saved": 101}
        assert now() - began < 100

    run_virtually(work())


@pytest.mark.parametrize("endpoint", ["parse", "extract"])
def test_one_refused_connection_after_an_hour_of_waiting_is_no_outage(
    house: House, endpoint: str
) -> None:
    """Silence counts from the first failure on, not from the last submission."""

    class Flaky(FakeClient):
        calls = 0

        async def run_job(
            self, endpoint: str, source: Any, options: Any = None, **more: Any
        ) -> str:
            self.calls += 1
            if self.calls == 2:
                raise Unreachable("run_job", "connection refused")
            return await super().run_job(endpoint, source, options, **more)

    async def work() -> None:
        house.put(a="one")
        if endpoint == "extract":
            house.later_jobs = (Job(name="extract", endpoint="extract"),)
        else:
            house.put(b="two")
            house.max_in_flight = 1
        house.client = Flaky(house.service)
        house.service.work = lambda job: (HOUR, None)
        assert await house.run() == {"saved": 2}
        assert house.control.exit_code == 0, house.control.reason

    run_virtually(work())


def test_a_service_that_knows_no_upload_ever_gets_each_document_a_few_times(house: House) -> None:
    class NoSuch(FakeClient):
        async def run_job(
            self, endpoint: str, source: Any, options: Any = None, **more: Any
        ) -> str:
            raise NotFound("POST /parse_async", "no such route", status=404)

    async def work() -> None:
        house.put(a="one")
        house.client = NoSuch(house.service)
        began = now()
        assert await house.run(until=lambda ledger: now() - began > 600) == {"failed": 1}
        assert len(house.service.uploads) <= 5

    run_virtually(work())


@pytest.mark.parametrize("arrives", [True, False])
def test_where_uploads_are_not_deleted_a_lost_answer_is_found_or_held(
    house: House, arrives: bool
) -> None:
    """What can't be fenced off may arrive at any time: it is adopted when it does, and never
    concluded to be absent.
    """

    class Keeping(FakeClient):
        lost = False

        async def run_job(
            self, endpoint: str, source: Any, options: Any = None, **more: Any
        ) -> str:
            if self.lost:
                return await super().run_job(endpoint, source, options, **more)
            self.lost = True
            if arrives:
                await super().run_job(endpoint, source, options, **more)
            raise ReplyLostError("run_job", "reset")

        async def delete_upload(self, file_id: str) -> bool:
            raise Refused("DELETE /upload", "method not allowed", status=405)

    async def work() -> None:
        house.put(a="one", b="two")
        house.client = Keeping(house.service)
        began = now()
        ended = await house.run(until=lambda ledger: now() - began > 2 * HOUR)
        assert ended == ({"saved": 2} if arrives else {"held": 1, "saved": 1})
        assert house.paid() == (2 if arrives else 1)

    run_virtually(work())


def test_a_job_that_was_answered_to_another_document_is_its_own_s_again(house: House) -> None:
    """Two answers were mixed up on their way, and the second one is lost.

    Whose answer was lost is held until the other has its own job back; the others are saved.
    """

    class Crossed(FakeClient):
        first: asyncio.Future[str] | None = None

        async def run_job(
            self, endpoint: str, source: Any, options: Any = None, **more: Any
        ) -> str:
            mine = await super().run_job(endpoint, source, options, **more)
            if self.first is None:
                self.first = asyncio.get_running_loop().create_future()
                return await self.first
            if self.first.done():
                return mine
            self.first.set_result(mine)
            raise ReplyLostError("run_job", "reset")

    async def work() -> None:
        house.put(a="one", b="two", c="three")
        house.client = Crossed(house.service)
        house.service.work = lambda job: (300.0, None)
        assert await house.run() == {"held": 1, "saved": 2}
        await asyncio.sleep(HOUR)
        assert await house.run() == {"saved": 3}
        assert digest_of("one") in house.result("a") and digest_of("two") in house.result("b")
        assert house.paid() == 3

    run_virtually(work())


def test_a_stuck_job_that_can_not_be_cancelled_is_stuck_again_and_slows_nobody(
    house: House,
) -> None:
    class NoCancel(FakeClient):
        async def cancel(self, job_id: str) -> None:
            raise BadReply("POST /cancel", "500", status=500)

    async def work() -> None:
        house.put(a="one")
        house.service.work = lambda job: (1000 * HOUR, None)
        house.service.retention = 1000 * HOUR
        assert await house.run() == {"stuck": 1}
        ledger = open_ledger(
            house.out / ".batcher" / "ledger.db", batch="b", clock=now, inline=True
        )
        await ledger.record(events.Recalled(1))
        ledger.close()
        house.client = NoCancel(house.service)
        house.put(**{f"n{number}": f"{number}" for number in range(50)})
        house.service.work = lambda job: (30.0, None)
        began = now()
        saved_at = list[float]()

        def until(ledger: Any) -> bool:
            if ledger.tally[State.SAVED] == 50 and not saved_at:
                saved_at.append(now() - began)
            return now() - began > 2 * HOUR

        assert await house.run(until=until) == {"saved": 50, "stuck": 1}
        assert now() - began < HOUR and saved_at[0] < 40

    run_virtually(work())


def test_a_listing_that_tells_no_requests_any_more_proves_no_absence(house: House) -> None:
    """It did so in an earlier run; that a row names no attempt now doesn't make it another's."""

    class BareByNow(FakeClient):
        bare = False
        lost = False

        async def run_job(
            self, endpoint: str, source: Any, options: Any = None, **more: Any
        ) -> str:
            if self.lost:
                await asyncio.sleep(10.0)  # so that it is accepted after the other one's fence
                return await super().run_job(endpoint, source, options, **more)
            self.lost = True
            await super().run_job(endpoint, source, options, **more)
            raise ReplyLostError("run_job", "reset")

        def _row(self, job: FakeJob) -> api_types.JobRow:
            row = super()._row(job)
            return api_types.JobRow(row.job_id, row.status, row.created_at) if self.bare else row

    async def work() -> None:
        house.put(a="one", b="two")
        house.client = client = BareByNow(house.service)
        assert await house.run() == {"saved": 2}
        house.put(c="three", d="four")
        client.bare = True
        client.lost = False
        assert await house.run() == {"saved": 3, "held": 1}
        assert house.paid() == 4

    run_virtually(work())


ERRORS = (
    Refused("DELETE /job", "method not allowed", status=405),
    BadReply("DELETE /job", "500", status=500),
    Busy("DELETE /job", "later", status=503, retry_after=300.0),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error.status))
def test_cleaning_that_always_fails_holds_up_no_finished_run(
    house: House, error: ServiceError
) -> None:
    class Undeletable(FakeClient):
        async def delete_job(self, job_id: str, **more: Any) -> None:
            raise error

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(100)})
        house.clean = "saved"
        house.client = Undeletable(house.service)
        began = now()
        assert await house.run() == {"saved": 100}
        assert now() - began < 1.1 * HOUR
        assert any("100 jobs could not be deleted" in note for note in house.audit.notes)

    run_virtually(work())


@pytest.mark.parametrize("clean", ["never", "saved"])
def test_an_audit_that_was_not_shown_everything_says_so_and_is_done_again(
    house: House, clean: str
) -> None:
    class SharedTwice(Replaying, Shared):
        page = 0.3

    async def work() -> None:
        house.put(a="one", b="two")
        house.clean = clean
        house.client = client = SharedTwice(house.service)
        client.since = now()
        client.rate = 150.0
        house.service.work = lambda job: (30.0, None)
        await house.run()
        assert "that others share" in house.audit.notes[0]
        client.rate = 0.0
        await house.run()
        assert house.audit.twins

    run_virtually(work())


def test_a_lost_job_needs_not_be_listed(house: House) -> None:
    async def work() -> None:
        house.put(a="one", b="two")
        house.service.work = lambda job: (300.0, None)
        await house.run(until=all_waiting(2))
        next(iter(house.service.jobs.values())).deleted = True
        assert await house.run() == {"lost": 1, "saved": 1}
        assert not house.audit.notes

    run_virtually(work())


def test_a_limit_on_pages_counts_those_that_are_asked_for(house: House) -> None:
    """As the plan does: two of three hundred."""

    async def work() -> None:
        path = house.inbox / "a.pdf"
        path.write_bytes(b"%PDF-1.7 " + b"<</Type/Page>>" * 300)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        house.options = {"settings": {"page_range": {"start": 1, "end": 2}}}
        house.limits = Limits(max_pages=5)
        assert await house.run() == {"saved": 1}

    run_virtually(work())


def test_a_download_that_is_cut_off_leaves_no_part(house: House) -> None:
    class Linked(FakeClient):
        def _answer(self, job_id: str) -> api_types.JobAnswer:
            answer = super()._answer(job_id)
            if answer.result is not None:
                body = msgspec.json.decode(bytes(answer.result))
                body["result"] = {"type": "url", "url": "https://x/y", "result_id": "1"}
                answer.result = msgspec.Raw(msgspec.json.encode(body))
            return answer

        async def download(self, url: str, into: Path, *, around: Any = None) -> Any:
            into.write_bytes(b"x" * 1000)
            raise ReplyLostError("GET a signed URL", "cut off")

    async def work() -> None:
        house.put(a="one")
        house.client = Linked(house.service)
        began = now()
        await house.run(until=lambda ledger: now() - began > 3 * HOUR)
        # the one that is under way
        assert len(list((house.out / ".batcher" / "parts").iterdir())) <= 1

    run_virtually(work())


def test_collecting_makes_the_copies_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came home was for them as well."""

    async def work() -> None:
        house.put(a="one")
        await house.run(until=all_waiting(1))
        house.put(**{f"c{number}": "one" for number in range(300)})
        await house.run(until=lambda ledger: ledger.tally[State.DUPLICATE] == 300)
        await asyncio.sleep(100)
        monkeypatch.setattr(house_module, "Run", kinds.CollectRun)
        assert await house.run() == {"saved": 301}

    run_virtually(work())


async def _answering(body: bytes, headers: dict[str, str]) -> tuple[web.AppRunner, str]:
    async def job(request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": "application/json", **headers})

    app = web.Application()
    app.router.add_get("/job/{id}", job)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.mark.timeout(60)
async def test_fetches_that_need_more_room_than_was_announced_hold_up_no_other() -> None:
    """Packed answers are larger than their Content-Length: whoever wants more lets go of what it
    has.
    """
    body = json.dumps(
        {"status": "Completed", "result": {"x": random.Random(1).randbytes(3_000_000).hex()}}
    ).encode()
    runner, url = await _answering(gzip.compress(body, 1), {"Content-Encoding": "gzip"})
    room = ByteBudget()

    async def one(client: ReductoClient, number: int) -> None:
        _, taken = await client.job(f"j{number}", room=room)
        await asyncio.sleep(0.01)
        room.give(taken)

    async with ReductoClient(url, "k") as client:
        tasks = [asyncio.create_task(one(client, number)) for number in range(16)]
        _, waiting = await asyncio.wait(tasks, timeout=30)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await runner.cleanup()
    assert not waiting


@pytest.mark.timeout(60)
async def test_a_fetch_called_off_while_it_waits_for_room_gives_back_no_more_than_it_has() -> None:
    runner, url = await _answering(
        json.dumps({"status": "Completed", "result": {"x": "y" * 30_000_000}}).encode(), {}
    )
    room = ByteBudget()
    await room.take(10_000_000)
    async with ReductoClient(url, "k") as client:
        task = asyncio.create_task(client.job("j", room=room))
        await asyncio.sleep(1.0)
        task.cancel()
        (error,) = await asyncio.gather(task, return_exceptions=True)
    await runner.cleanup()
    assert isinstance(error, asyncio.CancelledError)


def test_what_is_kept_for_so_long_is_counted_from_the_request_and_not_from_its_answer(
    house: House,
) -> None:
    """A laptop that sleeps between the two loses hours of which it knows nothing."""

    class Sleepy(FakeClient):
        async def upload(self, content: Any, **more: Any) -> api_types.Upload:
            upload = await super().upload(content, **more)
            await asyncio.sleep(11 * HOUR)
            return upload

        async def run_job(self, *asked: Any, **more: Any) -> str:
            job_id = await super().run_job(*asked, **more)
            await asyncio.sleep(5 * HOUR)
            return job_id

    async def work() -> None:
        house.put(a="one")
        house.client = Sleepy(house.service)
        began = now()
        assert await house.run() == {"saved": 1}
        (job,) = house.service.jobs.values()
        with sqlite3.connect(house.out / ".batcher" / "ledger.db") as ledger:
            ((deadline_at, uploaded_at),) = ledger.execute(
                "SELECT deadline_at, uploaded_at FROM attempts a"
                " JOIN documents d ON d.id = a.document"
            )
        assert deadline_at <= job.accepted_at + house.service.retention
        assert began <= uploaded_at < began + HOUR

    run_virtually(work())
