"""The end of a run: attempts, jobs at the service and files on disk agree, and what doesn't is
named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from house import House, digest_of
from virtual import run_virtually

from batcher.core import events
from batcher.errors import ReplyLostError
from batcher.ledger.connection import reader
from batcher.ledger.intake import Version
from batcher.ledger.ledger import healthy, open_ledger
from batcher.reducto import api_types
from batcher.reducto.fake_client import FakeClient, FakeJob
from batcher.reducto.job import Job
from batcher.stages import job_list_audit
from batcher.stages.auditor import LATE

HOUR = 3600.0


class Replaying(FakeClient):
    """Something on the way sends every POST twice; the second job takes an hour."""

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        job_id = await super().run_job(endpoint, source, options, **more)
        work = self.service.work
        self.service.work = lambda job: (HOUR, None)
        await super().run_job(endpoint, source, options, **more)
        self.service.work = work
        return job_id


class Deaf(FakeClient):
    """The first POST is cut off, and worked off by the service only `late` seconds later."""

    late = 300.0

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        if self.late:
            asyncio.get_running_loop().call_later(
                self.late, self._accept, endpoint, source, options, more
            )
            self.late = 0.0
            raise ReplyLostError("run_job", "reset")
        return await super().run_job(endpoint, source, options, **more)

    def _accept(self, endpoint: str, source: str, options: Any, more: Mapping[str, Any]) -> None:
        config = api_types.job_request(
            options or {}, source, asynchronous={"metadata": more["metadata"]}
        )
        self.service.accept(endpoint, source, config.decode())


class DoubledAndLost(FakeClient):
    """Each POST is sent twice on its way, and its answer lost; the listing shows jobs when their
    upload is fenced.
    """

    ends: tuple[tuple[float, str | None], ...] = ()  # when and how the one ends that isn't adopted

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        if self.ends:
            work = self.service.work
            self.service.work = lambda job: self.ends[0]
            await super().run_job(endpoint, source, options, **more)
            self.service.work = work
            self.ends = ()
        await super().run_job(endpoint, source, options, **more)
        raise ReplyLostError("run_job", "reset")

    def listed(self) -> list[FakeJob]:
        return [job for job in super().listed() if job.accepted_at + 45.0 <= self.service.clock()]


class Forgetful(FakeClient):
    """The listing shows nothing of ours until `shows` is set, or can't be read at all."""

    shows = False
    fails = False

    async def jobs(self, **more: Any) -> api_types.JobsPage:
        if self.fails:
            raise ReplyLostError("jobs", "reset")
        return await super().jobs(**more) if self.shows else api_types.JobsPage([])


class ReplayingAndForgetful(Replaying, Forgetful):
    """Both at once."""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_second_job_that_still_runs_is_cancelled_and_told_of_once(house: House) -> None:
    """On record with its cost; the next run has nothing more to say of it."""

    async def work() -> None:
        house.put(a="one", b="two")
        house.client = Replaying(house.service)
        assert await house.run() == {"saved": 2}
        assert sorted(twin.partition(":")[0] for twin in house.audit.twins) == ["a.txt", "b.txt"]
        assert not house.audit.agrees
        assert all(": cancelled, 1 credit" in twin for twin in house.audit.twins)
        cancelled = [(job.job_id,) for job in house.service.jobs.values() if job.cancelled]
        assert sorted(_rows(house, "SELECT job_id FROM twins")) == cancelled
        assert _rows(house, "SELECT count(*), sum(credits) FROM twins") == [(2, 2.0)]
        assert _rows(house, "SELECT count(*) FROM costs WHERE outcome = 'twin'") == [(2,)]
        assert (
            _rows(house, "SELECT event, state FROM timeline WHERE event = 'TwinFound'")
            == [("TwinFound", "saved")] * 2
        )
        await house.run()
        assert house.audit.agrees

    run_virtually(work())


def test_a_late_job_whose_upload_was_fenced_off_is_as_it_should_be(house: House) -> None:
    """Confirmed absent, sent again, and then the first POST arrives: there is no input that it
    could have read, and nobody is told.
    """

    async def work() -> None:
        house.put(a="one", b="two, which proves the listing")
        house.client = Deaf(house.service)
        house.client.late = 900.0
        house.service.work = lambda job: (HOUR, None)
        assert await house.run() == {"saved": 2}
        assert len(house.service.jobs) == 3
        assert house.audit.agrees
        assert house.paid() == 2

    run_virtually(work())


