"""What makes a run cheap, held without a clock: requests, commits, tasks and bytes per document."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from sqlite_utils import Database

from batcher.core import events
from batcher.core.inflight import InFlightJob
from batcher.ledger.connection import reader
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger
from batcher.ledger.migrations import migrations
from batcher.ledger.writer import group_writer
from batcher.manifest.loading import for_directory
from batcher.runs.running import Summary, run_batch
from batcher.stages.job_tracker import JobTracker
from batcher.stages.run_control import RunControl

STUB = Path(__file__).parent / "bench" / "stub.py"


@contextmanager
def stub(*words: str) -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, str(STUB), *words], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REDUCTO_API_KEY", "key")
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def fill(inbox: Path, number: int) -> None:
    for one in range(number):
        path = inbox / f"{one:05}.pdf"
        path.write_bytes(b"%05d" % one)
        os.utime(path, (1_700_000_000, 1_700_000_000))


async def run(
    inbox: Path,
    url: str,
    control: RunControl,
    watch: object = None,
    *,
    overrides: tuple[str, ...] = (),
) -> Summary:
    manifest = for_directory(
        inbox, inbox.parent / "out", endpoint="parse", service=url, overrides=overrides
    )
    return await run_batch(manifest, control=control, watch=watch)  # type: ignore[arg-type]


async def requests_at(url: str) -> int:
    host, port = url.removeprefix("http://").split(":")
    answers, calls = await asyncio.open_connection(host, int(port))
    calls.write(b"GET /__used HTTP/1.1\r\n\r\n")
    head = await answers.readuntil(b"\r\n\r\n")
    body = await answers.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
    calls.close()
    return sum(msgspec.json.decode(body)["requests"].values()) - 1


async def test_a_document_takes_three_requests(inbox: Path) -> None:
    """Upload, submission, one look that is the fetch as well: all else that is asked is shared
    among many.
    """
    fill(inbox, 200)
    with stub("--result-bytes", "1000") as url:
        summary = await run(inbox, url, RunControl())
        assert summary.documents == {"saved": 200}
        assert await requests_at(url) <= 3.2 * 200


async def test_jobs_in_flight_are_no_tasks(inbox: Path) -> None:
    """A job that is waited for stands in the ledger and the watchlist: the number of tasks has a
    bound of its own.
    """
    fill(inbox, 400)
    control = RunControl()
    seen = list[tuple[int, int]]()

    def watch(ledger: Ledger) -> None:
        def note(change: object) -> None:
            seen.append((ledger.in_flight, len(asyncio.all_tasks())))
            if ledger.in_flight >= 400:
                control.stop("enough has been seen", 3, abort=True)

        ledger.listeners.append(note)

    kept = ("service.result_retention=48h",)  # so that 400 may be out before the first has ended
    with stub("--service-time", "3600") as url:
        await run(inbox, url, control, watch, overrides=kept)
    assert max(in_flight for in_flight, _ in seen) == 400
    assert max(tasks for _, tasks in seen) <= 150


async def test_results_in_memory_are_bounded_in_bytes(inbox: Path) -> None:
    """120 MB of results pass through a run that never holds as much: fetching waits for what is to
    be written.
    """
    fill(inbox, 240)
    with stub("--result-bytes", "500000") as url:
        tracemalloc.start(1)
        try:
            summary = await run(inbox, url, RunControl())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert summary.documents == {"saved": 240}
    assert peak < 75_000_000


async def test_one_commit_serves_many_documents(tmp_path: Path) -> None:
    """64 documents that go their way side by side share their commits: no more than a few for each
    step of the way.
    """
    connection = sqlite3.connect(
        tmp_path / "ledger.db", isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    migrations.apply(Database(connection, execute_plugins=False))
    statements = list[str]()
    connection.set_trace_callback(statements.append)
    ledger = Ledger(group_writer(connection), reader(tmp_path / "ledger.db"), clock=time.time)
    await ledger.admit([version(number) for number in range(64)])
    await asyncio.gather(*(bring(ledger, document) for document in range(1, 65)))
    ledger.close()
    assert statements.count("COMMIT") <= 32  # alone, each would take three: 192


async def test_what_the_next_run_takes_up_is_worked_out_once_for_a_summary(inbox: Path) -> None:
    """The query reads all that ever failed: a scan and the second tries ask once each besides."""
    fill(inbox, 4)
    said = list[str]()
    with stub() as url:
        await run(
            inbox, url, RunControl(), lambda ledger: ledger.reader.set_trace_callback(said.append)
        )
    assert sum("WITH failed AS" in statement for statement in said) == 3


async def bring(ledger: Ledger, document: int) -> None:
    name = f"{document:032}"
    sending = events.Sending(document, name, "service", "key", 1.0)
    await ledger.record(events.Uploaded(document, f"reducto://{name}"), sending)
    await ledger.record(events.Accepted(document, name, deadline_at=time.time() + 43_200))
    await ledger.record(events.Ended(document, 1, 1.0), events.Saved(document, name, name, 1))


def version(number: int) -> Version:
    name = f"{number}.pdf"
    stamp = {"content": f"{number:064}.pdf", "size": 1, "mtime_ns": 1, "inode": number}
    return Version(
        source=name, folder="/inbox", job="main", step="step", output=f"{name}.json", **stamp
    )  # type: ignore[arg-type]


async def test_a_finished_document_takes_less_than_two_kilobytes_of_ledger(inbox: Path) -> None:
    """With its whole history, once the file has grown past what it holds at first."""
    sizes = []
    with stub("--result-bytes", "1000") as url:
        for number in (100, 400):
            fill(inbox, number)
            await run(inbox, url, RunControl())
            sizes.append((inbox.parent / "out" / ".batcher" / "ledger.db").stat().st_size)
    assert (sizes[1] - sizes[0]) / 300 < 2048


async def test_a_job_in_flight_holds_less_than_two_kilobytes() -> None:
    """What is remembered of each job that is out, for as long as it is out."""
    jobs = JobTracker()
    number = 5_000
    tracemalloc.start(1)
    try:
        for one in range(number):
            jobs.add(
                InFlightJob(one, f"{one:032}", 1, 0.0, 0.0, 1, False, f"{one}.json"), look_in=60.0
            )
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / number < 2_000
