"""What becomes of submissions whose answer was lost, one case at a time; the simulation has the
storms.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from contexts import context_of
from house import House
from virtual import run_virtually, unhurried

from batcher.core import events
from batcher.core.absence import FENCE, LISTING
from batcher.core.account import Account
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
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger, memory_ledger
from batcher.reducto import api_types, responses
from batcher.reducto.fake_client import FakeClient, FakeJob, FakeService
from batcher.stages.recovery import Recovery

SETTLE = 60.0
LAG = 50.0
HOUR = 3600.0
TWIN = Account("twin", "none", 12 * HOUR)
HASTY = Account("twin", "none", 2 * HOUR)  # keeps results for less time


class LateListing(FakeClient):
    """Shows a job in the listing only `LAG` seconds after its acceptance."""

    def listed(self) -> list[FakeJob]:
        return [job for job in super().listed() if job.accepted_at + LAG <= self.service.clock()]


@pytest.mark.parametrize("ahead", [2 * SETTLE, 4 * SETTLE, 6 * 3600.0])
def test_time_between_two_runs_does_not_shorten_the_wait(ahead: float) -> None:
    """Fenced by the last run, long ago or under another clock: the listing has its whole time
    again, and shows it.
    """

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = FakeService(loop.time, work=lambda job: (1e6, None))
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _fenced(ledger, service)
        ledger.clock = lambda: loop.time() + ahead
        await _decided(ledger, LateListing(service))
        assert +ledger.tally == {State.WAITING: 1}, "it was there all along"

    run_virtually(work())


def test_a_fence_of_an_earlier_run_is_waited_for_before_anything_is_held() -> None:
    """The last run died long after its fence: this one gives the listing its time, and finds that
    nothing came.
    """

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = FakeService(loop.time)
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _fenced(ledger, service)
        service.jobs.clear()
        await asyncio.sleep(10 * SETTLE)
        await _decided(ledger, FakeClient(service))
        assert +ledger.tally == {State.QUEUED: 1}, "proven absent, so it may be sent anew"

    run_virtually(work())


def test_a_person_s_retry_gives_three_more_chances() -> None:
    """What was proven absent before doesn't count against a document that somebody has put back in
    the queue.
    """

    async def work() -> None:
        loop = asyncio.get_running_loop()
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _fenced(ledger, FakeService(loop.time))
        for number in (2, 3):
            await ledger.record(events.ProvenAbsent(1))
            await asyncio.sleep(1.0)
            await _sent_in_vain(ledger, number)
        assert [attempt.absences for attempt in ledger.audit.unknown()] == [2]
        await ledger.record(events.GivenUp(1, "proven absent 3 times"))
        await asyncio.sleep(1.0)
        await ledger.record(events.Retried(1))
        await _sent_in_vain(ledger, 4)
        assert [attempt.absences for attempt in ledger.audit.unknown()] == [0]

    run_virtually(work())


class DeafFence(FakeClient):
    """Deletes, and the connection breaks before it says so; as far as batcher knows, it may have
    died there too.
    """

    async def delete_upload(self, file_id: str) -> bool:
        deleted = await super().delete_upload(file_id)
        if file_id in self.deaf:
            raise ReplyLostError("DELETE /upload", "reset")
        return deleted

    deaf: frozenset[str] = frozenset()


def test_that_an_upload_is_to_be_deleted_is_on_record_before_it_is() -> None:
    """Else a late POST's job would fail for want of it, and look like the document's own fault."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = FakeService(loop.time)
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _lost(ledger, service)
        service.jobs.clear()
        client = DeafFence(service)
        client.deaf = frozenset(service.uploads)
        running = asyncio.create_task(_recovery(ledger, client).run())
        await asyncio.sleep(SETTLE / 8)
        running.cancel()
        assert not service.uploads
        assert [attempt.fenced_at is not None for attempt in ledger.audit.unknown()] == [True]

    run_virtually(work())


class BrokenListing(FakeClient):
    """It shows nothing and has no end: ever new cursors, or one and the same."""

    def __init__(self, service: FakeService, *, new_cursors: bool) -> None:
        super().__init__(service)
        self.pages = 0
        self._new_cursors = new_cursors

    async def jobs(
        self, *, cursor: str | None = None, limit: int = 500, exclude_configs: bool = False
    ) -> api_types.JobsPage:
        self.pages += 1
        await asyncio.sleep(0.01)
        return api_types.JobsPage([], str(self.pages if self._new_cursors else 2))


