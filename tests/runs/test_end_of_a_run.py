"""When a run has ended: one rule over what it waits for, and asking changes nothing."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from virtual import run_virtually, unhurried

from batcher.common.signals import Signal
from batcher.core.lifecycle import OPEN, OUT, State
from batcher.exit_codes import ExitCode
from batcher.ledger.ledger import Ledger, memory_ledger
from batcher.manifest.model import Manifest, Output, Service, Source
from batcher.outputs.result_store import Store
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.reducto.job import Job
from batcher.runs.end_of_run import Documents, has_ended, until_ended
from batcher.runs.kinds import Cancellation, CollectRun, Run, RunContext
from batcher.runs.preflight import Connection
from batcher.stages.deriver import LINGER
from batcher.stages.run_control import RunControl

KINDS = [Run, CollectRun, Cancellation]
AWAITED = {
    "Chain",
    "Cleaner",
    "Copier",
    "Deriver",
    "Documents",
    "Recovery",
    "Scanner",
    "Submitter",
}


class Counted:
    """Has so much to do, and counts how often it is asked."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.asked = 0
        self.signal = Signal()

    def outstanding(self) -> int:
        self.asked += 1
        return self.number

    def settled(self) -> Coroutine[Any, Any, None]:
        return self.signal.wait()

    def settle(self, number: int = 0) -> None:
        self.number = number
        self.signal.give()


@pytest.mark.parametrize("numbers", [(), (0,), (0, 0, 0), (1,), (0, 2), (3, 0), (1, 1)])
def test_a_run_has_ended_when_nothing_it_waits_for_is_outstanding(numbers: tuple[int, ...]) -> None:
    """Of nothing at all there is nothing to wait for."""
    assert has_ended(map(Counted, numbers)) == (sum(numbers) == 0)


def test_no_more_is_asked_than_settles_it() -> None:
    """What costs a query stands last, and isn't asked while a document is out."""
    stages = [Counted(0), Counted(1), Counted(0)]
    assert not has_ended(stages)
    assert [stage.asked for stage in stages] == [1, 1, 0]


async def turn() -> None:
    """Lets everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_time_alone_makes_nobody_ask_whether_a_run_has_ended() -> None:
    """Each is asked at the beginning, and again when one that was waited for has settled."""

    async def work() -> None:
        stages = [Counted(0), Counted(2), Counted(1)]
        ending = asyncio.create_task(until_ended(stages))
        await asyncio.sleep(86_400.0)
        assert [stage.asked for stage in stages] == [1, 1, 0]
        stages[1].settle()
        await asyncio.sleep(86_400.0)
        assert [stage.asked for stage in stages] == [2, 2, 1]
        assert not ending.done()
        stages[2].settle()
        await turn()
        assert ending.done()

    run_virtually(work())


def test_a_stage_that_has_more_to_do_again_is_waited_for_again() -> None:
    """All of them have to be done at the same moment."""

    async def work() -> None:
        first, second = stages = [Counted(1), Counted(1)]
        ending = asyncio.create_task(until_ended(stages))
        await turn()
        first.settle()
        await turn()
        first.number = 1
        second.settle()
        await turn()
        assert not ending.done()
        first.settle()
        await turn()
        assert ending.done()

    run_virtually(work())


def run_of(kind: type[CollectRun], folder: Path, *, steps: int = 1) -> CollectRun:
    """A run that hasn't begun, of a batch without documents."""
    clock = asyncio.get_running_loop().time
    jobs = tuple(Job(name=f"step {number}") for number in range(steps))
    manifest = Manifest(
        batch="b",
        service=Service(url="twin://"),
        sources=(Source(directory=folder),),
        jobs=jobs,
        output=Output(directory=folder, clean="saved", formats=("jsonl", "parquet")),
    )
    ledger = memory_ledger(folder / "absent.db", batch="b", clock=clock)
    client = FakeClient(FakeService(clock))
    reached = Connection(client, "twin://", "none")
    store = Store(folder)
    rng = random.Random(1)
    means = RunContext(manifest, ledger, store, reached, RunControl(), clock, rng, unhurried())
    run = kind(means)
    run.is_complete = kind is Run  # as it is once the run has begun
    return run


