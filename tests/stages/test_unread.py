"""Completed jobs whose result can't be had: asked again in time, then a verdict, and never paid
again by themselves.
"""

from __future__ import annotations

import asyncio
import random
import types
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import house as house_module
import msgspec
import pytest
from house import House, all_waiting
from virtual import run_virtually

from batcher.core import events
from batcher.core.inflight import PATIENCE, SILENCE
from batcher.errors import BadReply, Busy, NotFound, Refused, ServiceError, Unreachable
from batcher.ledger.ledger import open_ledger
from batcher.reducto import api_types
from batcher.reducto.api_types import JobStatus
from batcher.reducto.client import ResponseBudget
from batcher.reducto.fake_client import FakeClient, FakeService

HOUR = 3600.0
ODD = b"odd"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Each of its runs draws nonces of its own."""
    seeds = iter(range(100))
    monkeypatch.setattr(
        house_module, "random", types.SimpleNamespace(Random=lambda _: random.Random(next(seeds)))
    )
    return House(tmp_path)


def now() -> float:
    return asyncio.get_running_loop().time()


class Odd(FakeClient):
    """Answers about the file that holds `odd` as it is told to; `healed` makes it answer like any
    other.
    """

    def __init__(
        self, service: FakeService, answer: Callable[[api_types.JobAnswer], api_types.JobAnswer]
    ) -> None:
        super().__init__(service)
        self.answer = answer
        self.healed = False
        self.asked: Counter[str] = Counter()

    def is_odd(self, job_id: str) -> bool:
        return not self.healed and self.service.uploads.get(self.service.jobs[job_id].source) == ODD

    def _answer(self, job_id: str) -> api_types.JobAnswer:
        answer = super()._answer(job_id)
        if not self.is_odd(job_id) or answer.status != JobStatus.COMPLETED:
            return answer
        self.asked[job_id] += 1
        return self.answer(answer)


def nothing(answer: api_types.JobAnswer) -> api_types.JobAnswer:
    return api_types.JobAnswer(JobStatus.COMPLETED)


def becomes(text: bytes) -> Callable[[api_types.JobAnswer], api_types.JobAnswer]:
    return lambda answer: api_types.JobAnswer(answer.status, msgspec.Raw(text))


def of_another(answer: api_types.JobAnswer) -> api_types.JobAnswer:
    result = msgspec.json.decode(bytes(answer.result or b""))
    return api_types.JobAnswer(
        answer.status, msgspec.Raw(msgspec.json.encode({**result, "job_id": "another"}))
    )


def a_link(answer: api_types.JobAnswer) -> api_types.JobAnswer:
    result = msgspec.json.decode(bytes(answer.result or b""))
    link = {"type": "url", "url": "https://storage.example/x", "result_id": "r"}
    return api_types.JobAnswer(
        answer.status, msgspec.Raw(msgspec.json.encode({**result, "result": link}))
    )


UNREAD = {
    "no result": nothing,
    "a result of null": becomes(b'{"response_type": "parse", "result": null}'),
    "a list": becomes(b"[]"),
    "words": becomes(b'"later"'),
    "another job's": of_another,
    "a link without an address": becomes(
        b'{"response_type": "parse", "result": {"type": "url", "url": null}}'
    ),
    "a link that is dead": a_link,  # the twin answers 404 to every link
}


async def reasons(house: House) -> dict[str, str]:
    """By state, what is said of a document in it."""
    ledger = open_ledger(house.out / ".batcher" / "ledger.db", batch="b", clock=now, inline=True)
    try:
        rows = ledger.reader.execute("SELECT state, reason FROM documents WHERE reason IS NOT NULL")
        return dict(rows.fetchall())
    finally:
        ledger.close()


async def recall(house: House) -> None:
    """As `batcher retry --only stuck` does."""
    ledger = open_ledger(house.out / ".batcher" / "ledger.db", batch="b", clock=now, inline=True)
    stuck = ledger.reader.execute("SELECT id FROM documents WHERE state = 'stuck'").fetchall()
    await ledger.record(*(events.Recalled(document) for (document,) in stuck))
    ledger.close()


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_result_that_comes_a_moment_later_is_waited_for(house: House, times: int) -> None:
    """Completed, and the answer carries no result yet: nothing is sent again."""

    def late(answer: api_types.JobAnswer) -> api_types.JobAnswer:
        return answer if sum(client.asked.values()) > times else nothing(answer)

    async def work() -> None:
        house.put(a="odd", b="2", c="3")
        house.client = client
        assert await house.run() == {"saved": 3}
        assert house.paid() == 3

    client = Odd(house.service, late)
    run_virtually(work())


@pytest.mark.parametrize("name", UNREAD)
def test_what_can_never_be_read_is_a_verdict_and_no_second_payment(house: House, name: str) -> None:
    """Within some minutes, with its reason; the others are saved, and the next run leaves it
    alone.
    """

    async def work() -> None:
        house.put(a="odd", b="fine")
        house.service.retention = 1e9
        house.client = client = Odd(house.service, UNREAD[name])
        began = now()
        assert await house.run() == {"saved": 1, "stuck": 1}
        assert PATIENCE <= now() - began < 3 * PATIENCE
        assert house.paid() == 2
        (reason,) = (await reasons(house)).values()
        assert reason.startswith("completed, but ")
        assert "running" not in reason
        asked = sum(client.asked.values())
        assert 3 <= asked < 60
        assert await house.run() == {"saved": 1, "stuck": 1}
        assert (house.paid(), sum(client.asked.values())) == (2, asked)

    run_virtually(work())


def test_a_person_who_asks_again_gets_for_nothing_what_can_be_read_by_then(house: House) -> None:
    """The job is still known, so it is looked at first."""

    async def work() -> None:
        house.put(a="odd", b="fine")
        house.client = client = Odd(house.service, nothing)
        await house.run()
        client.healed = True
        await recall(house)
        assert await house.run() == {"saved": 2}
        assert house.paid() == 2

    run_virtually(work())


def test_a_person_who_asks_again_pays_again_only_for_what_is_still_unreadable(house: House) -> None:
    """One more job, and the first one's cost stays in the spend."""

    async def work() -> None:
        house.put(a="odd", b="fine")

        def first(answer: api_types.JobAnswer) -> api_types.JobAnswer:
            return nothing(answer) if len(client.asked) == 1 else answer

        house.client = client = Odd(house.service, first)
        await house.run()
        await recall(house)
        assert await house.run() == {"saved": 2}
        assert house.paid() == 3

    run_virtually(work())


