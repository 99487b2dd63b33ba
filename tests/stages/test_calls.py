"""What a webhook makes of the poller: a job it names is asked about now, and nothing else
happens.
"""

import asyncio
from pathlib import Path

from contexts import context_of

from batcher.adapters.rate_limits import RateLimiter, RateLimits
from batcher.core import events
from batcher.core.poll_schedule import PollSchedule
from batcher.ledger.intake import Version
from batcher.ledger.ledger import memory_ledger
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.stages.job_tracker import JobTracker
from batcher.stages.poller import Poller

NOW = 1_800_000_000.0
LETTER = Version("a.txt", "/in", "parse", "step", "hash", 10, 1, 1, "a.txt.json")


async def to_fetch(path: Path, *calls_and_events: str | events.Event) -> int:
    """How many jobs are to be fetched after webhooks that name jobs, and events of the one
    document, in that order.
    """
    ledger = memory_ledger(path / "none.db", batch="b", clock=lambda: NOW)
    jobs = JobTracker()  # nothing is looked at by itself for a long time
    schedule = PollSchedule(first={0: 1000.0})
    client = FakeClient(FakeService(lambda: NOW, work=lambda job: (0.0, None)))
    rate_limits = RateLimits(*(RateLimiter() for _ in range(4)))
    poller = Poller(context_of(ledger, client, rate_limits=rate_limits, jobs=jobs), schedule)
    await ledger.admit([LETTER])
    await ledger.record(
        events.Uploaded(1, "reducto://1"), events.Sending(1, "n", "local", "local", 1.0)
    )
    task = asyncio.create_task(poller.run())
    await jobs.caught_up.wait()
    for what in calls_and_events:
        if isinstance(what, str):
            poller.ask_now(what)
        else:
            await ledger.record(what)
    task.cancel()
    await asyncio.wait([task])
    ledger.close()
    return jobs.backlog


ACCEPTED = events.Accepted(1, "job-1", NOW + 43200)


async def test_a_job_that_is_named_is_asked_about_now(tmp_path: Path) -> None:
    """Once, however often it is named."""
    assert await to_fetch(tmp_path, ACCEPTED) == 0
    assert await to_fetch(tmp_path, ACCEPTED, "job-1", "job-1") == 1


async def test_a_call_may_overtake_the_acceptance(tmp_path: Path) -> None:
    """A fast job's message comes before the answer to its submission is on record; it isn't lost
    for that.
    """
    assert await to_fetch(tmp_path, "job-1", ACCEPTED) == 1


async def test_a_job_nobody_knows_is_not_asked_about(tmp_path: Path) -> None:
    """It may be another batch's, or one whose result has long been saved."""
    assert await to_fetch(tmp_path, ACCEPTED, "job-2") == 0
