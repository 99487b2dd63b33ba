"""The ledger: durable, exclusive, its own judge of what may happen, and the only queue there is."""

import asyncio
import os
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from batcher.core import events as e
from batcher.core.lifecycle import Impossible, State
from batcher.errors import (
    AttemptOpen,
    LedgerDamaged,
    LedgerForeign,
    LedgerLocked,
    LedgerNewer,
    Outdated,
    OutputError,
)
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger, lock, memory_ledger, open_ledger

NOW = 1_800_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".batcher" / "ledger.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    ledger = open_ledger(path, batch="b", clock=lambda: NOW)
    yield ledger
    ledger.close()


def version(
    source: str,
    *,
    content: str = "",
    replaces: int | None = None,
    step: str = "s",
    output: str = "",
) -> Version:
    return Version(
        source=source,
        folder="/in",
        job="parse",
        step=step,
        content=content or f"hash of {source}",
        size=10,
        mtime_ns=1,
        inode=1,
        output=output or f"{source}.json",
        replaces=replaces,
    )


def sending(document: int, nonce: str = "n") -> e.Sending:
    return e.Sending(document, nonce, "local", "local", 1.0)


async def bring_to_waiting(ledger: Ledger, document: int) -> None:
    await ledger.record(
        e.Uploaded(document, f"reducto://{document}"), sending(document, f"n{document}")
    )
    await ledger.record(e.Accepted(document, f"job-{document}", NOW + 43200))


async def test_a_document_goes_all_the_way(ledger: Ledger) -> None:
    """Found, uploaded, sent, accepted, ended, saved: each step on record, the attempt closed as
    saved.
    """
    await ledger.admit([version("a.pdf")])
    assert [due.source for due in ledger.sending.due(NOW, 10, scan=ledger.scan)] == ["a.pdf"]
    await bring_to_waiting(ledger, 1)
    assert [flight.job_id for flight in ledger.tracking.in_flight()] == ["job-1"]
    await ledger.record(e.Ended(1, 3, 3.0), e.Saved(1, "a.pdf.json", "abc", 7))
    assert ledger.tally == Counter({State.SAVED: 1})
    assert ledger.reporting.spent() == (3, 3.0)
    assert ledger.tracking.hashes_of(["a.pdf.json", "b.pdf.json"]) == {
        "a.pdf.json": {"abc"},
        "b.pdf.json": frozenset(),
    }
    rows = ledger.reader.execute("SELECT event FROM timeline ORDER BY seq")
    assert [row[0] for row in rows] == [
        "Found",
        "Uploaded",
        "Sending",
        "Accepted",
        "Ended",
        "Saved",
    ]


async def test_the_tally_is_what_the_tables_say(ledger: Ledger) -> None:
    """Counted along, it never drifts from counting anew."""
    await ledger.admit(
        [version(f"{n}.pdf") for n in range(20)] + [version("copy.pdf", content="hash of 3.pdf")]
    )
    for document in (1, 2, 3):
        await bring_to_waiting(ledger, document)
    await ledger.record(e.JobFailed(1, "DOCUMENT_CORRUPT", "document"))
    await ledger.admit(
        [version("2.pdf", content="other", replaces=3), version("5.pdf", content="new", replaces=6)]
    )
    assert +ledger.tally == +ledger.tracking.counts()


async def test_an_impossible_event_changes_nothing_and_takes_no_other_with_it(
    ledger: Ledger,
) -> None:
    """Grouped in one commit, each request still stands or falls alone."""
    await ledger.admit([version("a.pdf"), version("b.pdf")])
    outcomes = await asyncio.gather(
        ledger.record(e.Accepted(1, "j", 0.0)),
        ledger.record(e.Uploaded(2, "reducto://2")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], Impossible)
    assert outcomes[1] is None
    assert ledger.tracking.counts() == Counter({State.QUEUED: 1, State.UPLOADED: 1})