def test_a_late_job_that_may_have_come_before_the_fence_is_told(house: House) -> None:
    """The two clocks may differ by as much, so it may have read its input first."""

    async def work() -> None:
        house.put(a="one", b="two, which proves the listing")
        house.client = Deaf(house.service)
        house.service.work = lambda job: (HOUR, None)
        assert await house.run() == {"saved": 2}
        assert [": cancelled" in twin for twin in house.audit.twins] == [True]

    run_virtually(work())


def test_jobs_that_the_listing_may_not_show_yet_take_pages_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the newest, so they stand before the one that it has to show."""
    monkeypatch.setattr(job_list_audit, "JOBS_PAGE_LIMIT", 2)
    monkeypatch.setattr(job_list_audit, "SPARE_PAGES", 1)
    monkeypatch.setattr(job_list_audit, "LAG", 9 * 30.0)

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(10)})
        house.max_in_flight = 1
        assert await house.run() == {"saved": 10}
        assert house.audit.notes == ()

    run_virtually(work())


@pytest.mark.parametrize("oddity", ["a row that can't be read", "a job of ours that isn't shown"])
def test_an_audit_by_a_listing_that_lacks_something_is_done_again(
    oddity: str, house: House
) -> None:
    """The second job was hidden from it: the next run, whose listing is whole, tells of it."""

    class Lacking(DoubledAndLost):
        lacks = False

        async def jobs(self, **more: Any) -> api_types.JobsPage:
            page = await super().jobs(**more)
            if not self.lacks:
                return page
            known = {row[0] for row in _rows(house, "SELECT job_id FROM attempts")}
            shown = [row for row in page.jobs if row.job_id in known]
            if oddity == "a row that can't be read":
                return api_types.JobsPage(shown, unreadable=len(page.jobs) - len(shown))
            return api_types.JobsPage([])

    async def work() -> None:
        house.put(a="one")
        house.client = client = Lacking(house.service)
        client.ends = ((1.0, None),)
        house.service.work = lambda job: (300.0, None)

        def lack() -> None:
            client.lacks = True

        await house.run(before_audit=lack)
        assert house.audit.notes and not house.audit.twins
        client.lacks = False
        await asyncio.sleep(HOUR)
        await house.run()
        assert house.audit.twins and not house.audit.notes

    run_virtually(work())


@pytest.mark.parametrize(
    ("seconds", "error", "told"),
    [
        (HOUR, None, ["cancelled"]),
        (1.0, None, ["completed"]),
        (1.0, api_types.ErrorName.DOCUMENT_CORRUPT, ["failed"]),
        (1.0, api_types.ErrorName.INVALID_CONFIG, []),
    ],
)
def test_a_fence_excuses_only_a_job_that_found_no_input(
    seconds: float, error: str | None, told: list[str], house: House
) -> None:
    """Both jobs of one POST were there before their upload was deleted: the second may have read
    it, and cost.
    """

    async def work() -> None:
        house.put(a="one")
        house.client = client = DoubledAndLost(house.service)
        client.ends = ((seconds, error),)
        house.service.work = lambda job: (300.0, None)
        assert await house.run() == {"saved": 1}
        assert [twin.split(": ")[2].partition(",")[0] for twin in house.audit.twins] == told

    run_virtually(work())


def test_a_listing_that_shows_less_than_it_must_is_said_and_is_no_disagreement(
    house: House,
) -> None:
    """Nor is one that can't be read: the next run looks again."""

    async def work() -> None:
        house.put(a="one")
        house.service.work = lambda job: (HOUR, None)
        house.client = client = Forgetful(house.service)
        assert await house.run() == {"saved": 1}
        assert house.audit.agrees
        assert "doesn't show 1 of our jobs" in house.audit.notes[0]
        client.fails = True
        house.put(b="two")
        assert await house.run() == {"saved": 2}
        assert house.audit.agrees
        assert "the next run does it" in house.audit.notes[0]

    run_virtually(work())


