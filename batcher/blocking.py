"""The functions of `batcher.api` for scripts and notebooks: each returns when its work is done.

Where an event loop is running already, as in a notebook, the work has a loop and a thread of its
own; the caller waits all the same. Code that must not wait awaits `batcher.aio`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import Any, TypeVar

from batcher import api
from batcher.api import OnEvent
from batcher.batches import Batch
from batcher.core.summary import Summary
from batcher.maintenance.candidates import Requeued
from batcher.runs.plan import Plan

T = TypeVar("T")


def run(
    batch: Batch,
    *,
    on_event: OnEvent | None = None,
    sample: int | None = None,
    yes: bool = False,
    strict: bool = False,
) -> Summary:
    """Start or resume the batch and return its summary at the end, as `batcher run` does.

    It works with and without a running event loop. Ctrl-C stops the run at once and raises
    KeyboardInterrupt; nothing is lost, and the same call resumes it. `on_event` is called in the
    thread that the run has. Everything else, and what it raises, is as in `run_batch`.
    """
    return complete(api.run_batch(batch, on_event=on_event, sample=sample, yes=yes, strict=strict))


def collect(batch: Batch, *, on_event: OnEvent | None = None) -> Summary:
    """Fetch the results of submitted jobs and submit nothing; otherwise as `run`.

    Takes an output directory as well.
    """
    return complete(api.collect_batch(batch, on_event=on_event))


def cancel(
    batch: Batch,
    paths: Sequence[str] = (),
    *,
    step: str | None = None,
    on_event: OnEvent | None = None,
) -> Summary:
    """Cancel the jobs in flight, and fetch those that had completed; otherwise as `collect`.

    With `paths`, as in `retry`, or `step`, the name of a job, this is done with these documents
    alone. Raises BatcherError if a path fits nothing, if all of them have ended, or if a job is
    also for a document that isn't named.
    """
    return complete(api.cancel_batch(batch, paths, step=step, on_event=on_event))


def plan(batch: Batch) -> Plan:
    """Return what `run` would do and cost. Nothing is written, and the service isn't called.

    Raises ManifestError, LedgerError and SourceError where a run would refuse to start.
    """
    return complete(api.plan_batch(batch))


def retry(batch: Batch, paths: Sequence[str] = (), *, only: str | None = None) -> Requeued:
    """Put documents that failed back in the queue, for the next run to pay for again.

    `paths` are sources, `only` is a class as in `batcher retry --only`. Without either: all that
    failed, expired, were lost or cancelled. Raises BatcherError if a path has no verdict or there
    is no such class, LedgerLocked while a run is under way, and other LedgerErrors.
    """
    return complete(api.retry_batch(batch, paths, only=only))


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end and return its result, whether or not a loop is running here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return _in_a_thread(work)


def _in_a_thread(work: Coroutine[Any, Any, T]) -> T:
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()
    ended: Future[T] = Future()

    async def conduct() -> T:
        task = asyncio.current_task()
        assert task is not None
        begun.set_result((asyncio.get_running_loop(), task))
        return await work

    def conclude() -> None:
        try:
            ended.set_result(asyncio.run(conduct()))
        except BaseException as error:
            ended.set_exception(error)

    thread = Thread(target=copy_context().run, args=(conclude,), name="batcher")
    thread.start()
    try:
        return ended.result()
    except BaseException:
        if not ended.done():  # interrupted while waiting: the run is stopped, and its ledger closed
            loop, task = begun.result()
            loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        thread.join()
