"""A run that is told to stop ends within seconds, whatever it waits for, with what is ready on
disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from house import House
from virtual import run_virtually

from batcher.core.lifecycle import State
from batcher.errors import Busy
from batcher.ledger.ledger import Ledger
from batcher.reducto.fake_client import FakeClient, FakeService

AT_MOST = 10.0  # seconds from the signal on, as of a service that answers nothing more


def now() -> float:
    return asyncio.get_running_loop().time()


class LaterEach(FakeClient):
    """From `since` on every such call is refused, to come again after `retry_after` seconds."""

    def __init__(
        self, service: FakeService, call: str, *, retry_after: float = 300.0, since: float = 0.0
    ) -> None:
        super().__init__(service)
        self.call = call
        self.retry_after = retry_after
        self.since = since
        self.refused = 0

    async def reach(self, call: str, act: Callable[[], Any]) -> Any:
        if call == self.call and now() >= self.since:
            self.refused += 1
            raise Busy(call, "later", status=503, retry_after=self.retry_after)
        return await super().reach(call, act)


def stopping(
    house: House, when: Callable[[Ledger], bool], told: list[float]
) -> Callable[[Ledger], bool]:
    """Stops the run as a signal does once `when` says so, and notes the moment.

    It never cuts the run off.
    """

    def until(ledger: Ledger) -> bool:
        if not told and when(ledger):
            told.append(now())
            house.control.stop("on request", 3)
        return False

    return until


def later(seconds: float) -> Callable[[Ledger], bool]:
    at = now() + seconds
    return lambda ledger: now() >= at


@pytest.mark.parametrize("call", ["upload", "run_job", "job", "jobs", "delete_job"])
def test_a_run_ends_soon_whichever_lane_waits_out_a_retry_after(house: House, call: str) -> None:
    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(80)})
        house.max_in_flight = 20
        house.clean = "saved"
        house.client = LaterEach(house.service, call, since=now() + 25.0)
        told: list[float] = []
        await house.run(until=stopping(house, later(70.0), told))
        assert now() - told[0] < AT_MOST

    run_virtually(work())


@pytest.mark.parametrize("call", ["upload", "run_job"])
def test_a_run_ends_soon_where_a_lane_has_become_slow(house: House, call: str) -> None:
    """Refused for haste again and again, it makes a call every few seconds: nobody waits for his
    turn any more.
    """

    class Hasty(LaterEach):
        async def reach(self, call: str, act: Callable[[], Any]) -> Any:
            if call == self.call:
                raise Busy(call, "too fast", status=429)
            return await super().reach(call, act)

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(80)})
        house.client = Hasty(house.service, call)
        told: list[float] = []
        await house.run(until=stopping(house, later(120.0), told))
        assert now() - told[0] < AT_MOST

    run_virtually(work())


def test_what_is_ready_comes_home_though_results_are_to_be_asked_for_later(house: House) -> None:
    """One call was refused until in five minutes; the last look before the end is worth another
    try.
    """

    class Once(LaterEach):
        async def reach(self, call: str, act: Callable[[], Any]) -> Any:
            if call == self.call and self.refused:
                self.call = ""
            return await super().reach(call, act)

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(20)})
        house.client = Once(house.service, "job")
        told: list[float] = []
        tally = await house.run(until=stopping(house, later(60.0), told))
        assert tally == {"saved": 20}
        assert now() - told[0] < AT_MOST

    run_virtually(work())


def test_an_upload_under_way_holds_up_no_end(house: House) -> None:
    """It costs nothing, and the next run makes it anew."""

    class Slow(FakeClient):
        async def upload(self, content: Any, **more: Any) -> Any:
            await asyncio.sleep(3600.0)
            return await super().upload(content, **more)

    async def work() -> None:
        house.put(a="one", b="two")
        house.client = Slow(house.service)
        told: list[float] = []
        assert await house.run(until=stopping(house, later(5.0), told)) == {"queued": 2}
        assert now() - told[0] < AT_MOST

    run_virtually(work())


def test_a_submission_under_way_is_waited_for_and_keeps_its_job(house: House) -> None:
    """Its answer may take longer than a lane's wait is worth: cut off, nobody would know whether it
    was paid.
    """

    class Slow(FakeClient):
        async def run_job(self, *args: Any, **more: Any) -> str:
            await asyncio.sleep(40.0)
            return await super().run_job(*args, **more)

    async def work() -> None:
        house.put(a="one")
        house.client = Slow(house.service)
        told: list[float] = []
        tally = await house.run(
            until=stopping(house, lambda ledger: ledger.tally[State.SENDING] == 1, told)
        )
        assert tally == {"waiting": 1}
        assert now() - told[0] < 40.0 + AT_MOST

    run_virtually(work())


def test_a_limit_that_is_reached_ends_submissions_at_once_and_still_waits_for_what_is_out(
    house: House,
) -> None:
    """Nobody waits for his turn to send what is not to be sent any more."""

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(10)})
        house.max_in_flight = 4
        house.service.work = lambda job: (100.0, None)
        house.client = LaterEach(house.service, "run_job", retry_after=3600.0, since=now() + 60.0)
        at = later(150.0)

        def until(ledger: Ledger) -> bool:
            if at(ledger):
                house.control.stop("limits.max_duration is over", 3, home=True)
            return False

        began = now()
        tally = await house.run(until=until)
        assert tally["saved"] == 4 and now() - began < 400.0

    run_virtually(work())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
