"""What the poller does with the listing, one case at a time."""

import asyncio
from pathlib import Path

from contexts import context_of
from virtual import run_virtually

from batcher.core.inflight import InFlightJob
from batcher.core.poll_schedule import PollSchedule
from batcher.ledger.ledger import memory_ledger
from batcher.reducto import api_types
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.stages.job_tracker import JobTracker
from batcher.stages.poller import Poller


class Overtaken(FakeClient):
    """While the listing is on its way, a job that it doesn't show yet comes home."""

    def __init__(self, service: FakeService, tracker: JobTracker) -> None:
        super().__init__(service)
        self._watchlist = tracker

    async def jobs(
        self, *, cursor: str | None = None, limit: int = 500, exclude_configs: bool = False
    ) -> api_types.JobsPage:
        self._watchlist.forget(1)
        return api_types.JobsPage([])


def test_a_job_that_comes_home_while_the_listing_is_read_is_looked_for_no_more() -> None:
    """Its webhook was quicker; the others are asked for by name."""

    async def work() -> None:
        clock = asyncio.get_running_loop().time
        tracker = JobTracker()
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=clock)
        client = Overtaken(FakeService(clock), tracker)
        poller = Poller(context_of(ledger, client, jobs=tracker), PollSchedule())
        for number in (1, 2):
            flight = InFlightJob(
                number,
                f"job-{number}",
                1,
                clock(),
                clock() + 43200.0,
                1,
                False,
                True,
                f"{number}.json",
            )
            tracker.add(flight, look_in=0.0)
        await poller._sweep(tracker.due())
        assert tracker.get(1) is None
        assert tracker.backlog == 1

    run_virtually(work())
