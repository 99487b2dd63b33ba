"""What a run would do, without doing it: the scanner works on a copy of the ledger in memory.

Nothing is written, and the service isn't called.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from batcher.common.names import extension_of
from batcher.core.chain import Step, merged, steps_of
from batcher.core.cost_estimate import CostEstimate, quote
from batcher.core.forecast import Forecast, forecast
from batcher.core.lifecycle import OUT, VERDICTS, State
from batcher.core.repayment import Repayment
from batcher.core.reservations import by_size
from batcher.core.summary import FailureGroup
from batcher.errors import DocumentLocked, each_of
from batcher.ledger.claim import refuse_outdated
from batcher.ledger.ledger import Ledger, memory_ledger
from batcher.ledger.queries.sending import SendingQueries
from batcher.ledger.queries.tracking import TrackingQueries
from batcher.ledger.schema import damaged
from batcher.manifest.model import Manifest
from batcher.reducto.address_lists import documents_in
from batcher.reducto.job import Job
from batcher.reducto.page_selection import asked_of
from batcher.reducto.rate_card import Measure, Prices
from batcher.runs.preflight import refuse_strangers
from batcher.sources.directory import path_at
from batcher.sources.page_count import measure
from batcher.sources.passwords import Passwords
from batcher.stages.chain import GROUP, happened
from batcher.stages.repay_guard import Consent, unasked
from batcher.stages.run_control import RunControl
from batcher.stages.scanner import Scanner
from batcher.stages.time_limit import TimeLimit

Sizes = dict[str, list[tuple[str, Measure]]]  # (extension, measure) of the documents, by step


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do, what that would cost, how long it would take, and what it risks."""

    batch: str
    to_send: int
    in_flight: int
    saved: int
    copies: int
    refused: int
    superseded: int
    again: int
    again_credits: float
    asks: bool
    size: int
    cost: CostEstimate
    forecast: Forecast
    prices: Prices
    uncounted: int = 0  # documents to send that are elsewhere, and aren't read for an estimate
    # files of types whose pages can't be counted here: they count with one page, or with what they
    # state
    guessed: int = 0
    guessed_pages: int = 0  # pages that such files usually have, by their size
    locked: int = 0  # files to send that need a password which isn't among the named ones
    # for a chain: documents to send, by step
    steps: Mapping[str, int] = field(default_factory=dict)
    refusals: Sequence[FailureGroup] = ()  # documents that aren't sent
    # by reason, and in words; empty if nothing was left out
    left_out: Mapping[str, Any] = field(default_factory=dict)
    taken_up: int = 0  # documents that failed for a reason that may pass, and are tried again
    # the sources in which `include` fits nothing, in words: a run would end with exit code 2
    unmatched: str = ""
    empty: Sequence[str] = ()  # sources that yield nothing, though the batch has documents
    sends_nothing: str = ""  # why a run that began now would send nothing; empty if it would

    @property
    def documents(self) -> int:
        return self.to_send + self.in_flight + self.saved + self.copies + self.refused

    def values(self) -> dict[str, Any]:
        told = asdict(self)
        del told["prices"]
        told["refusals"] = msgspec.to_builtins(self.refusals)
        return {**told, "credits": self.cost.credits}


async def make_plan(manifest: Manifest) -> Plan:
    """Return the plan. Raises BatcherError where a run would refuse to start."""
    refuse_strangers(manifest)
    path = manifest.output.ledger_path
    try:
        return await _planned_with(
            memory_ledger(path, batch=manifest.batch, clock=time.time), manifest
        )
    except* sqlite3.DatabaseError as errors:
        # the copy has what was wrong with the original
        raise damaged(path, next(each_of(errors))) from errors


async def _planned_with(ledger: Ledger, manifest: Manifest) -> Plan:
    refuse_outdated(manifest.output.ledger_path, ledger.claim, manifest.output.directory)
    before = Counter(ledger.tally)
    passwords = Passwords(manifest.sources, where=manifest.where)
    try:
        consent = Consent(ledger, RunControl(), unasked=float("inf"))
        scanner = Scanner(ledger, manifest, consent, clock=time.time)
        await scanner.sort_out()
        await scanner.run()
        while await _block(ledger):
            pass  # a step that is blocked blocks those after it
        sizes, guesses = await asyncio.to_thread(
            _measured, ledger.sending, {job.name: job for job in manifest.jobs}
        )
        locked = await asyncio.to_thread(_locked, ledger.sending, passwords)
        left = scanner.left_out
        plan = _plan(manifest, ledger, before, consent.again, sizes, locked)
        plan = replace(
            plan,
            left_out=left.values(),
            taken_up=scanner.taken_up,
            unmatched=scanner.unmatched,
            empty=scanner.empty,
            sends_nothing=_time_is_up(manifest),
        )
        return replace(plan, guessed=len(guesses), guessed_pages=sum(guesses))
    finally:
        passwords.close()
        ledger.close()


