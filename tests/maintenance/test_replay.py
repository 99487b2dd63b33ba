"""Ledgers with a history that are lost and made anew: nothing is paid for again, nothing is moved.

Runs are simulated, with a journal beside the ledger as real ones have it.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import house as house_module
import msgspec
import pytest
from house import Nights, all_waiting, digest_of

from batcher.core.lifecycle import State
from batcher.ledger import ledger as ledger_module
from batcher.ledger.connection import reader
from batcher.ledger.journal import Journal, journal_of
from batcher.ledger.ledger import Ledger
from batcher.ledger.named import Wanted
from batcher.ledger.writer import InlineWriter
from batcher.maintenance.prune import Wish, prune
from batcher.maintenance.rebuild import rebuild
from batcher.maintenance.retry import retry
from batcher.maintenance.verify import repair
from batcher.reducto.api_types import JobStatus
from batcher.reducto.fake_client import FakeClient

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR


class Writer(InlineWriter):
    """Writes the journal before each commit."""

    def __init__(self, connection: sqlite3.Connection, journal: Journal) -> None:
        super().__init__(connection)
        self._journal = journal

    async def do(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        def both(connection: sqlite3.Connection) -> Any:
            self._journal.begin()
            value = work(connection)
            self._journal.sync(connection)
            return value

        return await super().do(both)

    def close(self) -> None:
        super().close()
        self._journal.close()


def opened(path: Path, *, batch: str, clock: Callable[[], float], inline: bool) -> Ledger:
    connection = ledger_module._ready(path, batch)
    journal = Journal(journal_of(path))
    return Ledger(Writer(connection, journal), reader(path), clock=clock, journal=journal)


class Lost(Nights):
    """A batch whose ledger gets lost."""

    def lose_and_rebuild(self) -> int:
        """Return how many lines of the journal didn't fit."""
        for path in self.ledger.parent.glob("ledger.db*"):
            path.unlink()
        return rebuild(self.ledger, batch="b", output=self.out).skipped


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lost:
    seeds = count()  # the runs of a house draw the same nonces otherwise
    drawn = SimpleNamespace(Random=lambda _: random.Random(next(seeds)))
    monkeypatch.setattr(house_module, "open_ledger", opened)
    monkeypatch.setattr(house_module, "random", drawn)
    return Lost(tmp_path)


class NoResult(FakeClient):
    """Completed, and its result is null for ever."""

    def _answer(self, job_id: str) -> Any:
        answer = super()._answer(job_id)
        if answer.status == JobStatus.COMPLETED:
            answer = msgspec.structs.replace(answer, result=None)
        return answer


def test_a_stuck_document_that_something_unsent_replaced_is_in_nobody_s_way(house: Lost) -> None:
    """Its bytes were paid for under another name since; the file itself was emptied."""
    house.put(a="same")
    house.client = NoResult(house.service)
    assert house.night() == {"stuck": 1}
    house.client = FakeClient(house.service)
    house.put(a="")
    house.night()
    house.put(b="same")
    house.night()
    asyncio.run(retry(house.ledger, wanted=Wanted(("b.txt",))))
    house.night()
    jobs = len(house.service.jobs)
    assert digest_of("same") in house.result("b")
    house.lose_and_rebuild()
    assert house.night()["saved"] == 1
    assert len(house.service.jobs) == jobs


def test_the_same_bytes_that_came_back_are_a_version_of_their_own(house: Lost) -> None:
    """Two versions with up to three attempts each: together they are more than one may have."""
    house.service.work = lambda job: (1.0, "TIMEOUT")
    house.put(a="same")
    house.night(until=lambda ledger: len(house.service.jobs) == 2 and ledger.tally[State.QUEUED])
    for text in ("", "same"):
        house.put(a=text)
        house.night()
    jobs = len(house.service.jobs)
    assert jobs > 3
    assert house.lose_and_rebuild() == 0
    with sqlite3.connect(house.ledger) as ledger:
        found = ledger.execute("SELECT document, count(*) FROM attempts GROUP BY 1").fetchall()
    assert len(found) == 2 and sum(attempts for _, attempts in found) == jobs


def test_a_folder_that_was_renamed_holds_the_same_documents(house: Lost, tmp_path: Path) -> None:
    """Their newer versions replace those of the old folder, and no right result is moved."""
    house.put(a="first", b="b")
    house.night()
    house.inbox = house.inbox.rename(tmp_path / "elsewhere")
    house.night()
    house.put(a="second")
    house.night()
    assert house.lose_and_rebuild() == 0
    assert house.night() == {"saved": 2, "superseded": 1}
    found = asyncio.run(repair(house.ledger, house.out)).found
    assert found.is_whole and not found.changed
    assert house.paid() == 3 and digest_of("second") in house.result("a")


def test_a_copy_is_known_where_it_lies(house: Lost) -> None:
    """A file got another name, and a person removed the result under the old one."""
    house.put(a="same", c="c")
    house.night()
    (house.inbox / "a.txt").rename(house.inbox / "b.txt")
    house.night()
    (house.out / "a.txt.json").unlink()
    house.now += DAY
    assert house.lose_and_rebuild() == 0
    house.night()
    assert house.paid() == 2
    assert {path.name for path in house.out.glob("*.json")} == {"b.txt.json", "c.txt.json"}


def test_files_that_exchanged_their_names_keep_their_results(house: Lost) -> None:
    """Once what was replaced has been removed, each lies in one place alone."""
    house.put(a="A", b="B")
    house.night()
    a, b, spare = (house.inbox / name for name in ("a.txt", "b.txt", "spare"))
    a.rename(spare)
    b.rename(a)
    spare.rename(b)
    house.night()
    asyncio.run(prune(Wish(house.out, house.ledger)))
    house.now += DAY
    assert house.lose_and_rebuild() == 0
    house.night()
    assert house.paid() == 2
    assert digest_of("B") in house.result("a") and digest_of("A") in house.result("b")


def test_a_copy_that_was_restored_is_told_once(house: Lost) -> None:
    """Its file was removed and copied once more: that is the same document."""
    house.put(a="same", b="same")
    house.night()
    (house.out / "b.txt.json").unlink()
    asyncio.run(repair(house.ledger, house.out))
    assert house.night() == {"saved": 2}
    assert house.lose_and_rebuild() == 0
    with sqlite3.connect(house.ledger) as ledger:
        found = ledger.execute("SELECT source, state, payer FROM documents ORDER BY 1").fetchall()
    assert found == [("a.txt", "saved", None), ("b.txt", "saved", 1)]
    assert house.night() == {"saved": 2} and house.paid() == 1


def test_what_was_out_under_two_names_of_a_folder_comes_home(house: Lost, tmp_path: Path) -> None:
    """Renamed and then edited while both versions were at the service."""
    house.service.work = lambda job: (HOUR, None)
    house.put(a="first")
    house.night(until=all_waiting(1))
    house.inbox = house.inbox.rename(tmp_path / "elsewhere")
    house.night(
        until=lambda ledger: bool(
            ledger.sending.known(["a.txt"], "parse", folder="", others=[str(tmp_path / "inbox")])
        )
    )
    house.put(a="second")
    house.night(until=all_waiting(2))
    assert house.lose_and_rebuild() == 0
    assert house.night() == {"saved": 1, "superseded": 1}
    assert house.paid() == 2 and digest_of("second") in house.result("a")