@pytest.mark.parametrize("new_cursors", [True, False])
def test_a_listing_without_an_end_proves_no_absence(new_cursors: bool) -> None:
    """What was perhaps paid isn't paid again: it is held for a person, with the reason."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = FakeService(loop.time, work=lambda job: (1e6, None))
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _fenced(ledger, service)
        client = BrokenListing(service, new_cursors=new_cursors)
        await _decided(ledger, client)
        assert +ledger.tally == {State.HELD: 1}
        (held,) = ledger.reporting.failures()
        assert held.reason and "listing can't be read to its end" in held.reason

    run_virtually(work())


class HeldUpListing(LateListing):
    """Its second reading takes five minutes, at whose end another document's job is accepted and
    comes home.
    """

    def __init__(self, service: FakeService, ledger: Ledger) -> None:
        super().__init__(service)
        self._ledger = ledger
        self._readings = 0

    async def jobs(self, **more: Any) -> api_types.JobsPage:
        self._readings += 1
        if self._readings == 2:
            await asyncio.sleep(5 * SETTLE)
            await _saved_another(self._ledger, self.service)
        return await super().jobs(**more)


def test_what_the_listing_has_to_show_is_given_its_time_before_anything_is_held() -> None:
    """The job that proves the listing was accepted a moment ago, and the fence is old: a little
    later it is shown.
    """

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = FakeService(loop.time)
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _lost(ledger, service)
        service.jobs.clear()
        await _decided(ledger, HeldUpListing(service, ledger))
        assert +ledger.tally == {State.QUEUED: 1, State.SAVED: 1}

    run_virtually(work())


class EditedMeanwhile(FakeClient):
    """The source of document 1 is edited, and taken in anew, while the listing is read."""

    def __init__(self, service: FakeService, ledger: Ledger) -> None:
        super().__init__(service)
        self._ledger = ledger

    async def jobs(self, **more: Any) -> api_types.JobsPage:
        page = await super().jobs(**more)
        await self._ledger.admit([replace(_version("1.pdf"), content="edited", replaces=1)])
        return page


def test_what_was_held_and_is_edited_while_it_is_looked_for_ends_no_run() -> None:
    """The newer version stands in its place: there is nobody left to adopt its job for."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = FakeService(loop.time, work=lambda job: (1e6, None))
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _lost(ledger, service)
        await ledger.record(events.Held(1, "perhaps paid"))
        recovery = _recovery(ledger, EditedMeanwhile(service, ledger))
        running = asyncio.create_task(recovery.run())
        await asyncio.sleep(SETTLE)
        assert not running.done() and not recovery.outstanding()
        running.cancel()
        assert +ledger.tally == {State.QUEUED: 1, State.SUPERSEDED: 1}

    run_virtually(work())


# --- what a listing must show ---------------------------------------------------------------------


class LosesOne(FakeClient):
    """The answer to the submission of the text `lost` is lost, once, and its job is there.

    From then on, for `blind` seconds, `shows` says what the listing still shows.
    """

    lost = "lost"
    blind = 300.0
    lost_at = None
    shows: Callable[[FakeJob, float], bool] = staticmethod(lambda job, since: False)

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        job_id = await super().run_job(endpoint, source, options, **more)
        if self.lost_at is None and self.service.uploads.get(source) == self.lost.encode():
            self.lost_at = self.service.clock()
            raise ReplyLostError("POST /parse_async", "reset")
        return job_id

    def listed(self) -> list[FakeJob]:
        since = self.lost_at
        if since is None or self.service.clock() >= since + self.blind:
            return super().listed()
        return [job for job in super().listed() if self.shows(job, since)]


def _is_of(client: FakeClient, job: FakeJob, *texts: str) -> bool:
    return client.service.uploads.get(job.source, b"gone").decode() in texts


LISTINGS: dict[str, Callable[[LosesOne], Callable[[FakeJob, float], bool]]] = {
    "empty": lambda client: lambda job, since: False,
    "behind": lambda client: (
        lambda job, since: job.accepted_at + client.blind <= client.service.clock()
    ),
    "as the run before left it": lambda client: (
        lambda job, since: _is_of(client, job, "first", "zero")
    ),
    "all but one, and ours": lambda client: (
        lambda job, since: not _is_of(client, job, "doc 3", "gone")
    ),
    "one, and not ours": lambda client: lambda job, since: _is_of(client, job, "doc 8"),
    "oldest first, cut off": lambda client: lambda job, since: job.accepted_at < since - 3600.0,
}


@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_that_does_not_show_all_it_must_proves_nobody_absent(
    name: str, house: House
) -> None:
    """It has shown our jobs in an earlier run, answers 200, and then shows no, some or other ones
    for five minutes.
    """

    async def work() -> None:
        house.service.work = lambda job: (3600.0, None)
        house.client = client = LosesOne(house.service)
        house.put(first="first", zero="zero")
        client.lost = "zero"
        assert await house.run() == {"saved": 2}
        client.lost, client.lost_at, client.shows = "lost", None, LISTINGS[name](client)
        house.max_in_flight = 20
        house.put(**{f"a{number}": f"doc {number}" for number in range(9)}, z="lost")
        assert await house.run() == {"saved": 12}
        assert house.paid() == 12

    run_virtually(work())


class LosesOneUnread(LosesOne):
    """... and the listing can't be read from `readable_for` seconds to nine minutes after that, and
    shows nothing before and behind.
    """

    blind = 840.0
    readable_for = 0.0

    async def jobs(self, **more: Any) -> api_types.JobsPage:
        if self.lost_at is not None:
            since = self.service.clock() - self.lost_at
            if self.readable_for <= since < 540.0:
                raise Unreachable("GET /jobs", "no route to host")
        return await super().jobs(**more)


async def _two_saved_and_deleted(house: House) -> None:
    """The listing has shown a job of ours, and none is left that it would have to show."""
    house.clean = "saved"
    house.client = LosesOne(house.service)
    house.put(a="lost", b="another")
    assert await house.run() == {"saved": 2}


