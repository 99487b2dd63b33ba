"""A ledger of an older schema goes on: what its words meant stands in columns afterwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from batcher.core.lifecycle import State
from batcher.ledger.journal import JournalEntry, retold
from batcher.ledger.ledger import Ledger, open_ledger
from batcher.ledger.migrations import APPLICATION_ID, migrations
from batcher.reducto.inputs import kind_of

NOW = 1_800_000_000.0
_DOCUMENT = """
    INSERT INTO documents (id, source, folder, job, step, content, size, state, superseded_from,
                           current, reason, kind, output, output_key)
    VALUES (?, ?, '/in', 'parse', 's', ?, 1, ?, ?, ?, ?, ?, ?, ?)"""
_ATTEMPT = """
    INSERT INTO attempts (document, number, nonce, file_id, service, key_print, content, step,
                          outcome, why, cost, sent_at, job_id, accepted_at, deadline_at)
    VALUES (?, ?, ?, 'reducto://1', 'svc', 'key', ?, 's', ?, ?, 1.0, ?, ?, ?, ?)"""
_EVENT = "INSERT INTO events (at, document, event, state, detail) VALUES (?, ?, ?, ?, ?)"

CORRUPT = "DOCUMENT_CORRUPT: it ends in the middle"
REFUSED = "POST /parse_async: 415 DOCUMENT_UNSUPPORTED no reader for .xyz"
DOCUMENTS = (
    # number, state, superseded from, reason, class
    (1, "waiting", None, None, None),
    (2, "unknown", None, "reset", None),
    (3, "failed", None, CORRUPT, "document"),
    (4, "failed", None, "DOCUMENT_CORRUPT: the second page", "document"),
    (5, "failed", None, REFUSED, "document"),
    (6, "held", None, "DOCUMENT_EMPTY: not a verdict of the service", None),
    (7, "failed", None, "the same document failed: " + CORRUPT, "document"),
    (8, "superseded", "failed", CORRUPT, "document"),
    (9, "failed", None, "UNNAMED: it broke", "transient"),
    (10, "superseded", "waiting", None, None),
)
ATTEMPTS = (
    # document, outcome, why, event that ended it, job
    (1, "void", "POST /parse_async: 503 SERVICE_UNAVAILABLE later", "RefusedForNow", None),
    (1, "accepted", "a person wants it cancelled", None, "job-1"),
    (2, "lost", "a person decided to pay again", "Retried", None),
    (2, "void", "proven absent", "ProvenAbsent", None),
    (2, "void", "proven absent", "ProvenAbsent", None),
    (2, "open", "reset", None, None),
    (3, "void", CORRUPT, "JobFailed", "job-3"),
    (5, "void", REFUSED, "Rejected", None),
    (6, "open", None, None, None),
    (8, "void", CORRUPT, "JobFailed", "job-8"),
    (9, "void", "UNNAMED: it broke", "JobFailed", "job-9"),
    (10, "lost", "superseded", "Superseded", "job-10"),
)


def old_ledger(path: Path) -> None:
    """As the schema was before these columns, with a document for each of the words."""
    with closing(sqlite3.connect(path)) as old, old:
        migrations.apply(Database(old), stop_before="causes")
        old.execute("INSERT INTO meta VALUES ('batch', 'b')")
        for number, state, before, reason, kind in DOCUMENTS:
            name = f"{number}.pdf"
            content = f"c{number}"
            current = int(state != "superseded")
            row = (number, name, content, state, before, current, reason, kind, name, name)
            old.execute(_DOCUMENT, row)
        counts: dict[int, int] = {}
        for at, (document, outcome, why, event, job) in enumerate(ATTEMPTS, start=1):
            number = counts[document] = counts.get(document, 0) + 1
            nonce = f"n{document}.{number}"
            taken = (job, NOW, NOW + 43_200) if job else (None, None, None)
            old.execute(
                _ATTEMPT, (document, number, nonce, f"c{document}", outcome, why, NOW + at, *taken)
            )
            sent = json.dumps({"nonce": nonce, "cost": 1.0})
            old.execute(_EVENT, (NOW + at, document, "Sending", "sending", sent))
            if event is not None:
                told = json.dumps({"reason": why})
                old.execute(_EVENT, (NOW + at, document, event, "whichever", told))
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute("PRAGMA user_version = 9")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    path = tmp_path / "ledger.db"
    old_ledger(path)
    ledger = open_ledger(path, batch="b", clock=lambda: NOW, inline=True)
    yield ledger
    ledger.close()


def test_the_causes_of_older_attempts_are_told_from_their_words_and_events(ledger: Ledger) -> None:
    """By the words where they decided something, else by the event that ended the attempt."""
    rows = ledger.reader.execute(
        "SELECT document, number, void_cause, cancel_requested, error_name FROM attempts"
    )
    assert {(row[0], row[1]): row[2:] for row in rows} == {
        (1, 1): ("refused", 0, "SERVICE_UNAVAILABLE"),
        (1, 2): (None, 1, None),
        (2, 1): ("paid_again", 0, None),
        (2, 2): ("proven_absent", 0, None),
        (2, 3): ("proven_absent", 0, None),
        (2, 4): (None, 0, None),
        (3, 1): ("failed", 0, "DOCUMENT_CORRUPT"),
        (5, 1): ("refused", 0, "DOCUMENT_UNSUPPORTED"),
        (6, 1): (None, 0, None),
        (8, 1): ("failed", 0, "DOCUMENT_CORRUPT"),
        (9, 1): ("failed", 0, None),
        (10, 1): ("superseded", 0, None),
    }


def test_the_error_names_of_older_documents_are_told_from_their_reasons(ledger: Ledger) -> None:
    """Only of failures that are the service's; a copy shares the name of its payer's."""
    rows = dict(ledger.reader.execute("SELECT id, error_name FROM documents"))
    assert {number: name for number, name in rows.items() if name} == {
        3: "DOCUMENT_CORRUPT",
        4: "DOCUMENT_CORRUPT",
        5: "DOCUMENT_UNSUPPORTED",
        7: "DOCUMENT_CORRUPT",
        8: "DOCUMENT_CORRUPT",
    }


def test_failures_of_one_name_are_one_group(ledger: Ledger) -> None:
    """Whatever the service said beside it, in the ledger's own view too."""
    groups = {
        (group.kind, group.error_name or None): group.documents
        for group in ledger.reporting.failures()
    }
    assert groups == {
        ("document", "DOCUMENT_CORRUPT"): 3,
        ("document", "DOCUMENT_UNSUPPORTED"): 1,
        ("transient", None): 1,
        (None, None): 1,
    }
    cursor = ledger.reader.execute("SELECT * FROM failures")
    names = [column[0] for column in cursor.description]
    assert names == ["state", "kind", "reason", "documents", "example"]
    assert sorted(row[3] for row in cursor) == [1, 1, 1, 3]


