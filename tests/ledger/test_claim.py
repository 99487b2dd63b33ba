"""The claim beside the results, in the ledger and as a file: whose they are, and how far it got."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from batcher.errors import LedgerForeign, LedgerOutdated, OutputError
from batcher.ledger.claim import (
    Claim,
    adopt,
    advance,
    claim_of,
    forget_claim,
    outdated,
    read_claim,
    refuse_outdated,
    write_claim,
)
from batcher.ledger.ledger import open_ledger

FILE = ".batcher-claim"
OURS = Claim("ours", 5)


def opened(path: Path) -> sqlite3.Connection:
    open_ledger(path, batch="b", clock=lambda: 0.0).close()
    return sqlite3.connect(path)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = opened(tmp_path / "ledger.db")
    yield connection
    connection.close()


# --- in the ledger --------------------------------------------------------------------------------


def test_a_ledger_has_an_id_from_its_first_run_on_and_grows_by_one(
    ledger: sqlite3.Connection,
) -> None:
    """Before, it claims nothing: it may still be taken for anybody's."""
    assert claim_of(ledger) is None
    first = advance(ledger)
    assert first.generation == 1
    assert advance(ledger) == Claim(first.ledger, 2) == claim_of(ledger)


def test_no_two_ledgers_have_one_id(ledger: sqlite3.Connection, tmp_path: Path) -> None:
    """They may have had the same runs."""
    other = opened(tmp_path / "other.db")
    assert advance(ledger).ledger != advance(other).ledger
    other.close()


def test_a_ledger_with_an_id_alone_is_older_than_any_run(ledger: sqlite3.Connection) -> None:
    """It is cut off between the two."""
    ledger.execute("INSERT INTO meta VALUES ('ledger', 'ours')")
    assert claim_of(ledger) == Claim("ours", 0)
    assert advance(ledger) == Claim("ours", 1)


def test_a_ledger_made_anew_goes_on_from_the_claim_that_it_takes_over(
    ledger: sqlite3.Connection,
) -> None:
    """Whatever it was called before."""
    advance(ledger)
    adopt(ledger, OURS)
    assert claim_of(ledger) == OURS
    assert advance(ledger) == Claim("ours", 6)


# --- as a file ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("access", "mode"), [("owner", 0o600), ("group", 0o640)])
def test_a_claim_is_read_as_it_was_written(access: str, mode: int, tmp_path: Path) -> None:
    """By whom the results may be read, and without anything left beside it."""
    write_claim(tmp_path, Claim("older", 1))
    write_claim(tmp_path, OURS, access)
    assert read_claim(tmp_path) == OURS
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == mode


def test_a_claim_is_for_its_owner_alone_unless_another_access_is_named(tmp_path: Path) -> None:
    """As everything beside the results is."""
    write_claim(tmp_path, OURS)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_claim_on_disk_is_a_line_of_json(tmp_path: Path) -> None:
    """Claims of earlier versions are read for ever, and people look at them."""
    write_claim(tmp_path, OURS)
    assert (tmp_path / FILE).read_bytes() == b'{"ledger":"ours","generation":5}\n'


@pytest.mark.parametrize("output", ["new", "a file/new"])
def test_an_output_that_is_not_there_has_no_claim(output: str, tmp_path: Path) -> None:
    """Nor where a file is in its way, which is told by whoever makes the folder."""
    (tmp_path / "a file").touch()
    assert read_claim(tmp_path / output) is None


@pytest.mark.parametrize("body", [b"", b"\0" * 80, b'{"ledger":"ours"}', b"[]"])
def test_a_claim_that_cannot_be_understood_is_anybodys(body: bytes, tmp_path: Path) -> None:
    """So nothing is sent on its word; the message has the file and what to do."""
    (tmp_path / FILE).write_bytes(body)
    with pytest.raises(LedgerForeign, match="delete this file and run again") as refused:
        read_claim(tmp_path)
    assert str(tmp_path / FILE) in str(refused.value)


def test_a_claim_that_cannot_be_read_written_or_removed_is_told_with_its_path(
    tmp_path: Path,
) -> None:
    """A folder in its place stands for whatever a file system refuses."""
    (tmp_path / FILE).mkdir()
    for use in (
        lambda: read_claim(tmp_path),
        lambda: write_claim(tmp_path, OURS),
        lambda: forget_claim(tmp_path),
    ):
        with pytest.raises(OutputError, match="submitted") as refused:
            use()
        assert str(tmp_path / FILE) in str(refused.value)


def test_a_ledger_that_is_started_over_leaves_no_claim(tmp_path: Path) -> None:
    """Whether there was one or not."""
    forget_claim(tmp_path)
    write_claim(tmp_path, OURS)
    forget_claim(tmp_path)
    assert read_claim(tmp_path) is None


# --- one against the other ------------------------------------------------------------------------


@pytest.mark.parametrize("own", [None, OURS], ids=["new", "with runs"])
def test_any_ledger_may_use_results_without_a_claim(own: Claim | None, tmp_path: Path) -> None:
    """They are from before there were claims, or there are none yet."""
    refuse_outdated(tmp_path / "ledger.db", own, tmp_path)
    assert outdated(own, tmp_path) is None


@pytest.mark.parametrize("generation", [5, 6], ids=["level", "ahead"])
def test_a_ledger_that_is_level_or_ahead_is_believed(generation: int, tmp_path: Path) -> None:
    """A crash between the ledger's record and the file leaves it ahead."""
    write_claim(tmp_path, OURS)
    refuse_outdated(tmp_path / "ledger.db", Claim("ours", generation), tmp_path)
    assert outdated(Claim("ours", generation), tmp_path) is None


def test_an_older_copy_is_refused_with_how_far_it_is_behind(tmp_path: Path) -> None:
    """And with the command that mends it."""
    write_claim(tmp_path, OURS)
    with pytest.raises(LedgerOutdated, match="batcher rebuild MANIFEST") as refused:
        refuse_outdated(tmp_path / "ledger.db", Claim("ours", 2), tmp_path)
    assert "it is at 2, the results at 5, 3 behind" in str(refused.value)
    assert f"delete {tmp_path / FILE}" in str(refused.value)
    assert "older copy" in str(outdated(Claim("ours", 4), tmp_path))


@pytest.mark.parametrize(
    "own",
    [None, Claim("another", 4), Claim("another", 5), Claim("another", 9)],
    ids=["new", "behind", "level", "ahead"],
)
def test_results_of_another_ledger_are_not_taken(own: Claim | None, tmp_path: Path) -> None:
    """However many runs each of them had."""
    write_claim(tmp_path, OURS)
    with pytest.raises(LedgerForeign, match=r"output\.directory") as refused:
        refuse_outdated(tmp_path / "ledger.db", own, tmp_path)
    assert str(tmp_path / "ledger.db") in str(refused.value)
    assert "another ledger" in str(outdated(own, tmp_path))
