"""What is out, and when to look: order and time, in a loop whose time is a number."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from virtual import run_virtually

from batcher.core.inflight import InFlightJob
from batcher.stages.job_tracker import JobTracker


def flight(document: int, deadline_at: float = 0.0) -> InFlightJob:
    return InFlightJob(
        document, f"job-{document}", 10, 0.0, deadline_at, 1, fenced=False, output="o.json"
    )


@pytest.fixture
def virtually() -> Any:
    def run(work: Coroutine[Any, Any, None]) -> None:
        run_virtually(work, start=1000.0)

    return run


def test_the_nearest_deadline_is_fetched_first(virtually: Any) -> None:
    """Whatever ended first."""

    async def work() -> None:
        jobs = JobTracker()
        for document, deadline in ((1, 30.0), (2, 10.0), (3, 20.0)):
            jobs.add(flight(document, deadline), look_in=1.0)
            jobs.fetch(document)
        assert [(await jobs.next_to_fetch()).flight.document for _ in range(3)] == [2, 3, 1]

    virtually(work())


def test_a_job_to_be_fetched_is_neither_looked_at_nor_fetched_twice(virtually: Any) -> None:
    """Until whoever fetches it says that it's to be looked at again."""

    async def work() -> None:
        jobs = JobTracker()
        jobs.add(flight(1), look_in=0.0)
        jobs.fetch(1)
        jobs.fetch(1)
        assert jobs.backlog == 1
        assert jobs.due() == []
        await jobs.next_to_fetch()
        jobs.look_in(1, 0.0)
        assert [watched.flight.document for watched in jobs.due()] == [1]

    virtually(work())


def test_a_look_put_off_is_due_at_its_new_time_alone(virtually: Any) -> None:
    """The entry of the old time is dropped, also while it still lies in the future, and nobody
    spins on it.
    """

    async def work() -> None:
        loop = asyncio.get_running_loop()
        jobs = JobTracker()
        jobs.add(flight(1), look_in=50.0)
        jobs.look_in(1, 100.0)
        await jobs.until_due()
        assert loop.time() >= 1100.0
        assert [watched.flight.document for watched in jobs.due()] == [1]
        jobs.forget(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await jobs.until_due()

    virtually(work())


def test_looks_due_at_about_the_same_time_are_taken_together(virtually: Any) -> None:
    """So that one sweep serves many: a look waits for company by a small part of its job's age."""

    async def work() -> None:
        jobs = JobTracker()
        for document in range(10):
            jobs.add(flight(document), look_in=30.0 + document / 20)
        await jobs.until_due()
        assert len(jobs.due()) == 10

    virtually(work())


def test_a_punctual_look_waits_for_nobody(virtually: Any) -> None:
    """Not the first one, that is: the look after it may."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        jobs = JobTracker()
        jobs.add(flight(1), look_in=10.0, punctual=True)
        await jobs.until_due()
        assert loop.time() == pytest.approx(1010.0)
        jobs.look_in(1, 10.0)
        await jobs.until_due()
        assert loop.time() > 1020.5

    virtually(work())
