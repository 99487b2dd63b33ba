"""What a run notices of time: sleep, a clock that is set, results whose time runs out."""

import asyncio
from pathlib import Path

from contexts import context_of
from virtual import run_virtually

from batcher.core import events
from batcher.core.poll_schedule import PollSchedule
from batcher.ledger.intake import Version
from batcher.ledger.ledger import memory_ledger
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.stages.deadline_monitor import DeadlineMonitor
from batcher.stages.job_tracker import JobTracker
from batcher.stages.poller import Poller
from batcher.stages.run_control import RunControl

LETTER = Version("a.txt", "/in", "parse", "step", "hash", 10, 1, 1, "a.txt.json")


class Time:
    """The loop's time, with the sleep of a machine and the hand of a person on its clock."""

    def __init__(self) -> None:
        self.asleep = self.set_by = 0.0

    def clock(self) -> float:
        return asyncio.get_running_loop().time() + self.asleep

    def wall(self) -> float:
        return self.clock() + self.set_by


async def told(*changes: tuple[str, float]) -> list[str]:
    """The warnings of a run with one job out, retention 10,000 s; 90 s pass between changes."""
    time = Time()
    control = RunControl()
    jobs = JobTracker()
    ledger = memory_ledger(Path("absent.db"), batch="b", clock=time.clock)
    await ledger.admit([LETTER])
    await ledger.record(
        events.Uploaded(1, "reducto://1"),
        events.Sending(1, "n", "twin", "none", 1.0),
        events.Accepted(1, "job-1", time.clock() + 10_000.0),
    )
    client = FakeClient(FakeService(time.clock))
    context = context_of(ledger, client, control=control, jobs=jobs)
    poller = Poller(context, PollSchedule())
    deadline_monitor = DeadlineMonitor(context, poller, retention=10_000.0, wall=time.wall)
    running = asyncio.create_task(deadline_monitor.run())
    for name, span in changes:
        await asyncio.sleep(90.0)
        setattr(time, name, getattr(time, name) + span)
    await asyncio.sleep(90.0)
    running.cancel()
    return control.warnings


def test_each_mark_is_told_once() -> None:
    """At 50, 75 and 90 % of the time that results are kept, and when it is over."""
    naps = [("asleep", 20.0)] * 200
    assert [words[:3] for words in run_virtually(told(*naps)) if "its time" in words] == [
        "50%",
        "75%",
        "90%",
    ]
    assert any("may be gone" in words for words in run_virtually(told(*naps)))


def test_sleep_is_told_with_its_length() -> None:
    """And with what follows from it."""
    (slept,) = run_virtually(told(("asleep", 1200.0)))
    assert "asleep for 20 min" in slept


def test_a_clock_that_is_set_is_told_and_not_followed() -> None:
    """Forward or back; deadlines are counted on as before."""
    forward, back = run_virtually(told(("set_by", 86400.0), ("set_by", -90000.0)))
    assert "forward by 24 h" in forward and "back by 25 h" in back


def test_nothing_is_told_of_a_quiet_hour() -> None:
    """A warning that is always there is none."""
    assert run_virtually(told(*[("asleep", 0.0)] * 40)) == []
