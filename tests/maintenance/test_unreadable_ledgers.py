"""A ledger that can't be read now isn't damaged: whoever asks is told why, and nothing is moved."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from commandline import batcher
from peer import Peer

from batcher.ledger.schema import who_may_read

Words = tuple[object, ...]


def plan_of(words: Words) -> Words:
    return ("plan", *words[1:])


@pytest.fixture
async def ledger(words: Words, out: Path) -> Path:
    assert (await batcher(*words)).code == 0
    return out / ".batcher" / "ledger.db"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def is_another_program_s(ledger: Path, stack: ExitStack) -> None:
    ledger.unlink()
    with sqlite3.connect(ledger) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()


def is_newer(ledger: Path, stack: ExitStack) -> None:
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()


def is_a_directory(ledger: Path, stack: ExitStack) -> None:
    ledger.unlink()
    ledger.mkdir()


def is_held_by_another_program(ledger: Path, stack: ExitStack) -> None:
    connection = sqlite3.connect(ledger, isolation_level=None)
    stack.callback(connection.close)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("CREATE TABLE held (x)")


@pytest.mark.parametrize(
    "trouble", [is_another_program_s, is_newer, is_a_directory, is_held_by_another_program]
)
async def test_what_is_no_damage_is_not_rebuilt(
    trouble: Callable[[Path, ExitStack], None],
    ledger: Path,
    stack: ExitStack,
    words: Words,
    peer: Peer,
    out: Path,
) -> None:
    """Another program's, a newer batcher's, a directory, locked: each command refuses, and all
    stays where it was.
    """
    trouble(ledger, stack)
    before = sorted(
        path.name for path in ledger.parent.iterdir() if path.name.startswith("ledger.db.damaged")
    )
    asked = [("rebuild", out), ("status", out)]
    # each waits for the other program first, a run for half a minute
    if trouble is not is_held_by_another_program:
        asked += [("verify", out), plan_of(words), words]
    for command in asked:
        said = await batcher(*command)
        assert said.code in (2, 3), (command, said)
        assert str(ledger) in said.err
        assert "Traceback" not in said.err
        assert "batcher rebuild" not in said.err
    assert (
        [path.name for path in ledger.parent.iterdir() if ".damaged" in path.name] == before == []
    )
    assert ledger.exists()
    assert len(peer.service.jobs) == 6


def as_anybody() -> None:
    """Root loses what opens every file to it; for all others that is so anyway."""
    if sys.platform == "linux":
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.mark.skipif(
    sys.platform != "linux" and os.geteuid() == 0, reason="there root reads everything"
)
@pytest.mark.parametrize("closed", ["ledger.db", "ledger.journal.jsonl", "."])
async def test_a_ledger_that_may_not_be_read_is_not_damaged(
    closed: str, ledger: Path, words: Words, out: Path, stack: ExitStack
) -> None:
    """Made with sudo, asked without: it is said whose it is, and nothing is moved."""
    place = ledger.parent / closed
    stack.callback(place.chmod, 0o700)
    place.chmod(0)
    plans = (plan_of(words), (*words, "--dry-run"))
    for command in (("rebuild", out), ("status", out), ("verify", out), *plans, words):
        if closed == "ledger.journal.jsonl" and command in (("status", out), *plans):
            continue  # these read no journal
        said = await batcher(*command, under=as_anybody)
        assert said.code in (2, 3), (command, said)
        assert "ermission denied" in said.err
        assert "Traceback" not in said.err
        assert "batcher rebuild" not in said.err
    place.chmod(0o700)
    assert [path.name for path in ledger.parent.iterdir() if ".damaged" in path.name] == []
    assert (await batcher(*words)).code == 0


def is_no_database(ledger: Path) -> None:
    ledger.write_text("no database at all " * 100)


def has_damaged_pages(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (ledger.stat().st_size - 4096))


@pytest.mark.parametrize("damage", [is_no_database, has_damaged_pages])
async def test_a_plan_tells_of_a_damaged_ledger_as_status_does(
    damage: Callable[[Path], None], ledger: Path, words: Words, out: Path
) -> None:
    """Exit 2, with the file and what makes a new one."""
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    damage(ledger)
    for command in (("status", out), plan_of(words), (*words, "--dry-run")):
        said = await batcher(*command)
        assert (said.code, "Traceback" in said.err) == (2, False), said.err
        assert str(ledger) in said.err and "`batcher rebuild MANIFEST` makes a new one" in said.err


async def test_a_lost_ledger_is_not_told_as_one_that_never_was(
    ledger: Path, out: Path, tmp_path: Path
) -> None:
    """By its journal, or by the claim beside the results; and what is advised does it."""
    kept = ledger.rename(tmp_path / "kept.db")
    for name in ("-wal", "-shm"):
        Path(f"{ledger}{name}").unlink(missing_ok=True)
    for command in ("status", "failures", "verify", "report"):
        said = await batcher(command, out)
        assert (said.code, "`batcher run` makes one" in said.err) == (2, False), said.err
        assert f"`batcher rebuild {out}` makes it again" in said.err
    journal = ledger.with_suffix(".journal.jsonl")
    moved = journal.rename(tmp_path / "journal")
    said = await batcher("status", out)
    assert "though" in said.err and "`batcher rebuild MANIFEST` makes it again" in said.err
    moved.rename(journal)
    assert (await batcher("rebuild", out)).code == 0
    assert "6 saved" in (await batcher("status", out)).out
    kept.unlink()
    (tmp_path / "never").mkdir()
    never = await batcher("status", tmp_path / "never")
    assert "`batcher run` makes one" in never.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_it_is_said_whose_a_ledger_is(tmp_path: Path) -> None:
    """And how one comes to read it."""
    path = tmp_path / "ledger.db"
    path.write_bytes(b"")
    path.chmod(0o600)
    os.chown(path, 1234, 1234)
    assert "belongs to user 1234, mode 0600" in who_may_read(path)