def test_what_no_audit_has_seen_is_looked_at_by_the_next_run(house: House) -> None:
    """The listing could not be read when a POST had been repeated: found a run later, without a new
    submission.
    """

    async def work() -> None:
        house.put(a="one")
        house.client = client = ReplayingAndForgetful(house.service)
        client.fails = True
        assert await house.run() == {"saved": 1}
        assert not house.audit.twins
        client.fails = False
        client.shows = True
        await house.run()
        assert len(house.audit.twins) == 1

    run_virtually(work())


def test_a_run_that_submits_nothing_asks_for_no_listing(house: House) -> None:
    """Once the last submissions are ten minutes old; one page is what a small run costs before
    that.
    """

    async def work() -> None:
        calls = _counted(house.client)
        house.put(a="one")
        await house.run()
        listings = calls.count("jobs")
        await asyncio.sleep(700)
        await house.run()
        assert calls.count("jobs") == listings + 1
        await house.run()
        assert calls.count("jobs") == listings + 1

    run_virtually(work())


def test_a_result_that_is_cut_off_after_it_was_saved_is_named(house: House) -> None:
    """Missing, or not as long as it was."""

    async def work() -> None:
        house.put(a="one", b="two", c="three")

        def spoil() -> None:
            (house.out / "a.txt.json").write_text("{")
            (house.out / "b.txt.json").unlink()

        await house.run(before_audit=spoil)
        assert sorted(house.audit.damaged) == ["a.txt.json", "b.txt.json"]

    run_virtually(work())


def test_what_was_held_is_adopted_by_the_first_run_whose_listing_shows_it(house: House) -> None:
    """A listing that showed nothing of ours proves nothing; hours later it shows the job."""

    async def work() -> None:
        house.put(a="one")
        house.client = client = _losing_answers(Forgetful(house.service))
        assert await house.run() == {"held": 1}
        await asyncio.sleep(2 * HOUR)
        client.shows = True
        assert await house.run() == {"saved": 1}
        assert house.paid() == 1
        assert house.audit.agrees

    run_virtually(work())


def test_a_run_whose_last_document_lets_another_go_on_is_not_over(house: House) -> None:
    """The first step was held and its follower blocked; what brings the first one home leaves
    nothing else open.
    """

    async def work() -> None:
        house.put(a="one")
        house.later_jobs = (Job(name="extract", endpoint="extract"),)
        house.client = _losing_answers(Forgetful(house.service))
        assert await house.run() == {"held": 1, "blocked": 1}
        await asyncio.sleep(2 * HOUR)
        house.client = FakeClient(house.service)
        assert await house.run() == {"saved": 2}

    run_virtually(work())


def _losing_answers(client: Forgetful) -> Forgetful:
    """Every submission is accepted, and its answer never comes."""
    reach = client.reach

    async def lost(call: str, act: Callable[[], Any]) -> Any:
        value = await reach(call, act)
        if call == "run_job":
            raise ReplyLostError(call, "reset")
        return value

    client.reach = lost  # type: ignore[method-assign, assignment]
    return client


def _counted(client: FakeClient) -> list[str]:
    calls = list[str]()
    reach = client.reach

    async def counted(call: str, act: Callable[[], Any]) -> Any:
        calls.append(call)
        return await reach(call, act)

    client.reach = counted  # type: ignore[method-assign, assignment]
    return calls


def _rows(house: House, sql: str) -> list[tuple[Any, ...]]:
    connection = reader(house.out / ".batcher" / "ledger.db")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


class Crossing(FakeClient):
    """The answers to the first two submissions are mixed up on their way: each is told the other's
    job.
    """

    first: asyncio.Future[str] | None = None

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        mine = await super().run_job(endpoint, source, options, **more)
        if self.first is None:
            self.first, self.second = (asyncio.get_running_loop().create_future() for _ in range(2))
            self.first.set_result(mine)
            return await self.second
        if not self.second.done():
            self.second.set_result(mine)
            return self.first.result()
        return mine


class Late(Crossing):
    """… and the job list shows them only when the run has ended."""

    is_late = True

    async def jobs(self, **asked: Any) -> api_types.JobsPage:
        page = await super().jobs(**asked)
        return api_types.JobsPage([]) if self.is_late else page

    def shows_all(self) -> None:
        self.is_late = False


