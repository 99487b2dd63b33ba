"""The journal: what the ledger has answered for stands there, durable, and each knows the other."""

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from batcher.core import events as e
from batcher.ledger.claim import Claim
from batcher.ledger.intake import Version
from batcher.ledger.journal import (
    KEPT,
    Journal,
    JournalEntry,
    claim_in,
    discontinuity,
    entries,
    journal_of,
    mark,
    retold,
    set_aside,
)
from batcher.ledger.ledger import Ledger, open_ledger

NOW = 1_800_000_000.0
STORY = (
    (e.Uploaded(1, "reducto://1"), e.Sending(1, "n1", "s", "k", 1.0)),
    (e.ReplyLost(1, "reset"),),
    (e.Fenced(1, NOW), e.Adopted(1, "job-1", NOW + 43_200)),
    (e.Ended(1, 2, 2.0), e.Saved(1, "a.json", "00", 7)),
    (e.FileMissed(1, "no file"), e.Expired(1, "404")),
)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """How many bytes of each file, by its inode, a power cut would leave."""
    sizes: dict[int, int] = {}

    def watch(name: str) -> None:
        sync = getattr(os, name, None)
        if sync is None:
            return

        def watched(fd: Any) -> None:
            sync(fd)
            status = os.fstat(fd)
            sizes[status.st_ino] = status.st_size

        monkeypatch.setattr(os, name, watched)

    watch("fsync")
    watch("fdatasync")
    return sizes


async def test_what_the_ledger_has_answered_for_outlives_a_power_cut(
    synced: dict[int, int], tmp_path: Path
) -> None:
    """After every commit each step so far is on the disk, or a lost ledger couldn't be made anew
    from it.
    """
    path = tmp_path / "ledger.db"
    ledger = open_ledger(path, batch="b", clock=lambda: NOW)
    facts = {
        "folder": "/in",
        "job": "parse",
        "step": "s",
        "content": "c",
        "size": 1,
        "mtime_ns": 0,
        "inode": 0,
    }
    await ledger.admit([Version(source="a", output="a.json", **facts)])
    told: list[str] = []
    for happened in STORY:
        await ledger.record(*happened)
        told += [type(event).__name__ for event in happened if not isinstance(event, e.Uploaded)]
        assert _after_a_power_cut(journal_of(path), synced, tmp_path / "left") == told
    ledger.close()


def _after_a_power_cut(journal: Path, synced: dict[int, int], left: Path) -> list[str]:
    left.write_bytes(journal.read_bytes()[: synced.get(journal.stat().st_ino, 0)])
    return [entry.event for entry in entries(left)]


# --- what stands in it ----------------------------------------------------------------------------

