"""A ledger put back from a copy, with the journal it had, with another or without: nothing is paid
on its word.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from commandline import batcher, rows
from peer import Peer


@pytest.fixture
def ledger(out: Path) -> Path:
    return out / ".batcher" / "ledger.db"


@pytest.fixture
def journal(ledger: Path) -> Path:
    return ledger.with_name("ledger.journal.jsonl")


async def ran_twice(manifest: Path, ledger: Path, journal: Path) -> tuple[bytes, bytes]:
    """Two letters, then all six; ledger and journal as they were between the two."""
    assert (await batcher("run", manifest, "-S", "limits.max_documents=2")).code == 3
    older = ledger.read_bytes(), journal.read_bytes()
    assert (await batcher("run", manifest)).code == 0
    return older


async def assert_refused_and_mended(manifest: Path, ledger: Path, peer: Peer) -> None:
    """By `run`, said by `verify`, mended by the command that is named; in the end six are saved,
    and six were paid.
    """
    paid = len(peer.service.jobs)
    said = await batcher("run", manifest)
    assert (said.code, "batcher rebuild" in said.err, len(peer.service.jobs)) == (2, True, paid), (
        said.err
    )
    verified = await batcher("verify", manifest)
    assert (verified.code, "journal" in verified.out) == (1, True)
    mended = await batcher("rebuild", manifest)
    assert mended.code == 0, mended.err
    assert (await batcher("run", manifest)).code == 0
    assert (await batcher("verify", manifest)).code == 0
    assert rows(ledger.parents[1], "SELECT state, count(*) FROM documents GROUP BY state") == [
        ("saved", 6)
    ]
    assert len(peer.service.jobs) == 6


async def test_an_older_ledger_without_its_journal_is_refused(
    manifest: Path, ledger: Path, journal: Path, peer: Peer
) -> None:
    """What it doesn't know of, the listing tells."""
    older, _ = await ran_twice(manifest, ledger, journal)
    ledger.write_bytes(older)
    journal.unlink()
    await assert_refused_and_mended(manifest, ledger, peer)


async def test_a_ledger_with_an_older_journal_is_refused(
    manifest: Path, ledger: Path, journal: Path, peer: Peer
) -> None:
    """Whichever of the two is the older copy."""
    _, older = await ran_twice(manifest, ledger, journal)
    journal.write_bytes(older)
    await assert_refused_and_mended(manifest, ledger, peer)


async def test_a_ledger_with_the_journal_of_another_is_refused(
    manifest: Path, ledger: Path, journal: Path, peer: Peer
) -> None:
    """Both were put back and used, and then the ledger alone was put back once more."""
    older = await ran_twice(manifest, ledger, journal)
    newer = ledger.read_bytes()
    ledger.write_bytes(older[0])
    journal.write_bytes(older[1])
    peer.service.jobs.popitem()  # so that there is something for the next run to pay
    for _ in range(3):
        await batcher("run", manifest, "-S", "limits.max_documents=2")
    ledger.write_bytes(newer)
    said = await batcher("run", manifest)
    assert (said.code, "batcher rebuild" in said.err) == (2, True), said.err


async def test_what_a_lost_journal_told_the_ledger_tells(
    manifest: Path, ledger: Path, journal: Path, peer: Peer, out: Path
) -> None:
    """The service has forgotten the jobs by now: a whole ledger whose journal is gone loses nothing
    all the same.
    """
    assert (await batcher("run", manifest)).code == 0
    before = rows(out, "SELECT source, state, output_sha256, paid FROM documents ORDER BY source")
    attempts = rows(
        out, "SELECT nonce, service, key_print, outcome, job_id, pages FROM attempts ORDER BY nonce"
    )
    peer.service.jobs.clear()
    journal.unlink()
    assert "batcher rebuild" in (await batcher("rebuild", out)).err, (
        "it can't tell what else was sent"
    )
    assert (await batcher("rebuild", manifest)).code == 0
    assert (
        rows(out, "SELECT source, state, output_sha256, paid FROM documents ORDER BY source")
        == before
    )
    assert (
        rows(
            out,
            "SELECT nonce, service, key_print, outcome, job_id, pages FROM attempts ORDER BY nonce",
        )
        == attempts
    )
    ledger.unlink()
    assert (await batcher("rebuild", out)).code == 0
    assert (
        rows(out, "SELECT source, state, output_sha256, paid FROM documents ORDER BY source")
        == before
    )


async def test_a_ledger_from_before_they_knew_their_journals_is_believed_once(
    manifest: Path, ledger: Path, journal: Path, peer: Peer
) -> None:
    """And knows it from then on."""
    await ran_twice(manifest, ledger, journal)
    with sqlite3.connect(ledger) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'journal'")
    connection.close()
    assert (await batcher("run", manifest)).code == 0
    journal.unlink()
    assert "its journal is gone" in (await batcher("run", manifest)).err


async def test_an_older_ledger_under_the_newer_log_of_a_run_that_was_killed_pays_nothing_twice(
    manifest: Path, ledger: Path, peer: Peer, out: Path
) -> None:
    """Whether the two make a whole ledger or not: it is right, or refused and mended."""
    assert (await batcher("run", manifest, "-S", "limits.max_documents=2")).code == 3
    older = ledger.read_bytes()
    assert (await batcher("run", manifest, "-S", "limits.max_documents=2")).code == 3
    held = sqlite3.connect(ledger, isolation_level=None)
    held.execute("BEGIN")
    held.execute(
        "SELECT count(*) FROM documents"
    ).fetchone()  # whoever reads keeps the log from being folded in
    assert (await batcher("run", manifest, "-S", "limits.max_documents=1")).code == 3
    log = Path(f"{ledger}-wal").read_bytes()
    held.close()
    for path in (out / ".batcher").glob("ledger.db-*"):
        path.unlink()
    ledger.write_bytes(older)
    Path(f"{ledger}-wal").write_bytes(log)
    if (await batcher("run", manifest)).code == 2:
        assert (await batcher("rebuild", manifest)).code == 0
        assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == 6


async def test_a_copy_of_the_whole_output_goes_on(
    manifest: Path, ledger: Path, peer: Peer, out: Path
) -> None:
    """Moved or copied as one, ledger and journal know each other."""
    assert (await batcher("run", manifest, "-S", "limits.max_documents=2")).code == 3
    shutil.copytree(out, f"{out}-copy")
    shutil.rmtree(out)
    shutil.move(f"{out}-copy", out)
    assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == 6
    assert json.loads((await batcher("verify", manifest, "--json")).out)["ledger"] == []
