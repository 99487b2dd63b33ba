"""The same bytes are paid for once, whatever becomes of the document that was to pay for them."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from contexts import context_of
from house import House, all_waiting, digest_of
from virtual import run_virtually

from batcher.core import events
from batcher.core.account import Account
from batcher.core.lifecycle import State
from batcher.errors import Outdated
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger, memory_ledger
from batcher.outputs.result_store import Written
from batcher.reducto import api_types
from batcher.stages.chain import Chain
from batcher.stages.copier import Copier


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_payer_that_cannot_be_read_hands_over_to_one_copy_and_the_others_wait_for_it(
    house: House,
) -> None:
    """Four files of the same bytes, the first one gone before it was sent: one job, three
    results.
    """

    async def work() -> None:
        house.put(a="same", b="same", c="same", d="same")
        await house.run(until=lambda ledger: sum(ledger.tally.values()) == 4)
        (house.inbox / "a.txt").unlink()
        assert await house.run() == {"saved": 3, "superseded": 1}
        assert house.paid() == 1

    run_virtually(work())


def test_the_result_of_an_edited_payer_is_its_copies(house: House) -> None:
    """Edited while its job was out: what that brings home is what the copies wait for, and isn't
    paid for again.
    """

    async def work() -> None:
        house.put(a="same", b="same", c="same")
        await house.run(until=all_waiting(1))
        house.put(a="edited")
        assert await house.run() == {"saved": 3, "superseded": 1}
        assert house.paid() == 2
        assert digest_of("same") in house.result("b")
        assert house.result("c") == house.result("b")
        assert digest_of("edited") in house.result("a")

    run_virtually(work())


def test_the_newer_result_stands_however_late_the_older_comes_home(house: House) -> None:
    """The job of the older version takes an hour longer than that of the newer one."""

    async def work() -> None:
        house.service.work = lambda job: (3600.0 if not house.service.jobs else 1.0, None)
        house.put(a="old")
        await house.run(until=all_waiting(1))
        house.put(a="new")
        assert await house.run() == {"saved": 1, "superseded": 1}
        assert digest_of("new") in house.result("a")
        assert house.paid() == 2

    run_virtually(work())


@pytest.mark.parametrize(
    "error", [api_types.ErrorName.TIMEOUT, api_types.ErrorName.DOCUMENT_CORRUPT]
)
def test_an_older_version_whose_job_fails_holds_up_no_run(error: str, house: House) -> None:
    """Nobody needs what it was to bring: it is superseded, not sent again, and no failure of the
    batch.
    """

    async def work() -> None:
        house.service.work = lambda job: (60.0, error) if not house.service.jobs else (1.0, None)
        house.put(a="old")
        await house.run(until=all_waiting(1))
        house.put(a="new")
        async with asyncio.timeout(7200):
            assert await house.run() == {"saved": 1, "superseded": 1}

    run_virtually(work())


def test_a_file_that_is_renamed_costs_nothing(house: House) -> None:
    """Also where the bytes are known only as a copy's, or as an older version's job that is still
    out.
    """

    async def work() -> None:
        house.put(a="same", b="same")
        assert await house.run() == {"saved": 2}
        house.put(a="edited")
        (house.inbox / "b.txt").rename(house.inbox / "c.txt")
        assert (await house.run())["saved"] == 3
        assert house.paid() == 2
        assert digest_of("same") in house.result("c")

        house.put(d="more")
        await house.run(until=all_waiting(1))
        (house.inbox / "d.txt").rename(house.inbox / "e.txt")
        house.put(d="something else")
        assert (await house.run())["saved"] == 5
        assert house.paid() == 4
        assert digest_of("more") in house.result("e")

    run_virtually(work())


def test_what_lies_on_disk_is_copied_even_where_its_version_has_been_superseded(
    house: House,
) -> None:
    """Cut off between a payer's result and its copies, and the payer edited before the next run."""

    async def work() -> None:
        house.put(a="same", b="same", c="same")
        await house.run(until=lambda ledger: ledger.tally[State.SAVED] >= 1)
        house.put(a="edited")
        assert await house.run() == {"saved": 3, "superseded": 1}
        assert house.paid() == 2

    run_virtually(work())


