"""Deletes jobs and uploads at the service once their results are on disk, if the manifest asks.

Nothing is deleted before the result was saved, read again and found unchanged. What one run leaves
undone the next one does; what no run deletes, the service deletes itself when the time is up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Set
from contextlib import suppress
from typing import Any, Final

from batcher.common.signals import Signal
from batcher.core import events
from batcher.core.account import Account
from batcher.core.lifecycle import State
from batcher.errors import Gone, NotFound, ServiceError
from batcher.ledger.ledger import Transition
from batcher.ledger.queries.rows import Finished
from batcher.outputs.result_store import Store
from batcher.stages.context import StageContext

WIDTH: Final = 8  # jobs at once
TRIES: Final = 3  # in one run, besides the tries of each call
IN_A_ROW: Final = 2 * TRIES  # failures in a row after which this run deletes nothing more


class Cleaner:
    """Deletes jobs; with `in_the_end` only once no document is open.

    A later step may still need an earlier one's job until then. `is_wanted` says whether something
    of a document's job must still be fetched, `is_doubtful` whether the answers about jobs leave
    open whose these are: then they stay until the job list has said so.
    """

    def __init__(
        self,
        context: StageContext,
        store: Store,
        *,
        account: Account,
        in_the_end: bool,
        is_wanted: Callable[[int], bool],
        is_doubtful: Callable[[], bool],
    ) -> None:
        ledger = context.ledger
        self._ledger = ledger
        self._client = context.client
        self._rate_limits = context.rate_limits
        self._control = context.control
        self._store = store
        self._in_the_end = in_the_end
        self._is_wanted = is_wanted
        self._is_doubtful = is_doubtful
        self._told = asyncio.Event()
        self._pending: dict[int, int] = {}  # tries so far, by document
        self._in_hand = 0
        self._settled = Signal()
        self._failures = 0  # in a row
        self.left = 0  # jobs left for the next run
        ledger.listeners.append(self._hear)
        left = ledger.tracking.uncleaned(
            account.service, account.key_fingerprint, alive_at=context.clock()
        )
        self._pending.update(dict.fromkeys(left, 0))
        # from a run that may not have been told whose they are
        self._has_inherited = bool(ledger.tracking.jobs_to_confirm(left))

    @property
    def waits_to_be_told(self) -> bool:
        """Whether there are jobs that stay until the job list has said whose they are."""
        is_doubtful = self._has_inherited or self._is_doubtful()
        return is_doubtful and not self._told.is_set() and bool(self._pending)

    def believe(self, shown: Set[str]) -> None:
        """Take in which jobs the job list showed; the others stay for the next run."""
        jobs = self._ledger.tracking.jobs_to_confirm(list(self._pending))
        hidden = [document for document, job_id in jobs.items() if job_id not in shown]
        for document in hidden:
            del self._pending[document]
        self.left += len(hidden)
        self._told.set()
        self._settled.give()

    def outstanding(self) -> int:
        """Return how many jobs may be deleted now.

        Jobs that have to wait don't count: a run that sends nothing would never end their wait.
        """
        pending = 0 if self._must_wait() else len(self._pending)
        return pending + self._in_hand

    def settled(self) -> Coroutine[Any, Any, object]:
        """See `stage.Awaited`."""
        return self._settled.wait()

    async def run(self) -> None:
        """Delete jobs for as long as the run lasts."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WIDTH):
                group.create_task(self._clean_for_ever())

    def _hear(self, change: Transition) -> None:
        if change.before is State.READY and change.after is State.SAVED:
            if self._failures >= IN_A_ROW:
                self.left += 1
            else:
                self._pending[change.event.document] = 0
        self._settled.give()  # whether jobs have to wait depends on the states of documents

    async def _clean_for_ever(self) -> None:
        while True:
            document = self._next()
            if document is None:
                await (self._told.wait() if self.waits_to_be_told else self._ledger.change())
                continue
            self._in_hand += 1
            try:
                await self._clean(document, self._pending.pop(document))
            finally:
                self._in_hand -= 1
                self._settled.give()

    def _next(self) -> int | None:
        if not self._pending or self._must_wait():
            return None
        return next((document for document in self._pending if not self._is_wanted(document)), None)

    def _must_wait(self) -> bool:
        """Return whether nothing may be deleted yet.

        While lost submissions are looked for, each job of ours that the job list must show is
        evidence.
        """
        return (
            self._ledger.tally[State.UNKNOWN] > 0
            or (self._in_the_end and self._ledger.open_documents > 0)
            or self.waits_to_be_told
        )

    async def _clean(self, document: int, tries: int) -> None:
        finished = self._ledger.tracking.finished(document)
        if finished is None:  # superseded or missing meanwhile: its job is still needed
            return
        if await asyncio.to_thread(self._store.digest, finished.output) != finished.sha256:
            self._control.warn(
                f"{finished.output} is not as it was saved: its job is left at the service"
            )
            return
        await self._rate_limits.clean.acquire()
        if not finished.deletion_started:
            await self._ledger.record(events.DeletionStarted(document, finished.job_id))
        try:
            await self._delete(finished)
        except ServiceError as error:
            self._rate_limits.clean.hold(error)
            self._failures += 1
            if self._failures >= IN_A_ROW:
                self.left += 1 + len(self._pending)
                self._pending.clear()
            elif tries + 1 < TRIES:
                self._pending[document] = tries + 1
            else:
                self.left += 1
            return
        self._failures = 0
        self._rate_limits.clean.answered()
        await self._ledger.record(events.Cleaned(document, finished.job_id))

    async def _delete(self, finished: Finished) -> None:
        with suppress(NotFound, Gone):  # deleted before, or by the service itself
            await self._client.delete_job(finished.job_id, include_persisted=True)
        if finished.has_upload:
            await self._client.delete_upload(str(finished.file_id))
