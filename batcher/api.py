"""Run a batch from Python, with the manifest as a file, a dictionary or a `Manifest`.

This does what `batcher run` does and no more, with the same ledger, the same resumption and the
same errors. A callback can follow each change of a document.
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
    """A change of one document, already durable.

    `event` is one of the events in `batcher.core.events`.
    """

    source: str
    event: Event
    before: State
    after: State


async def run_batch(
    batch: Batch, *, on_event: Callable[[Happened], object] | None = None
) -> Summary:
    """Start or resume the batch and return its summary at the end.

    A path names a manifest. A dictionary has the keys of a manifest, and its paths are relative to
    the working directory. `on_event` is called on the event loop after every change of a document.

    Cancelling the task stops the run at once; nothing is lost, and the same call resumes it. A
    document that ends unsaved raises nothing: the summary lists it. Raises BatcherError if the run
    can't start or continue.
    """
    return await conduct(manifest_of(batch), watch=None if on_event is None else _teller(on_event))


def run_batch_sync(
    batch: Batch, *, on_event: Callable[[Happened], object] | None = None
) -> Summary:
    """Call `run_batch` where no event loop is running."""
    return asyncio.run(run_batch(batch, on_event=on_event))


def manifest_of(batch: Batch) -> Manifest:
    """Return the manifest, which is loaded if need be. Raises ManifestError."""
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
