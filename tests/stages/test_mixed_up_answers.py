"""More than two answers to submissions that are mixed up on their way: a ring of them, or each that
reaches the next document because the first was lost.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from house import House, digest_of
from virtual import run_virtually

from batcher.errors import ReplyLostError
from batcher.ledger.ledger import healthy
from batcher.reducto.api_types import ErrorName
from batcher.reducto.fake_client import FakeClient
from batcher.reducto.job import Job

TEXTS = {"a": "1", "b": "2", "c": "3", "d": "4"}
MIXED_UP = 3  # answers


class Ring(FakeClient):
    """Each of the first answers goes to the document before, the first one to the last."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._jobs: list[str] = []
        self._are_there = asyncio.Event()

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        mine = await super().run_job(endpoint, source, options, **more)
        place = len(self._jobs)
        self._jobs.append(mine)
        if place >= MIXED_UP:
            return mine
        if place == MIXED_UP - 1:
            self._are_there.set()
        await self._are_there.wait()
        return self._jobs[(place + 1) % MIXED_UP]


class RingAndLate(Ring):
    """… and the job list shows nothing before the run has ended."""

    _is_late = True

    def show_all(self) -> None:
        self._is_late = False

    def listed(self) -> Any:
        return [] if self._is_late else super().listed()


class Behind(FakeClient):
    """The first answer is lost; the next ones are each the one before."""

    _sent = 0
    _before = ""
    untold = ""  # the job that nobody is told of

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        mine = await super().run_job(endpoint, source, options, **more)
        self._sent += 1
        if self._sent > MIXED_UP:
            return mine
        before = self._before
        self._before = self.untold = mine
        if not before:
            raise ReplyLostError("run_job", "reset")
        return before


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.put(**TEXTS)
    return house


def has_own_result(house: House, name: str, step: str = "") -> bool:
    return digest_of(TEXTS[name]) in (house.out / f"{name}.txt{step}.json").read_text()


@pytest.mark.parametrize("clean", ["never", "saved"])
@pytest.mark.parametrize("echoes", [True, False])
def test_all_of_a_ring_get_their_own_results(echoes: bool, clean: str, house: House) -> None:
    """In the same run, for nothing, and before any job is deleted."""

    async def work() -> None:
        house.service.echoes = echoes
        house.clean = clean
        house.client = Ring(house.service)
        assert await house.run() == {"saved": 4}
        assert all(has_own_result(house, name) for name in TEXTS)
        assert house.audit.agrees and house.paid() == 4
        assert any("were told one another's jobs" in words for words in house.control.warnings)
        assert healthy(house.out / ".batcher" / "ledger.db")
        deleted = {job.deleted for job in house.service.jobs.values()}
        assert deleted == {clean == "saved"}

    run_virtually(work())


@pytest.mark.parametrize("clean", ["never", "saved"])
@pytest.mark.parametrize("echoes", [True, False])
def test_all_after_a_lost_answer_get_their_own_results(
    echoes: bool, clean: str, house: House
) -> None:
    """The last one's own job, which nobody was told of, is no second job; the first one is found by
    the next run.
    """

    async def work() -> None:
        house.service.echoes = echoes
        house.clean = clean
        house.client = Behind(house.service)
        assert await house.run() == {"saved": 3, "held": 1}
        there = [name for name in TEXTS if (house.out / f"{name}.txt.json").exists()]
        assert len(there) == 3 and all(has_own_result(house, name) for name in there)
        assert house.audit.agrees
        await asyncio.sleep(60.0)
        assert await house.run() == {"saved": 4}
        assert all(has_own_result(house, name) for name in TEXTS)
        assert house.audit.agrees and house.paid() == 4
        assert not any(job.cancelled for job in house.service.jobs.values())

    run_virtually(work())


def test_a_document_that_was_sent_again_after_another_s_job_failed_keeps_its_result(
    house: House,
) -> None:
    """Its first job turns up as a second one, and nothing is deleted or exchanged for it."""

    async def work() -> None:
        house.service.echoes = False
        house.service.work = lambda job: (
            0.0,
            ErrorName.TIMEOUT if not house.service.jobs else None,
        )
        house.clean = "saved"
        house.client = Behind(house.service)
        for _ in range(3):
            assert await house.run() == {"saved": 3, "held": 1}
            await asyncio.sleep(60.0)
        there = [name for name in TEXTS if (house.out / f"{name}.txt.json").exists()]
        assert len(there) == 3 and all(has_own_result(house, name) for name in there)
        with closing(sqlite3.connect(house.out / ".batcher" / "ledger.db")) as ledger:
            held = ledger.execute(
                "SELECT d.output, a.job_id FROM documents d JOIN attempts a"
                " ON a.document = d.id AND a.outcome = 'saved'"
            ).fetchall()
        assert len(held) == 3
        for output, job_id in held:
            assert job_id in (house.out / output).read_text(), output

    run_virtually(work())