def test_copies_share_the_verdict_of_what_cant_be_read(house: House) -> None:
    """None of them pays for itself."""

    async def work() -> None:
        house.put(a="odd", b="odd", c="odd")
        house.client = Odd(house.service, nothing)
        assert await house.run() == {"stuck": 1, "failed": 2}
        assert house.paid() == 1

    run_virtually(work())


def test_a_service_of_unreadable_results_takes_no_room_for_good(house: House) -> None:
    """More bytes of them than may lie in memory at once, and the others still come home."""

    async def work() -> None:
        house.put(a="odd", **{f"n{number}": f"{number}" for number in range(40)})
        large = b'["' + b"x" * (8 << 20) + b'"]'  # five of these are more than the room
        house.client = client = Odd(house.service, becomes(large))
        assert await house.run() == {"saved": 40, "stuck": 1}
        assert sum(client.asked.values()) >= 5

    run_virtually(work())


class RoomThatCounts:
    def __init__(self) -> None:
        self.taken = 0

    async def take(self, amount: int) -> None:
        self.taken += amount

    def give(self, amount: int) -> None:
        self.taken -= amount


@pytest.mark.parametrize("name", [*UNREAD, "an unknown status"])
def test_every_unreadable_answer_gives_its_room_back(house: House, name: str) -> None:
    """What was taken for it is there for the next one."""

    class Counting(Odd):
        rooms: list[ResponseBudget] = []  # noqa: RUF012 (of this one test)

        async def job(
            self, job_id: str, *, room: ResponseBudget | None = None
        ) -> tuple[api_types.JobAnswer, int]:
            answer, taken = await super().job(job_id, room=room)
            more = 1000 if room is not None else 0  # as if its body had been larger
            if room is not None:
                self.rooms.append(room)
                await room.take(more)
            return answer, taken + more

    def unknown(answer: api_types.JobAnswer) -> api_types.JobAnswer:
        return api_types.JobAnswer("Archiving")

    async def work() -> None:
        house.put(a="odd", b="fine")
        house.client = Counting(house.service, UNREAD.get(name, unknown))
        assert (await house.run())["saved"] == 1
        assert {room._taken for room in Counting.rooms} == {0}  # type: ignore[attr-defined]

    run_virtually(work())


# --- no answer about one job ----------------------------------------------------------------------


class Refusing(Odd):
    """Asking for that one job fails as told, for ever."""

    def __init__(self, service: FakeService, error: ServiceError) -> None:
        super().__init__(service, nothing)
        self.error = error

    def _answer(self, job_id: str) -> api_types.JobAnswer:
        if self.is_odd(job_id):
            self.asked[job_id] += 1
            raise self.error
        return super()._answer(job_id)