def test_what_the_words_decided_is_decided_as_before(ledger: Ledger) -> None:
    """A job to be cancelled, absences that count, and jobs that the service still has."""
    assert [flight.recalled for flight in ledger.tracking.in_flight()] == [True]
    assert [(one.id, one.absences) for one in ledger.audit.unknown()] == [(2, 2)]
    alive = ledger.audit.accepted_jobs("svc", "key", alive_at=NOW)
    assert set(alive) == {"job-1", "job-3", "job-8", "job-9", "job-10"}
    assert ledger.tally[State.FAILED] == 5


@pytest.mark.parametrize(
    ("file_id", "kind"),
    [
        ("reducto://1.pdf", "upload"),
        ("jobid://1", "job"),
        ("https://example.com/1.pdf", "address"),
        ("s3://bucket/1.pdf", "address"),
        ('["https://example.com/1.pdf", "reducto://2"]', "addresses"),
    ],
)
def test_the_kind_of_an_older_input_is_the_one_that_it_would_have_today(
    file_id: str, kind: str, tmp_path: Path
) -> None:
    """The migration and the room that knows the service's names agree."""
    path = tmp_path / "ledger.db"
    old_ledger(path)
    with closing(sqlite3.connect(path)) as old, old:
        old.execute("UPDATE attempts SET file_id = ?", (file_id,))
        old.execute("UPDATE documents SET file_id = ? WHERE id = 1", (file_id,))
    ledger = open_ledger(path, batch="b", clock=lambda: NOW, inline=True)
    rows = ledger.reader.execute("SELECT DISTINCT input_kind FROM attempts").fetchall()
    documents = dict(ledger.reader.execute("SELECT id, input_kind FROM documents WHERE id < 3"))
    (flight,) = ledger.tracking.in_flight()
    (unknown,) = ledger.audit.unknown()
    ledger.close()
    assert rows == [(kind,)]
    assert documents == {1: kind, 2: None}
    assert kind_of(file_id) == kind
    assert (flight.reads_job, unknown.has_upload) == (kind == "job", kind == "upload")


def test_a_journal_line_without_a_name_has_the_one_in_its_reason() -> None:
    """A line of today is believed, also where it says that there was none."""
    values = {"document": 1, "reason": CORRUPT, "kind": "document"}
    old = JournalEntry(NOW, "JobFailed", values).happened(7)
    new = JournalEntry(NOW, "JobFailed", {**values, "error_name": ""}).happened(7)
    assert (old.error_name, new.error_name) == ("DOCUMENT_CORRUPT", "")  # type: ignore[attr-defined]
    assert old.document == 7


def test_what_an_older_ledger_remembers_can_be_told_again(ledger: Ledger) -> None:
    """Its events lack the names, and are read as the lines of an older journal are."""
    told = [entry.happened(entry.values["document"]) for entry in retold(ledger.reader)]
    names = [getattr(event, "error_name", "") for event in told]
    assert [name for name in names if name] == [
        "SERVICE_UNAVAILABLE",
        "DOCUMENT_CORRUPT",
        "DOCUMENT_UNSUPPORTED",
        "DOCUMENT_CORRUPT",
    ]
