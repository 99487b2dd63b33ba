"""Rebuilds a ledger without a journal from the sources, the service's job list and results on disk.

Each submission carries the identity of its bytes and step, so the job list shows which document a
job belongs to. Its result counts as saved if it lies on disk, and is fetched otherwise. A result on
disk without such proof is held for a person to decide. Nothing is sent, and nothing is paid.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import msgspec

from batcher.adapters.clock import SteadyClock
from batcher.adapters.rate_limits import RateLimiter
from batcher.common.names import identity
from batcher.core import events as e
from batcher.core.duplicate_jobs import age_of
from batcher.core.lifecycle import State
from batcher.errors import BadReply
from batcher.ledger.ledger import Ledger, groups, lock, open_ledger
from batcher.maintenance import rebuild
from batcher.manifest.model import Manifest
from batcher.outputs.result_store import Store
from batcher.reducto.address_lists import known_as
from batcher.reducto.api_types import METADATA_KEY, JobRow, JobStatus, ResultHead
from batcher.reducto.rate_card import billed
from batcher.reducto.responses import read_head
from batcher.runs.preflight import Connection, reach
from batcher.stages.job_list import rows
from batcher.stages.repay_guard import Consent
from batcher.stages.run_control import RunControl
from batcher.stages.scanner import Scanner

UNPROVEN: Final = (
    "perhaps paid: a result lies at its place, and nothing tells of which bytes it is any more"
)
_HEAD: Final = msgspec.json.Decoder(ResultHead)
# the order of preference among several jobs for the same bytes; those still running come last
_BETTER: Final = (
    JobStatus.COMPLETED,
    JobStatus.FAILED,
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A job of this batch in the job list.

    `of` is the identity of its bytes and step, `nonce` that of its submission, and `input` its
    input as far as that may be written down.
    """

    row: JobRow
    of: str
    nonce: str
    input: str


@dataclass(slots=True)
class _Moment:
    """The clock of the new ledger, set to when each event that it records happened."""

    at: float

    def __call__(self) -> float:
        return self.at


@dataclass(frozen=True, slots=True)
class _Unsent:
    """A document for which the new ledger knows no attempt."""

    id: int
    of: str
    output: str
    state: State


@dataclass(slots=True)
class _Jobs:
    ids: set[str] = field(default_factory=set)
    by_content: dict[str, list[Listed]] = field(default_factory=dict)

    def add(self, listed: Listed, *, has_attempt: bool) -> None:
        self.ids.add(listed.row.job_id)
        if not has_attempt:
            self.by_content.setdefault(listed.of, []).append(listed)

    def of(self, document: _Unsent, on_disk: str | None) -> Listed | None:
        """Return the job whose result lies on disk, else the one that got furthest; None if none.

        Cancelled jobs don't count.
        """
        jobs = [
            job
            for job in self.by_content.get(document.of, ())
            if job.row.status != JobStatus.CANCELLED
        ]
        return min(
            jobs, key=lambda job: (job.row.job_id != on_disk, _rank(job.row.status)), default=None
        )


async def rebuild_from_listing(manifest: Manifest) -> rebuild.Rebuilt:
    """Rebuild the ledger; what a journal records, if there is one, takes precedence.

    Raises LedgerError where the ledger is healthy, and ServiceError where the service doesn't
    answer or doesn't list its jobs.
    """
    ledger = manifest.output.ledger_path
    output = manifest.output.directory
    clock = SteadyClock()
    async with AsyncExitStack() as stack:
        stack.callback(os.close, lock(ledger))
        made, skipped = rebuild.begin(ledger, batch=manifest.batch, output=output)
        reached = await stack.enter_async_context(reach(manifest, RunControl(), clock))
        moment = _Moment(clock())
        books = open_ledger(made, batch=manifest.batch, clock=moment)
        try:
            await _scan(manifest, books, clock)
            taking = _Taking(
                manifest, books, reached, moment, await _listed(manifest, books, reached)
            )
            for group in groups(list(_unsent(books))):
                async with asyncio.TaskGroup() as together:
                    for document in group:
                        together.create_task(taking.take_up(document))
        finally:
            books.close()
        return rebuild.put_in_place(made, ledger, skipped, output=output)


async def _scan(manifest: Manifest, books: Ledger, clock: SteadyClock) -> None:
    scanner = Scanner(
        books, manifest, Consent(books, RunControl(), unasked=float("inf")), clock=clock
    )
    await scanner.sort_out()
    await scanner.run()


