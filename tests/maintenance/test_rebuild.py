"""A ledger lost or damaged: made anew from its journal, and nothing is paid for twice on account of
it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from commandline import batcher, rows, start
from peer import Peer

from batcher.core import events as e
from batcher.ledger.filesystem import network_of
from batcher.ledger.intake import Version
from batcher.ledger.ledger import open_ledger
from batcher.maintenance.rebuild import rebuild

Words = tuple[object, ...]


def lose(out: Path, folder: str = ".batcher") -> None:
    for path in (out / folder).glob("ledger.db*"):
        path.unlink()


async def test_a_lost_ledger_is_made_anew_and_nothing_is_paid_again(
    words: Words, peer: Peer, out: Path
) -> None:
    """Six results on disk, no ledger: refused, rebuilt, and then it is as it was."""
    assert (await batcher(*words)).code == 0
    before = rows(out, "SELECT source, state, output, output_sha256 FROM documents ORDER BY source")
    lose(out)
    assert "batcher rebuild" in (await batcher(*words)).err
    said = await batcher("rebuild", out, "--json")
    assert json.loads(said.out)["documents"] == {"saved": 6}
    assert (
        rows(out, "SELECT source, state, output, output_sha256 FROM documents ORDER BY source")
        == before
    )
    assert (await batcher("verify", out)).code == 0
    assert (await batcher(*words)).code == 0
    assert len(peer.service.jobs) == 6


@pytest.mark.parametrize("left", ["-wal", "-wal -shm"])
async def test_what_is_left_beside_a_lost_ledger_is_not_taken_for_the_new_one_s(
    left: str, words: Words, peer: Peer, out: Path
) -> None:
    """The last writes to it were in its log, which is still there."""
    assert (await batcher(*words)).code == 0
    ledger = out / ".batcher" / "ledger.db"
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("UPDATE documents SET state = 'queued'")
        connection.commit()
        parts = {part: Path(f"{ledger}{part}").read_bytes() for part in left.split()}
    lose(out)
    for part, content in parts.items():
        Path(f"{ledger}{part}").write_bytes(content)
    said = await batcher("rebuild", out)
    assert (said.code, f"{ledger}.damaged-1" in said.err) == (0, True), said
    for part, content in parts.items():
        assert Path(f"{ledger}.damaged-1{part}").read_bytes() == content
    assert (await batcher("verify", out)).code == 0
    said = await batcher(*words)
    assert (said.code, len(peer.service.jobs)) == (0, 6), said


async def test_what_was_out_when_it_was_lost_comes_home(
    words: Words, peer: Peer, out: Path
) -> None:
    """Killed with six jobs out, ledger gone: rebuilt twice over, they are fetched, not sent
    again.
    """
    peer.service.work = lambda job: (2.0, None)
    process = await start(*words)
    await peer.has_jobs(6)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    for _ in range(2):
        lose(out)
        assert (await batcher("rebuild", out)).code == 0
    assert (await batcher(*words)).code == 0
    assert len(peer.service.jobs) == 6
    assert len([path for path in out.rglob("*.txt.json") if ".batcher" not in path.parts]) == 6


async def test_a_damaged_ledger_is_set_aside_and_a_whole_one_left_alone(
    words: Words, peer: Peer, out: Path
) -> None:
    """It is kept under another name; where there is nothing to rebuild, exit 2."""
    assert (await batcher(*words)).code == 0
    assert "nothing to rebuild" in (await batcher("rebuild", out)).err
    ledger = out / ".batcher" / "ledger.db"
    content = ledger.read_bytes()
    ledger.write_bytes(content[:4096] + b"\xff" * 8192 + content[12288:])
    assert (await batcher("rebuild", out)).code == 0
    assert ledger.with_name("ledger.db.damaged-1").exists()
    assert (await batcher(*words)).code == 0
    assert len(peer.service.jobs) == 6


async def test_a_torn_line_costs_itself_alone(words: Words, peer: Peer, out: Path) -> None:
    """Cut off in mid-line, the journal still tells the rest; what comes after starts a line of its
    own.
    """
    assert (await batcher(*words)).code == 0
    journal = out / ".batcher" / "ledger.journal.jsonl"
    *before, last, end_of_run = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*before, last[:-20], b"\n", end_of_run]))
    lose(out)
    said = await batcher("rebuild", out, "--json")
    states = json.loads(said.out)["documents"]
    assert sum(states.values()) == 6
    assert states["saved"] == 5
    assert (await batcher(*words)).code == 0
    assert len(peer.service.jobs) == 6


async def test_an_attempt_of_unknown_fate_is_still_looked_for(
    words: Words, peer: Peer, out: Path
) -> None:
    """Its reply was lost, then the ledger: rebuilt, it is adopted from the listing rather than sent
    again.
    """
    peer.moods["run_job"] = _accepts_and_never_answers  # type: ignore[assignment]
    process = await start(*words)
    await peer.has_jobs(6)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    del peer.moods["run_job"]
    lose(out)
    said = await batcher("rebuild", out, "--json")
    assert json.loads(said.out)["documents"] == {"sending": 6}
    assert (await batcher(*words)).code == 0
    assert len(peer.service.jobs) == 6


async def test_a_ledger_that_is_older_than_its_journal_is_not_believed(
    words: Words, peer: Peer, out: Path
) -> None:
    """Yesterday's copy put back: its journal knows of more submissions, so nothing is sent;
    rebuilt, it goes on.
    """
    assert (await batcher(*words, "-S", "limits.max_documents=2")).code == 3
    ledger = out / ".batcher" / "ledger.db"
    older = ledger.read_bytes()
    assert (await batcher(*words)).code == 0
    for path in (out / ".batcher").glob("ledger.db-*"):
        path.unlink()
    ledger.write_bytes(older)
    said = await batcher(*words)
    assert (said.code, "an older one" in said.err, "batcher rebuild" in said.err) == (2, True, True)
    verified = await batcher("verify", out)
    assert (verified.code, "an older one" in verified.out) == (1, True)
    assert (await batcher("rebuild", out)).code == 0
    assert (await batcher(*words)).code == 0
    assert len(peer.service.jobs) == 6


DAMAGES = [
    "UPDATE attempts SET job_id = 'another' WHERE document = 3",
    "UPDATE attempts SET content = 'ff' || substr(content, 3) WHERE document = 3",
    "DELETE FROM attempts WHERE document = 3",
    "UPDATE documents SET state = 'waiting' WHERE id = 3",
    "UPDATE attempts SET outcome = 'open' WHERE document = 3",
    "UPDATE documents SET state = 'sawed' WHERE id = 3",
]


async def test_what_two_books_say_otherwise_is_found(words: Words, peer: Peer, out: Path) -> None:
    """Changed in the ledger behind SQLite's back, as far as its own checks can tell: nothing is
    submitted.
    """
    assert (await batcher(*words)).code == 0
    for damage in DAMAGES:
        with sqlite3.connect(out / ".batcher" / "ledger.db") as ledger:
            ledger.execute(damage)
        ledger.close()
        said = await batcher(*words)
        assert said.code == 2, (damage, said.err)
        assert "Traceback" not in said.err
        assert "batcher rebuild" in said.err
        assert (await batcher("rebuild", out)).code == 0
        assert (await batcher(*words)).code == 0, damage
    assert len(peer.service.jobs) == 6


async def test_a_lost_ledger_is_missed_before_the_first_result(
    words: Words, peer: Peer, out: Path
) -> None:
    """Its journal alone is enough to refuse: six submissions are out.

    Begun anew, it is put aside.
    """
    peer.service.work = lambda job: (3600.0, None)
    process = await start(*words)
    await peer.has_jobs(6)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    lose(out)
    said = await batcher(*words)
    assert (said.code, "batcher rebuild" in said.err) == (2, True)
    peer.service.work = lambda job: (0.0, None)
    for _ in range(2):
        assert (await batcher(*words, "--start-over")).code == 0
    assert len(peer.service.jobs) == 12
    assert len(list((out / ".batcher").glob("ledger.journal-*.jsonl"))) == 1


async def test_without_a_journal_only_a_person_can_begin_anew(
    words: Words, peer: Peer, out: Path
) -> None:
    """Results without a ledger or a journal: `--start-over` pays again, and says so beforehand."""
    assert (await batcher(*words)).code == 0
    lose(out)
    (out / ".batcher" / "ledger.journal.jsonl").unlink()
    said = await batcher("rebuild", out)
    assert said.code == 2
    assert "--start-over" in said.err
    assert (await batcher(*words, "--start-over")).code == 0
    assert len(peer.service.jobs) == 12


def test_a_ledger_belongs_on_a_local_disk(tmp_path: Path) -> None:
    """The deepest mount that holds the path decides."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "40 21 0:40 / /mnt/share rw - nfs4 server:/share rw\n"
        "41 40 8:2 / /mnt/share/disk rw - xfs /dev/sdb1 rw\n"
    )
    assert network_of(Path("/mnt/share/batch"), mounts=mounts) == "nfs4"
    assert network_of(Path("/mnt/share/disk/batch"), mounts=mounts) is None
    assert network_of(Path("/mnt/shared"), mounts=mounts) is None
    assert network_of(Path("/"), mounts=tmp_path / "absent") is None