@pytest.mark.parametrize(
    "error",
    [
        Busy("GET /job", "later", status=503),
        Busy("GET /job", "later", status=503, retry_after=6 * HOUR),
        Busy("GET /job", "later", status=503, retry_after=1e9),
        BadReply("GET /job", "500 oops", status=500),
        BadReply("GET /job", "200, but cut off", status=200),
        Refused("GET /job", "no such name", status=422),
        Unreachable("GET /job", "reset"),
    ],
    ids=["503", "503 for hours", "503 for ever", "500", "broken", "422", "unreachable"],
)
def test_one_job_that_gets_no_answer_holds_up_no_other(house: House, error: ServiceError) -> None:
    """The others come home in time, it comes to a verdict, and the run to its end; nothing is paid
    again.
    """

    async def work() -> None:
        house.put(a="odd", **{f"n{number}": f"{number}" for number in range(60)})
        house.client = client = Refusing(house.service, error)
        began = now()
        async with asyncio.timeout(24 * HOUR):
            assert await house.run() == {"saved": 60, "stuck": 1}
        if not (isinstance(error, Busy) and error.retry_after):
            assert now() - began < 3 * SILENCE
        assert house.paid() == 61
        client.healed = True
        await recall(house)

    run_virtually(work())


class Down(FakeClient):
    """Knows no answer for a while, whatever it is asked."""

    until = 0.0

    def _answer(self, job_id: str) -> api_types.JobAnswer:
        if now() < self.until:
            raise Unreachable("GET /job", "no route")
        return super()._answer(job_id)


def test_an_outage_is_nobodys_own_trouble(house: House) -> None:
    """However long it takes, short of the results' own time: then all of them come home."""

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(30)})
        house.client = client = Down(house.service)
        client.until = now() + 8 * HOUR
        assert await house.run() == {"saved": 30}

    run_virtually(work())


class OneLongPause(FakeClient):
    """Tells the first that asks for a job to come back in so many hours, and is well all along."""

    hours = 0.0
    said = False

    async def job(self, job_id: str, **more: Any) -> tuple[api_types.JobAnswer, int]:
        if not self.said:
            self.said = True
            raise Busy("GET /job", "later", status=503, retry_after=self.hours * HOUR)
        return await super().job(job_id, **more)


class LongPauseOfTheList(FakeClient):
    hours = 0.0

    async def jobs(self, **more: Any) -> api_types.JobsPage:
        raise Busy("GET /jobs", "later", status=503, retry_after=self.hours * HOUR)


@pytest.mark.parametrize("hours", [6, 13, 24 * 366])
@pytest.mark.parametrize("kind", [OneLongPause, LongPauseOfTheList])
def test_no_wait_that_is_asked_for_lets_a_result_expire(
    house: House, kind: Any, hours: float
) -> None:
    """A look in time costs one request; the results were paid for."""

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(60)})
        house.client = client = kind(house.service)
        client.hours = hours
        async with asyncio.timeout(48 * HOUR):
            assert await house.run() == {"saved": 60}

    run_virtually(work())


def test_a_wait_that_puts_nothing_at_risk_is_kept_whole(house: House) -> None:
    """An hour is an hour where the results live for twelve."""

    async def work() -> None:
        house.put(a="1")
        house.client = client = OneLongPause(house.service)
        client.hours = 1.0
        began = now()
        assert await house.run() == {"saved": 1}
        assert now() - began >= HOUR

    run_virtually(work())


# --- 404 ------------------------------------------------------------------------------------------


class Forgetful(FakeClient):
    """Knows no job when it is asked for one by name, for a while; the list shows them all."""

    until = 0.0

    def _answer(self, job_id: str) -> api_types.JobAnswer:
        if now() < self.until:
            raise NotFound("GET /job", "Job not found", status=404, name="NOT_FOUND")
        return super()._answer(job_id)


@pytest.mark.parametrize("documents", [1, 20])
def test_a_service_that_knows_no_job_at_all_has_lost_none(house: House, documents: int) -> None:
    """Three times 404 and more, and nobody else is answered either: that is the service's trouble,
    and it passes.
    """

    async def work() -> None:
        house.put(**{f"n{number}": f"{number}" for number in range(documents)})
        house.client = client = Forgetful(house.service)
        client.until = now() + HOUR
        assert await house.run() == {"saved": documents}
        assert house.paid() == documents

    run_virtually(work())


def test_a_job_that_is_gone_while_others_are_known_is_lost(house: House) -> None:
    """Then it is its own trouble, told as such, and paid for by nobody again."""

    async def work() -> None:
        house.put(a="1", b="2")
        house.service.work = lambda job: (300.0, None)
        await house.run(until=all_waiting(2))
        next(iter(house.service.jobs.values())).deleted = True
        assert await house.run() == {"lost": 1, "saved": 1}
        assert house.paid() == 2

    run_virtually(work())
