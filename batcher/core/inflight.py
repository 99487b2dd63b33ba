"""What the service's answers about a job in flight mean: an event, or that the job still runs.

Time alone never makes a result count as lost: only the service's answer does.
"""

from __future__ import annotations

import random
from typing import Final, NamedTuple

from batcher.core import events
from batcher.core.retry_policy import Policy
from batcher.reducto.api_types import UPLOAD_RETENTION, JobAnswer, JobStatus
from batcher.reducto.error_rules import WANTS_INPUT, WANTS_JOB

# Seconds after acceptance during which a 404 only means that the service isn't consistent yet.
LAG: Final = 60.0
# 404s in a row, `LAG` apart, before a job that isn't due to expire counts as gone.
MISSES: Final = 3
STUCK_AFTER: Final = 600.0  # seconds past its deadline that a job may still be running
# Seconds that a running job has for being cancelled after that was requested.
RECALL_TAKES: Final = 60.0
# Age in seconds up to which an upload may be submitted: its job may wait in the service's queue for
# some hours.
LAPSES: Final = UPLOAD_RETENTION - 4 * 3600.0
PATIENCE: Final = 120.0  # seconds that a completed job has to show a readable result
# Seconds for which asking about one job fails while others are answered, before the fault counts as
# this job's own.
SILENCE: Final = 900.0
ASKED_AT_LEAST: Final = 3  # failed queries, however long they took


class InFlightJob(NamedTuple):
    """A job at the service that has not been fetched.

    `document` is the document's number in the ledger, and `size` the size of its source in bytes.
    `fenced`: its upload was deleted meanwhile, or may have been gone when the job was created.
    `reads_job`: its input is an earlier job, which may have expired meanwhile. `recalled`: a person
    wants it cancelled, and the service was asked to at `recalled_at`. `deletion_began`: its result
    was on disk before, and batcher asked the service to delete the job, or was about to.
    """

    document: int
    job_id: str
    size: int
    accepted_at: float
    deadline_at: float
    paid: int
    fenced: bool
    output: str
    reads_job: bool = False
    recalled: bool = False
    recalled_at: float | None = None
    deletion_began: bool = False


def outcome_event(
    flight: InFlightJob, answer: JobAnswer, *, policy: Policy, now: float, rng: random.Random
) -> events.Event | None:
    """Return what follows from an answer about a job that didn't complete; None if it still runs.

    A job that completed may have been paid for, no matter what its answer lacks: `unread` decides
    what follows.
    """
    if answer.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
        return _patience_with(flight, answer, now)
    name = answer.error.name if answer.error else ""
    said = (answer.error.message if answer.error else "") or answer.reason or ""
    if answer.status == JobStatus.CANCELLED:
        return events.Cancelled(flight.document, said or "cancelled at the service")
    if (flight.fenced and name in WANTS_INPUT) or (flight.reads_job and name in WANTS_JOB):
        return events.JobVoided(flight.document, f"{name}: {said}", error_name=name)
    return policy.after_failure(flight.document, name, said, paid=flight.paid, now=now, rng=rng)


def unread(flight: InFlightJob, why: str, *, asked: int, span: float) -> events.Event | None:
    """Return what follows if the result of a completed job can't be read; None to ask again.

    `asked` and `span` say how often, and for how many seconds, it was tried. The job is paid for,
    so it is never replaced automatically, but only if a person has already asked for that.
    """
    if asked < ASKED_AT_LEAST or span < PATIENCE:
        return None
    reason = f"completed, but {why}"
    return (
        events.Lost(flight.document, reason)
        if flight.recalled
        else events.Stuck(flight.document, reason)
    )


def unanswered(
    flight: InFlightJob, why: str, *, asked: int, span: float, alone: int, now: float
) -> events.Event | None:
    """Return what follows if asking about a job keeps failing; None to ask again.

    `asked` and `span` say how often, and for how many seconds. An outage is waited out until the
    job's time is up. If other jobs were answered meanwhile, `alone` times in a row, the fault is
    this job's own.
    """
    if asked < ASKED_AT_LEAST or span < PATIENCE:
        return None
    if is_overdue(flight, now):
        return events.Stuck(flight.document, f"no answer about its job, and its time is up: {why}")
    if span >= SILENCE and alone >= ASKED_AT_LEAST:
        return events.Stuck(
            flight.document, f"no answer about its job, though others get theirs: {why}"
        )
    return None


def absence(
    flight: InFlightJob,
    said: str,
    *,
    error_name: str = "",
    misses: int,
    others_answer: bool,
    deleted: bool,
    now: float,
) -> events.Event | None:
    """Return what follows from the `misses`-th 404 in a row; None if it is too early to conclude.

    `deleted` means that the job's absence is explained: somebody, perhaps batcher itself, had it
    deleted.
    """
    if now >= flight.deadline_at:
        return events.Expired(flight.document, said, error_name=error_name)
    if deleted:
        return events.Lost(flight.document, f"{said}; it was deleted at the service")
    if misses >= MISSES and others_answer and now - flight.accepted_at >= LAG:
        return events.Lost(flight.document, said)
    return None


def _patience_with(flight: InFlightJob, answer: JobAnswer, now: float) -> events.Event | None:
    if flight.recalled and (flight.recalled_at is None or now < flight.recalled_at + RECALL_TAKES):
        return None
    if not is_overdue(flight, now):
        return None
    which = ", though the service was asked to cancel it" if flight.recalled else ""
    return events.Stuck(flight.document, f"still {answer.status} past its deadline{which}")


def is_overdue(flight: InFlightJob, now: float) -> bool:
    """Whether the job should have ended long ago, and is worth a request of its own each time."""
    return now >= flight.deadline_at + STUCK_AFTER


def is_wanted_anew(flight: InFlightJob, event: events.Event) -> bool:
    """Whether a person wants another attempt: the recalled job has ended without a result."""
    ends = events.Cancelled | events.JobFailed | events.Expired | events.Lost
    return flight.recalled and isinstance(event, ends)
