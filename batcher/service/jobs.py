"""The service's record of jobs: rows in SQLite, written before their id is returned, ended once.

Decides what has expired or is being deleted, by the clock it is given. Runs no jobs and touches no
files.
"""

from __future__ import annotations

import secrets
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final

from batcher.reducto.api_types import RETENTION, ErrorName, JobStatus, JobType
from batcher.service.answers import ApiError, InvalidRequest, job_not_found
from batcher.service.database import Database
from batcher.service.faults import Chaos

Clock = Callable[[], float]  # seconds since the epoch

# Seconds for which a deletion is "in progress"; how long it takes the hosted service is unknown.
DELETION: Final = 1.0


class JobLane(IntEnum):
    """The order in which jobs start; within a lane they start in the order of acceptance."""

    SYNC = 0
    PRIORITY = 1
    STANDARD = 2
    BATCH = 3


@dataclass(frozen=True, slots=True)
class StoredJob:
    """An accepted request.

    `raw_config` is the request as it may be shown, without passwords, `request` the whole of it. If
    they differ, the latter is kept in memory only, and is empty after a restart. `created_at` is in
    seconds since the epoch.
    """

    type: JobType
    lane: JobLane
    created_at: float
    raw_config: str
    request: str
    persist: bool = False
    job_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))


@dataclass(frozen=True, slots=True)
class Done:
    """A job that succeeded.

    `duration` is in seconds. `linked` is True if the result links to files served here.
    """

    num_pages: int
    duration: float
    linked: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, as `GET /job` shows it; `code` is an HTTP status."""

    name: str
    code: int
    message: str


class Jobs:
    """The jobs in the database. `retention` is in seconds."""

    def __init__(
        self, database: Database, *, clock: Clock, chaos: Chaos, retention: float = RETENTION
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention
        self._chaos = chaos

    async def create(self, job: StoredJob) -> None:
        """Record the job; it is durable on return, and its id must not be sent before that."""
        withheld = None if job.request == job.raw_config else ""
        await self._database.write(
            (
                "INSERT INTO jobs (job_id, type, lane, status, created_at, raw_config, request, "
                "token, persist)"
                " VALUES (?, ?, ?, 'Pending', ?, ?, ?, ?, ?)",
                (
                    job.job_id,
                    job.type,
                    int(job.lane),
                    job.created_at,
                    job.raw_config,
                    withheld,
                    job.token,
                    int(job.persist),
                ),
            )
        )

    async def complete(self, job_id: str, done: Done) -> None:
        """Record the job as Completed."""
        await self._end(
            job_id,
            "status = 'Completed', num_pages = ?, duration = ?, linked = ?",
            (done.num_pages, done.duration, int(done.linked)),
        )

    async def fail(self, job_id: str, failure: Failure) -> None:
        """Record the job as Failed."""
        await self._end(
            job_id,
            "status = 'Failed', error_name = ?, error_code = ?, error_message = ?",
            (failure.name, failure.code, failure.message),
        )

    async def cancel(self, job_id: str) -> None:
        """Record the job as Cancelled."""
        await self._end(
            job_id,
            "status = 'Cancelled', error_name = ?, error_code = ?, error_message = ?",
            (ErrorName.JOB_CANCELLED, 409, "Job was cancelled"),
        )

    async def delete(self, job_id: str) -> None:
        """Mark the job as deleted."""
        await self._database.write(
            (
                "UPDATE jobs SET deleted_at = ? WHERE job_id = ? AND deleted_at IS NULL",
                (self._clock(), job_id),
            )
        )

    def find(self, job_id: str) -> sqlite3.Row:
        """Return the row of a job that can be shown.

        Raises ApiError with status 404 if it is unknown or expired, 409 while it is being deleted,
        and 410 after that.
        """
        row = self._database.one("SELECT * FROM jobs WHERE job_id = ?", (job_id,))
        if row is None or self._expired(row):
            raise job_not_found()
        if row["deleted_at"] is None:
            return row
        if self._clock() < row["deleted_at"] + DELETION:
            raise ApiError(ErrorName.JOB_DELETION_IN_PROGRESS, "Job deletion is in progress")
        raise ApiError(ErrorName.JOB_DELETED, "Job was deleted")

    def unfinished(self) -> list[StoredJob]:
        """Return an earlier process's jobs that have not ended, in the order of acceptance."""
        rows = self._database.all(
            "SELECT * FROM jobs WHERE status = 'Pending' AND deleted_at IS NULL ORDER BY seq"
        )
        return [_revive(row) for row in rows]

    def page(self, *, limit: int, before: int | None) -> tuple[list[sqlite3.Row], int | None]:
        """Return `limit` jobs accepted before `before`, the newest first, and the next cursor."""
        rows = self._database.all(
            "SELECT * FROM jobs WHERE seq < ? AND deleted_at IS NULL"
            " AND (persist OR status = 'Pending' OR created_at > ?) ORDER BY seq DESC LIMIT ?",
            (before if before is not None else 1 << 62, self._clock() - self._retention, limit + 1),
        )
        following = rows[limit - 1]["seq"] if len(rows) > limit else None
        return [
            row for row in rows[:limit] if not (self._expired(row) or self._lags(row))
        ], following

    async def forget_expired(self) -> list[str]:
        """Delete the rows past their retention; return their ids, whose files can be removed."""
        horizon = self._clock() - self._retention
        expired = (
            "created_at <= ? AND status != 'Pending' AND (persist = 0 OR deleted_at IS NOT NULL)"
        )
        rows = self._database.all(f"SELECT job_id FROM jobs WHERE {expired}", (horizon,))
        if rows:
            await self._database.write((f"DELETE FROM jobs WHERE {expired}", (horizon,)))
        return [row["job_id"] for row in rows]

    async def _end(self, job_id: str, change: str, values: tuple[Any, ...]) -> None:
        sql = f"UPDATE jobs SET {change} WHERE job_id = ? AND status = 'Pending'"
        touched = await self._database.write((sql, (*values, job_id)))
        assert touched == 1, f"job {job_id} ended twice"

    def _expired(self, row: sqlite3.Row) -> bool:
        if row["status"] == JobStatus.PENDING or (row["persist"] and row["deleted_at"] is None):
            return False
        return bool(row["created_at"] <= self._clock() - self._retention_of(row["job_id"]))

    def _lags(self, row: sqlite3.Row) -> bool:
        if not self._chaos.hits("listing-lag", row["job_id"]):
            return False
        return bool(self._clock() < row["created_at"] + self._chaos.seconds("listing-lag"))

    def _retention_of(self, job_id: str) -> float:
        early = self._chaos.hits("early-expiry", job_id)
        return (
            min(self._retention, self._chaos.seconds("early-expiry")) if early else self._retention
        )