async def test_the_schema_refuses_a_second_open_attempt_for_the_same_bytes(ledger: Ledger) -> None:
    """Even where the stages were to forget themselves, and took a copy for a document of its
    own.
    """
    await ledger.admit([version("a.pdf", content="same"), version("b.pdf", content="same")])
    await bring_to_waiting(ledger, 1)
    await ledger.record(e.Promoted(2))
    with pytest.raises(AttemptOpen):
        await ledger.record(e.Uploaded(2, "reducto://2"), sending(2))
    assert ledger.reader.execute("SELECT state FROM documents WHERE id = 2").fetchone() == (
        "queued",
    )


async def test_a_version_superseded_in_hand_is_not_sent(ledger: Ledger) -> None:
    """The newer one was taken in while the older was being uploaded."""
    await ledger.admit([version("a.pdf")])
    await ledger.admit([version("a.pdf", content="other", replaces=1)])
    with pytest.raises(Outdated):
        await ledger.record(e.Uploaded(1, "reducto://1"), sending(1))
    assert ledger.reader.execute("SELECT count(*) FROM attempts").fetchone() == (0,)


async def test_a_copy_written_while_it_is_superseded_is_a_result_to_go_by(ledger: Ledger) -> None:
    """The payer's own result is in doubt by then: without the copy's, a third file of these bytes
    would be paid again.
    """
    await ledger.admit([version("a.pdf", content="same"), version("b.pdf", content="same")])
    await bring_to_waiting(ledger, 1)
    await ledger.record(e.Ended(1, 1, 1.0), e.Saved(1, "a.pdf.json", "hash", 7))
    await ledger.record(e.Superseded(2))
    await ledger.record(e.Saved(2, "b.pdf.json", "hash", 7))
    await ledger.record(e.FileMissed(1, "gone"), e.Superseded(1))
    await ledger.admit([version("c.pdf", content="same")])
    (copy,) = ledger.sharing.copies(10)
    assert [one.output for one in ledger.sharing.results_like(copy)] == ["b.pdf.json"]


async def test_a_fourth_paid_attempt_is_refused(ledger: Ledger) -> None:
    """Whatever policy says: three times paid is enough, until a person says otherwise."""
    await ledger.admit([version("a.pdf")])
    for number in range(3):
        await ledger.record(e.Uploaded(1, "reducto://1"), sending(1, f"n{number}"))
        await ledger.record(e.Accepted(1, f"job-{number}", NOW))
        await ledger.record(e.JobToRepeat(1, "TIMEOUT", 0.0))
    with pytest.raises(AssertionError, match="paid 3 times"):
        await ledger.record(e.Uploaded(1, "reducto://1"), sending(1, "n4"))


async def test_copies_wait_for_their_payer(ledger: Ledger) -> None:
    """Three files of the same bytes: one is sent, two are copies of it."""
    await ledger.admit([version(name, content="same") for name in ("a.pdf", "b.pdf", "c.pdf")])
    assert [due.source for due in ledger.sending.due(NOW, 10, scan=ledger.scan)] == ["a.pdf"]
    assert ledger.sharing.copies(10) == []
    await bring_to_waiting(ledger, 1)
    await ledger.record(e.Ended(1, 1, 1.0), e.Saved(1, "a.pdf.json", "abc", 7))
    assert [(copy.output, copy.payer_output) for copy in ledger.sharing.copies(10)] == [
        ("b.pdf.json", "a.pdf.json"),
        ("c.pdf.json", "a.pdf.json"),
    ]


async def test_when_the_payer_changes_the_first_copy_pays(ledger: Ledger) -> None:
    """A superseded payer brings nothing home that a copy could use."""
    await ledger.admit([version(name, content="same") for name in ("a.pdf", "b.pdf", "c.pdf")])
    await ledger.admit([version("a.pdf", content="edited", replaces=1)])
    assert [due.source for due in ledger.sending.due(NOW, 10, scan=ledger.scan)] == [
        "b.pdf",
        "a.pdf",
    ]
    assert +ledger.tally == +ledger.tracking.counts()