def test_a_job_that_nobody_was_told_of_is_not_cancelled_while_it_runs(house: House) -> None:
    """It is the only one of its document, whose answer was another's."""

    async def work() -> None:
        house.service.echoes = False
        house.service.work = lambda job: (30.0 * len(house.service.jobs), None)
        house.client = Behind(house.service)
        await house.run()
        await house.run()
        assert not any(job.cancelled for job in house.service.jobs.values())
        assert await house.run() == {"saved": 4}
        assert all(has_own_result(house, name) for name in TEXTS)
        assert house.paid() == 4

    run_virtually(work())


class RingAndRepeated(Ring):
    """… and the POST of the first one is repeated on its way."""

    _is_repeated = False

    async def run_job(self, endpoint: str, source: Any, options: Any = None, **more: Any) -> str:
        if not self._is_repeated:
            self._is_repeated = True
            await FakeClient.run_job(self, endpoint, source, options, **more)
        return await super().run_job(endpoint, source, options, **more)


def test_a_second_job_of_one_in_a_ring_is_told_of(house: House) -> None:
    """Its own is the one that another was told of."""

    async def work() -> None:
        house.service.echoes = False
        house.client = RingAndRepeated(house.service)
        assert await house.run() == {"saved": 4}
        assert all(has_own_result(house, name) for name in TEXTS)
        assert len(house.audit.twins) == 1 and house.paid() == 5

    run_virtually(work())


class BehindAndSilent(Behind):
    """… and the job list never shows the one that nobody was told of."""

    def listed(self) -> Any:
        return [job for job in super().listed() if job.job_id != self.untold]


def test_a_job_that_is_another_s_is_never_deleted(house: House) -> None:
    """Where nothing can be exchanged the wrong results are told of, in each run."""

    async def work() -> None:
        house.service.echoes = False
        house.clean = "saved"
        house.client = BehindAndSilent(house.service)
        for _ in range(2):
            assert await house.run() == {"saved": 3, "held": 1}
            assert len(house.audit.mixed_up) == 2
            assert all("was submitted for" in words for words in house.audit.mixed_up)
            await asyncio.sleep(60.0)
        wrong = [name for name in TEXTS if (house.out / f"{name}.txt.json").exists()]
        wrong = [name for name in wrong if not has_own_result(house, name)]
        assert len(wrong) == 2
        kept = [job for job in house.service.jobs.values() if not job.deleted]
        assert len(kept) == 3

    run_virtually(work())


def test_another_s_result_is_not_left_where_no_right_one_can_be_had(house: House) -> None:
    """The jobs have expired by the next run: what lay there is kept elsewhere."""

    async def work() -> None:
        house.service.echoes = False
        house.client = client = RingAndLate(house.service)
        await house.run(before_audit=client.show_all)
        assert not house.audit.agrees
        await asyncio.sleep(house.retention)
        assert await house.run() == {"saved": 1, "expired": 3}
        there = [path.name for path in house.out.glob("*.json")]
        assert len(there) == 1 and has_own_result(house, there[0].removesuffix(".txt.json"))
        kept = list((house.out / ".batcher").rglob("*.txt.json"))
        assert len(kept) == 3

    run_virtually(work())


def test_later_steps_of_a_ring_are_never_left_with_other_documents_results(house: House) -> None:
    """They fail with that reason, and only a person pays again."""

    async def work() -> None:
        house.service.echoes = False
        house.later_jobs = (Job(name="extract", endpoint="extract"),)
        house.client = Ring(house.service)
        assert await house.run() == {"saved": 5, "failed": 3}
        assert all(has_own_result(house, name, ".parse") for name in TEXTS)
        with closing(sqlite3.connect(house.out / ".batcher" / "ledger.db")) as ledger:
            told = ledger.execute("SELECT reason FROM documents WHERE state = 'failed'").fetchall()
        assert all("made from another document's result" in row[0] for row in told)
        assert house.paid() == 8
        assert await house.run() == {"saved": 5, "failed": 3}
        assert house.paid() == 8

    run_virtually(work())
