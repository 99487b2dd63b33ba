"""How fast a run goes where the service takes only so many calls, and where it fails every now and
then.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import house as house_module
import pytest
from house import House
from virtual import LoopThrottler, run_virtually, unhurried

from batcher.adapters.rate_limits import FIRST_HOLD, RateLimiter
from batcher.core.breaker import AT_LEAST, FIRST_REST
from batcher.core.lifecycle import State
from batcher.errors import BadReply, Busy, ReplyLostError, ServiceError
from batcher.reducto.fake_client import FakeClient

T = TypeVar("T")
OF_ALL = "[CODE 1000] rate limit exceeded, retry with exponential backoff"
OF_LOOKS = "[CODE 2000] rate limit exceeded, please use webhooks instead of polling"
DOCUMENTS = 300


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(house_module, "SETTLE", 5.0)  # as for the local service
    house = House(tmp_path)
    house.service.work = lambda job: (0.4, None)
    house.put(**{f"n{number:03}": f"{number}" for number in range(DOCUMENTS)})
    return house


async def saved_in(house: House) -> float:
    """Seconds until all is on disk."""
    began = now()
    done = list[float]()

    def until(ledger: Any) -> bool:
        if ledger.tally[State.SAVED] == DOCUMENTS and not done:
            done.append(now() - began)
        return now() - began > 1000

    assert await house.run(until) == {"saved": DOCUMENTS}
    return done[0]


# --- a limit on calls -----------------------------------------------------------------------------


class Limited(FakeClient):
    """Takes `limit` calls a second, and `burst` more where it was left alone before; or so many in
    any second.
    """

    limit = 60.0
    burst = 60.0
    said = OF_ALL
    counted: tuple[str, ...] = ()  # all

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.began = self.filled_at = now()
        self.tokens = self.burst
        self.calls: list[
            tuple[float, bool]
        ] = []  # when, by the run's time, and whether it was refused

    def takes(self) -> bool:
        self.tokens = min(self.burst, self.tokens + (now() - self.filled_at) * self.limit)
        self.filled_at = now()
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    async def reach(self, call: str, act: Callable[[], T]) -> T:
        def act_or_refuse() -> T:
            is_refused = (not self.counted or call in self.counted) and not self.takes()
            self.calls.append((now() - self.began, is_refused))
            if is_refused:
                raise Busy(call, self.said, status=429)
            return act()

        return await super().reach(call, act_or_refuse)

    def share_refused(self, *, after: float) -> float:
        late = [is_refused for moment, is_refused in self.calls if moment > after]
        return sum(late) / len(late)


class Windowed(Limited):
    """None but sixty in any second: whoever comes with more waits for a whole one."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.taken: deque[float] = deque()

    def takes(self) -> bool:
        while self.taken and now() - self.taken[0] >= 1.0:
            self.taken.popleft()
        if len(self.taken) >= self.limit:
            return False
        self.taken.append(now())
        return True


class Narrow(Limited):
    burst = 5.0


@pytest.mark.parametrize("kind", [Limited, Windowed, Narrow])
def test_a_limit_on_all_calls_is_found_and_kept_to(house: House, kind: type[Limited]) -> None:
    """Of what comes after five seconds under three in a hundred are refused, and nine tenths of the
    limit are used.
    """

    async def work() -> None:
        house.client = client = kind(house.service)
        took = await saved_in(house)
        assert client.share_refused(after=5.0) < 0.03
        assert client.share_refused(after=0.0) < 0.1
        used = [
            moment
            for moment, is_refused in client.calls
            if 5.0 < moment <= took - 1.0 and not is_refused
        ]
        assert len(used) / (took - 6.0) >= 0.9 * client.limit
        assert took < (3 * DOCUMENTS) / (0.9 * client.limit) + 1.0

    run_virtually(work())


@pytest.mark.parametrize("kind", [Limited, Windowed])
def test_a_limit_on_looks_slows_no_submission(house: House, kind: type[Limited]) -> None:
    """All are sent within a second or two, though it takes a quarter of a minute to ask for
    them.
    """

    class Looks(kind):  # type: ignore[misc, valid-type]
        limit = 20.0
        burst = 20.0
        said = OF_LOOKS
        counted = ("job",)

    async def work() -> None:
        house.client = client = Looks(house.service)
        took = await saved_in(house)
        sent = max(job.accepted_at for job in house.service.jobs.values()) - client.began
        assert sent < 2.0
        assert took < DOCUMENTS / (0.9 * client.limit) + 1.0

    run_virtually(work())


def test_lanes_learn_from_one_another_where_the_service_says_that_they_share_a_limit() -> None:
    """Refused for the calls of all, each of them waits for its turn; refused for its own, it alone
    does.
    """

    async def work() -> None:
        for said, slowed in ((OF_ALL, True), (OF_LOOKS, False)):
            rate_limits = unhurried()
            for _ in range(30):
                rate_limits.fetch.hold(Busy("GET /job", said, status=429))
            began = now()
            for _ in range(30):
                await rate_limits.upload.acquire()
            assert (now() - began > 1.0) == slowed

    run_virtually(work())


