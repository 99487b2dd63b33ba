"""Run a batch from Python and ask about it: what the commands of the same names do, and no more.

A batch is given as a manifest (a path, a dictionary or a `Manifest`) or, for everything but a new
run, as its output directory. It has the same ledger, the same resumption and the same errors as
on the command line. `batcher.aio` and `batcher.blocking` offer these functions to event loops and
to everybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any

from batcher.batches import Batch, access_of, known_manifest, manifest_of, place_of
from batcher.core.events import Cleaned, DeletionStarted, Event
from batcher.core.lifecycle import VERDICTS, State
from batcher.core.summary import Summary
from batcher.errors import BatcherError
from batcher.ledger import schema
from batcher.ledger.ledger import Ledger, Transition
from batcher.ledger.lock import is_held
from batcher.ledger.named import Wanted
from batcher.ledger.queries.run_history import RunRecord
from batcher.ledger.queries.run_history import run_history as history_of
from batcher.ledger.reader import Document, LedgerReader
from batcher.maintenance.candidates import Requeued
from batcher.maintenance.export import FORMATS, WHAT, Exported
from batcher.maintenance.export import export as write
from batcher.maintenance.retry import CLASSES
from batcher.maintenance.retry import retry as put_back
from batcher.maintenance.verify import Verified
from batcher.maintenance.verify import verify as hold_against
from batcher.manifest.model import Manifest
from batcher.runs import running
from batcher.runs.plan import Plan, make_plan
from batcher.stages.run_control import RunControl
from batcher.views.failures import first_failed
from batcher.views.status import status_values

Watch = Callable[[Ledger], None]


@dataclass(frozen=True, slots=True)
class Happened:
    """A change of one document, already durable.

    `event` is one of the events in `batcher.core.events`.
    """

    source: str
    event: Event
    before: State
    after: State


OnEvent = Callable[[Happened], object]


# --- runs -----------------------------------------------------------------------------------------


async def run_batch(
    batch: Batch,
    *,
    on_event: OnEvent | None = None,
    sample: int | None = None,
    yes: bool = False,
    strict: bool = False,
) -> Summary:
    """Start or resume the batch and return its summary at the end.

    A path names a manifest. A dictionary has the keys of a manifest, and its paths are relative to
    the working directory. `on_event` is called on the event loop after every change of a document.
    `sample`, `yes` and `strict` are as on the command line: submit so many documents at most, pay
    again for what has changed without limit, count unsaved documents of earlier runs as well.

    Cancelling the task stops the run at once; nothing is lost, and the same call resumes it. A
    document that ends unsaved raises nothing: the summary lists it, and has the exit code. Raises
    BatcherError if the run can't start or continue: ManifestError, LedgerError (LedgerLocked if
    another run is under way), ServiceError, ServiceUnusable, ReceiverUnusable, OutputError.
    """
    manifest = asked(manifest_of(batch), sample=sample, yes=yes)
    control = RunControl(strict=strict)
    return await running.run_batch(manifest, control=control, watch=teller(on_event))


async def collect_batch(batch: Batch, *, on_event: OnEvent | None = None) -> Summary:
    """Fetch the results of jobs that earlier runs submitted, and submit nothing.

    Takes an output directory as well; otherwise as `run_batch`.
    """
    return await running.collect_batch(known_manifest(batch), watch=teller(on_event))


async def cancel_batch(
    batch: Batch,
    paths: Sequence[str] = (),
    *,
    step: str | None = None,
    on_event: OnEvent | None = None,
) -> Summary:
    """Cancel the jobs in flight, and fetch those that had completed; submit nothing.

    `paths` are sources, paths of files, or patterns as in `include`: with them, or with `step`, the
    name of a job, this is done with these documents alone. Takes an output directory as well;
    otherwise as `run_batch`. Raises BatcherError if a path or pattern fits nothing, if all of them
    have ended, or if a job is also for a document that isn't named.
    """
    return await running.cancel_batch(
        known_manifest(batch), watch=teller(on_event), wanted=_wanted(paths), step=step
    )


async def plan_batch(batch: Batch) -> Plan:
    """Return what a run would do and cost. Nothing is written, and the service isn't called.

    Raises ManifestError, LedgerError and SourceError where a run would refuse to start.
    """
    return await make_plan(manifest_of(batch))


async def retry_batch(
    batch: Batch, paths: Sequence[str] = (), *, only: str | None = None
) -> Requeued:
    """Put documents that failed back in the queue, for the next run to pay for again.

    `paths` are sources, paths of files, or patterns as in `include`; `only` is a class as in
    `batcher retry --only`. Without either: all that failed, expired, were lost or cancelled. Raises
    BatcherError if a path or pattern fits nothing with a verdict or there is no such class,
    LedgerLocked while a run is under way, and other LedgerErrors.
    """
    if only is not None and only not in CLASSES:
        raise BatcherError(f"only={only!r}: there are {', '.join(CLASSES)}")
    return await put_back(place_of(batch).ledger, only=only, wanted=_wanted(paths))


def _wanted(paths: Sequence[str]) -> Wanted:
    return Wanted((paths,) if isinstance(paths, str) else tuple(paths))


# --- what is on record ----------------------------------------------------------------------------


def verify(batch: Batch, paths: Sequence[str] = ()) -> Verified:
    """Compare every saved result with its hash, and the ledger with its journal; reads all files.

    With `paths`, as in `retry_batch`, only the results of these documents are read. What isn't as
    it should be raises nothing: see `Verified.is_whole`. `batcher verify --repair` has it restored.
    Raises ManifestError and LedgerError, and BatcherError if a path fits nothing.
    """
    place = place_of(batch)
    with schema.reading(place.ledger) as connection:
        return hold_against(connection, place.output, place.ledger, wanted=_wanted(paths))


def export(
    batch: Batch,
    target: str | PathLike[str],
    *,
    what: str = "results",
    format: str | None = None,
    chunks: bool = False,
) -> Exported:
    """Write results, documents, attempts or costs (`what`) to one file, in place of an older one.

    `format` is jsonl, csv or parquet, by default what the name of `target` ends with. `chunks`
    writes a line of JSON for each chunk instead of each document. Results whose files are missing
    or changed are left out and listed in `Exported.missing`. Raises BatcherError if that can't be
    written, OutputError if the disk fails, ManifestError and LedgerError.
    """
    path = Path(target)
    format = path.suffix.removeprefix(".").lower() if format is None else format
    if format not in FORMATS:
        raise BatcherError(f"{path}: format={format!r}: there are {', '.join(FORMATS)}")
    if what not in WHAT:
        raise BatcherError(f"what={what!r}: there are {', '.join(WHAT)}")
    place = place_of(batch)
    with schema.reading(place.ledger) as connection:
        return write(
            connection,
            place.output,
            path,
            what=what,
            format=format,
            chunks=chunks,
            access=access_of(batch),
        )


def status(batch: Batch) -> dict[str, Any]:
    """Return how far the batch is, with the keys of `batcher status --json`.

    Among them are `documents` by state, `under_way`, `pages`, `credits`, `cost`, and
    `failed_documents`: their number and the first 100; `failures` returns all. A run under way
    isn't disturbed, and the service isn't asked. Raises ManifestError and LedgerError.
    """
    place = place_of(batch)
    values = status_values(place.ledger, under_way=is_held(place.ledger), output=place.output)
    what = Path(batch) if isinstance(batch, str | PathLike) else place.output
    return {**values, "failed_documents": first_failed(place.ledger, what)}


def failures(batch: Batch) -> list[Document]:
    """Return every document with a verdict other than saved, by source, with its `reason`.

    `Ledger.failures` returns them in groups. Raises ManifestError and LedgerError.
    """
    with LedgerReader.open(place_of(batch).ledger) as ledger:
        return [document for document in ledger.documents() if document.state in VERDICTS]


def run_history(batch: Batch, *, last: int | None = None) -> list[RunRecord]:
    """Return the runs of the batch, or the `last` so many, oldest first, and how each ended.

    Raises ManifestError and LedgerError.
    """
    ledger = place_of(batch).ledger
    with schema.reading(ledger) as connection:
        return history_of(connection, under_way=is_held(ledger), last=last)


# --- runs, as callers ask for them ----------------------------------------------------------------


def asked(manifest: Manifest, *, sample: int | None, yes: bool) -> Manifest:
    """Return the manifest with what a caller asks of a run beside it, as in `run_batch`."""
    limits = manifest.limits
    if sample is not None:
        limits = replace(limits, max_documents=sample, is_sample=True)
    if yes:
        limits = replace(limits, pay_again=inf)
    return replace(manifest, limits=limits)


def teller(on_event: OnEvent | None) -> Watch | None:
    """Return what has a run call `on_event` after each change; None if nobody listens."""
    if on_event is None:
        return None

    def watch(ledger: Ledger) -> None:
        def tell(change: Transition) -> None:
            if isinstance(change.event, DeletionStarted | Cleaned):
                return  # of the job at the service; the document stays as it is
            source = ledger.tracking.source_of(change.event.document)
            on_event(Happened(source, change.event, change.before, change.after))

        ledger.listeners.append(tell)

    return watch