def settled(run: CollectRun) -> CollectRun:
    """As it is once it has looked for all that it looks for at its beginning."""
    run.recovery._has_looked_for_held.set()
    if isinstance(run, Run):
        run.scanner.done.set()
    return run


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 2])
def test_every_stage_runs_and_says_how_much_is_outstanding(
    kind: type[CollectRun], steps: int, tmp_path: Path
) -> None:
    """Each of them by itself; what a run waits for says it as well."""

    async def work() -> None:
        run = run_of(kind, tmp_path, steps=steps)
        assert all(inspect.iscoroutinefunction(stage.run) for stage in run.stages())
        for one in (*run.stages(), *run.to_do(), *run.out(), *run.tidying()):
            assert one.outstanding() >= 0

    run_virtually(work())


@pytest.mark.parametrize("kind", KINDS)
def test_asking_changes_nothing(kind: type[CollectRun], tmp_path: Path) -> None:
    """In no stage, and not in the ledger: the second answer is the first one's."""

    async def work() -> None:
        run = run_of(kind, tmp_path)
        stages = run.stages()
        before = [dict(vars(stage)) for stage in stages]
        answers = [[stage.outstanding() for stage in stages] for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        assert [dict(vars(stage)) for stage in stages] == before

    run_virtually(work())


@pytest.mark.parametrize("state", State)
def test_a_whole_run_waits_for_every_open_document(state: State, tmp_path: Path) -> None:
    """In whichever state it is, and for none that has come to its end."""

    async def work() -> None:
        run = settled(run_of(Run, tmp_path))
        assert has_ended(run.to_do())
        run.ledger.tally[state] = 1
        assert has_ended(run.to_do()) == (state not in OPEN)

    run_virtually(work())


@pytest.mark.parametrize("kind", [CollectRun, Cancellation])
@pytest.mark.parametrize("state", State)
def test_a_run_that_sends_nothing_waits_for_what_is_out(
    kind: type[CollectRun], state: State, tmp_path: Path
) -> None:
    """What is still to be sent is another run's."""

    async def work() -> None:
        run = settled(run_of(kind, tmp_path))
        run.ledger.tally[state] = 1
        assert has_ended(run.to_do()) == (state not in OUT)

    run_virtually(work())


def unfinished(run: Run) -> Iterator[str]:
    """The run with one thing left that no document's state shows, one after the other."""
    run.scanner.done.clear()
    yield "the scan"
    run.scanner.done.set()
    run.recovery._has_looked_for_held.clear()
    yield "the look for what was held"
    run.recovery._has_looked_for_held.set()
    run.submitter._in_hand.take([1])
    yield "a document in hand"
    run.submitter._in_hand.let_go(1)
    assert run.chain is not None
    run.chain._ended.append(1)
    yield "a step whose followers haven't heard"
    run.chain._ended.clear()


def test_a_whole_run_waits_for_what_no_document_shows(tmp_path: Path) -> None:
    """Each of these alone keeps it from its end."""

    async def work() -> None:
        run = settled(run_of(Run, tmp_path, steps=2))
        assert isinstance(run, Run)
        assert [what for what in unfinished(run) if has_ended(run.to_do())] == []
        assert has_ended(run.to_do())

    run_virtually(work())


@pytest.mark.parametrize("state", State)
def test_a_stopped_run_that_brings_home_waits_for_what_may_be_paid(
    state: State, tmp_path: Path
) -> None:
    """Not for what is still to be sent."""

    async def work() -> None:
        run = settled(run_of(Run, tmp_path))
        run.ledger.tally[state] = 1
        assert has_ended(run.out()) == (state not in OUT)

    run_virtually(work())


@pytest.mark.parametrize(("home", "posting", "waits"), [(True, 0, 2), (False, 0, 0), (False, 1, 1)])
def test_a_stopped_run_waits_for_answers_and_for_uploads_only_where_it_brings_home(
    home: bool, posting: int, waits: int, tmp_path: Path
) -> None:
    """Two documents are in hand, of which `posting` wait for an answer."""

    async def work() -> None:
        run = run_of(Run, tmp_path)
        assert isinstance(run, Run)
        run.submitter._in_hand.take([1, 2])
        run.submitter._in_hand._posting = posting
        run.control.home = home
        assert run.being_sent() == waits

    run_virtually(work())


@pytest.mark.parametrize("kind", KINDS)
def test_no_run_waits_for_what_only_watches(kind: type[CollectRun], tmp_path: Path) -> None:
    """Limits, deadlines and the audit are nothing to wait for; the looks of the poller are only
    where a run is stopped.
    """

    async def work() -> None:
        run = run_of(kind, tmp_path)
        awaited = {type(one).__name__ for one in (*run.to_do(), *run.out(), *run.tidying())}
        assert awaited <= AWAITED
        assert not any(one.outstanding() for one in watching(run))

    run_virtually(work())


def watching(run: CollectRun) -> list[Counted]:
    return [
        stage  # type: ignore[misc]
        for stage in run.stages()
        if type(stage).__name__ in ("TimeLimit", "DeadlineMonitor", "CallbackListener")
    ]


def test_documents_are_counted_by_their_state(tmp_path: Path) -> None:
    """In the states that are asked for, and in no other."""

    async def work() -> None:
        ledger: Ledger = run_of(Run, tmp_path).ledger
        ledger.tally[State.WAITING] = 3
        ledger.tally[State.QUEUED] = 4
        assert Documents(ledger, OUT).outstanding() == 3
        assert Documents(ledger, OPEN).outstanding() == 7

    run_virtually(work())


def test_what_is_made_of_results_waits_for_company_until_the_results_are_there(
    tmp_path: Path,
) -> None:
    """A whole run without documents: the deriver is hurried once, at its end, and then it ends."""

    async def work() -> None:
        run = run_of(Run, tmp_path)
        hurried_at_the_end = list[bool]()
        finish = run.deriver.finish

        async def noted() -> None:
            hurried_at_the_end.append(has_ended(run.to_do()))
            await finish()

        run.deriver.finish = noted  # type: ignore[method-assign]
        async with asyncio.timeout(60.0):
            await run.to_its_end()
        assert hurried_at_the_end == [True]
        assert has_ended([*run.to_do(), *run.tidying()])

    run_virtually(work())


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_without_documents_ends_as_soon_as_its_stages_have(
    kind: type[CollectRun], tmp_path: Path
) -> None:
    """No time passes but that which the deriver waits for company."""

    async def work() -> None:
        began = asyncio.get_running_loop().time()
        await run_of(kind, tmp_path).to_its_end()
        assert asyncio.get_running_loop().time() - began <= LINGER

    run_virtually(work())


@pytest.mark.parametrize("waits", [True, False])
def test_an_urgent_stop_ends_a_wait_at_that_moment(waits: bool, tmp_path: Path) -> None:
    """A stopped run waits for jobs in flight, or for submissions: a second stop ends either."""

    async def work() -> None:
        run = run_of(Run, tmp_path)
        assert isinstance(run, Run)
        run.submitter._in_hand._posting = 0 if waits else 1
        run.ledger.tally[State.WAITING] = 1
        ending = asyncio.create_task(run.to_its_end())
        await asyncio.sleep(100.0)
        run.control.stop("on request", ExitCode.RUN_AGAIN, home=waits)
        await asyncio.sleep(100.3)
        assert not ending.done()
        began = asyncio.get_running_loop().time()
        run.control.stop("again", ExitCode.RUN_AGAIN, abort=True)
        await ending
        assert asyncio.get_running_loop().time() == began

    run_virtually(work())