def test_files_edited_while_they_were_queued_hold_up_no_run(house: House) -> None:
    """Taken up by the submitter just as the scanner finds that they have changed: only the newer
    bytes are sent.
    """

    async def work() -> None:
        house.put(**{f"n{number:02}": f"old {number}" for number in range(90)})
        await house.run(until=lambda ledger: sum(ledger.tally.values()) == 90)
        house.put(**{f"n{number:02}": f"new {number}" for number in range(90)})
        assert await house.run() == {"saved": 90, "superseded": 90}
        assert house.paid() == 90

    run_virtually(work())


def test_there_may_be_any_number_of_copies(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are copied in one go: one job, and all of them come to their end."""
    monkeypatch.setattr("batcher.stages.sink.GROUP", 13)

    async def work() -> None:
        house.put(**{f"n{number:03}": "same" for number in range(31)})
        async with asyncio.timeout(600):
            assert await house.run() == {"saved": 31}
        assert house.paid() == 1

    run_virtually(work())


class Shelf:
    """Takes any copy, and remembers where it was put."""

    def __init__(self) -> None:
        self.put: list[str] = []

    def copy(self, source: str, target: str, *, sha256: str, known: frozenset[str]) -> Written:
        self.put.append(target)
        return Written(target, sha256, 1)


def test_of_many_results_the_one_that_is_still_there_is_found(house: House) -> None:
    """A person removed all others of the same bytes, and the service has forgotten them."""

    async def work() -> None:
        house.put(a="same")
        await house.run()
        house.put(**{f"b{number}": "same" for number in range(12)})
        assert await house.run() == {"saved": 13}
        for path in house.out.glob("*.json"):
            if path.name != "b0.txt.json":
                path.unlink()
        await asyncio.sleep(house.retention)
        house.put(c="same")
        assert await house.run() == {"saved": 14}
        assert house.paid() == 1 and house.result("c") == house.result("b0")

    run_virtually(work())


def test_a_copy_that_comes_in_while_others_are_made_is_made_too() -> None:
    """Found while the ones before it are being written, and nothing else happens afterwards."""

    async def work() -> None:
        ledger = await _with_nine_copies()
        late: list[asyncio.Task[None]] = []
        ledger.listeners.append(
            lambda _: late or late.append(asyncio.create_task(ledger.admit([_same("d.pdf")])))
        )
        copying = asyncio.create_task(copier(ledger, Shelf()).run())
        async with asyncio.timeout(3600.0):
            while ledger.tally[State.SAVED] < 11:
                await ledger.change()
        copying.cancel()

    run_virtually(work())


def test_a_copy_that_is_superseded_while_others_are_made_is_written_nowhere() -> None:
    """The newer version's result may stand at its place by then."""

    async def work() -> None:
        ledger = await _with_nine_copies()
        shelf = Shelf()
        edited = replace(_same("b8.pdf"), content="newer.pdf", replaces=10)
        late: list[asyncio.Task[None]] = []
        ledger.listeners.append(
            lambda _: late or late.append(asyncio.create_task(ledger.admit([edited])))
        )
        copying = asyncio.create_task(copier(ledger, shelf).run())
        async with asyncio.timeout(3600.0):
            while ledger.tally[State.SAVED] < 9 or ledger.tally[State.DUPLICATE]:
                await ledger.change()
        copying.cancel()
        assert shelf.put == [f"b{number}.pdf.json" for number in range(8)]

    run_virtually(work())


def copier(ledger: Ledger, shelf: Shelf) -> Copier:
    account = Account("twin", "none", 43_200.0)
    context = context_of(ledger, client=None)
    return Copier(context, shelf, asyncio.Lock(), account=account)  # type: ignore[arg-type]


async def _with_nine_copies() -> Ledger:
    """Of one document that is saved."""
    ledger = memory_ledger(Path("absent.db"), batch="b", clock=asyncio.get_running_loop().time)
    await ledger.admit([_same("a.pdf")])
    await ledger.record(
        events.Uploaded(1, "reducto://1"),
        events.Sending(1, "n", "twin", "none", 1.0),
        events.Accepted(1, "job", 1.9e9),
        events.Ended(1, 1, 1.0),
        events.Saved(1, "a.pdf.json", "hash", 1),
    )
    await ledger.admit([_same(f"b{number}.pdf") for number in range(9)])
    return ledger


def _same(source: str) -> Version:
    facts = {
        "folder": "/in",
        "job": "parse",
        "step": "s",
        "content": "c.pdf",
        "size": 1,
        "mtime_ns": 0,
        "inode": 0,
    }
    return Version(source=source, output=f"{source}.json", **facts)


def test_a_copy_whose_payer_makes_way_at_that_moment_gets_no_verdict_of_it() -> None:
    """The verdict comes too late, and is refused: the copy is in the queue by then."""

    async def work() -> None:
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=asyncio.get_running_loop().time)
        await ledger.admit([_same("a.pdf")])
        await ledger.admit([_same("b.pdf")])
        await ledger.record(events.Promoted(2))
        with pytest.raises(Outdated):
            await ledger.record(events.PayerFailed(2, "the same document failed", "transient"))
        with pytest.raises(Outdated):
            await ledger.record(events.Promoted(2))
        assert +ledger.tally == {State.QUEUED: 2}

    run_virtually(work())