async def test_outputs_that_some_file_system_takes_for_one_are_told_apart(ledger: Ledger) -> None:
    """Case and Unicode form: the second gets a name of its own, the same on every run."""
    await ledger.admit([version("Report.pdf"), version("report.pdf"), version("REPORT.pdf")])
    outputs = [row[0] for row in ledger.reader.execute("SELECT output FROM documents ORDER BY id")]
    assert outputs[0] == "Report.pdf.json"
    assert len({output.casefold() for output in outputs}) == 3


async def test_what_was_being_sent_is_unknown_after_a_restart(path: Path) -> None:
    """A crash between the attempt and its answer leaves a trace to follow."""
    ledger = open_ledger(path, batch="b", clock=lambda: NOW)
    await ledger.admit([version("a.pdf")])
    await ledger.record(e.Uploaded(1, "reducto://1"), sending(1, "the nonce"))
    ledger.close()
    ledger = open_ledger(path, batch="b", clock=lambda: NOW)
    await ledger.interrupted()
    assert [(u.nonce, u.file_id) for u in ledger.audit.unknown()] == [("the nonce", "reducto://1")]
    ledger.close()


async def test_a_thousand_records_share_commits(ledger: Ledger) -> None:
    """Nobody waits for an fsync of his own."""
    await ledger.admit([version(f"{n}.pdf") for n in range(1000)])
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    await ledger._writer.do(lambda c: c.set_trace_callback(count))
    await asyncio.gather(*(ledger.record(e.Uploaded(n, f"reducto://{n}")) for n in range(1, 1001)))
    assert ledger.tally[State.UPLOADED] == 1000
    assert commits < 50


def test_a_second_run_is_kept_out(path: Path) -> None:
    """By the operating system, so that a killed run leaves no lock behind."""
    held = lock(path)
    with pytest.raises(LedgerLocked):
        lock(path)
    os.close(held)
    os.close(lock(path))


async def test_a_ledger_of_another_batch_is_refused(path: Path) -> None:
    """Two manifests on one output would pay for each other's documents."""
    open_ledger(path, batch="one", clock=lambda: NOW).close()
    with pytest.raises(LedgerForeign, match='belongs to batch "one"'):
        open_ledger(path, batch="two", clock=lambda: NOW)


async def test_a_newer_ledger_is_refused(path: Path) -> None:
    """What a later version wrote may mean something else."""
    open_ledger(path, batch="b", clock=lambda: NOW).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerNewer, match="update batcher"):
        open_ledger(path, batch="b", clock=lambda: NOW)


async def test_a_damaged_ledger_is_refused(path: Path) -> None:
    """Nothing is submitted on the word of a file that isn't what SQLite wrote."""
    open_ledger(path, batch="b", clock=lambda: NOW).close()
    path.write_bytes(b"not a database at all " * 500)
    with pytest.raises(LedgerDamaged):
        open_ledger(path, batch="b", clock=lambda: NOW)


@pytest.mark.parametrize("suffix", [".db", ".journal.jsonl"])
async def test_a_disk_that_refuses_at_the_start_is_no_damaged_ledger(
    suffix: str, path: Path
) -> None:
    """It is said which file it refuses, and nobody is sent to rebuild anything."""
    path.parent.mkdir(parents=True, exist_ok=True)
    refused = path.with_suffix(suffix)
    refused.symlink_to(path.parent / "not there" / "at all")
    with pytest.raises(OutputError, match=re.escape(str(refused))):
        open_ledger(path, batch="b", clock=lambda: NOW)


async def test_the_ledger_is_for_its_owner_alone(ledger: Ledger, path: Path) -> None:
    """It names every document of the house."""
    assert path.stat().st_mode & 0o077 == 0


async def test_a_copy_in_memory_leaves_the_ledger_alone(ledger: Ledger, path: Path) -> None:
    """`plan` tries things out on it."""
    await ledger.admit([version("a.pdf")])
    copy = memory_ledger(path, batch="b", clock=lambda: NOW)
    await copy.admit([version("b.pdf")])
    assert copy.tally[State.QUEUED] == 2
    copy.close()
    assert ledger.tracking.counts() == Counter({State.QUEUED: 1})