async def _listed(manifest: Manifest, books: Ledger, reached: Connection) -> _Jobs:
    """Return the jobs of this batch; those with an attempt in the journal stay with that."""
    jobs = _Jobs()
    known = books.repair.nonces()
    async for row in rows(reached.client, RateLimiter()):
        config = _as_object(row.raw_config)
        mark = _mark_in(config)
        if mark.get("batch") == manifest.batch and isinstance(mark.get("of"), str):
            nonce = str(mark.get("nonce"))
            sent = _sent(config.get("input") or row.source)
            # drop the large fields: there may be very many rows
            bald = msgspec.structs.replace(row, raw_config=None, source=None)
            listed = Listed(bald, mark["of"], nonce, sent)
            jobs.add(listed, has_attempt=nonce in known)
    return jobs


def _sent(source: Any) -> str:
    """Return the input that a submission named, as far as it may be written down."""
    if isinstance(source, list):
        return known_as(tuple(map(str, source)))
    return known_as(str(source or ""))


def _unsent(books: Ledger) -> Iterator[_Unsent]:
    """Yield the documents by number, so that an earlier step comes before those that follow it."""
    for number, content, step, output, state in books.repair.unsent():
        yield _Unsent(number, identity(content, step), output, state)


class _Taking:
    """Records what became of each document, as of the time at which it happened."""

    def __init__(
        self, manifest: Manifest, books: Ledger, reached: Connection, moment: _Moment, jobs: _Jobs
    ) -> None:
        self._manifest = manifest
        self._books = books
        self._reached = reached
        self._moment = moment
        self._now = moment()
        self._jobs = jobs
        self._store = Store(manifest.output.directory, manifest.output.access)

    async def take_up(self, document: _Unsent) -> None:
        on_disk = self._job_on_disk(document.output)
        job = self._jobs.of(document, on_disk)
        if job is not None:
            await self._adopt(document, job, is_saved=job.row.job_id == on_disk)
        elif (
            on_disk is not None and on_disk not in self._jobs.ids
        ):  # otherwise it is known to be the result of other bytes
            await self._hold(document, on_disk)

    async def _adopt(self, document: _Unsent, job: Listed, *, is_saved: bool) -> None:
        self._moment.at = age_of(job.row.created_at) or self._now
        deadline = self._moment.at + self._manifest.service.result_retention
        cost = float(job.row.num_pages or 1)
        accepted = e.Accepted(document.id, job.row.job_id, deadline)
        saved = self._saved(document, job.row.job_id) if is_saved else []
        await self._books.record(
            *self._sending(document, job.input, job.nonce, cost), accepted, *saved
        )

    async def _hold(self, document: _Unsent, on_disk: str) -> None:
        result = self._store.path(document.output)
        self._moment.at = min(self._now, result.stat().st_mtime)
        # a made-up nonce, because the real one isn't known
        nonce = f"of the result of {on_disk}, {document.of}"
        lost = e.ReplyLost(document.id, UNPROVEN)
        await self._books.record(
            *self._sending(document, "", nonce, 1.0), lost, e.Held(document.id, UNPROVEN)
        )

    def _sending(self, document: _Unsent, file_id: str, nonce: str, cost: float) -> list[e.Event]:
        follows = [e.UpstreamSaved(document.id)] if document.state is State.FOLLOWING else []
        sending = e.Sending(
            document.id, nonce, self._reached.identity, self._reached.key_print, cost
        )
        return [*follows, e.Uploaded(document.id, file_id), sending]

    def _saved(self, document: _Unsent, job_id: str) -> list[e.Event]:
        body = bytes(self._store.read(document.output))
        head = read_head(body, job_id)
        ended = e.Ended(
            document.id, head.pages, billed(head.usage, self._manifest.prices), head.duration
        )
        digest = sha256(body).hexdigest()
        saved = e.Saved(document.id, document.output, digest, len(body), head.not_served)
        return [ended, saved]

    def _job_on_disk(self, output: str) -> str | None:
        """Return the job id in the result at that path; None if there is no complete result."""
        try:
            body = bytes(self._store.read(output))
            job_id = _HEAD.decode(body).job_id
            return (
                job_id if isinstance(job_id, str) and read_head(body, job_id).url is None else None
            )
        except (FileNotFoundError, msgspec.MsgspecError, ValueError, RecursionError, BadReply):
            return None


def _rank(status: str) -> int:
    return _BETTER.index(JobStatus(status)) if status in _BETTER else len(_BETTER)


def _as_object(config: Any) -> dict[str, Any]:
    try:
        told = json.loads(config) if isinstance(config, str) else config
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _mark_in(config: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata that `submitter` sent with the job, wherever the service echoes it."""
    for key, value in config.items():
        if isinstance(value, dict):
            found = value if key == METADATA_KEY else _mark_in(value)
            if "nonce" in found:
                return found
    return {}