@pytest.mark.parametrize("readable_for", [0.0, 30.0, 90.0])
def test_a_listing_that_could_not_be_read_has_not_been_empty_meanwhile(
    readable_for: float, house: House
) -> None:
    """No job of ours is left that it would have to show, so only time tells, from when it was
    seen, and could be complete.
    """

    async def work() -> None:
        await _two_saved_and_deleted(house)
        house.client = client = LosesOneUnread(house.service)
        client.lost, client.readable_for = "lost, too", readable_for
        house.put(z="lost, too")
        assert await house.run() == {"saved": 3}
        assert house.paid() == 3

    run_virtually(work())


class LosesTwoUnread(LosesOneUnread):
    """... but an earlier submission of it never arrived, which the same empty listing proved."""

    had_lost = False

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        if not self.had_lost and self.service.uploads.get(source) == self.lost.encode():
            self.had_lost = True
            raise ReplyLostError("POST /parse_async", "reset")
        return await super().run_job(endpoint, source, options, **more)


def test_a_listing_that_was_empty_before_an_attempt_says_nothing_about_it(house: House) -> None:
    """How long it has been empty counts for each attempt from when that was looked for."""

    async def work() -> None:
        await _two_saved_and_deleted(house)
        house.client = client = LosesTwoUnread(house.service)
        client.lost = "lost, too"
        house.put(z="lost, too")
        assert await house.run() == {"saved": 3}
        assert client.had_lost and client.lost_at is not None
        assert house.paid() == 3

    run_virtually(work())


def test_a_job_that_is_never_shown_holds_what_can_not_be_proven_and_is_named() -> None:
    """Somebody may have deleted it by hand: nobody knows what else isn't shown, and a person
    decides.
    """

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _saved_another(ledger, service)
        await _saved_another(ledger, service)
        await asyncio.sleep(2 * SETTLE)
        await _lost(ledger, service)
        hidden, _, absent = service.jobs
        del service.jobs[hidden], service.jobs[absent]
        began = _now()
        await _decided(ledger, FakeClient(service))
        assert +ledger.tally == {State.HELD: 1, State.SAVED: 2}
        assert hidden in _reason(ledger)
        assert 10 * SETTLE < _now() - began < HOUR, "it had its time, and not for ever"

    _with_ledger(work)


class Holey(FakeClient):
    """Its listing shows only the second job for `blind` seconds."""

    blind = 5 * SETTLE

    def __init__(self, service: FakeService) -> None:
        super().__init__(service)
        self.shown, self.until = list(service.jobs.values())[1:2], service.clock() + self.blind

    def listed(self) -> list[FakeJob]:
        return self.shown if self.service.clock() < self.until else super().listed()


@pytest.mark.parametrize("back", [0.0, 45.0, 90.0, 3600.0])
def test_a_clock_that_is_set_back_makes_no_job_too_new_to_be_missed(back: float) -> None:
    """Of two jobs that were accepted before one, the listing doesn't show the first: it must."""

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _saved_another(ledger, service)
        await _saved_another(ledger, service)
        await _lost(ledger, service)
        clock = ledger.clock
        ledger.clock = lambda: clock() - back
        await _decided(ledger, Holey(service))
        assert +ledger.tally == {State.WAITING: 1, State.SAVED: 2}

    _with_ledger(work)


@pytest.mark.parametrize("excuse", ["cleaned", "gone", "expired", "of another"])
def test_what_is_known_to_be_gone_needs_not_be_shown(excuse: str) -> None:
    """Deleted by us, missed by the service itself, past its time, or answered to the wrong
    document.
    """

    async def work(ledger: Ledger, service: FakeService) -> None:
        deadline = 100.0 if excuse == "expired" else 43200.0
        other = await _accepted(ledger, service, "b.pdf", deadline=deadline)
        if excuse == "gone":
            await ledger.record(events.Lost(1, "404"))
        else:
            await ledger.record(events.Ended(1, 1, 1.0), events.Saved(1, "b.pdf.json", "hash", 1))
        if excuse == "cleaned":
            await ledger.record(events.Cleaned(1, other.job_id))
        await asyncio.sleep(2 * SETTLE)
        await _lost(ledger, service)
        _, absent = service.jobs
        del service.jobs[absent]
        if excuse == "of another":
            await _named_otherwise(ledger, service, other)
        else:
            del service.jobs[other.job_id]
        await _decided(ledger, FakeClient(service))
        assert ledger.tally[State.QUEUED] == 1, "proven absent, so it may be sent anew"

    _with_ledger(work)


class Jittery(FakeClient):
    """Each job has a delay of its own until the listing shows it: the lost one's is the longest."""

    def __init__(self, service: FakeService) -> None:
        super().__init__(service)
        self.delays: dict[str, float] = {}

    def listed(self) -> list[FakeJob]:
        now = self.service.clock()
        return [
            job
            for job in super().listed()
            if job.accepted_at + self.delays.get(job.job_id, 0.0) <= now
        ]


def test_a_listing_that_was_further_behind_than_it_may_be_is_waited_for_longer() -> None:
    """What it showed late of others it may show later still of this one."""

    async def work(ledger: Ledger, service: FakeService) -> None:
        client = Jittery(service)
        other = await _accepted(ledger, service, "b.pdf")
        await _lost(ledger, service)
        ours = list(service.jobs)[-1]
        client.delays = {other.job_id: 4 * SETTLE, ours: 5 * SETTLE}
        await _decided(ledger, client)
        assert +ledger.tally == {State.WAITING: 2}

    _with_ledger(work)


