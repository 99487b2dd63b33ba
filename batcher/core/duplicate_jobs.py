"""Finds jobs of ours that the ledger doesn't hold: second jobs for one submission.

This says how a row of the service's job list shows whose job it is, and which rows are duplicates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from batcher.common.formatting import format_credits
from batcher.reducto.api_types import ENDED, JobRow, JobStatus, uploads_in
from batcher.reducto.error_rules import WANTS_INPUT

# Seconds by which the moments in the service's job list may differ from ours. Our clock is set by
# the service's `Date` where the two are more than a minute apart, but a row may bear the time of
# another machine, or of when it was queued. Each use errs towards doubt with a larger figure: more
# rows are read, more may be ours, and fewer duplicates are called harmless.
CLOCK_SKEW: Final = 600.0
_NONCE: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])")


class AttemptRef(NamedTuple):
    """An attempt of ours, as the ledger holds it. `credits` are those billed, or else estimated."""

    document: int
    source: str
    job: str
    nonce: str
    job_id: str | None
    outcome: str
    fenced_at: float | None  # when its upload was known to be deleted
    credits: float


@dataclass(frozen=True, slots=True)
class DuplicateJob:
    """A second job of `attempt` that the service lists.

    All other fields are the service's statements; `error` is the API's name of an error.
    """

    job_id: str
    status: str
    attempt: AttemptRef
    made_at: float | None = None
    error: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether it brings no result."""
        return self.status in (JobStatus.FAILED, JobStatus.CANCELLED)

    @property
    def is_harmless(self) -> bool:
        """Whether the job cost nothing because its upload had been deleted before it could be read.

        A job that existed before the deletion may have read the upload first, no matter how it
        ended.
        """
        if self.attempt.fenced_at is None or self.status == JobStatus.COMPLETED:
            return False
        came_after = self.made_at is not None and self.made_at > self.attempt.fenced_at + CLOCK_SKEW
        return came_after or (self.status == JobStatus.FAILED and self.error in WANTS_INPUT)

    def __str__(self) -> str:
        ended = (
            self.status.lower()
            if self.status in ENDED
            else f"still {self.status}, and can't be cancelled"
        )
        held = (
            f"beside {self.attempt.job_id}"
            if self.attempt.job_id
            else f"of an attempt that was {self.attempt.outcome}"
        )
        cost = format_credits(self.attempt.credits)
        return f"{self.attempt.source}: a second job, {self.job_id} {held}: {ended}, {cost}"


def marks_in(row: JobRow) -> tuple[list[str], list[str]]:
    """Return possible nonces and file ids in the request that the row echoes."""
    text = row.text()
    return nonces_in(text), uploads_in(text)


def nonces_in(request: str) -> list[str]:
    """Return what may be nonces of ours in a request."""
    return _NONCE.findall(request)


def counts_as_twin(row: JobRow, attempt: AttemptRef, endpoint: str) -> bool:
    """Whether the row is a second job of the attempt.

    The job of an attempt in doubt isn't, since it is to be adopted, nor is the attempt's own job:
    it may have been found after the row was looked up. Nor is a row of another type, which is only
    a part of a job of ours.
    """
    return attempt.outcome != "open" and row.job_id != attempt.job_id and fits(row, endpoint)


def fits(row: JobRow, endpoint: str) -> bool:
    """Whether the row is a complete job of that endpoint; its parts have other types."""
    return row.type.lower() in ("", endpoint)


def preference(row: JobRow) -> tuple[bool, bool]:
    """Return a sort key for several jobs of one submission; the lowest is the submission's own job.

    The preferred job has a type and may bring a result. A POST that is repeated after its upload
    was deleted makes a job that fails, and that is listed above the one that is paid for.
    """
    return (not row.type, row.status in (JobStatus.FAILED, JobStatus.CANCELLED))


def names_upload(text: str, file_id: str) -> bool:
    """Whether `text` names exactly that upload, and not one whose id merely begins like it."""
    start = text.find(file_id)
    while start >= 0:
        following = text[start + len(file_id) :][:1]
        if not (following.isalnum() or following in ("_", "-")):
            return True
        start = text.find(file_id, start + 1)
    return False


def is_mute(row: JobRow) -> bool:
    """Whether the request that the row echoes has nothing that shows whose job it is."""
    return not row.names_its_input()


def age_of(created_at: str) -> float | None:
    """Return the moment in seconds since the epoch, or None if it can't be parsed.

    A moment without a zone is taken to be UTC.
    """
    try:
        moment = datetime.fromisoformat(created_at)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