# nothing was paid by these, and nothing is lost without them
LEFT_OUT = {
    e.Uploaded,
    e.UploadLapsed,
    e.Postponed,
    e.SourceGone,
    e.SourceChanged,
    e.Unreadable,
    e.Promoted,
    e.Follows,
    e.UpstreamSaved,
    e.UpstreamFailed,
    e.Rejoined,
    e.Superseded,
    e.Withdrawn,
    e.PayerFailed,
}
RECALL = e.Recalled(1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.journal.jsonl"


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """A ledger as far as the journal uses it where no submission is noted."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
    yield connection
    connection.close()


def noted(path: Path, connection: sqlite3.Connection, *events: e.Event) -> None:
    """Each event in a transaction of its own."""
    journal = Journal(path)
    for event in events:
        journal.begin()
        journal.note(connection, event, NOW)
        journal.sync(connection)
    journal.close()


def marked(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = 'journal'").fetchone()
    return row and str(row[0])


def test_every_event_that_may_concern_money_is_kept() -> None:
    """A new kind of event is to be put among these or those."""
    assert set(e.Event.__subclasses__()) - set(KEPT) == LEFT_OUT
    assert len(KEPT) == len(set(KEPT)) and not LEFT_OUT & set(KEPT)


def test_an_entry_is_read_as_it_was_written(path: Path, connection: sqlite3.Connection) -> None:
    """With its values and its moment; what isn't kept leaves no line."""
    failed = e.JobFailed(7, "TIMEOUT: too long", "transient", "TIMEOUT")
    noted(path, connection, e.Promoted(7), failed)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().count(b"\n") == 1
    (entry,) = entries(path)
    assert (entry.at, entry.event, entry.facts) == (NOW, "JobFailed", {})
    assert entry.happened(7) == failed
    assert entry.happened(8).document == 8, "the number it has in the ledger made anew"


@pytest.mark.parametrize(
    ("reason", "error_name"),
    [("DOCUMENT_CORRUPT: no", "DOCUMENT_CORRUPT"), ("it took too long", ""), (None, "")],
)
def test_an_entry_without_the_error_s_name_has_it_in_its_reason(
    reason: str | None, error_name: str
) -> None:
    """So it was in the first journals."""
    values = {"document": 1, "reason": reason, "kind": "document"}
    event = JournalEntry(NOW, "JobFailed", values).happened(1)
    assert event == e.JobFailed(1, reason, "document", error_name)  # type: ignore[arg-type]


def test_only_what_belongs_to_the_transaction_is_written(
    path: Path, connection: sqlite3.Connection
) -> None:
    """What was noted in one that failed is forgotten; one without events changes nothing."""
    journal = Journal(path)
    journal.note(connection, RECALL, NOW)
    journal.begin()
    journal.sync(connection)
    assert (path.read_bytes(), marked(connection)) == (b"", None)
    journal.note(connection, e.Retried(2), NOW)
    journal.note(connection, e.Retried(3), NOW)
    journal.sync(connection)
    assert [entry.values["document"] for entry in entries(path)] == [2, 3]
    journal.close()


def test_lines_are_written_to_the_end_though_the_disk_takes_them_in_pieces(
    path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call may write less than it was given."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:7]))
    noted(path, connection, RECALL, e.Retried(2))
    assert [entry.event for entry in entries(path)] == ["Recalled", "Retried"]


@pytest.mark.parametrize("torn", [b"{", b'{"at":1,"event":"Retr'])
def test_a_line_that_a_crash_cut_off_spoils_no_other(
    torn: bytes, path: Path, connection: sqlite3.Connection
) -> None:
    """Neither the one before it nor the one after it."""
    noted(path, connection, RECALL)
    with path.open("ab") as file:
        file.write(torn)
    noted(path, connection, e.Retried(2))
    assert [entry.event for entry in entries(path)] == ["Recalled", "Retried"]
    assert path.read_bytes().count(b"\n") == 3
    path.with_name("ledger.db").touch()
    assert discontinuity(connection, path.with_name("ledger.db")) is None


def test_a_journal_of_a_torn_line_alone_is_continued(
    path: Path, connection: sqlite3.Connection
) -> None:
    """Of a single byte, too."""
    path.write_bytes(b"{")
    noted(path, connection, RECALL)
    assert [entry.event for entry in entries(path)] == ["Recalled"]
    assert marked(connection).split()[0] == f"{path.stat().st_size}"  # type: ignore[union-attr]


def test_a_closed_journal_holds_no_file(path: Path) -> None:
    """A program may open many batches in turn."""
    journal = Journal(path)
    journal.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(journal._fd)


def test_a_whole_journal_is_continued_without_an_empty_line(
    path: Path, connection: sqlite3.Connection
) -> None:
    """Nor does a new one begin with one."""
    noted(path, connection, RECALL)
    noted(path, connection, RECALL)
    assert path.read_bytes().count(b"\n") == 2


def test_lines_that_are_no_events_are_passed_over(path: Path) -> None:
    """Of another version, or torn in the middle by a power cut."""
    path.write_bytes(b'{"at":1,"event":"Invented","values":{}}\n\0\0\0\n[]\n')
    assert list(entries(path)) == []


def test_the_last_entries_are_read_without_the_others(
    path: Path, connection: sqlite3.Connection
) -> None:
    """A line whose beginning is cut off isn't read; a short journal is read whole."""
    noted(path, connection, *(e.Retried(document) for document in (1, 2, 3)))
    size = path.stat().st_size
    line = size // 3

    def tail(bytes: int) -> list[int]:
        return [entry.values["document"] for entry in entries(path, tail=bytes)]

    assert tail(line - 1) == []
    assert tail(line) == tail(line + 1) == [3]
    assert tail(size - 1) == [2, 3]
    assert tail(size) == tail(size + 1) == [1, 2, 3]


def test_of_the_claims_in_a_journal_the_last_one_counts(
    path: Path, connection: sqlite3.Connection
) -> None:
    """What only has the word in it is no claim, nor is a line that is torn."""
    journal = Journal(path)
    assert claim_in(path) is None
    for generation in (1, 2):
        journal.begin()
        journal.note_claim(Claim("ours", generation), NOW)
        journal.sync(connection)
    journal.begin()
    journal.note(connection, e.Expired(1, "Claimed"), NOW)
    journal.sync(connection)
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"at":1,"event":"Claimed","val')
    assert claim_in(path) == Claim("ours", 2)
    assert [entry.event for entry in entries(path)] == ["Expired"], "a claim is no event"
    first = json.loads(path.read_bytes().splitlines()[0])
    assert first == {"at": NOW, "event": "Claimed", "values": {"ledger": "ours", "generation": 1}}


# --- whose it is ----------------------------------------------------------------------------------


def test_a_ledger_remembers_the_size_and_the_last_256_bytes_of_its_journal(
    path: Path, connection: sqlite3.Connection
) -> None:
    """In a form that earlier versions wrote, too: another one would part them from their own."""
    for number in range(1, 12):
        noted(path, connection, e.Retried(number))
        written = path.read_bytes()
        end = sha256(written[-256:]).hexdigest()[:16]
        assert marked(connection) == f"{len(written)} {end}"
    assert len(written) > 2 * 256


def test_a_journal_is_known_again_by_its_ledger(path: Path, connection: sqlite3.Connection) -> None:
    """Also where it is ahead: its commit may have failed after all."""
    ledger = path.with_name("ledger.db")
    assert discontinuity(connection, ledger) is None, "it never had one"
    noted(path, connection, *[RECALL] * 9)
    assert discontinuity(connection, ledger) is None
    with path.open("ab") as file:
        file.write(path.read_bytes())
    assert discontinuity(connection, ledger) is None


def test_a_journal_that_is_not_the_ledger_s_is_told_apart(
    path: Path, connection: sqlite3.Connection
) -> None:
    """It is gone, shorter, or another's."""
    noted(path, connection, *[RECALL] * 9)
    ledger = path.with_name("ledger.db")
    own = path.read_bytes()
    path.write_bytes(own[:-1])
    assert "older copy" in str(discontinuity(connection, ledger))
    path.write_bytes(own[:-2] + b" \n")
    assert "another ledger" in str(discontinuity(connection, ledger))
    path.write_bytes(own[:-250] + b" " + own[-249:])
    assert "another ledger" in str(discontinuity(connection, ledger))
    path.unlink()
    assert "is gone" in str(discontinuity(connection, ledger))


def test_a_ledger_from_before_it_remembered_takes_the_journal_that_is_there(
    path: Path, connection: sqlite3.Connection
) -> None:
    """Once: what it remembers isn't changed, and without a journal there is nothing to remember."""
    ledger = path.with_name("ledger.db")
    mark(connection, ledger)
    assert marked(connection) is None
    noted(path, connection, *[RECALL] * 9)
    remembered = marked(connection)
    connection.execute("DELETE FROM meta")
    mark(connection, ledger)
    assert marked(connection) == remembered
    path.write_bytes(b"")
    mark(connection, ledger)
    assert marked(connection) == remembered


def test_a_journal_that_is_started_over_is_kept_under_the_next_number(tmp_path: Path) -> None:
    """Nothing is written over, and nothing happens where there is none."""
    ledger = tmp_path / "ledger.db"
    set_aside(ledger)
    for body in ("one", "two"):
        journal_of(ledger).write_text(body)
        set_aside(ledger)
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"ledger.journal-1.jsonl": "one", "ledger.journal-2.jsonl": "two"}


def test_the_name_of_a_new_journal_is_durable(
    path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger whose journal got lost in a power cut would not be trusted."""
    synced: list[Path] = []
    monkeypatch.setattr("batcher.ledger.journal.sync_folder", synced.append)
    Journal(path).close()
    assert synced == [path.parent]
    Journal(path).close()
    assert synced == [path.parent], "it had a name already"


# --- and the ledger without it --------------------------------------------------------------------


async def lived_through(path: Path) -> Ledger:
    """A ledger with two steps of a document, of which each was sent, and one again."""
    ledger = open_ledger(path, batch="b", clock=lambda: NOW)
    first = Version("a", "/in", "parse", "s", "c", 1, 2, 0, "a.json", metadata='{"n":1}')
    later = replace(first, job="extract", step="t", output="a.extract.json", upstream="parse")
    await ledger.admit([first, later])
    await ledger.record(e.Uploaded(1, "reducto://1"), e.Sending(1, "n1", "s", "k", 1.0))
    await ledger.record(e.ReplyLost(1, "reset"), e.Fenced(1, NOW))
    await ledger.record(e.ProvenAbsent(1))
    await ledger.record(e.Uploaded(1, "reducto://2"), e.Sending(1, "n2", "s2", "k2", 1.0))
    await ledger.record(e.Accepted(1, "job-1", NOW + 9), e.Ended(1, 2, 2.0))
    await ledger.record(e.Saved(1, "a.json", "00", 7), e.UpstreamSaved(2))
    await ledger.record(e.Uploaded(2, "jobid://job-1"), e.Sending(2, "n3", "s2", "k2", 2.0))
    await ledger.record(
        e.Accepted(2, "job-2", NOW + 9), e.JobFailed(2, "it broke", "document", "NO")
    )
    return ledger


async def test_a_submission_stands_there_with_the_facts_of_its_document(tmp_path: Path) -> None:
    """Those that few documents have only where they have them."""
    ledger = await lived_through(tmp_path / "ledger.db")
    journal = journal_of(tmp_path / "ledger.db")
    first, _, later = (one.facts for one in entries(journal) if one.event == "Sending")
    assert first == {
        "source": "a",
        "folder": "/in",
        "job": "parse",
        "step": "s",
        "content": "c",
        "size": 1,
        "mtime_ns": 2,
        "inode": 0,
        "output": "a.json",
        "file_id": "reducto://1",
        "metadata": '{"n":1}',
    }
    assert (later["upstream"], later["file_id"]) == ("parse", "jobid://job-1")
    ledger.close()


async def test_a_ledger_tells_all_that_its_lost_journal_told(tmp_path: Path) -> None:
    """In the same order, with the input that each submission had."""
    ledger = await lived_through(tmp_path / "ledger.db")
    told = list(retold(ledger.reader))
    assert [(one.event, one.facts) for one in told] == [
        (one.event, one.facts) for one in entries(journal_of(tmp_path / "ledger.db"))
    ]
    events = [one.happened(one.values["document"]) for one in told]
    written = entries(journal_of(tmp_path / "ledger.db"))
    assert events == [one.happened(one.values["document"]) for one in written]
    assert {one.at for one in told} == {NOW}
    ledger.close()


async def test_a_submission_whose_attempt_is_no_more_is_told_without_its_account(
    tmp_path: Path,
) -> None:
    """It is still looked for, at any service."""
    ledger = await lived_through(tmp_path / "ledger.db")
    ledger.close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("DELETE FROM attempts")
    first = next(one.values for one in retold(connection) if one.event == "Sending")
    assert (first["nonce"], first["service"], first["key_print"]) == ("n1", "", "")
    connection.close()


async def test_a_ledger_that_logged_less_tells_what_it_has(tmp_path: Path) -> None:
    """The first ones logged reasons as plain words, and histories are cut."""
    ledger = await lived_through(tmp_path / "ledger.db")
    ledger.close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("UPDATE events SET detail = 'reset' WHERE event = 'ReplyLost'")
    connection.execute("DELETE FROM events WHERE event = 'Uploaded'")
    connection.execute("UPDATE documents SET file_id = iif(id = 2, 'jobid://job-1', NULL)")
    told = list(retold(connection))
    (lost,) = (one.values for one in told if one.event == "ReplyLost")
    assert lost == {"document": 1, "reason": None}
    inputs = [one.facts["file_id"] for one in told if one.event == "Sending"]
    assert inputs == ["", "", "jobid://job-1"]
    connection.close()
