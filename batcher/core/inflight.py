"""A job that is out, and what the service's word about it means: the event to report, or that it is
still running.

Time alone never declares a result lost: only the service does.
"""

from __future__ import annotations

import random
from typing import Final, NamedTuple

from batcher.core import events
from batcher.core.retry_policy import Policy
from batcher.reducto.api_types import UPLOAD_RETENTION, JobAnswer, JobStatus
from batcher.reducto.error_rules import WANTS_INPUT, WANTS_JOB

# seconds after acceptance in which a 404 only means that the service hasn't caught up with itself
LAG: Final = 60.0
# 404s in a row, `LAG` apart, before a job that isn't due to expire counts as gone
MISSES: Final = 3
STUCK_AFTER: Final = 600.0  # seconds past its deadline that a job still running is given
# seconds that a job still running is given to be cancelled, once that was asked for
RECALL_TAKES: Final = 60.0
# Seconds that an upload may be old: its job may wait for some hours in the service's queue.
LAPSES: Final = UPLOAD_RETENTION - 4 * 3600.0
PATIENCE: Final = 120.0  # seconds that a completed job is given to show a result that can be read
# seconds in which asking for one job fails while others are answered, before that is its own
SILENCE: Final = 900.0
ASKED_AT_LEAST: Final = 3  # times in vain, however long that took


class InFlightJob(NamedTuple):
    """`document` by the ledger's number; `size` of its source in bytes; `fenced`: its upload was
    deleted meanwhile, or may have been gone when the job came to be; `reads_job`: its input is an
    earlier job, which may have expired meanwhile; `recalled`: a person wants it cancelled, as the
    service was asked at `recalled_at`; `was_saved`: its result was on disk before, and is fetched
    once more.
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
    was_saved: bool = False


def outcome_event(
    flight: InFlightJob, answer: JobAnswer, *, policy: Policy, now: float, rng: random.Random
) -> events.Event | None:
    """What follows from an answer of a job that didn't complete. None: it is still running, or so
    the service says.

    One that completed may have been paid for, whatever its answer lacks: what follows is `unread`'s
    to say.
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
    """What follows where a job completed, and for `span` seconds and `asked` times its result
    couldn't be read.

    None: ask again. It is paid for, so never another job by itself; only where a person has asked
    for one already.
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
    """What follows where asking for a job has failed for `span` seconds and `asked` times. None:
    ask again.

    An outage is waited out till the job's time is up. Where others were answered meanwhile, `alone`
    times in a row, it is this job's own trouble.
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
    """What follows from the `misses`-th 404 in a row. None: too soon to tell.

    `deleted`: that somebody, perhaps batcher itself, had the service delete it explains why it is
    gone.
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
    """Whether it should have ended long ago, so that its own answer is worth a request each
    time.
    """
    return now >= flight.deadline_at + STUCK_AFTER


def is_wanted_anew(flight: InFlightJob, event: events.Event) -> bool:
    """Whether a person wants another attempt after `event`: its recalled job has ended, and brought
    nothing.
    """
    ends = events.Cancelled | events.JobFailed | events.Expired | events.Lost
    return flight.recalled and isinstance(event, ends)