class Frozen(FakeClient):
    """Its listing stands still for `blind` seconds."""

    blind = 4 * SETTLE

    def __init__(self, service: FakeService) -> None:
        super().__init__(service)
        self.frozen, self.until = list(service.jobs.values())[:1], service.clock() + self.blind

    def listed(self) -> list[FakeJob]:
        return self.frozen if self.service.clock() < self.until else super().listed()


def test_a_listing_that_shows_nothing_of_the_last_minute_is_not_up_to_date() -> None:
    """What was accepted since the fence is too young to be missed, and it alone could tell that
    nothing is shown.
    """

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _accepted(ledger, service, "b.pdf")
        await asyncio.sleep(2 * SETTLE)
        await _lost(ledger, service)
        running = asyncio.create_task(_recovery(ledger, Frozen(service)).run())
        await asyncio.sleep(0.9 * SETTLE)
        await _accepted(ledger, service, "c.pdf")
        await asyncio.sleep(HOUR)
        running.cancel()
        assert +ledger.tally == {State.WAITING: 3}

    _with_ledger(work)


def test_a_listing_that_has_never_shown_a_job_of_ours_proves_nothing() -> None:
    """The first document of all: it may be anybody's listing."""

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service, proofs=(FENCE,))
        service.jobs.clear()
        await _decided(ledger, FakeClient(service))
        assert +ledger.tally == {State.HELD: 1}
        assert "not proven: listing" in _reason(ledger)

    _with_ledger(work)


def test_where_nothing_of_ours_is_shown_company_is_waited_for() -> None:
    """A document that is still to be sent will show whether the listing is up to date: time decides
    without one.
    """

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        hidden = service.jobs.copy()
        service.jobs.clear()
        await ledger.admit([_version("b.pdf")])
        recovering = asyncio.create_task(_recovery(ledger, FakeClient(service)).run())
        await asyncio.sleep(9 * SETTLE)
        assert ledger.tally[State.UNKNOWN] == 1
        service.jobs.update(hidden)
        await asyncio.sleep(SETTLE)
        recovering.cancel()
        assert +ledger.tally == {State.QUEUED: 1, State.WAITING: 1}

    _with_ledger(work)


def test_a_crash_between_a_deletion_and_its_record_holds_nobody() -> None:
    """That it began is on record before it is asked for, so nobody looks for that job in the
    listing any more.
    """

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _saved_another(ledger, service)
        await _accepted(ledger, service, "c.pdf")
        await asyncio.sleep(2 * SETTLE)
        await _lost(ledger, service, document=3)
        deleted, _, absent = service.jobs
        del service.jobs[deleted], service.jobs[absent]
        await ledger.record(events.DeletionStarted(1, deleted))
        await _decided(ledger, FakeClient(service))
        assert +ledger.tally == {State.SAVED: 1, State.WAITING: 1, State.QUEUED: 1}

    _with_ledger(work)


# --- rows that can't be read ----------------------------------------------------------------------


class OddRows(FakeClient):
    """`odd` replaces the rows of `of` on their way, as JSON."""

    of: frozenset[str] = frozenset()
    odd: Callable[[dict[str, Any]], Any] = staticmethod(lambda row: row)

    async def jobs(self, **more: Any) -> api_types.JobsPage:
        page = await super().jobs(**more)
        rows = [msgspec.to_builtins(row) for row in page.jobs]
        told = [self.odd(row) if row["job_id"] in self.of else row for row in rows]
        return responses.read_jobs(
            "GET /jobs", 200, json.dumps({"jobs": told, "next_cursor": page.next_cursor}).encode()
        )


ODD_ROWS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no row": lambda row: None,
    "a null for its id": lambda row: {**row, "job_id": None},
    "an empty id": lambda row: {**row, "job_id": ""},
    "a number for its id": lambda row: {**row, "job_id": 7},
    "a null for its status": lambda row: {**row, "status": None},
    "no request": lambda row: {**row, "raw_config": None, "source": None},
    "an empty request": lambda row: {**row, "raw_config": "{}", "source": ""},
    "a request that is blotted out": lambda row: {
        **row,
        "raw_config": '{"input": "[redacted]"}',
        "source": None,
    },
    "no request and no time": lambda row: {"job_id": row["job_id"], "status": row["status"]},
}


@pytest.mark.parametrize("name", ODD_ROWS)
def test_a_row_that_may_be_ours_proves_no_absence_and_hides_no_other(name: str) -> None:
    """The other unknown one is adopted at once; this one's job is there, and nobody could tell: a
    person decides.
    """

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _accepted(ledger, service, "b.pdf")
        await _lost(ledger, service)
        await _lost(ledger, service, document=3)
        client = OddRows(service)
        client.of = frozenset(list(service.jobs)[-1:])
        client.odd = ODD_ROWS[name]
        await _decided(ledger, client, account=HASTY)
        assert +ledger.tally == {State.WAITING: 2, State.HELD: 1}
        assert "listing" in _reason(ledger)

    _with_ledger(work)


@pytest.mark.parametrize(
    "row", [{"created_at": None}, {"type": None}, {"num_pages": "7"}, {"created_at": 7, "type": 7}]
)
def test_a_row_that_is_odd_beside_the_point_is_read(row: dict[str, Any]) -> None:
    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        client = OddRows(service)
        client.of = frozenset(service.jobs)
        client.odd = lambda told: {**told, **row}
        await _decided(ledger, client)
        assert +ledger.tally == {State.WAITING: 1}

    _with_ledger(work)