@pytest.mark.parametrize("documents", [2, 30])
def test_two_documents_that_were_told_each_other_s_job_get_their_own_back(
    documents: int, house: House
) -> None:
    """Where answers about jobs don't echo the request nobody sees it before the job list tells
    whose job is whose; the next run fetches both, and nothing is paid.
    """

    async def work() -> None:
        house.service.echoes = False
        house.put(**{f"n{number:02}": f"text {number}" for number in range(documents)})
        house.client = late = Late(house.service)
        await house.run(before_audit=late.shows_all)
        names = {f"n{number:02}": digest_of(f"text {number}") for number in range(documents)}
        wrong = [name for name in names if not (house.out / f"{name}.txt.json").exists()]
        (words,) = house.audit.mixed_up
        assert len(wrong) == 2 and all(f"{name}.txt" in words for name in wrong)
        assert not house.audit.agrees
        await asyncio.sleep(600.0)
        assert await house.run() == {"saved": documents}
        assert house.audit.agrees
        assert all(digest in house.result(name) for name, digest in names.items())
        assert house.paid() == documents

    run_virtually(work())


def test_a_copy_of_one_that_was_told_another_s_job_gets_the_right_result_too(house: House) -> None:
    """It was made of the wrong one."""

    async def work() -> None:
        house.service.echoes = False
        texts = {"a": "1", "b": "2", "same-as-a": "1", "same-as-b": "2"}
        house.put(**texts)
        house.client = late = Late(house.service)
        await house.run(before_audit=late.shows_all)
        assert len(house.audit.mixed_up) == 1
        await asyncio.sleep(600.0)
        assert await house.run() == {"saved": 4}
        assert all(digest_of(text) in house.result(name) for name, text in texts.items())
        assert house.paid() == 2

    run_virtually(work())


class CrossingAndLosing(Crossing):
    """… and one of the two jobs shows no result."""

    def _answer(self, job_id: str) -> api_types.JobAnswer:
        answer = super()._answer(job_id)
        return api_types.JobAnswer(answer.status) if job_id == min(self.service.jobs) else answer


@pytest.mark.parametrize("echoes", [True, False])
def test_one_gets_its_own_result_though_the_other_s_job_has_none(
    echoes: bool, house: House
) -> None:
    """Whichever of the two was told which job."""

    async def work() -> None:
        house.service.echoes = echoes
        house.put(a="1", b="2")
        house.client = CrossingAndLosing(house.service)
        assert await house.run() == {"saved": 1, "stuck": 1}
        (saved,) = house.out.glob("*.json")
        text = {"a.txt.json": "1", "b.txt.json": "2"}[saved.name]
        assert digest_of(text) in saved.read_text()
        assert house.audit.agrees and house.paid() == 2

    run_virtually(work())


class CrossingBeforeResults(Crossing):
    """… and no later step shows its result yet."""

    has_results = False

    def _answer(self, job_id: str) -> api_types.JobAnswer:
        answer = super()._answer(job_id)
        shows = self.has_results or self.service.jobs[job_id].endpoint == "parse"
        return answer if shows else api_types.JobAnswer(answer.status)


def test_two_that_hold_each_other_s_jobs_are_looked_at_until_these_have_brought_something(
    house: House,
) -> None:
    """Later steps that read them are stuck; a person has them looked for again, much later."""

    async def work() -> None:
        house.service.echoes = False
        house.later_jobs = (Job(name="extract", endpoint="extract"),)
        house.put(a="1", b="2")
        house.client = client = CrossingBeforeResults(house.service)
        assert await house.run() == {"saved": 2, "stuck": 2}
        await asyncio.sleep(2 * LATE)
        assert await house.run() == {"saved": 2, "stuck": 2}
        assert any("hold each other's jobs" in note for note in house.audit.notes)
        client.has_results = True
        stuck = _rows(house, "SELECT id FROM documents WHERE state = 'stuck'")
        await _record(house, *(events.Recalled(row[0]) for row in stuck))
        assert await house.run() == {"saved": 2, "failed": 2}
        assert digest_of("1") in (house.out / "a.txt.parse.json").read_text()
        assert digest_of("2") in (house.out / "b.txt.parse.json").read_text()
        assert house.paid() == 4

    run_virtually(work())


