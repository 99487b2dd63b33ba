"""Deletes jobs and uploads at the service once their results are on disk, where the manifest asks
for it.

Never before a result was saved, read again and found to be what was saved. What a run leaves undone
the next one does; what nobody does, the service does by itself when its time is up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from batcher.core import events
from batcher.core.account import Account
from batcher.core.lifecycle import State
from batcher.errors import Gone, NotFound, ServiceError
from batcher.ledger.ledger import Transition
from batcher.ledger.queries.rows import Finished
from batcher.outputs.result_store import Store
from batcher.stages.context import StageContext

WIDTH: Final = 8  # jobs at once
TRIES: Final = 3  # in one run, beside those of each call
IN_A_ROW: Final = 2 * TRIES  # failures after which this run deletes nothing more


class Cleaner:
    """`in_the_end`: only once nothing is open, for a later step may still need an earlier one's
    job.

    `is_wanted`: whether something of that document's job is still to be fetched.
    """

    def __init__(
        self,
        context: StageContext,
        store: Store,
        *,
        account: Account,
        in_the_end: bool,
        is_wanted: Callable[[int], bool],
    ) -> None:
        ledger = context.ledger
        self._ledger = ledger
        self._client = context.client
        self._rate_limits = context.rate_limits
        self._control = context.control
        self._store = store
        self._in_the_end = in_the_end
        self._is_wanted = is_wanted
        self._pending: dict[int, int] = {}  # tries so far, by document
        self._in_hand = 0
        self._failures = 0  # in a row
        self.left = 0  # for the next run
        ledger.listeners.append(self._hear)
        left = ledger.tracking.uncleaned(
            account.service, account.key_fingerprint, alive_at=context.clock()
        )
        self._pending.update(dict.fromkeys(left, 0))

    def outstanding(self) -> int:
        """Jobs that may be deleted as things stand: a run that sends nothing never changes what has
        to wait.
        """
        pending = 0 if self._must_wait() else len(self._pending)
        return pending + self._in_hand

    async def run(self) -> None:
        """For as long as the run lasts."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WIDTH):
                group.create_task(self._clean_for_ever())

    def _hear(self, change: Transition) -> None:
        if change.before is State.READY and change.after is State.SAVED:
            if self._failures >= IN_A_ROW:
                self.left += 1
            else:
                self._pending[change.event.document] = 0

    async def _clean_for_ever(self) -> None:
        while True:
            document = self._next()
            if document is None:
                await self._ledger.change()
                continue
            self._in_hand += 1
            try:
                await self._clean(document, self._pending.pop(document))
            finally:
                self._in_hand -= 1

    def _next(self) -> int | None:
        if not self._pending or self._must_wait():
            return None
        return next((document for document in self._pending if not self._is_wanted(document)), None)

    def _must_wait(self) -> bool:
        """While a submission's fate is looked for, each job of ours that the listing must show is
        of use.
        """
        return self._ledger.tally[State.UNKNOWN] > 0 or (
            self._in_the_end and self._ledger.open_documents > 0
        )

    async def _clean(self, document: int, tries: int) -> None:
        finished = self._ledger.tracking.finished(document)
        if finished is None:  # superseded meanwhile, or missed: its job is still somebody's
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
        with suppress(NotFound, Gone):  # done before, or by the service itself
            await self._client.delete_job(finished.job_id, include_persisted=True)
        if finished.has_upload:
            await self._client.delete_upload(str(finished.file_id))
