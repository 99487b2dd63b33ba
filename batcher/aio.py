"""The functions of `batcher.api` for event loops, under the names that they have in `batcher`.

    from batcher import aio

    async with aio.running("manifests/nightly.toml") as batch:
        async for document in batch.results():  # each as soon as it is saved
            print(document.source, document.credits)
    print(batch.summary.documents)

Each takes, returns and raises what the function of that name in `batcher` does. What reads much of
the disk does so in a thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
from asyncio import to_thread
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from os import PathLike
from typing import Any

from batcher import api
from batcher.api import OnEvent, Watch, asked, teller
from batcher.api import cancel_batch as cancel
from batcher.api import collect_batch as collect
from batcher.api import plan_batch as plan
from batcher.api import retry_batch as retry
from batcher.api import run_batch as run
from batcher.batches import Batch, manifest_of
from batcher.core.lifecycle import State
from batcher.core.summary import Summary
from batcher.exit_codes import ExitCode, RunEnd
from batcher.ledger.derived_outputs import result_of
from batcher.ledger.ledger import Ledger, Transition
from batcher.ledger.queries.run_history import RunRecord
from batcher.ledger.reader import Document as LedgerDocument
from batcher.maintenance.export import Exported
from batcher.maintenance.verify import Verified
from batcher.manifest.model import Manifest
from batcher.outputs.result_store import Store
from batcher.results.document import Document
from batcher.results.reader import Results, open_results
from batcher.runs.running import run_batch
from batcher.stages.run_control import RunControl

__all__ = [
    "Running",
    "cancel",
    "collect",
    "export",
    "failures",
    "plan",
    "retry",
    "run",
    "run_history",
    "running",
    "status",
    "verify",
]


class Running:
    """A run under way, as `running` yields it.

    `summary` is that of the run, once it has ended.
    """

    def __init__(self, manifest: Manifest, *, strict: bool = False) -> None:
        """Made by `running`."""
        self.summary: Summary | None = None
        self._manifest = manifest
        self._control = RunControl(strict=strict)
        self._ledger: Ledger | None = None
        self._saved: list[int] = []  # documents, by their numbers in the ledger
        self._changed = asyncio.Event()
        self._end: asyncio.Task[None] | None = None
        self._afterwards: Results | None = None

    def stop(self) -> None:
        """Submit nothing more and fetch what is ready, as the first Ctrl-C does on a terminal."""
        self._control.stop("on request", ExitCode.RUN_AGAIN, how=RunEnd.STOPPED)

    async def results(self) -> AsyncIterator[Document]:
        """Yield each document that this run saves, as soon as it is saved, until the run ends.

        Several loops may do so, each from the run's beginning, and any of them may lag behind. What
        earlier runs saved isn't among them: `open_results` has that. The loop waits while a result
        is read, which takes a moment where it is large. Raises what ended the run, if it failed.
        """
        taken = 0
        while True:
            while taken < len(self._saved):
                taken += 1
                document = self._document(self._saved[taken - 1])
                if document is not None:
                    yield document
            if self._end is not None and self._end.done():
                self._end.result()
                return
            self._changed.clear()
            await self._changed.wait()

    @asynccontextmanager
    async def under_way(self, on_event: OnEvent | None) -> AsyncIterator[Running]:
        """Run during the block, and wait for the end of the run at its end."""
        self._end = asyncio.create_task(self._to_its_end(teller(on_event)))
        self._end.add_done_callback(lambda _: self._changed.set())
        try:
            yield self
            await self._end
        finally:
            self._end.cancel()
            await asyncio.wait([self._end])
            if not self._end.cancelled():
                self._end.exception()  # else it is reported as one that nobody heard of
            if self._afterwards is not None:
                self._afterwards.close()

    async def _to_its_end(self, tell: Watch | None) -> None:
        def watch(ledger: Ledger) -> None:
            self._ledger = ledger
            ledger.listeners.append(self._note)
            if tell is not None:
                tell(ledger)

        try:
            self.summary = await run_batch(self._manifest, control=self._control, watch=watch)
        finally:
            self._ledger = None

    def _note(self, change: Transition) -> None:
        if change.after is State.SAVED and change.before is not State.SAVED:
            self._saved.append(change.event.document)
            self._changed.set()

    def _document(self, id: int) -> Document | None:
        """Return a document, by the ledger of the run, or by one of our own after its end.

        Ours must not be the last connection to close, which the ledger's writer is.
        """
        if self._ledger is not None:
            with suppress(sqlite3.ProgrammingError):  # the run has just closed it
                saved = result_of(self._ledger.reader, id)
                return saved and Document(saved, Store(self._manifest.output.directory.absolute()))
        if self._afterwards is None:
            self._afterwards = open_results(self._manifest)
        return self._afterwards.document(id)


@asynccontextmanager
async def running(
    batch: Batch,
    *,
    on_event: OnEvent | None = None,
    sample: int | None = None,
    yes: bool = False,
    strict: bool = False,
) -> AsyncIterator[Running]:
    """Start or resume the batch, and let the block follow it: `Running.results` has its results.

    Leaving the block waits for the end of the run, and raises what ended it if it failed. An error
    in the block, or its cancellation, stops the run at once; nothing is lost, and the same call
    resumes it. Arguments and errors are those of `run`.
    """
    manifest = asked(manifest_of(batch), sample=sample, yes=yes)
    async with Running(manifest, strict=strict).under_way(on_event) as run:
        yield run


async def verify(batch: Batch, paths: Sequence[str] = ()) -> Verified:
    """Await `batcher.verify`, which reads results, in a thread."""
    return await to_thread(api.verify, batch, paths)


async def export(
    batch: Batch,
    target: str | PathLike[str],
    *,
    what: str = "results",
    format: str | None = None,
    chunks: bool = False,
) -> Exported:
    """Await `batcher.export`, in a thread."""
    return await to_thread(api.export, batch, target, what=what, format=format, chunks=chunks)


async def status(batch: Batch) -> dict[str, Any]:
    """Await `batcher.status`, in a thread."""
    return await to_thread(api.status, batch)


async def failures(batch: Batch) -> list[LedgerDocument]:
    """Await `batcher.failures`, in a thread."""
    return await to_thread(api.failures, batch)


async def run_history(batch: Batch, *, last: int | None = None) -> list[RunRecord]:
    """Await `batcher.run_history`, in a thread."""
    return await to_thread(api.run_history, batch, last=last)
