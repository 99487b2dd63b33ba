"""Jobs of ours that the ledger doesn't hold: how a row of the listing shows whose it is, and when
it's one too many.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from batcher.common.formatting import pluralize
from batcher.reducto.api_types import ENDED, JOB, UPLOAD, JobRow, JobStatus
from batcher.reducto.error_rules import WANTS_INPUT

OFF: Final = 60.0  # seconds by which the service's clock may differ from ours
_NONCE: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])")
_FILE_ID: Final = re.compile(rf"{re.escape(UPLOAD)}[\w.~-]+")
# What tells whose job a row is. Words alone don't: an option may hold any address, and what is
# secret is blotted out.
_TELLING: Final = re.compile(
    rf'{re.escape(UPLOAD)}|{re.escape(JOB)}|"(?:input|document_url)"\s*:\s*\[?\s*"https?://|"nonce"\s*:\s*"\w'
)


class AttemptRef(NamedTuple):
    """An attempt of ours. `credits` as billed, or as estimated."""

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
    """`job_id` at the service is a second job of `attempt`.

    All else is the service's word; `error` is a name.
    """

    job_id: str
    status: str
    attempt: AttemptRef
    made_at: float | None = None
    error: str = ""

    @property
    def is_harmless(self) -> bool:
        """Its upload was deleted before it could be read, as the fence wants it: nothing was paid.

        A job that was there before the fence may have read it first, whatever became of it then.
        """
        if self.attempt.fenced_at is None or self.status == JobStatus.COMPLETED:
            return False
        came_after = self.made_at is not None and self.made_at > self.attempt.fenced_at + OFF
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
        cost = pluralize(self.attempt.credits, "credit")
        return f"{self.attempt.source}: a second job, {self.job_id} {held}: {ended}, {cost}"


def marks_in(row: JobRow) -> tuple[list[str], list[str]]:
    """What may be nonces and file ids in the request that the row echoes."""
    text = row.text()
    return _NONCE.findall(text), _FILE_ID.findall(text)


def counts_as_twin(row: JobRow, attempt: AttemptRef, endpoint: str) -> bool:
    """Not the job of an attempt in doubt, which is to be adopted, and not a part, of another type,
    of a job of ours.
    """
    return attempt.outcome != "open" and fits(row, endpoint)


def fits(row: JobRow, endpoint: str) -> bool:
    """Whether it is a whole job of that endpoint, and no part, of another type, of one."""
    return row.type.lower() in ("", endpoint)


def preference(row: JobRow) -> tuple[bool, bool]:
    """Of several jobs of one submission the lowest is its own: its type is told, and it may bring a
    result.

    What repeats a POST once its upload is gone makes a job that fails, and stands above the one
    that is paid.
    """
    return (not row.type, row.status in (JobStatus.FAILED, JobStatus.CANCELLED))


def names_upload(text: str, file_id: str) -> bool:
    """Whether `text` names that very upload, and not one whose id only begins like it."""
    start = text.find(file_id)
    while start >= 0:
        following = text[start + len(file_id) :][:1]
        if not (following.isalnum() or following in ("_", "-")):
            return True
        start = text.find(file_id, start + 1)
    return False


def is_mute(row: JobRow) -> bool:
    """Whether the request that it echoes says nothing by which it could be told whose job it is."""
    at_an_address = isinstance(row.source, str) and row.source.startswith(("http://", "https://"))
    return not at_an_address and _TELLING.search(row.text()) is None


def age_of(created_at: str) -> float | None:
    """Seconds since the epoch; a moment without a zone is UTC. None where it can't be read."""
    try:
        moment = datetime.fromisoformat(created_at)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
