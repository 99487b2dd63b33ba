"""What a person does about documents of the same bytes: one whole file among them is enough, and
nothing is paid.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from house import House
from virtual import run_virtually

from batcher.core.lifecycle import State
from batcher.ledger.connection import reader
from batcher.ledger.ledger import Ledger
from batcher.ledger.queries.repair import RepairQueries
from batcher.maintenance.candidates import Requeued
from batcher.maintenance.retry import retry
from batcher.maintenance.verify import prospects, repair, verify
from batcher.views.verify_view import verify_words

NOTHING = Requeued(0, 0.0, 0)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """`b` is a copy of `a`, which pays."""
    house = House(tmp_path)
    house.put(a="same", b="same", c="another")
    return house


@pytest.mark.parametrize("broken", ["a", "b"])
@pytest.mark.parametrize(
    "breaks", [Path.unlink, lambda path: path.write_text("edited")], ids=["missing", "changed"]
)
def test_a_result_is_made_again_from_a_whole_one_of_the_same_bytes(
    broken: str, breaks: Callable[[Path], Any], house: House
) -> None:
    """The payer's from its copy's, the copy's from its payer's: long after the service has deleted
    the job.
    """
    _run(house)
    result = house.result(broken)
    path = house.out / f"{broken}.txt.json"
    breaks(path)
    _twelve_hours_later(house)
    assert _repaired(house) == (1, NOTHING)
    path.unlink(missing_ok=True)
    assert _run(house) == {"saved": 3}
    assert house.result(broken) == result
    assert house.paid() == 2


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_what_can_t_be_read_just_now_is_left_alone(
    code: int, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share that is away, or files of somebody else: nothing is moved, fetched or paid for."""
    _run(house)
    _twelve_hours_later(house)
    healthy = os.open

    def sick(path: object, flags: int, *more: int, **how: int) -> int:
        if path == b"c.txt.json":
            raise OSError(code, os.strerror(code))
        return healthy(path, flags, *more, **how)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", sick)
        with closing(reader(_ledger(house))) as connection:
            found = verify(connection, house.out)
        assert found.unreadable == (("c.txt", "c.txt.json"),) and not found.is_whole
        assert "can't be read" in verify_words(found)
        assert _repaired(house) == (0, NOTHING)
    assert (house.out / "c.txt.json").exists()
    assert _run(house) == {"saved": 3}
    assert house.paid() == 2


def test_where_no_file_of_those_bytes_is_whole_they_are_paid_for_once(house: House) -> None:
    """And said so before."""
    _run(house)
    for name in "ab":
        (house.out / f"{name}.txt.json").unlink()
    _twelve_hours_later(house)
    assert _repaired(house) == (1, Requeued(1, 1.0, 0))
    assert _run(house) == {"saved": 3}
    assert house.paid() == 3


def test_what_the_service_still_has_is_fetched_once_for_all_copies(house: House) -> None:
    """Nothing of those bytes is whole on disk."""
    _run(house)
    for name in "ab":
        (house.out / f"{name}.txt.json").unlink()
    assert _repaired(house) == (2, NOTHING)
    assert _run(house) == {"saved": 3}
    assert house.paid() == 2


def test_what_was_made_again_from_a_copy_is_still_what_was_paid_for(house: House) -> None:
    """Further copies join it, its credits stay its own, and it can be made again once more."""
    _run(house)
    for _ in range(2):
        (house.out / "a.txt.json").unlink()
        _repaired(house)
        assert _run(house) == {"saved": 3}
    house.put(d="same")
    assert _run(house) == {"saved": 4}
    assert _rows(house, "SELECT source FROM documents WHERE payer IS NULL ORDER BY 1") == [
        ("a.txt",),
        ("c.txt",),
    ]
    assert house.paid() == 2


def test_the_file_of_an_older_version_will_do(house: House) -> None:
    """Its source has another name by now and other bytes stand in its place; what it left on disk
    is whole.
    """
    _run(house)
    old = (house.out / "a.txt.json").read_bytes()
    house.put(a="edited")
    _run(house)
    (house.out / "a.txt.json").write_bytes(old)
    (house.out / "b.txt.json").unlink()
    _twelve_hours_later(house)
    free, paid = _repaired(house)
    assert (free, paid.documents) == (1, 1), "of the edited one nobody has the result"
    assert _run(house)["saved"] == 3
    assert house.result("b").encode() == old


@pytest.mark.parametrize("state", ["held", "stuck", "expired"])
def test_copies_come_along_when_their_payer_is_taken_up_again(state: str, house: House) -> None:
    """One word is enough: those that took its verdict wait for it again, and share what becomes of
    it.
    """
    _run(house, until=lambda ledger: ledger.tally[State.WAITING] == 2)
    _bring_to(house, state)
    assert _run(house) == {state: 1, "failed": 1, "saved": 1}
    done = asyncio.run(retry(_ledger(house), only=state))
    assert done.documents == 2
    assert _rows(house, "SELECT state FROM documents WHERE source = 'b.txt'") == [("duplicate",)]
    house.service.work = lambda job: (1.0, None)
    assert _run(house) == {"saved": 3}


def test_copies_of_what_stays_as_it_is_stay_too(house: House) -> None:
    """A retry of something else takes none of them along."""
    _run(house, until=lambda ledger: ledger.tally[State.WAITING] == 2)
    _bring_to(house, "expired")
    _run(house)
    assert asyncio.run(retry(_ledger(house), only="held")).documents == 0
    assert asyncio.run(retry(_ledger(house), only="lost")).documents == 0


def _run(house: House, until: Callable[[Ledger], bool] = lambda ledger: False) -> dict[str, int]:
    ended: list[dict[str, int]] = []

    async def work() -> None:
        ended.append(
            {
                state: n
                for state, n in (await house.run(until=until)).items()
                if state != "superseded"
            }
        )

    run_virtually(work())
    return ended[0]


def _repaired(house: House) -> tuple[int, Requeued]:
    """Free ones and paid ones, by what `verify` foretells and `--repair` does, which are the
    same.
    """
    with closing(reader(_ledger(house))) as connection:
        found = verify(connection, house.out)
        said = prospects(RepairQueries(connection), house.out, found, time.time())
    _, paid, free, _ = asyncio.run(repair(_ledger(house), house.out))
    assert said == (free, paid)
    return said


def _twelve_hours_later(house: House) -> None:
    _write(house, "UPDATE attempts SET deadline_at = 1")


def _bring_to(house: House, state: str) -> None:
    """The payer comes to that verdict while its copy waits."""
    outcome = {"held": "open", "stuck": "accepted", "expired": "lost"}[state]
    of = "(SELECT id FROM documents WHERE source = 'a.txt')"
    forgets = (
        ", job_id = NULL, nonce = 'unheard of', file_id = 'jobid://nowhere',"
        " input_kind = 'job', sent_at = 1"
        if state == "held"
        else ""
    )
    _write(house, f"UPDATE attempts SET outcome = '{outcome}'{forgets} WHERE document = {of}")
    _write(house, f"UPDATE documents SET state = '{state}' WHERE id = {of}")
    if state == "stuck":
        house.service.work = lambda job: (1e9, None)


def _write(house: House, sql: str) -> None:
    with closing(sqlite3.connect(_ledger(house), isolation_level=None)) as connection:
        connection.execute(sql)


def _rows(house: House, sql: str) -> list[tuple[Any, ...]]:
    with closing(reader(_ledger(house))) as connection:
        return connection.execute(sql).fetchall()


def _ledger(house: House) -> Path:
    return house.out / ".batcher" / "ledger.db"
