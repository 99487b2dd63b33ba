"""Running a batch from Python: a manifest as a file, a dictionary or a value; what happens, as it
happens.

It does what `batcher run` does, no more: the same ledger, the same resuming, the same errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from batcher.core.events import Event
from batcher.core.lifecycle import State
from batcher.core.summary import Summary
from batcher.ledger.ledger import Ledger, Transition
from batcher.manifest.loading import load, of_values
from batcher.manifest.model import Manifest
from batcher.runs.running import run_batch as conduct

Batch = Manifest | Mapping[str, Any] | str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Happened:
    """A change of one document, durable by now.

    `event` is one of `batcher.core.events`, with its facts.
    """

    source: str
    event: Event
    before: State
    after: State


async def run_batch(
    batch: Batch, *, on_event: Callable[[Happened], object] | None = None
) -> Summary:
    """Start the batch, or go on with it, to its end. `on_event` hears of every change, on the event
    loop.

    A path is a manifest's; a dictionary has a manifest's keys, its paths relative to the working
    directory. Cancelling the task stops at once: nothing is lost, and the same call goes on from
    there. What came to a verdict other than saved is no error but stands in the summary. Raises
    BatcherError where the run can't begin or go on.
    """
    return await conduct(manifest_of(batch), watch=None if on_event is None else _teller(on_event))


def run_batch_sync(
    batch: Batch, *, on_event: Callable[[Happened], object] | None = None
) -> Summary:
    """`run_batch`, for where no event loop runs."""
    return asyncio.run(run_batch(batch, on_event=on_event))


def manifest_of(batch: Batch) -> Manifest:
    """Raises ManifestError."""
    if isinstance(batch, Manifest):
        return batch
    return of_values(batch) if isinstance(batch, Mapping) else load(Path(batch))


def _teller(on_event: Callable[[Happened], object]) -> Callable[[Ledger], None]:
    def watch(ledger: Ledger) -> None:
        def tell(change: Transition) -> None:
            source = ledger.tracking.source_of(change.event.document)
            on_event(Happened(source, change.event, change.before, change.after))

        ledger.listeners.append(tell)

    return watch
