"""What becomes of submissions whose answer was lost, one case at a time; the simulation has the storms."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from virtual import run_virtually

from batcher.core import events, wire
from batcher.core.lifecycle import State
from batcher.edges.pace import Pace
from batcher.edges.twin import Twin, TwinJob, TwinService
from batcher.errors import ReplyLost
from batcher.ledger.admission import Version
from batcher.ledger.ledger import Ledger, memory_ledger
from batcher.stages.course import Course
from batcher.stages.recovery import FENCE, LISTING, Recovery

SETTLE, LAG = 60.0, 50.0


class LateListing(Twin):
    """Shows a job in the listing only `LAG` seconds after its acceptance."""

    def listed(self) -> list[TwinJob]:
        return [job for job in super().listed() if job.accepted_at + LAG <= self.service.clock()]


@pytest.mark.parametrize("ahead", [2 * SETTLE, 4 * SETTLE, 6 * 3600.0])
def test_time_between_two_runs_does_not_shorten_the_wait(ahead: float) -> None:
    """Fenced by the last run, long ago or under another clock: the listing has its whole time again, and shows it."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = TwinService(loop.time, work=lambda job: (1e6, None))
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _fenced(ledger, service)
        ledger.clock = lambda: loop.time() + ahead
        await _decided(ledger, LateListing(service))
        assert +ledger.tally == {State.WAITING: 1}, "it was there all along"

    run_virtually(work())


def test_a_fence_of_an_earlier_run_is_waited_for_before_anything_is_held() -> None:
    """The last run died long after its fence: this one gives the listing its time, and finds that nothing came."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = TwinService(loop.time)
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _fenced(ledger, service)
        service.jobs.clear()
        await asyncio.sleep(10 * SETTLE)
        await _decided(ledger, Twin(service))
        assert +ledger.tally == {State.QUEUED: 1}, "proven absent, so it may be sent anew"

    run_virtually(work())


def test_a_person_s_retry_gives_three_more_chances() -> None:
    """What was proven absent before doesn't count against a document that somebody has put back in the queue."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _fenced(ledger, TwinService(loop.time))
        for number in (2, 3):
            await ledger.record(events.ProvenAbsent(1))
            await asyncio.sleep(1.0)
            await _sent_in_vain(ledger, number)
        assert [attempt.absences for attempt in ledger.unknown()] == [2]
        await ledger.record(events.GivenUp(1, "proven absent 3 times"))
        await asyncio.sleep(1.0)
        await ledger.record(events.Retried(1))
        await _sent_in_vain(ledger, 4)
        assert [attempt.absences for attempt in ledger.unknown()] == [0]

    run_virtually(work())


class DeafFence(Twin):
    """Deletes, and the connection breaks before it says so; as far as batcher knows, it may have died there too."""

    async def delete_upload(self, file_id: str) -> bool:
        deleted = await super().delete_upload(file_id)
        if file_id in self.deaf:
            raise ReplyLost("DELETE /upload", "reset")
        return deleted

    deaf: frozenset[str] = frozenset()


def test_that_an_upload_is_to_be_deleted_is_on_record_before_it_is() -> None:
    """Else a late POST's job would fail for want of it, and look like the document's own fault."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = TwinService(loop.time)
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _lost(ledger, service)
        service.jobs.clear()
        client = DeafFence(service)
        client.deaf = frozenset(service.uploads)
        running = asyncio.create_task(_recovery(ledger, client).run())
        await asyncio.sleep(SETTLE / 8)
        running.cancel()
        assert not service.uploads
        assert [attempt.fenced_at is not None for attempt in ledger.unknown()] == [True]

    run_virtually(work())


class BrokenListing(Twin):
    """It shows nothing and has no end: ever new cursors, or one and the same."""

    def __init__(self, service: TwinService, *, new_cursors: bool) -> None:
        super().__init__(service)
        self.pages, self._new_cursors = 0, new_cursors

    async def jobs(
        self, *, cursor: str | None = None, limit: int = 500, exclude_configs: bool = False
    ) -> wire.JobsPage:
        self.pages += 1
        await asyncio.sleep(0.01)
        return wire.JobsPage([], str(self.pages if self._new_cursors else 2))


@pytest.mark.parametrize("new_cursors", [True, False])
def test_a_listing_without_an_end_proves_no_absence(new_cursors: bool) -> None:
    """What was perhaps paid isn't paid again: it is held for a person, with the reason."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = TwinService(loop.time, work=lambda job: (1e6, None))
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _fenced(ledger, service)
        client = BrokenListing(service, new_cursors=new_cursors)
        await _decided(ledger, client)
        assert +ledger.tally == {State.HELD: 1}
        (held,) = ledger.failures()
        assert held.reason and "listing can't be read to its end" in held.reason

    run_virtually(work())