@pytest.mark.parametrize("echoes", [True, False])
@pytest.mark.parametrize("clean", ["never", "saved"])
def test_each_gets_its_own_result_though_jobs_are_deleted_once_saved(
    clean: str, echoes: bool, house: House
) -> None:
    """An answer that echoes the request says whose the job is, before anything is saved."""

    async def work() -> None:
        house.service.echoes = echoes
        house.clean = clean
        house.put(a="1", b="2")
        house.client = Crossing(house.service)
        assert await house.run() == {"saved": 2}
        assert digest_of("1") in house.result("a")
        assert digest_of("2") in house.result("b")
        assert house.audit.agrees and house.paid() == 2
        assert healthy(house.out / ".batcher" / "ledger.db")
        assert any("each other's jobs" in one for one in house.control.warnings) is not echoes
        jobs = house.service.jobs.values()
        assert all(job.deleted for job in jobs) is (clean == "saved")

    run_virtually(work())


def test_a_job_that_may_be_another_s_is_deleted_only_when_the_list_has_shown_it(
    house: House,
) -> None:
    """A list that lags costs a run; then both have their own result, and the jobs are gone."""

    async def work() -> None:
        house.service.echoes = False
        house.clean = "saved"
        house.put(a="1", b="2")
        house.client = late = Late(house.service)
        await house.run(before_audit=late.shows_all)
        assert not any(job.deleted for job in house.service.jobs.values())
        assert any("could not be deleted" in note for note in house.audit.notes)
        await asyncio.sleep(600.0)
        assert await house.run() == {"saved": 2}
        assert digest_of("1") in house.result("a") and house.paid() == 2
        assert all(job.deleted for job in house.service.jobs.values())

    run_virtually(work())


def test_a_run_whose_answers_say_whose_they_are_reads_the_list_no_more_than_before(
    house: House,
) -> None:
    """One pass, that of the audit; where they don't, one more."""

    async def work() -> None:
        passes = dict[bool, int]()
        for echoes in (True, False):
            house.service.echoes = echoes
            house.put(**{f"{echoes}": f"{echoes}"})
            house.client = FakeClient(house.service)
            calls = _counted(house.client)
            await house.run()
            passes[echoes] = calls.count("jobs")
        assert passes[False] == passes[True] + 1

    run_virtually(work())


@pytest.mark.parametrize("clean", ["never", "saved"])
@pytest.mark.parametrize("echoes", [True, False])
def test_a_later_step_of_one_that_was_told_another_s_job_is_never_left_with_its_result(
    echoes: bool, clean: str, house: House
) -> None:
    """Where the answers don't say whose they are, it was sent before the job list could tell: then
    it fails, and a person decides to pay again.
    """

    async def work() -> None:
        house.service.echoes = echoes
        house.clean = clean
        house.later_jobs = (Job(name="extract", endpoint="extract"),)
        house.put(a="1", b="2")
        house.client = Crossing(house.service)
        told = await house.run()
        if not echoes:
            assert told == {"saved": 2, "failed": 2}
            assert any("2 later steps made from the wrong" in one for one in house.control.warnings)
            reasons = _rows(house, "SELECT reason FROM documents WHERE state = 'failed'")
            assert all("made from another document's result" in row[0] for row in reasons)
            assert house.paid() == 4
            assert await house.run() == {"saved": 2, "failed": 2}
            assert house.paid() == 4, "only a person pays again"
            await _retry(house)
            told = await house.run()
        assert told == {"saved": 4}
        assert house.paid() == (4 if echoes else 6)
        assert digest_of("1") in (house.out / "a.txt.extract.json").read_text()
        assert digest_of("2") in (house.out / "b.txt.extract.json").read_text()

    run_virtually(work())


async def _record(house: House, *told: events.Event) -> None:
    clock = asyncio.get_running_loop().time
    path = house.out / ".batcher" / "ledger.db"
    ledger = open_ledger(path, batch="b", clock=clock, inline=True)
    await ledger.record(*told)
    ledger.close()