def test_a_silent_row_of_another_time_or_type_is_not_ours() -> None:
    """Others' jobs may be listed without their requests: they keep nobody from being proven
    absent.
    """

    class Crowd(FakeClient):
        async def jobs(self, **more: Any) -> api_types.JobsPage:
            page = await super().jobs(**more)
            old = api_types.JobRow("x", "Completed", "2020-01-01T00:00:00Z")
            other = api_types.JobRow("y", "Completed", "2999-01-01T00:00:00Z", "Extract")
            return api_types.JobsPage([other, *page.jobs, old], page.next_cursor)

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        service.jobs.clear()
        await _accepted(ledger, service, "b.pdf")
        await _decided(ledger, Crowd(service))
        assert +ledger.tally == {State.QUEUED: 1, State.WAITING: 1}

    _with_ledger(work)


# --- a listing, or a deletion, that fails ---------------------------------------------------------


class NoListing(FakeClient):
    """Loses the first answer; its listing fails with `error`, `from_page` on."""

    lost = False
    from_page = 1
    calls = 0

    def __init__(self, service: FakeService, error: ServiceError) -> None:
        super().__init__(service)
        self.error = error

    async def jobs(self, **more: Any) -> api_types.JobsPage:
        self.calls += 1
        if int(more.get("cursor") or 0) + 1 >= self.from_page:
            raise self.error
        return await super().jobs(**{**more, "limit": 1})

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        job_id = await super().run_job(endpoint, source, options, **more)
        if not self.lost:
            self.lost = True
            raise ReplyLostError("POST /parse_async", "reset")
        return job_id


FAILURES = {
    "404": NotFound("GET /jobs", "no such route", status=404),
    "405": Refused("GET /jobs", "not allowed", status=405),
    "500": BadReply("GET /jobs", "500", status=500),
    "no answer": ReplyLostError("GET /jobs", "timed out"),
    "busy": Busy("GET /jobs", "later", status=429),
    "busy for a day": Busy("GET /jobs", "later", status=503, retry_after=86400.0),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_listing_that_fails_for_hours_holds_one_and_keeps_no_run_going(
    name: str, house: House
) -> None:
    """The others come home; the one whose answer was lost is held with the reason, and asked for
    with restraint.
    """

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(5)})
        house.client = client = NoListing(house.service, FAILURES[name])
        began = _now()
        async with asyncio.timeout(2 * HOUR):
            assert await house.run() == {"saved": 4, "held": 1}
        assert house.paid() == 5
        assert _now() - began > 600.0, "it might have come back"
        assert client.calls < 100

    run_virtually(work())


def test_what_was_sent_too_long_ago_is_held_though_the_listing_fails() -> None:
    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        await asyncio.sleep(43200.0)
        began = _now()
        await _decided(ledger, NoListing(service, FAILURES["500"]))
        assert +ledger.tally == {State.HELD: 1} and _now() - began < 1.0

    _with_ledger(work)


def test_what_a_listing_showed_before_it_failed_is_adopted() -> None:
    """Its second page is an error, always: what the first one shows is ours all the same."""

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _accepted(ledger, service, "b.pdf")
        await _lost(ledger, service)
        client = NoListing(service, FAILURES["500"])
        client.from_page = 2
        await _decided(ledger, client)
        assert +ledger.tally == {State.WAITING: 2}

    _with_ledger(work)


@pytest.mark.parametrize(
    "error",
    [BadReply("DELETE", "500", status=500), Busy("DELETE", "x", status=503, retry_after=9e9)],
)
def test_an_upload_that_can_not_be_deleted_keeps_no_other_from_being_judged(
    error: ServiceError,
) -> None:
    """The first ten fail, always; the eleventh is proven absent in its time, and those are held in
    theirs.
    """

    class Failing(FakeClient):
        fails: frozenset[str] = frozenset()
        calls = 0

        async def delete_upload(self, file_id: str) -> bool:
            if file_id in self.fails:
                self.calls += 1
                raise error
            return await super().delete_upload(file_id)

    async def work(ledger: Ledger, service: FakeService) -> None:
        for document in range(1, 12):
            await _lost(ledger, service, document=document)
        client = Failing(service)
        client.fails = frozenset(list(service.uploads)[:10])
        service.jobs.clear()
        await _accepted(ledger, service, "z.pdf")
        running = asyncio.create_task(_recovery(ledger, client).run())
        await asyncio.sleep(4 * SETTLE)
        assert +ledger.tally == {State.UNKNOWN: 10, State.QUEUED: 1, State.WAITING: 1}
        await ledger.record(events.Cancelled(12, "done"), events.Cancelled(11, "done"))
        await asyncio.sleep(HOUR)
        running.cancel()
        assert +ledger.tally == {State.HELD: 10, State.CANCELLED: 2}
        assert client.calls < 300

    _with_ledger(work)


def test_what_nobody_foresaw_about_one_attempt_is_its_own_trouble() -> None:
    """It is held with the error's name, and the others are judged."""

    class Odd(FakeClient):
        async def delete_upload(self, file_id: str) -> bool:
            if file_id == min(self.service.uploads):
                raise ValueError("never heard of")
            return await super().delete_upload(file_id)

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        await _lost(ledger, service, document=2)
        service.jobs.clear()
        await _decided(ledger, Odd(service))
        assert +ledger.tally == {State.HELD: 1, State.QUEUED: 1}
        assert "internal error: ValueError: never heard of" in _reason(ledger)

    _with_ledger(work)


