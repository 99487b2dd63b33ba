"""Gives every copy of a document the same end as its primary: the same result or verdict.

It fetches nothing and pays for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import suppress
from typing import Any

from batcher.core import events
from batcher.core.account import Account
from batcher.core.lifecycle import PAYS_FOR_NOBODY, UNSENT, State
from batcher.errors import Outdated, OutputError
from batcher.exit_codes import ExitCode
from batcher.ledger.ledger import Copy
from batcher.ledger.queries.rows import Alike
from batcher.outputs.result_store import Store, Written
from batcher.stages.context import StageContext
from batcher.stages.sink import GROUP, saved


class Copier:
    """Ends copies; `placing` is the sink's lock.

    Results and copies are written one after the other, so that the newer one stays. `account` says
    whose jobs can be asked for results that are missing on disk.
    """

    def __init__(
        self,
        context: StageContext,
        store: Store,
        placing: asyncio.Lock,
        *,
        account: Account,
    ) -> None:
        self._ledger = context.ledger
        self._store = store
        self._control = context.control
        self._placing = placing
        self._account = account

    def outstanding(self) -> int:
        """Return 1 if a copy is still open although its primary has ended, else 0."""
        return len(self._ledger.sharing.copies(1))

    def settled(self) -> Coroutine[Any, Any, object]:
        """See `stage.Awaited`."""
        return self._ledger.change()

    async def run(self) -> None:
        """Copy for as long as the run lasts."""
        while True:
            if not await self._copy_some():
                await self._ledger.change()

    async def _copy_some(self) -> bool:
        """End some copies, and return whether there may be more.

        Copies that came in meanwhile wake nobody, so the caller must ask again.
        """
        copies = self._ledger.sharing.copies(GROUP)
        for copy in copies:
            async with self._placing:
                if not self._ledger.sharing.is_copy(copy.id):
                    continue  # superseded meanwhile: a newer result may be in its place
                try:
                    happened = await self._end_of(copy)
                except OutputError as error:
                    self._control.stop(str(error), ExitCode.RUN_AGAIN, abort=True)
                    return False
            try:
                await self._ledger.record(*happened)
            except Outdated:
                # its primary was superseded just now: another document pays, perhaps this one
                continue
            if not isinstance(happened[-1], events.Saved | events.PayerFailed):
                # the other copies now wait for this one, or for the job that is asked again
                return True
        return bool(copies)

    async def _end_of(self, copy: Copy) -> Sequence[events.Event]:
        """Return the events that end a copy. Raises OutputError if the disk fails."""
        for one in self._alike(copy):
            # the file may have changed since it was saved; another one may still have the same
            # content
            with suppress(FileNotFoundError):
                written = await self._copy_file(copy, one.output, one.sha256)
                return [saved(copy.id, written, one.not_served)]
        now = self._ledger.clock()
        asked = (
            self._ledger.sharing.still_at_service(
                copy.id, self._account.service, self._account.key_fingerprint, now=now
            )
            if copy.payer_sha256
            else None
        )
        if asked is None:
            return [_shared_verdict(self._ledger.sharing.later_verdict(copy) or copy)]
        missed = events.FileMissed(
            asked, "no longer on disk as it was saved, and wanted for a copy"
        )
        return [missed] if asked == copy.payer else [missed, events.Rejoined(copy.id, asked)]

    def _alike(self, copy: Copy) -> Iterator[Alike]:
        """Yield every result that may be copied, if there are any."""
        some = self._ledger.sharing.results_like(copy) if copy.payer_sha256 else []
        while some:
            yield from some
            others = [one.document for one in some if one.document != copy.payer]
            below = min(others, default=copy.payer)
            some = self._ledger.sharing.results_like(copy, below=below)

    async def _copy_file(self, copy: Copy, output: str, digest: str) -> Written:
        known = self._ledger.tracking.hashes_at(copy.output)
        return await asyncio.to_thread(
            self._store.copy, output, copy.output, sha256=digest, known=known
        )


def _shared_verdict(copy: Copy) -> events.Event:
    """Return the primary's verdict for the copy.

    If the primary never got a verdict of its own, the copy is sent by itself instead.
    """
    verdict = copy.payer_state
    if verdict in PAYS_FOR_NOBODY | UNSENT | {State.SAVED} or not (
        copy.payer_current or copy.payer_paid
    ):
        return _on_its_own(copy)
    reason = f"the same document {verdict}: {copy.payer_reason or ''}".rstrip(": ")
    return events.PayerFailed(
        copy.id, reason, copy.payer_kind or verdict, error_name=copy.payer_error_name or ""
    )


def _on_its_own(copy: Copy) -> events.Event:
    """Make the copy pay for itself, and for the other copies."""
    return events.Promoted(copy.id) if copy.upstream is None else events.Follows(copy.id)