def test_a_retry_after_is_kept_to_by_its_own_lane_alone() -> None:
    async def work() -> None:
        rate_limits = unhurried()
        rate_limits.submit.hold(Busy("POST /parse_async", "later", status=503, retry_after=300.0))
        assert rate_limits.submit.held_for == 300.0 and rate_limits.fetch.held_for == 0.0

    run_virtually(work())


# --- failures by chance ---------------------------------------------------------------------------


def test_a_call_that_fails_among_many_that_do_not_holds_up_none() -> None:
    """Where nothing else was heard of the service, or nearly all fails, the lane waits."""

    async def work() -> None:
        lane = RateLimiter(throttler=LoopThrottler)
        error = BadReply("GET /job", "500", status=500)
        lane.hold(error)
        assert lane.held_for == FIRST_HOLD
        await asyncio.sleep(10.0)
        for _ in range(100):
            for _ in range(3):
                lane.answered()
            lane.hold(error)
            assert lane.held_for == 0.0
        for _ in range(10):
            lane.hold(error)
        assert lane.held_for == FIRST_HOLD

    run_virtually(work())


class Flaky(FakeClient):
    """A quarter of all calls fail, each in one of five ways; what is free to repeat is repeated, as
    the client does.
    """

    rng = random.Random(1)

    async def reach(self, call: str, act: Callable[[], T]) -> T:
        for tries in range(3):
            try:
                return await self._exchange(call, act)
            except (ReplyLostError, BadReply):
                if call == "run_job" or tries == 2:
                    raise
                await asyncio.sleep(self.rng.uniform(0.0, 0.5 * 2**tries))
        raise AssertionError

    async def _exchange(self, call: str, act: Callable[[], T]) -> T:
        how = (
            self.rng.choice(("429", "500", "reset", "lost", "cut"))
            if self.rng.random() < 0.25
            else ""
        )
        before: dict[str, ServiceError] = {
            "429": Busy(call, OF_ALL, status=429),
            "500": BadReply(call, "500", status=500),
            "reset": ReplyLostError(call, "reset"),
        }
        if how in before:
            await asyncio.sleep(self.latency)
            raise before[how]
        value = await super().reach(call, act)
        if how:
            raise ReplyLostError(call, how)
        return value


@pytest.mark.parametrize("seed", [4, 5, 45])  # each once took more than half a minute
def test_a_service_where_a_quarter_of_all_calls_fails_is_not_down(house: House, seed: int) -> None:
    """Half a minute at most for three hundred documents, each of them paid for once."""

    async def work() -> None:
        house.client = client = Flaky(house.service)
        client.rng = random.Random(seed)
        assert await saved_in(house) < 30.0
        assert house.paid() == DOCUMENTS

    run_virtually(work())


def test_an_outage_rests_and_ends_and_one_document_at_a_time_tries(house: House) -> None:
    """For five minutes no submission is answered: few are sent meanwhile, and all come home soon
    after.
    """

    class Down(FakeClient):
        until = 0.0
        sent: list[float]

        async def run_job(self, *args: Any, **more: Any) -> str:
            self.sent.append(now())
            if now() < self.until:
                raise ReplyLostError("run_job", "reset")
            return await super().run_job(*args, **more)

    async def work() -> None:
        house.client = client = Down(house.service)
        began = now()
        client.until = now() + 300.0
        client.sent = []
        took = await saved_in(house)
        assert sum(moment - began > 20.0 for moment in client.sent if moment < client.until) <= 6
        first = [moment for moment in client.sent if moment >= client.until]
        assert first[1] > first[0]  # and no second one with it
        assert took < 700.0
        assert house.paid() == DOCUMENTS

    run_virtually(work())


def test_what_is_in_hand_when_nearly_all_fails_is_not_sent_any_more(house: House) -> None:
    """Uploads come to their ends one by one: after twenty submissions that were all lost, nobody
    sends another.
    """

    class Down(FakeClient):
        uploads = 0
        sent: list[float]

        async def upload(self, *args: Any, **more: Any) -> Any:
            self.uploads += 1
            await asyncio.sleep(0.2 * self.uploads)
            return await super().upload(*args, **more)

        async def run_job(self, *args: Any, **more: Any) -> str:
            self.sent.append(now())
            raise ReplyLostError("run_job", "reset")

    async def work() -> None:
        house.client = client = Down(house.service)
        began = now()
        client.sent = []
        await house.run(until=lambda ledger: now() - began > 120.0)
        assert len([moment for moment in client.sent if moment - began < FIRST_REST]) <= AT_LEAST
        assert len(client.sent) <= AT_LEAST + 4  # one after each rest

    run_virtually(work())