# --- what fences, and what proves -----------------------------------------------------------------


class Undeletable(FakeClient):
    """Deletes a spare upload, and no other: that is refused for good."""

    async def delete_upload(self, file_id: str) -> bool:
        if self.service.uploads.get(file_id) == b"x":
            raise Refused("DELETE /upload", "method not allowed", status=405)
        return await super().delete_upload(file_id)


class Pretending(FakeClient):
    """Says of any upload, at any time, that it was there and is deleted."""

    async def delete_upload(self, file_id: str) -> bool:
        await super().delete_upload(file_id)
        return True


@pytest.mark.parametrize(
    ("kind", "words"), [(Undeletable, "can't be deleted"), (Pretending, "not proven: fence")]
)
def test_without_a_fence_that_is_known_to_hold_nobody_is_absent(
    kind: type[FakeClient], words: str
) -> None:
    """It may still arrive: held, however well the listing shows all else."""

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service, proofs=(LISTING,))
        service.jobs.clear()
        await _saved_another(ledger, service)
        await _decided(ledger, kind(service))
        assert +ledger.tally == {State.HELD: 1, State.SAVED: 1}
        assert words in _reason(ledger)

    _with_ledger(work)


def test_an_adopted_job_s_time_counts_from_its_submission() -> None:
    """The service deletes it as long after that as any other, however late it is found."""

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        sent_at = _now()
        await asyncio.sleep(6 * HOUR)
        await _decided(ledger, FakeClient(service))
        assert [flight.deadline_at for flight in ledger.tracking.in_flight()] == [sent_at + 43200.0]

    _with_ledger(work)


@pytest.mark.parametrize("escaped", [False, True])
def test_a_row_that_echoes_no_metadata_is_found_by_its_upload(escaped: bool) -> None:
    class WithoutMetadata(FakeClient):
        def _row(self, job: FakeJob) -> api_types.JobRow:
            told = json.dumps({"input": job.source, "schema": {"$id": "https://example.com/x"}})
            told = told.replace("/", "\\/") if escaped else told
            return api_types.JobRow(job.job_id, "InProgress", raw_config=told)

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        await _decided(ledger, WithoutMetadata(service))
        assert +ledger.tally == {State.WAITING: 1}
        await _lost(ledger, service, document=2)
        del service.jobs[list(service.jobs)[-1]]
        await _decided(ledger, WithoutMetadata(service))
        assert +ledger.tally == {State.WAITING: 1, State.QUEUED: 1}, (
            "the other one's upload proves such a listing"
        )

    _with_ledger(work)


def test_an_upload_whose_name_only_begins_like_ours_is_not_ours() -> None:
    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        (job,) = service.jobs.values()
        job.source = job.source + "x"
        job.config = "{}"
        await _decided(ledger, FakeClient(service))
        assert +ledger.tally == {State.QUEUED: 1}

    _with_ledger(work)


def test_the_third_proven_absence_ends_it() -> None:
    """Something on the way swallows its submissions: two more tries, and then it is given up."""

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        service.jobs.clear()
        for number in (2, 3):
            await _decided(ledger, FakeClient(service))
            assert +ledger.tally == {State.QUEUED: 1}
            await _sent_in_vain(ledger, number)
        await _decided(ledger, FakeClient(service))
        assert +ledger.tally == {State.FAILED: 1}

    _with_ledger(work)


# --- whose job it is ------------------------------------------------------------------------------


class Parts(FakeClient):
    """Each pipeline's job comes with the parse that is a part of it, with the same request:

    `order` in the listing.
    """

    order = ("part", "job")
    types: tuple[str, str] = ("Parse", "Pipeline")

    async def jobs(self, **more: Any) -> api_types.JobsPage:
        page = await super().jobs(**more)
        rows = [made for row in page.jobs for made in self._both(row)]
        return api_types.JobsPage(rows, page.next_cursor)

    def _both(self, row: api_types.JobRow) -> list[api_types.JobRow]:
        part = api_types.JobRow(
            f"part-{row.job_id}",
            "Completed",
            row.created_at,
            self.types[0],
            row.raw_config,
            row.source,
        )
        row.type = self.types[1]
        return [part if which == "part" else row for which in self.order]


TODAY = {"parse": "pipeline"}  # endpoints by the names of the manifest's steps
YESTERDAY = dict[str, str]()


@pytest.mark.parametrize("order", [("part", "job"), ("job", "part")])
@pytest.mark.parametrize(
    ("endpoints", "types"),
    [
        (TODAY, ("Parse", "Pipeline")),
        (TODAY, ("", "Pipeline")),
        (TODAY, ("parse", "")),
        (TODAY, ("Extract", "PIPELINE")),
        (YESTERDAY, ("Parse", "Pipeline")),
        (YESTERDAY, ("", "Pipeline")),
    ],
)
def test_of_a_pipeline_its_own_job_is_adopted(
    order: tuple[str, str], endpoints: dict[str, str], types: tuple[str, str]
) -> None:
    """Whatever stands above the other, whichever doesn't say its type, and be its step in the
    manifest or not.
    """

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        client = Parts(service)
        client.order = order
        client.types = types
        await _decided(ledger, client, endpoints=endpoints)
        assert [flight.job_id for flight in ledger.tracking.in_flight()] == list(service.jobs)

    _with_ledger(work)