def test_a_later_step_whose_payer_makes_way_at_that_moment_is_told_nothing_twice() -> None:
    """It follows its own first step by then, and is not put there once more."""

    async def work() -> None:
        ledger = await _chain_of("a.pdf", "b.pdf")
        await ledger.record(events.Follows(4))
        with pytest.raises(Outdated):
            await ledger.record(events.Follows(4))
        assert ledger.tally[State.FOLLOWING] == 2

    run_virtually(work())


def test_a_newcomer_waits_for_the_copy_that_is_about_to_pay() -> None:
    """Its payer is no more, and the copy hasn't heard of it yet: one of them pays, not each for
    itself.
    """

    async def work() -> None:
        ledger = await _chain_of("a.pdf", "b.pdf")
        await ledger.record(
            events.SourceGone(1, "gone"),
            events.UpstreamFailed(2, "parse source_gone", "source_gone"),
        )
        await ledger.admit([_same("c.pdf"), _later("c.pdf")])
        assert _waiting_for(ledger) == {3: 1, 4: 2, 5: 1, 6: 2}
        await ledger.record(events.Promoted(3), events.Follows(4))
        assert _waiting_for(ledger) == {5: 3, 6: 4}

    run_virtually(work())


def test_a_step_that_may_go_on_after_all_waits_for_who_pays_by_now() -> None:
    """It was blocked, and a copy of it stands for itself since; then its own first step comes
    home.
    """

    async def work() -> None:
        ledger = await _chain_of("a.pdf", "b.pdf")
        await ledger.record(
            events.SourceGone(1, "gone"),
            events.UpstreamFailed(2, "parse source_gone", "source_gone"),
        )
        await ledger.record(events.Promoted(3), events.Follows(4), *_saved_by_job(3, "b.pdf"))
        await ledger.record(events.Rejoined(1, 3), events.Saved(1, "a.pdf.json", "hash", 1))
        await _let_go_on(ledger)
        assert _waiting_for(ledger) == {2: 4}
        assert ledger.tally[State.QUEUED] == 1

    run_virtually(work())