def listed(row: sqlite3.Row, *, status: str, with_config: bool) -> dict[str, Any]:
    """Return a job's entry in `GET /jobs`."""
    return {
        "job_id": row["job_id"],
        "status": status,
        "type": row["type"],
        "raw_config": row["raw_config"] if with_config else "",
        "created_at": _naive_utc(row["created_at"]),
        "num_pages": row["num_pages"],
        "total_pages": row["num_pages"],
        "duration": row["duration"],
        "source": None,
        "bucket": None,
    }


def detailed(row: sqlite3.Row) -> dict[str, Any]:
    """Return a job's fields in `GET /job`, apart from status and result.

    The API describes two shapes for them; this is the larger one.
    """
    known = listed(row, status=row["status"], with_config=True)
    return {name: value for name, value in known.items() if name not in ("job_id", "status")} | {
        "progress": None,
        "reason": None,
        "error": None,
    }


def parse_cursor(text: str | None) -> int | None:
    """Return the cursor of a page; None for the first page, which an empty cursor means as well.

    Raises InvalidRequest if it isn't one.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidRequest.at(
            "query", "cursor", msg="Input should be a cursor of an earlier page"
        )
    return int(text)


def described(row: sqlite3.Row) -> Mapping[str, Any]:
    """Return the `error` object of a job that failed."""
    return {
        "code": row["error_code"],
        "name": row["error_name"],
        "message": row["error_message"],
        "job_id": row["job_id"],
    }


def _revive(row: sqlite3.Row) -> StoredJob:
    return StoredJob(
        type=JobType(row["type"]),
        lane=JobLane(row["lane"]),
        created_at=row["created_at"],
        raw_config=row["raw_config"],
        request=row["raw_config"] if row["request"] is None else row["request"],
        persist=bool(row["persist"]),
        job_id=row["job_id"],
        token=row["token"],
    )


def _naive_utc(moment: float) -> str:
    """Return a moment as the hosted service writes it: in UTC, without a zone."""
    return (
        datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    )