async def test_an_older_ledger_is_copied_before_it_is_migrated(path: Path) -> None:
    """What it was stays at hand, for its owner alone; a second opening leaves the copy as it is."""
    ledger = open_ledger(path, batch="b", clock=lambda: NOW)
    await ledger.admit([version("a.pdf")])
    ledger.close()
    with sqlite3.connect(path) as older:
        older.executescript(
            "DROP INDEX same_bytes; CREATE INDEX payers ON documents(content, step)"
        )
        older.execute("DELETE FROM _sqlite_migrations WHERE name = 'the_same_bytes'")
        older.execute("PRAGMA user_version = 1")
    older.close()
    for _ in range(2):
        open_ledger(path, batch="b", clock=lambda: NOW).close()
    kept = path.with_name("ledger.v1.db")
    assert kept.stat().st_mode & 0o077 == 0
    indexes = {name: _indexes(place) for name, place in (("before", kept), ("after", path))}
    assert "payers" in indexes["before"] - indexes["after"]
    assert "same_bytes" in indexes["after"] - indexes["before"]


def _indexes(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    names = {
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
    }
    connection.close()
    return names


async def test_an_older_ledger_is_kept_and_migrated(path: Path) -> None:
    """As the first version left it: its documents go on, and the file as it was lies beside it."""
    from sqlite_utils import Database

    from batcher.ledger import migrations

    path.parent.mkdir()
    old = sqlite3.connect(path)
    with old:
        migrations.migrations.apply(Database(old), stop_before="chains")
        old.execute("INSERT INTO meta VALUES ('batch', 'b')")
        old.execute(
            "INSERT INTO documents (source, folder, job, step, content, size, state, output, "
            "output_key)"
            " VALUES ('a.pdf', '/in', 'parse', 's', 'c', 1, 'queued', 'a.pdf.json', 'a.pdf.json')"
        )
    old.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
    old.execute("PRAGMA user_version = 1")
    old.close()
    ledger = open_ledger(path, batch="b", clock=lambda: NOW)
    try:
        assert [
            (due.source, due.upstream, due.on_its_own)
            for due in ledger.sending.due(NOW, 10, scan=ledger.scan)
        ] == [("a.pdf", None, 0)]
        await bring_to_waiting(ledger, 1)
        assert ledger.tally == Counter({State.WAITING: 1})
    finally:
        ledger.close()
    kept = sqlite3.connect(path.with_suffix(".v1.db"))
    assert kept.execute("SELECT state FROM documents").fetchall() == [("queued",)]
    assert "upstream" not in [row[1] for row in kept.execute("PRAGMA table_info(documents)")]
    assert path.with_suffix(".v1.db").stat().st_mode & 0o777 == 0o600


BACK = {
    "a job to be repeated": (e.JobToRepeat(1, "timeout", NOW),),
    "a job without its input": (e.JobVoided(1, "gone"),),
    "a job that a person wanted sent again": (e.Cancelled(1, "by hand"), e.Retried(1)),
}


@pytest.mark.parametrize("what", BACK)
async def test_what_is_called_off_never_comes_back_to_the_queue(what: str, ledger: Ledger) -> None:
    """Not for a moment: a crash right after it finds it cancelled."""
    await ledger.admit([version("a.pdf"), version("b.pdf")])
    await bring_to_waiting(ledger, 1)
    seen: list[State] = []
    ledger.listeners.append(lambda change: seen.append(change.after))
    await ledger.call_off("by a person")
    await ledger.record(*BACK[what])
    assert +ledger.tracking.counts() == +ledger.tally == {State.CANCELLED: 2}
    assert State.QUEUED not in seen


async def test_a_submission_in_doubt_that_is_proven_absent_is_called_off_too(
    ledger: Ledger,
) -> None:
    """It was never there, so there is nothing to bring home."""
    await ledger.admit([version("a.pdf")])
    await ledger.record(e.Uploaded(1, "reducto://1"), sending(1), e.ReplyLost(1, "reset"))
    await ledger.call_off("by a person")
    await ledger.record(e.ProvenAbsent(1))
    assert +ledger.tally == {State.CANCELLED: 1}


@pytest.mark.parametrize(("hours", "excused"), [(1.0, False), (23.9, True), (25.0, True)])
async def test_an_upload_that_was_old_when_its_job_came_to_be_excuses_its_absence(
    hours: float, excused: bool, path: Path
) -> None:
    """The machine slept in the middle of the POST, for so long that the service had let the upload
    go.
    """
    now = NOW
    ledger = open_ledger(path, batch="b", clock=lambda: now)
    await ledger.admit([version("a.pdf")])
    await ledger.record(e.Uploaded(1, "reducto://1"), sending(1))
    now += hours * 3600.0
    await ledger.record(e.Accepted(1, "job-1", now + 43200.0))
    (flight,) = ledger.tracking.in_flight()
    assert flight.fenced is excused
    ledger.close()


async def test_a_job_whose_audit_is_done_may_be_deleted_without_another_look(
    ledger: Ledger,
) -> None:
    """The job list is read back to what no audit has settled, so it needn't show it again."""
    await ledger.admit([version("a")])
    await bring_to_waiting(ledger, 1)
    await ledger.record(e.Ended(1, 1, 1.0), e.Saved(1, "a.json", "hash", 1))
    assert ledger.tracking.jobs_to_confirm([1]) == {1: "job-1"}
    await ledger.audited(1, sent_before=NOW + 1)
    assert ledger.tracking.jobs_to_confirm([1]) == {}


@pytest.mark.parametrize(
    ("before", "is_kept"),
    [
        ((), True),
        ((e.Rejoined(2, 1),), False),
        ((e.FileMissed(2, "had another's result"),), False),
    ],
    ids=["saved", "to be copied again", "to be fetched again"],
)
async def test_a_result_that_is_to_be_replaced_is_not_found_again_by_its_content(
    before: tuple[e.Event, ...], is_kept: bool, ledger: Ledger
) -> None:
    """It may be another document's: the source was away before the right one was there."""
    await ledger.admit([version("a"), version("b")])
    await bring_to_waiting(ledger, 2)
    await ledger.record(e.Ended(2, 1, 1.0), e.Saved(2, "b.json", "hash of result", 1))
    await ledger.record(*before, e.Superseded(2))
    await ledger.admit([version("c", content="hash of b")])
    copy = next(iter(ledger.sharing.copies(10)), None)
    found = [] if copy is None else ledger.sharing.results_like(copy)
    assert [one.output for one in found] == (["b.json"] if is_kept else [])


async def test_what_is_in_doubt_is_decided_for_itself(ledger: Ledger) -> None:
    """It joins no result that was replaced, since its own submission stands open; where it joins
    another, that is closed.
    """
    await ledger.admit([version("a")])
    await bring_to_waiting(ledger, 1)
    await ledger.record(e.Ended(1, 1, 1.0), e.Saved(1, "a.json", "hash of result", 1))
    await ledger.admit(
        [version("a", content="edited", replaces=1), version("b", content="hash of a")]
    )
    await ledger.record(
        e.Promoted(3),
        e.Uploaded(3, "reducto://3"),
        e.Sending(3, "nonce of 3", "twin", "none", 1.0),
        e.ReplyLost(3, "reset"),
        e.Held(3, "perhaps paid"),
    )
    assert ledger.repair.payers_of(ledger.repair.candidates([3])) == {3: 3}
    await ledger.record(e.Rejoined(3, 1))
    sql = "SELECT outcome, why FROM attempts WHERE document = 3"
    assert ledger.reader.execute(sql).fetchall() == [
        ("lost", "another document has what it waits for")
    ]