def test_of_two_steps_of_the_same_bytes_that_may_go_on_at_once_one_pays() -> None:
    """Both were blocked, and both their first steps had come home before anybody looked."""

    async def work() -> None:
        ledger = await _chain_of("a.pdf", "b.pdf")
        await ledger.record(
            events.SourceGone(1, "gone"),
            events.UpstreamFailed(2, "parse source_gone", "source_gone"),
        )
        await ledger.record(events.Promoted(3), events.Follows(4))
        await ledger.record(
            events.SourceGone(3, "gone"),
            events.UpstreamFailed(4, "parse source_gone", "source_gone"),
        )
        await ledger.record(events.Retried(1), *_saved_by_job(1, "a.pdf"))
        await ledger.record(events.Rejoined(3, 1), events.Saved(3, "b.pdf.json", "hash", 1))
        await _let_go_on(ledger)
        assert _waiting_for(ledger) == {4: 2}
        assert ledger.tally[State.QUEUED] == 1

    run_virtually(work())


def test_what_joins_another_just_as_a_newer_version_takes_its_place_stays_superseded() -> None:
    """Between the look at who pays and the word of it the scanner came by."""

    async def work() -> None:
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=asyncio.get_running_loop().time)
        await ledger.admit([_same("a.pdf")])
        await ledger.admit([replace(_same("b.pdf"), content="other.pdf")])
        await ledger.admit([replace(_same("b.pdf"), content="newer.pdf", replaces=2)])
        await ledger.record(events.Rejoined(2, 1))
        assert +ledger.tally == {State.QUEUED: 2, State.SUPERSEDED: 1}

    run_virtually(work())


def test_of_two_that_stand_for_themselves_the_second_joins_the_first(house: House) -> None:
    """However that came about: what is out for the same bytes is waited for, and copied."""

    async def work() -> None:
        house.put(a="same", b="same")
        await house.run(until=lambda ledger: sum(ledger.tally.values()) == 2)
        with closing(
            sqlite3.connect(house.out / ".batcher" / "ledger.db", isolation_level=None)
        ) as ledger:
            ledger.execute("UPDATE documents SET state = 'queued', payer = NULL")
        assert await house.run() == {"saved": 2}
        assert house.paid() == 1

    run_virtually(work())


def test_a_copy_is_joined_at_the_same_cost_however_many_there_are() -> None:
    """In SQLite's own steps: the fifth hundred of the same bytes takes about as many as the
    first.
    """

    async def work() -> None:
        ledger = memory_ledger(Path("absent.db"), batch="b", clock=asyncio.get_running_loop().time)
        steps = [0]

        def count() -> int:
            steps[-1] += 1
            return 0

        ledger.reader.set_progress_handler(count, 100)
        for hundred in range(5):
            await ledger.admit([_same(f"{hundred}-{number}.pdf") for number in range(100)])
            steps.append(0)
        assert steps[4] < 2 * steps[0]
        assert ledger.tally == {State.QUEUED: 1, State.DUPLICATE: 499}

    run_virtually(work())


async def _chain_of(*sources: str) -> Ledger:
    """Two steps of each, and all of the same bytes: the first source's pay."""
    ledger = memory_ledger(Path("absent.db"), batch="b", clock=asyncio.get_running_loop().time)
    for source in sources:
        await ledger.admit([_same(source), _later(source)])
    return ledger


async def _let_go_on(ledger: Ledger) -> None:
    """Whatever may."""
    found = asyncio.Event()
    found.set()
    going_on = asyncio.create_task(Chain(ledger, found).run())
    async with asyncio.timeout(60):
        while ledger.tally[State.FOLLOWING] or ledger.tally[State.BLOCKED]:
            await ledger.change()
    going_on.cancel()


def _later(source: str) -> Version:
    step = {"job": "extract", "step": "t", "upstream": "parse", "output": f"{source}.extract.json"}
    return replace(_same(source), **step)


def _saved_by_job(document: int, source: str) -> list[events.Event]:
    return [
        events.Uploaded(document, "reducto://1"),
        events.Sending(document, "n", "twin", "none", 1.0),
        events.Accepted(document, "job", 1.9e9),
        events.Ended(document, 1, 1.0),
        events.Saved(document, f"{source}.json", "hash", 1),
    ]


def _waiting_for(ledger: Ledger) -> dict[int, int]:
    return dict(ledger.reader.execute("SELECT id, payer FROM documents WHERE state = 'duplicate'"))