def test_where_only_a_part_of_it_is_shown_it_has_arrived_and_is_held() -> None:
    """Not adopted, not taken for absent, and its upload is left where its job may yet read it."""

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        client = Parts(service)
        client.order = ("part", "part")
        await _decided(ledger, client, endpoints={"parse": "pipeline"})
        assert +ledger.tally == {State.HELD: 1} and service.uploads
        assert "part of its job" in _reason(ledger)

    _with_ledger(work)


@pytest.mark.parametrize("echoes", ["metadata and type", "metadata", "type"])
def test_two_steps_of_the_same_upload_are_told_apart(echoes: str) -> None:
    """By the nonce, by the type, or by whose job the ledger knows it to be."""

    class Echoing(FakeClient):
        def _row(self, job: FakeJob) -> api_types.JobRow:
            row = super()._row(job)
            row.type = job.endpoint if "type" in echoes else ""
            row.raw_config = job.config if "metadata" in echoes else None
            return row

    async def work(ledger: Ledger, service: FakeService) -> None:
        file_id = service.take_upload(b"x", ".pdf")
        steps = {"parse": "1" * 24, "extract": "2" * 24}
        for number, (step, nonce) in enumerate(steps.items(), 1):
            await ledger.admit(
                [replace(_version("a.pdf"), job=step, step=step, output=f"{step}.json")]
            )
            sending = events.Sending(number, nonce, "twin", "none", 1.0)
            await ledger.record(events.Uploaded(number, file_id), sending)
            await asyncio.sleep(1.0)
            job = service.accept(step, file_id, _config(nonce))
            await ledger.record(
                events.Accepted(1, job.job_id, 2e9)
                if step == "parse"
                else events.ReplyLost(number, "reset")
            )
        del service.jobs[list(service.jobs)[-1]]
        await ledger.prove("twin", "none", LISTING)
        await _decided(ledger, Echoing(service), endpoints={step: step for step in steps})
        assert +ledger.tally == {State.WAITING: 1, State.QUEUED: 1}

    _with_ledger(work)


def test_of_two_lost_submissions_of_one_upload_each_is_found_by_its_own_nonce() -> None:
    """Only one of the two has arrived: its row names the upload of both."""

    async def work(ledger: Ledger, service: FakeService) -> None:
        await ledger.prove("twin", "none", LISTING)
        file_id = service.take_upload(b"x", ".pdf")
        for number, step in enumerate(("parse", "extract"), 1):
            await ledger.admit(
                [replace(_version("a.pdf"), job=step, step=step, output=f"{step}.json")]
            )
            sending = events.Sending(number, str(number) * 24, "twin", "none", 1.0)
            await ledger.record(
                events.Uploaded(number, file_id), sending, events.ReplyLost(number, "reset")
            )
        service.accept("parse", file_id, _config("1" * 24))
        await _decided(
            ledger, FakeClient(service), endpoints={"parse": "parse", "extract": "extract"}
        )
        assert +ledger.tally == {State.WAITING: 1, State.QUEUED: 1}
        assert [flight.document for flight in ledger.tracking.in_flight()] == [1]

    _with_ledger(work)


@pytest.mark.parametrize(
    "statuses", [("Failed", "Completed"), ("Cancelled", "InProgress"), ("Failed", "Pending")]
)
def test_of_two_jobs_of_one_submission_the_one_that_came_further_is_adopted(
    statuses: tuple[str, str],
) -> None:
    """The newer one came when the upload was deleted already: it failed for want of it, and its
    fellow is paid.
    """

    class Twice(FakeClient):
        async def jobs(self, **more: Any) -> api_types.JobsPage:
            page = await super().jobs(**more)
            (row,) = page.jobs
            rows = [
                msgspec.structs.replace(row, job_id=f"{status} one", status=status)
                for status in statuses
            ]
            return api_types.JobsPage(rows)

    async def work(ledger: Ledger, service: FakeService) -> None:
        await _lost(ledger, service)
        await _decided(ledger, Twice(service))
        assert [flight.job_id for flight in ledger.tracking.in_flight()] == [f"{statuses[1]} one"]

    _with_ledger(work)


# --- means ----------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def _with_ledger(work: Callable[[Ledger, FakeService], Coroutine[Any, Any, None]]) -> None:
    """`work` in virtual time, with an empty ledger and a service whose jobs go on for ever."""

    async def begin() -> None:
        clock = asyncio.get_running_loop().time
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=clock)
        await work(ledger, FakeService(clock, work=lambda job: (1e6, None)))

    run_virtually(begin())


def _now() -> float:
    return asyncio.get_running_loop().time()


def _reason(ledger: Ledger) -> str:
    return next(
        group.reason or "" for group in ledger.reporting.failures() if group.state == State.HELD
    )


def _config(nonce: str) -> str:
    return json.dumps({"async": {"metadata": {"batcher": {"nonce": nonce}}}})


def _recovery(ledger: Ledger, client: FakeClient, **more: Any) -> Recovery:
    return Recovery(
        context_of(ledger, client, rate_limits=unhurried()),
        settle=SETTLE,
        **{"account": TWIN, "endpoints": {"parse": "parse"}, **more},
    )