async def test_a_journal_of_before_gives_the_same_columns(tmp_path: Path) -> None:
    """Its lines say the API's code of a failure only in the words of the reason."""
    path = tmp_path / "ledger.db"
    ledger = open_ledger(path, batch="b", clock=lambda: NOW)
    await ledger.admit([_version(number) for number in range(1, len(ENDS) + 1)])
    for number, ends in enumerate(ENDS, start=1):
        sending = e.Sending(number, f"n{number}", "svc", "key", 1.0)
        await ledger.record(e.Uploaded(number, f"reducto://{number}"), sending)
        for event in ends:
            await ledger.record(msgspec.structs.replace(event, document=number))
    ledger.close()
    before = _columns(path)
    assert {row[2] for row in before} >= {"TIMEOUT", "DOCUMENT_UNSUPPORTED"}
    lose(tmp_path, "")
    journal = tmp_path / "ledger.journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        line["values"].pop("error_name", None)
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert rebuild(path, batch="b", output=path.parent).skipped == 0
    assert _columns(path) == before


NOW = 1_800_000_000.0
STUCK = e.Stuck(0, "still running")
REFUSED = "POST /parse_async: 415 DOCUMENT_UNSUPPORTED no reader"
ENDS: tuple[tuple[e.Event, ...], ...] = (
    (e.Accepted(0, "job-1", NOW), e.JobFailed(0, "TIMEOUT: why", "transient", "TIMEOUT")),
    (e.Rejected(0, REFUSED, "document", "DOCUMENT_UNSUPPORTED"),),
    (e.Accepted(0, "job-3", NOW), STUCK, e.Recalled(0)),
    (e.ReplyLost(0, "reset"), e.ProvenAbsent(0)),
    (e.Accepted(0, "job-5", NOW), e.JobFailed(0, "UNNAMED: why", "transient")),
    (e.ReplyLost(0, "reset"), e.Held(0, "perhaps paid"), e.Retried(0)),
)


def _version(number: int) -> Version:
    name = f"{number}.pdf"
    return Version(
        source=name,
        folder="/in",
        job="parse",
        step="s",
        content=f"c{number}",
        size=1,
        mtime_ns=0,
        inode=0,
        output=name,
    )


def _columns(path: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        return connection.execute(
            "SELECT a.nonce, a.outcome, a.error_name, a.void_cause, a.cancel_requested, a.why,"
            " d.state, d.error_name, d.kind, d.reason"
            " FROM attempts a JOIN documents d ON d.id = a.document ORDER BY a.nonce"
        ).fetchall()


async def _accepts_and_never_answers(peer: Peer, request: object) -> object:
    await peer.accept(request)  # type: ignore[arg-type]
    return await asyncio.Event().wait()
