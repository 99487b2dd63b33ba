"""Ledgers of any size, as a few nights would have left them; made at once, in SQL."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlite_utils import Database

from batcher.ledger.migrations import APPLICATION_ID, VERSION, migrations

Rows = dict[str, list[tuple[object, ...]]]
NIGHT = 86_400.0
START = 1_790_000_000.0
ERRORS = (
    "DOCUMENT_CORRUPT: it ends in the middle",
    "TIMEOUT: took too long",
    "DOCUMENT_PASSWORD_PROTECTED: locked",
)

ODD = "letters/<script>alert(1)</script> & \u202eодин " + "x" * 120 + ".pdf"


def make_ledger(path: Path, documents: int, *, nights: int = 3, seed: int = 1) -> Path:
    """A batch of `documents` over `nights`; one in fifty failed, one in forty needed a second
    attempt.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    migrations.apply(Database(connection, execute_plugins=False))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO meta VALUES ('batch', 'archive')")
    connection.execute(
        "INSERT INTO meta VALUES ('manifest', ?)", (json.dumps({"batch": "archive"}),)
    )
    for table, columns, rows in _tables(documents, nights, random.Random(seed)):
        marks = ",".join("?" * len(columns.split(",")))
        connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
    connection.execute("COMMIT")
    connection.close()
    return path


def _tables(
    documents: int, nights: int, rng: random.Random
) -> Iterator[tuple[str, str, Sequence[tuple[object, ...]]]]:
    rows: Rows = {"documents": [], "attempts": [], "events": []}
    for number in range(1, documents + 1):
        _document(number, documents, nights, rng, rows)
    yield "documents", _DOCUMENT, rows["documents"]
    yield "attempts", _ATTEMPT, rows["attempts"]
    yield "events", "at, document, event, state, detail", rows["events"]
    runs = [
        (START + n * NIGHT, START + n * NIGHT + 7 * 3600, "0.1.0", "reducto", 1, "{}")
        for n in range(nights)
    ]
    yield "runs", "started_at, ended_at, version, service, exit_code, summary", runs


_DOCUMENT = (
    "id, source, folder, job, step, content, size, mtime_ns, inode, state, current, reason, kind, "
    "output, output_key,"
    " output_sha256, output_size"
)
_ATTEMPT = (
    "document, number, nonce, file_id, service, key_print, content, step, outcome, why, cost, "
    "sent_at, job_id,"
    " accepted_at, deadline_at, ended_at, pages, credits"
)


def _document(number: int, documents: int, nights: int, rng: random.Random, rows: Rows) -> None:
    night = START + (number * nights // (documents + 1)) * NIGHT
    sent = night + 10 + rng.random() * 6 * 3600 * min(1.0, documents / 1000)
    pages = int(rng.paretovariate(1.2)) % 400 + 1
    ended = sent + rng.lognormvariate(3, 1)
    size = pages * 40_000 + rng.randrange(30_000)
    source = ODD if number == 7 else _source(number)
    reason = ERRORS[number // 50 % len(ERRORS)] if number % 50 == 0 else None
    state, kind, sha = ("failed", "document", None) if reason else ("saved", None, f"{number:064}")
    stamp = (size, 1, 1, state, 1, reason, kind, f"{source}.json", f"{source}.json", sha, size * 2)
    rows["documents"].append((number, source, "/in", "parse", "s", f"c{number}", *stamp))
    tries = [("void", "TIMEOUT: at first", 0.0)] * (number % 40 == 0) + [
        ("void" if reason else "saved", reason, 1.0)
    ]
    for n, (outcome, why, cost) in enumerate(tries, start=1):
        times = (f"j{number}.{n}", sent + 0.2, sent + 43_200, ended)
        begun = (
            number,
            n,
            f"n{number}.{n}",
            "f",
            "reducto",
            "k",
            f"c{number}",
            "s",
            outcome,
            why,
            cost,
            sent,
        )
        rows["attempts"].append(
            (*begun, *times, pages, float(pages) if outcome == "saved" else None)
        )
    took = None if reason else json.dumps({"pages": pages, "duration": (ended - sent) / 2})
    steps = [
        (night + 5, "Found", "queued"),
        (sent - 1, "Uploaded", "uploaded"),
        (sent, "Sending", "sending"),
    ]
    steps += [
        (sent + 0.2, "Accepted", "waiting"),
        (ended, "JobFailed", "failed") if reason else (ended, "Ended", "ready"),
    ]
    steps += [] if reason else [(ended + 0.4, "Saved", "saved")]
    rows["events"] += [
        (at, number, event, after, took if event == "Ended" else None) for at, event, after in steps
    ]


def _source(number: int) -> str:
    return (
        f"{('invoices', 'letters', 'minutes', 'plans')[number % 4]}/{number % 37}/{number:06}.pdf"
    )