async def _retry(house: House) -> None:
    failed = _rows(house, "SELECT id FROM documents WHERE state = 'failed'")
    await _record(house, *(events.Follows(row[0]) for row in failed))


class CrossingAndFailing(Crossing):
    """… and the job of the second document failed."""

    def _answer(self, job_id: str) -> api_types.JobAnswer:
        job = self.service.jobs[job_id]
        if self.service.uploads.get(job.source) == b"2":
            job.error = api_types.ErrorName.DOCUMENT_CORRUPT
        return super()._answer(job_id)


def test_a_failure_that_names_another_document_is_that_one_s(house: House) -> None:
    """It is no reason to send the other one again."""

    async def work() -> None:
        house.put(a="1", b="2")
        house.client = CrossingAndFailing(house.service)
        assert await house.run() == {"saved": 1, "failed": 1}
        assert digest_of("1") in house.result("a")
        assert len(house.service.jobs) == 2

    run_virtually(work())


class CrossingLooks(FakeClient):
    """The first looks at two jobs that have ended are answered crosswise, again and again."""

    looks = 6

    async def job(self, job_id: str, **more: Any) -> tuple[api_types.JobAnswer, int]:
        others = [other for other in self.service.jobs if other != job_id]
        if self.looks and others:
            self.looks -= 1
            return await super().job(others[0], **more)
        return await super().job(job_id, **more)


def test_answers_about_two_jobs_that_are_mixed_up_lead_nowhere(house: House) -> None:
    """Each document has its own job in the end, and its own result."""

    async def work() -> None:
        house.put(a="1", b="2")
        house.client = CrossingLooks(house.service)
        assert await house.run() == {"saved": 2}
        assert digest_of("1") in house.result("a")
        assert digest_of("2") in house.result("b")
        assert _rows(house, "SELECT * FROM events WHERE event = 'JobExchanged'") == []
        assert house.audit.agrees and house.paid() == 2

    run_virtually(work())


def test_a_ledger_whose_jobs_were_exchanged_agrees_with_its_journal(tmp_path: Path) -> None:
    """Else the next run would take it for an older copy."""

    async def work() -> None:
        path = tmp_path / "ledger.db"
        ledger = open_ledger(path, batch="b", clock=lambda: 1_800_000_000.0)
        for number in (1, 2):
            where = {"size": 1, "mtime_ns": 1, "inode": 1, "output": f"{number}.json"}
            version = Version(
                source=str(number),
                folder="/in",
                job="parse",
                step="s",
                content=f"{number}.txt",
                **where,
            )
            await ledger.admit([version])
            sending = events.Sending(number, f"{number:024x}", "twin", "none", 1.0)
            await ledger.record(events.Uploaded(number, f"reducto://{number}"), sending)
            await ledger.record(
                events.Accepted(number, f"job {number}", 1.9e9), events.Ended(number, 1, 1.0)
            )
            await ledger.record(events.Saved(number, f"{number}.json", "hash", 1))
        exchanged = ((1, ""), (2, "job 1"), (1, "job 2"))
        await ledger.record(
            *(events.JobExchanged(document, job_id) for document, job_id in exchanged)
        )
        ledger.close()
        again = open_ledger(path, batch="b", clock=lambda: 1_800_000_000.0)
        jobs = again.reader.execute(
            "SELECT document, job_id FROM attempts ORDER BY document"
        ).fetchall()
        again.close()
        assert jobs == [(1, "job 2"), (2, "job 1")]
        assert healthy(path)

    asyncio.run(work())


class EmptyAtFirst(Replaying):
    """Its listing is empty until the second run: a replica that is behind."""

    is_empty = True

    def listed(self) -> list[FakeJob]:
        return [] if self.is_empty else super().listed()


def test_an_empty_listing_with_nothing_to_show_settles_no_audit(house: House) -> None:
    """Our own jobs were deleted, so nothing must be in it: a second job is found by the next run
    all the same.
    """

    async def work() -> None:
        house.clean = "saved"
        house.put(a="1")
        house.client = client = EmptyAtFirst(house.service)
        assert await house.run() == {"saved": 1}
        assert house.audit.agrees
        client.is_empty = False
        await asyncio.sleep(1800.0)
        await house.run()
        assert len(house.audit.twins) == 1

    run_virtually(work())
