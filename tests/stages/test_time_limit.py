"""When a night is over, in a loop whose time is a number."""

import asyncio
from datetime import datetime, time, timedelta

import pytest
from virtual import run_virtually

from batcher.manifest.model import Limits
from batcher.stages.run_control import RunControl
from batcher.stages.time_limit import GLANCE, TimeLimit

TEN_AT_NIGHT = datetime(2026, 3, 2, 22)


def stopped_after(
    limits: Limits, *, began: datetime = TEN_AT_NIGHT
) -> tuple[timedelta, RunControl]:
    """How long after `began` the course was stopped."""

    async def night() -> tuple[timedelta, RunControl]:
        loop = asyncio.get_running_loop()
        control = RunControl()
        time_limit = TimeLimit(limits, control, clock=loop.time)
        time_limit.look()
        await time_limit.run()
        return timedelta(seconds=loop.time() - began.timestamp()), control

    return run_virtually(night(), start=began.timestamp())


NIGHTS = {
    "a duration": (Limits(max_duration=3600.0), timedelta(hours=1), "max_duration"),
    "an hour of the clock": (Limits(stop_at=time(6)), timedelta(hours=8), "06:00"),
    "an hour in the next evening": (Limits(stop_at=time(15)), timedelta(hours=17), "15:00"),
    "whichever comes first": (
        Limits(max_duration=7 * 3600.0, stop_at=time(6)),
        timedelta(hours=7),
        "max_duration",
    ),
    "an hour just past": (Limits(stop_at=time(21, 55)), timedelta(0), "21:55"),
}


@pytest.mark.parametrize("name", NIGHTS)
def test_submissions_end_when_the_time_is_up(name: str) -> None:
    """Within a glance at the clock; what is out is then still brought home."""
    limits, expected, told = NIGHTS[name]
    after, control = stopped_after(limits)
    assert expected <= after <= expected + timedelta(seconds=GLANCE)
    assert (control.exit_code, control.home, control.abort) == (3, True, False)
    assert told in control.reason


def test_a_night_without_an_end_has_none() -> None:
    """The curfew is gone at once, and the course isn't stopped."""
    after, control = stopped_after(Limits())
    assert after == timedelta(0) and not control.stopped.is_set()
