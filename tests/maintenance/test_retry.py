"""Jobs that run past their deadline: a person has them cancelled, and only what came to nothing is
paid for again.
"""

from __future__ import annotations

import random
import signal
import sqlite3
from pathlib import Path

import pytest
from commandline import batcher, rows, start
from peer import Peer, says

from batcher.core import events
from batcher.core.inflight import RECALL_TAKES, STUCK_AFTER, InFlightJob, outcome_event
from batcher.core.retry_policy import Policy
from batcher.reducto.api_types import JobAnswer, JobStatus

Words = tuple[object, ...]
LETTERS = 6


@pytest.fixture
async def stuck(words: Words, peer: Peer, out: Path) -> Peer:
    """A service where six jobs go on and on, and a batch that has given up waiting for them: also
    where the listing shows each as running for ever, the run has ended.
    """
    peer.service.work = lambda job: (36_000.0, None)
    process = await start(*words)
    await peer.has_jobs(LETTERS)
    process.send_signal(signal.SIGINT)  # what is being sent still learns its job
    await process.communicate()
    with sqlite3.connect(out / ".batcher" / "ledger.db") as ledger:
        ledger.execute("UPDATE attempts SET deadline_at = sent_at - ?", (STUCK_AFTER,))
    ledger.close()
    assert (await batcher(*words)).code == 1
    assert rows(out, "SELECT state, count(*) FROM documents GROUP BY 1") == [("stuck", LETTERS)]
    assert len(peer.service.jobs) == LETTERS
    peer.service.work = lambda job: (0.0, None)
    return peer


async def retry(out: Path) -> None:
    said = await batcher("retry", out, "--only", "stuck")
    assert f"{LETTERS} of them have a job still: it is cancelled first" in said.err


async def test_a_stuck_job_is_cancelled_before_it_is_paid_for_again(
    words: Words, stuck: Peer, out: Path
) -> None:
    """Never two at once: six are cancelled and confirmed, then six more bring the results."""
    await retry(out)
    assert (await batcher(*words)).code == 0
    jobs = list(stuck.service.jobs.values())
    assert [job.cancelled for job in jobs] == [True] * LETTERS + [False] * LETTERS
    assert rows(out, "SELECT outcome, count(*) FROM attempts GROUP BY outcome") == [
        ("saved", 6),
        ("void", 6),
    ]
    told = "SELECT event FROM events WHERE document = 1 ORDER BY seq"
    story = [event for (event,) in rows(out, told)]
    assert story[story.index("Stuck") :][:4] == ["Stuck", "Recalled", "Cancelled", "Retried"]


async def test_what_completed_after_all_is_fetched_for_nothing(
    words: Words, stuck: Peer, out: Path
) -> None:
    """The final status counts, not the wish: no second job."""
    await retry(out)
    for job in stuck.service.jobs.values():
        job.ends_at = 0.0
    assert (await batcher(*words)).code == 0
    assert len(stuck.service.jobs) == LETTERS
    assert rows(out, "SELECT DISTINCT state FROM documents") == [("saved",)]
    assert rows(out, "SELECT DISTINCT outcome, why FROM attempts") == [("saved", None)]


async def test_a_collecting_run_cancels_and_sends_nothing(stuck: Peer, out: Path) -> None:
    """The next run that submits takes them from the queue."""
    await retry(out)
    await batcher("run", out, "--collect")
    assert all(job.cancelled for job in stuck.service.jobs.values())
    assert rows(out, "SELECT DISTINCT state FROM documents") == [("queued",)]


async def test_a_batch_that_is_cancelled_sends_none_of_them_again(
    words: Words, stuck: Peer, out: Path
) -> None:
    """The later wish holds, and a retry takes it back."""
    await retry(out)
    await batcher("cancel", out)
    assert rows(out, "SELECT DISTINCT state FROM documents") == [("cancelled",)]
    await batcher("retry", out, "--only", "cancelled")
    assert (await batcher(*words)).code == 0
    assert len(stuck.service.jobs) == 2 * LETTERS


async def test_what_the_service_has_forgotten_is_paid_for_again(
    words: Words, stuck: Peer, out: Path
) -> None:
    """Nothing is left that could be cancelled or fetched, and a person has asked for it anew: its
    old bill is lost.
    """
    await retry(out)
    for job in list(stuck.service.jobs.values()):
        job.deleted = True
    stuck.moods["cancel"] = says(404, {"detail": "Job not found"})
    assert (await batcher(*words)).code == 0
    assert rows(out, "SELECT outcome, count(*) FROM attempts GROUP BY outcome") == [
        ("lost", 6),
        ("saved", 6),
    ]


async def test_a_wish_outlives_the_ledger(words: Words, stuck: Peer, out: Path) -> None:
    """Rebuilt between the retry and the run: the old jobs are cancelled all the same."""
    await retry(out)
    for path in (out / ".batcher").glob("ledger.db*"):
        path.unlink()
    assert (await batcher("rebuild", out)).code == 0
    assert (await batcher(*words)).code == 0
    assert [job.cancelled for job in stuck.service.jobs.values()] == [True] * LETTERS + [
        False
    ] * LETTERS


def test_a_job_that_cant_be_cancelled_is_stuck_again() -> None:
    """It is given its time from the moment the service was asked, and no new attempt is made beside
    it.
    """
    flight = InFlightJob(1, "job", 1, 0.0, 43_200.0, 0, False, "a.json", recalled=True)
    for asked_at, now, expected in (
        (None, 100_000.0, None),
        (100_000.0, 100_000.0 + RECALL_TAKES - 1, None),
        (100_000.0, 100_000.0 + RECALL_TAKES, events.Stuck),
    ):
        event = outcome_event(
            flight._replace(recalled_at=asked_at),
            JobAnswer(JobStatus.IN_PROGRESS),
            policy=Policy(),
            now=now,
            rng=random.Random(1),
        )
        assert (None if event is None else type(event)) is expected