class HeldUpListing(LateListing):
    """Its second reading takes five minutes, at whose end another document's job is accepted and comes home."""

    def __init__(self, service: TwinService, ledger: Ledger) -> None:
        super().__init__(service)
        self._ledger, self._readings = ledger, 0

    async def jobs(self, **more: Any) -> wire.JobsPage:
        self._readings += 1
        if self._readings == 2:
            await asyncio.sleep(5 * SETTLE)
            await _saved_another(self._ledger, self.service)
        return await super().jobs(**more)


def test_what_the_listing_has_to_show_is_given_its_time_before_anything_is_held() -> None:
    """The job that proves the listing was accepted a moment ago, and the fence is old: a little later it is shown."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = TwinService(loop.time)
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _lost(ledger, service)
        service.jobs.clear()
        await _decided(ledger, HeldUpListing(service, ledger))
        assert +ledger.tally == {State.QUEUED: 1, State.SAVED: 1}

    run_virtually(work())


class EditedMeanwhile(Twin):
    """The source of document 1 is edited, and taken in anew, while the listing is read."""

    def __init__(self, service: TwinService, ledger: Ledger) -> None:
        super().__init__(service)
        self._ledger = ledger

    async def jobs(self, **more: Any) -> wire.JobsPage:
        page = await super().jobs(**more)
        await self._ledger.admit([replace(_version("a.pdf"), content="edited", replaces=1)])
        return page


def test_what_was_held_and_is_edited_while_it_is_looked_for_ends_no_run() -> None:
    """The newer version stands in its place: there is nobody left to adopt its job for."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        service = TwinService(loop.time, work=lambda job: (1e6, None))
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=loop.time)
        await _lost(ledger, service)
        await ledger.record(events.Held(1, "perhaps paid"))
        recovery = _recovery(ledger, EditedMeanwhile(service, ledger))
        running = asyncio.create_task(recovery.run())
        await asyncio.sleep(SETTLE)
        assert not running.done() and recovery.has_looked_for_held
        running.cancel()
        assert +ledger.tally == {State.QUEUED: 1, State.SUPERSEDED: 1}

    run_virtually(work())


def _recovery(ledger: Ledger, client: Twin) -> Recovery:
    return Recovery(
        *(ledger, client, Pace(), Course()),
        service="twin",
        key_print="none",
        retention=43200.0,
        settle=SETTLE,
        clock=ledger.clock,
    )


async def _decided(ledger: Ledger, client: Twin) -> None:
    """Returns once nothing is unknown any more."""
    running = asyncio.create_task(_recovery(ledger, client).run())
    while ledger.tally[State.UNKNOWN]:
        await ledger.change()
    running.cancel()


async def _fenced(ledger: Ledger, service: TwinService) -> None:
    """One document whose submission was accepted, whose reply was lost, and whose upload is deleted by now."""
    await _lost(ledger, service)
    service.uploads.clear()
    await ledger.record(events.Fenced(1, ledger.clock()))


async def _saved_another(ledger: Ledger, service: TwinService) -> None:
    """Document 2, by the job that has just been accepted."""
    await ledger.admit([_version("b.pdf")])
    sending = events.Sending(2, "nonce-b", "twin", "none", 1.0)
    await ledger.record(events.Uploaded(2, service.take_upload(b"y", ".pdf")), sending)
    config = '{"async": {"metadata": {"batcher": {"nonce": "nonce-b"}}}}'
    job = service.accept("parse", "reducto://b", config)
    await ledger.record(
        *(events.Accepted(2, job.job_id, ledger.clock() + 43200.0), events.Ended(2, 1, 1.0)),
        events.Saved(2, "b.pdf.json", "hash", 1),
    )


def _version(source: str) -> Version:
    facts = {"folder": "/in", "job": "parse", "step": "s", "content": source, "size": 1, "mtime_ns": 0, "inode": 0}
    return Version(source=source, output=f"{source}.json", **facts)


async def _lost(ledger: Ledger, service: TwinService) -> None:
    """One document whose submission was accepted and whose reply was lost."""
    await ledger.admit([_version("a.pdf")])
    file_id = service.take_upload(b"x", ".pdf")
    await ledger.record(
        events.Uploaded(1, file_id),
        events.Sending(1, "nonce-1", "twin", "none", 1.0),
        events.ReplyLost(1, "reset"),
    )
    service.accept("parse", file_id, '{"async": {"metadata": {"batcher": {"nonce": "nonce-1"}}}}')
    await ledger.prove("twin", "none", LISTING)
    await ledger.prove("twin", "none", FENCE)


async def _sent_in_vain(ledger: Ledger, number: int) -> None:
    sending = events.Sending(1, f"nonce-{number}", "twin", "none", 1.0)
    await ledger.record(events.Uploaded(1, f"reducto://{number}"), sending, events.ReplyLost(1, "reset"))
