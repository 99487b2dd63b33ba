"""Runs a batch: opens its ledger, connects to the service, runs one kind of run, and sums it up."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, replace
from functools import partial

import msgspec

import batcher
from batcher.adapters.clock import SteadyClock
from batcher.adapters.error_log import keeper
from batcher.cluster.figures import values_of
from batcher.common.formatting import pluralize
from batcher.common.secrets import Secrets
from batcher.core.lifecycle import IN_FLIGHT, State
from batcher.core.summary import Audit, Summary
from batcher.errors import BatcherError, MirrorError, OutputError
from batcher.exit_codes import ExitCode, RunEnd, ended_as, exit_code_of
from batcher.ledger.claim import write_claim
from batcher.ledger.derived_outputs import note_shape
from batcher.ledger.ledger import Ledger
from batcher.ledger.named import EVERYTHING, Wanted
from batcher.ledger.schema import reading
from batcher.manifest.model import Manifest, outline
from batcher.outputs.result_store import Store
from batcher.outputs.shapes import shape_of_job
from batcher.runs.callback import calling_back
from batcher.runs.cancelling import Chosen, chosen
from batcher.runs.cluster_record import recording
from batcher.runs.hands import borrowed
from batcher.runs.kinds import Cancellation, CollectRun, Run, RunContext, in_one_line
from batcher.runs.mirror_claim import claim_mirror, refuse_foreign_mirror
from batcher.runs.notifications import publish, publish_failure
from batcher.runs.preflight import open_batch, reach, refuse_foreign_attempts
from batcher.runs.wiring import budget_of
from batcher.stages.boundary import TRACES
from batcher.stages.run_control import RunControl

Watch = Callable[[Ledger], None]
Choose = Callable[[sqlite3.Connection], Chosen]


async def run_batch(
    manifest: Manifest,
    *,
    control: RunControl | None = None,
    watch: Watch | None = None,
    rng: random.Random | None = None,
) -> Summary:
    """Start or resume the batch, and return its summary.

    `control` lets the caller stop the run; `watch` is called with the ledger once that is open;
    `rng` makes nonces and back-offs. Raises BatcherError where the run can't start or continue;
    everything on record is kept.
    """
    return await _conduct(manifest, Run, control or RunControl(), watch, rng)


async def collect_batch(
    manifest: Manifest,
    *,
    control: RunControl | None = None,
    watch: Watch | None = None,
    rng: random.Random | None = None,
) -> Summary:
    """Fetch the results of jobs that earlier runs submitted, and submit nothing.

    Takes and raises the same as `run_batch`.
    """
    return await _conduct(manifest, CollectRun, control or RunControl(), watch, rng)


async def cancel_batch(
    manifest: Manifest,
    *,
    control: RunControl | None = None,
    watch: Watch | None = None,
    rng: random.Random | None = None,
    wanted: Wanted = EVERYTHING,
    step: str | None = None,
) -> Summary:
    """Send nothing more, cancel the jobs in flight, and fetch those that had already completed.

    With `wanted` this is done with those documents alone, of all steps or of `step`. Takes and
    raises the same as `run_batch`, and BatcherError where what is wanted can't be cancelled.
    """
    choose = None
    if not wanted.is_all or step is not None:
        choose = partial(chosen, wanted=wanted, step=step)
        with reading(manifest.output.ledger_path) as connection:
            choose(connection)  # a slip isn't worth a message to [notify]
    return await _conduct(manifest, Cancellation, control or RunControl(), watch, rng, choose)


async def _conduct(
    manifest: Manifest,
    kind: type[CollectRun],
    control: RunControl,
    watch: Watch | None,
    rng: random.Random | None,
    choose: Choose | None = None,
) -> Summary:
    try:
        summary = await _to_its_end(manifest, kind, control, watch, rng or _chance(), choose)
    except BatcherError as error:
        await publish_failure(manifest, error)
        raise
    return replace(summary, notes=(*summary.notes, *await publish(manifest, asdict(summary))))


async def _to_its_end(
    manifest: Manifest,
    kind: type[CollectRun],
    control: RunControl,
    watch: Watch | None,
    rng: random.Random,
    choose: Choose | None,
) -> Summary:
    began = time.monotonic()
    clock = SteadyClock()
    async with AsyncExitStack() as stack:
        ledger = open_batch(manifest, stack, clock)
        meant = None if choose is None else choose(ledger.reader)
        store = Store(manifest.output.directory, manifest.output.access)
        store.check_writable()
        store.sweep()
        keep = keeper(manifest.output.directory / TRACES, control.trace)
        control.trace = lambda text: keep(ledger.secrets.cut(text))
        metrics = None
        if manifest.metrics is not None:
            from batcher.runs.metrics import measuring  # few runs need its library

            metrics = await stack.enter_async_context(measuring(manifest, ledger, control))
        reached = await stack.enter_async_context(
            reach(manifest, control, clock, ledger.secrets, meter=metrics)
        )
        refuse_foreign_attempts(ledger, reached)
        hands = None
        if kind.submits:
            hands = await stack.enter_async_context(borrowed(manifest, control))
        if watch is not None:
            watch(ledger)
        callback = await stack.enter_async_context(
            calling_back(manifest, token_key=reached.token_key, clock=clock)
        )
        may_claim_mirror = kind.submits and await _is_own_mirror(manifest, ledger, control)
        mark = ledger.reporting.last_event()
        number = await ledger.begin_run(
            version=batcher.__version__,
            service=reached.identity,
            manifest=json.dumps(outline(manifest)),
        )
        summarise = partial(_summarise, manifest, ledger, control, mark)
        await stack.enter_async_context(_on_record(ledger, number, summarise, began))
        await _claim(manifest, ledger)
        if may_claim_mirror:
            with suppress(MirrorError):  # the check of the mirror says so, and stops the run
                await claim_mirror(manifest, ledger)
        if kind.submits:  # another kind may know no more of the jobs than their names
            for job in manifest.jobs:
                await note_shape(ledger, job.name, shape_of_job(job.endpoint, job.options))
        await ledger.interrupted()
        if manifest.limits.spending:
            await ledger.keep_to(budget_of(manifest))
        run = kind(
            RunContext(
                manifest,
                ledger,
                store,
                reached,
                control,
                clock,
                rng,
                callback=callback,
                only=None if meant is None else meant.documents,
                hands=hands,
            )
        )
        if metrics is not None:
            metrics.watch_lanes(run.rate_limits)
        async with recording(ledger, control):
            await run.to_its_end()
        audit = _discreet(await run.audit(), ledger.secrets)
        if run.has_taken_its_sample:
            control.finished()
        if run.unmatched and not control.exit_code:
            control.stop(run.unmatched, ExitCode.USAGE)
        summary = summarise(audit, seconds=time.monotonic() - began)
        passed = tuple(one.words() for one in await ledger.overruns())
        summary = replace(
            summary,
            left_out=run.left_out.values(),
            unscanned=run.unscanned,
            taken_up=run.taken_up,
            notes=(*summary.notes, *passed, *(meant.notes() if meant else ())),
        )
        if run.has_looked:
            await ledger.note("left out", json.dumps(summary.left_out))
        await _end(ledger, number, summary)
        # the run is over; the claim of its beginning stands
        with suppress(OutputError, MirrorError):
            await _claim(manifest, ledger)
            if may_claim_mirror:
                await claim_mirror(manifest, ledger)
        return summary


@asynccontextmanager
async def _on_record(
    ledger: Ledger, number: int, summarise: Callable[..., Summary], began: float
) -> AsyncIterator[None]:
    """Record the end of run `number` also where an error ends it: nobody killed it.

    The error is what counts, whether or not the ledger can still be written.
    """
    try:
        yield
    except BatcherError as error:
        with suppress(BatcherError, sqlite3.Error):
            summary = replace(
                summarise(Audit(), seconds=time.monotonic() - began),
                exit_code=error.exit_code,
                ended=ended_as(error.exit_code, RunEnd.FAILED),
                reason=ledger.secrets.cut(in_one_line(error)),
                goes_on=False,
            )
            await _end(ledger, number, summary)
        raise


async def _end(ledger: Ledger, number: int, summary: Summary) -> None:
    encoded = msgspec.json.encode(summary).decode()
    await ledger.end_run(number, exit_code=summary.exit_code, summary=encoded)


async def _is_own_mirror(manifest: Manifest, ledger: Ledger, control: RunControl) -> bool:
    """Return whether the mirror was seen not to be another ledger's.

    If it can't be read, nothing is sent; results in flight still go to disk. Raises LedgerForeign
    and LedgerOutdated.
    """
    try:
        await refuse_foreign_mirror(manifest, ledger)
    except MirrorError as error:
        words = f"output.mirror: {error}; nothing was sent"
        control.stop(words, ExitCode.RUN_AGAIN, home=True)
        return False
    return True


async def _claim(manifest: Manifest, ledger: Ledger) -> None:
    """Write beside the results how far the ledger has got. Raises OutputError."""
    claim = ledger.claim
    assert claim is not None, "a run has begun"
    output = manifest.output
    await asyncio.to_thread(write_claim, output.directory, claim, output.access)


def _discreet(audit: Audit, secrets: Secrets) -> Audit:
    """Remove secrets from the audit: it contains what the service said."""
    told = {
        name: tuple(map(secrets.cut, getattr(audit, name)))
        for name in ("twins", "mixed_up", "notes")
    }
    return replace(audit, **told)


def _waits(number: int) -> str:
    return (
        f"{pluralize(number, 'document')} failed for a reason that may pass: the next run tries "
        "again by itself"
    )


def _chance() -> random.Random:
    """Return a generator for nonces and back-offs: they must differ, but aren't secret.

    The system seeds it once, because asking the system for each number takes 0.1 ms.
    """
    return random.Random()  # noqa: S311


def _summarise(
    manifest: Manifest,
    ledger: Ledger,
    control: RunControl,
    mark: int,
    audit: Audit,
    *,
    seconds: float,
) -> Summary:
    passing = ledger.reporting.passing(runs=manifest.runs)
    waiting = [document for document, _ in passing]
    failed = ledger.reporting.verdicts_since(mark, but=waiting)
    waits = bool(waiting) and ledger.reporting.verdicts_since(mark)
    tally: Counter[State] = +ledger.tracking.counts()
    del tally[State.SUPERSEDED]
    pages, credits = ledger.reporting.spent()
    saved_now, credits_now = ledger.reporting.since(mark)
    price = manifest.dollars_per_credit
    exit_code = exit_code_of(
        stopped=control.exit_code,
        refused=bool(control.refused),
        failed=bool(failed) or not audit.agrees,
        waits=bool(waits),
        lacks=control.strict and tally.total() > tally[State.SAVED],
    )
    out = any(tally[state] for state in IN_FLIGHT)
    return Summary(
        batch=manifest.batch,
        documents={str(state): number for state, number in tally.most_common()},
        failures=tuple(ledger.reporting.failures(passing=passing)),
        not_served=ledger.reporting.not_served(),
        waiting=len(waiting),
        goes_on=exit_code == ExitCode.RUN_AGAIN and not control.exit_code,
        pages=pages,
        credits=credits,
        seconds=seconds,
        exit_code=exit_code,
        ended=ended_as(exit_code, control.how),
        reason=control.reason
        or control.refused
        or (_waits(len(waiting)) if exit_code == ExitCode.RUN_AGAIN else ""),
        steps=ledger.reporting.steps() if len(manifest.jobs) > 1 else {},
        bring_home_by=ledger.tracking.nearest_deadline_at() if out else None,
        warnings=tuple(control.warnings),
        saved_in_run=saved_now,
        withdrawn=ledger.reporting.withdrawn_since(mark),
        credits_in_run=round(credits_now, 6),
        dollars=round(credits * price, 6),
        dollars_in_run=round(credits_now * price, 6),
        notes=audit.notes,
        audit=audit,
        cluster=values_of(control.cluster) if control.cluster else {},
    )