async def _decided(ledger: Ledger, client: FakeClient, **more: Any) -> None:
    """Returns once nothing is unknown any more."""
    running = asyncio.create_task(_recovery(ledger, client, **more).run())
    while ledger.tally[State.UNKNOWN]:
        await ledger.change()
    running.cancel()


async def _fenced(ledger: Ledger, service: FakeService) -> None:
    """One document whose submission was accepted, whose reply was lost, and whose upload is deleted
    by now.
    """
    await _lost(ledger, service)
    service.uploads.clear()
    await ledger.record(events.Fenced(1, ledger.clock()))


async def _saved_another(ledger: Ledger, service: FakeService) -> None:
    """The next document, by the job that has just been accepted."""
    document = await _next(ledger)
    await _accepted(ledger, service, f"{document}.pdf")
    await ledger.record(
        events.Ended(document, 1, 1.0), events.Saved(document, "b.pdf.json", "hash", 1)
    )


async def _accepted(
    ledger: Ledger, service: FakeService, source: str, *, deadline: float = 43200.0
) -> FakeJob:
    """The next document is out."""
    document = await _next(ledger)
    await ledger.admit([_version(source)])
    file_id = service.take_upload(b"y", ".pdf")
    nonce = f"nonce-{source}"
    await ledger.record(
        events.Uploaded(document, file_id), events.Sending(document, nonce, "twin", "none", 1.0)
    )
    job = service.accept("parse", file_id, _config(nonce))
    await ledger.record(events.Accepted(document, job.job_id, ledger.clock() + deadline))
    return job


async def _next(ledger: Ledger) -> int:
    return int(ledger.reader.execute("SELECT count(*) + 1 FROM documents").fetchone()[0])


def _version(source: str) -> Version:
    facts = {
        "folder": "/in",
        "job": "parse",
        "step": "s",
        "content": source,
        "size": 1,
        "mtime_ns": 0,
        "inode": 0,
    }
    return Version(source=source, output=f"{source}.json", **facts)


async def _lost(
    ledger: Ledger,
    service: FakeService,
    *,
    document: int = 0,
    proofs: tuple[str, ...] = (LISTING, FENCE),
) -> None:
    """One document whose submission was accepted and whose reply was lost."""
    document = document or await _next(ledger)
    await ledger.admit([_version(f"{document}.pdf")])
    file_id = service.take_upload(b"x", ".pdf")
    nonce = f"nonce-{document}."
    await ledger.record(
        events.Uploaded(document, file_id),
        events.Sending(document, nonce, "twin", "none", 1.0),
        events.ReplyLost(document, "reset"),
    )
    service.accept("parse", file_id, _config(nonce))
    for proof in proofs:
        await ledger.prove("twin", "none", proof)


async def _named_otherwise(ledger: Ledger, service: FakeService, job: FakeJob) -> None:
    """The row of `job` names another attempt of ours."""
    nonce = "a" * 24
    document = await _next(ledger)
    await ledger.admit([_version("c.pdf")])
    sending = events.Sending(document, nonce, "twin", "none", 1.0)
    await ledger.record(events.Uploaded(document, service.take_upload(b"z", ".pdf")), sending)
    await ledger.record(events.Rejected(document, "400", "document"))
    job.config = _config(nonce)


async def _sent_in_vain(ledger: Ledger, number: int) -> None:
    sending = events.Sending(1, f"nonce-{number}", "twin", "none", 1.0)
    await ledger.record(
        events.Uploaded(1, f"reducto://{number}"), sending, events.ReplyLost(1, "reset")
    )


class Crowded(FakeClient):
    """A large account: thousands of other people's jobs stand below ours. One answer is lost."""

    lost = False
    newest_first = True

    def __init__(self, service: FakeService) -> None:
        super().__init__(service)
        self.cursors: list[str | None] = []

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        job_id = await super().run_job(endpoint, source, options, **more)
        if not self.lost and self.service.uploads[source] == b"lost":
            self.lost = True
            raise ReplyLostError("POST", "reset")
        return job_id

    async def jobs(
        self, *, cursor: str | None = None, limit: int = 500, exclude_configs: bool = False
    ) -> api_types.JobsPage:
        if not exclude_configs and limit > 1:
            self.cursors.append(cursor)
        return await super().jobs(cursor=cursor, limit=limit, exclude_configs=exclude_configs)

    def listed(self) -> list[FakeJob]:
        jobs = super().listed()
        return jobs if self.newest_first else [*jobs[1:], jobs[0]]


@pytest.mark.parametrize("newest_first", [True, False], ids=["newest first", "in no order"])
def test_a_listing_is_read_only_as_far_back_as_the_submission_in_doubt(
    newest_first: bool, house: House
) -> None:
    """As long as its rows come newest first and show all that they must; else to its last row."""

    async def work() -> None:
        for _ in range(5000):
            house.service.accept("parse", "reducto://nobody", "{}")
        await asyncio.sleep(2 * HOUR)
        house.put(**{f"n{number}": f"{number}" for number in range(9)}, z="lost")
        house.client = client = Crowded(house.service)
        client.newest_first = newest_first
        assert await house.run() == {"saved": 10}
        assert house.paid() == 10
        assert (max(int(cursor or 0) for cursor in client.cursors) >= 5000) == (not newest_first)

    run_virtually(work())