async def _block(ledger: Ledger) -> bool:
    """Block, as a run would, what follows a step that came to another verdict than saved.

    Return whether there was anything. What follows a saved step waits to be counted.
    """
    after = 0
    found = False
    while followers := ledger.sending.ready_to_follow(after=after, limit=GROUP):
        failed = [one for one in followers if one.state is not State.SAVED]
        if failed:
            await ledger.record(*happened(failed))
            found = True
        after = followers[-1].id
    return found


def _plan(
    manifest: Manifest,
    ledger: Ledger,
    before: Counter[State],
    again: Repayment,
    sizes: Sizes,
    locked: int,
) -> Plan:
    tally = ledger.tally
    to_send = sum(map(len, sizes.values()))
    return Plan(
        batch=manifest.batch,
        to_send=to_send,
        in_flight=sum(tally[state] for state in OUT),
        saved=tally[State.SAVED],
        copies=tally[State.DUPLICATE],
        refused=sum(tally[state] for state in VERDICTS),
        superseded=tally[State.SUPERSEDED] - before[State.SUPERSEDED],
        again=again.documents,
        again_credits=again.credits,
        asks=again.credits > unasked(manifest),
        size=ledger.sending.size(),
        cost=_cost(manifest, sizes),
        forecast=forecast(
            manifest,
            to_send,
            speed=ledger.reporting.speed(),
            took=ledger.reporting.longest_took(),
            nearest_deadline_in=_time_left(ledger.tracking, time.time()),
        ),
        prices=manifest.prices,
        uncounted=ledger.sending.number_elsewhere(),
        locked=locked,
        refusals=ledger.reporting.failures(passing=ledger.reporting.passing(runs=manifest.runs)),
        steps={name: len(of_step) for name, of_step in sizes.items()}
        if len(manifest.jobs) > 1
        else {},
    )


def _cost(manifest: Manifest, sizes: Sizes) -> CostEstimate:
    """Return the cost of all steps.

    A step that reads an earlier parse job is priced as one whose job the service usually still has.
    """

    def price(step: Step) -> CostEstimate:
        return quote(
            sizes.get(step.name, ()), step.job, manifest.prices, chained=step.upstream is not None
        )

    first, *others = map(price, steps_of(manifest.jobs, service=manifest.service.identity))
    return sum(others, first)


def _measured(sending: SendingQueries, jobs: Mapping[str, Job]) -> tuple[Sizes, list[int]]:
    """Return the (extension, measure) of each document to send, by step, and guessed page counts.

    A file is measured once, however many steps it goes through. Pages count as far as the job, or
    the listing for that document, asks for them. The guesses are the usual numbers of pages of the
    files whose pages can't be counted.
    """
    sizes: Sizes = {}
    guesses: list[int] = []
    last: tuple[Path | None, Measure] = None, Measure()
    for name, folder, source, place, content, options, size, elsewhere in sending.to_measure():
        path = path_at(folder, source, place)
        if path != last[0]:
            last = path, Measure() if elsewhere else measure(path)
            if not last[1].counted and not elsewhere:
                guesses.append(max(last[1].pages, round(by_size(extension_of(content), size)[0])))
        job = jobs[name]
        extension = extension_of(content)
        if options:
            job = replace(job, options=merged(job.options, json.loads(options)))
        asked = asked_of(last[1], job, extension)
        documents = documents_in(content)
        sizes.setdefault(name, []).append(
            (extension, asked._replace(pages=documents * asked.pages))
        )
    return sizes, guesses


def _locked(sending: SendingQueries, passwords: Passwords) -> int:
    """Count the local files to send that no password opens."""
    return sum(not _opens(passwords, *row) for row in sending.local_files())


def _opens(passwords: Passwords, folder: str, source: str, place: str | None) -> bool:
    try:
        passwords.opening(path_at(folder, source, place), passwords.of(folder, source, place))
    except DocumentLocked:
        return False
    return True


def _time_is_up(manifest: Manifest) -> str:
    """Return which limit would end a run that began now; empty if none would."""
    control = RunControl()
    TimeLimit(manifest.limits, control, clock=time.time).look()
    return control.reason


def _time_left(tracking: TrackingQueries, now: float) -> float | None:
    deadline = tracking.nearest_deadline_at()
    return None if deadline is None else deadline - now
