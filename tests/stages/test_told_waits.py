"""Whoever watches a run is told of each wait that is longer than a minute: what waits, until when,
and why.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from house import House
from virtual import run_virtually

from batcher.errors import Busy, ServiceError, Unreachable
from batcher.manifest.model import Limits
from batcher.reducto.fake_client import FakeClient, FakeService

WAITS = {
    "upload": "uploads wait",
    "run_job": "submissions wait",
    "jobs": "reads of the job list wait",
    "job": "results wait",
    "delete_job": "deletions at the service wait",
}


def now() -> float:
    return asyncio.get_running_loop().time()


class Failing(FakeClient):
    """From `since` on, `for_` seconds long or until so many calls have failed, such calls end with
    `error`.
    """

    def __init__(
        self,
        service: FakeService,
        calls: set[str],
        error: ServiceError,
        *,
        times: int,
        since: float,
    ) -> None:
        super().__init__(service)
        self.calls = calls
        self.error = error
        self.times = times
        self.since = since

    async def reach(self, call: str, act: Callable[[], Any]) -> Any:
        if call in self.calls and self.times and now() >= self.since:
            self.times -= 1
            raise self.error
        return await super().reach(call, act)


@pytest.mark.parametrize("call", WAITS)
def test_a_lane_that_is_asked_to_wait_says_so_once(house: House, call: str) -> None:
    """However many calls were refused together."""

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(40)})
        house.clean = "saved"
        house.max_in_flight = 20
        later = Busy("CALL", "BATCH_QUEUE_FULL", status=503, retry_after=300.0)
        house.client = Failing(
            house.service, {call}, later, times=4, since=now() + (0.0 if call == "upload" else 25.0)
        )
        assert await house.run() == {"saved": 40}
        told = [words for words in house.control.warnings if words.startswith(WAITS[call])]
        assert len(told) == 1 and re.search(
            r" until \d\d:\d\d:\d\d: CALL: 503 BATCH_QUEUE_FULL", told[0]
        )

    run_virtually(work())


def test_a_wait_of_a_few_seconds_is_not_worth_a_word(house: House) -> None:
    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(40)})
        later = Busy("CALL", "later", status=503, retry_after=20.0)
        house.client = Failing(house.service, {"run_job", "job"}, later, times=8, since=0.0)
        assert await house.run() == {"saved": 40}
        assert house.control.warnings == []

    run_virtually(work())


def test_an_outage_is_told_once_however_long_it_lasts(house: House) -> None:
    """Each of its waits is a minute at most; it is all of them together that somebody will want to
    know of.
    """

    async def work() -> None:
        house.put(a="one")
        out = Unreachable("GET /job", "connection refused")
        house.client = Failing(house.service, {"job"}, out, times=60, since=0.0)
        assert await house.run() == {"saved": 1}
        told = [words for words in house.control.warnings if "connection refused" in words]
        assert len(told) == 1 and "results wait" in told[0]

    run_virtually(work())


def test_who_waits_for_jobs_after_a_limit_is_told_until_when(house: House) -> None:
    """Nothing is sent any more and nothing seems to happen, perhaps for hours."""

    async def work() -> None:
        house.put(a="one", b="two")
        house.limits = Limits(max_documents=1)
        house.service.work = lambda job: (1000.0, None)
        assert (await house.run())["saved"] == 1
        (told,) = house.control.warnings
        assert re.match(
            r"1 job still in flight, waited for until \d\d:\d\d:\d\d: at the latest; "
            r"limits.max_documents",
            told,
        )

    run_virtually(work())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
