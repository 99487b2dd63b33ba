"""The metrics of one run, for Prometheus: what is counted as it happens, and what the ledger says.

Each run has a registry of its own. The ledger is read when somebody asks, in another thread, and no
more often than its size allows. Labels have few values: none is a path, a document's address or a
secret.
"""

from __future__ import annotations

import asyncio
import math
import platform
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

import batcher
from batcher.adapters.metrics_endpoint import listening
from batcher.adapters.rate_limits import RateLimits
from batcher.cluster.messages import Standing
from batcher.common.addresses import is_loopback
from batcher.core.lifecycle import State
from batcher.ledger.connection import reader
from batcher.ledger.ledger import Ledger
from batcher.ledger.queries.reporting import ReportingQueries
from batcher.ledger.queries.tracking import TrackingQueries
from batcher.manifest.model import Manifest
from batcher.stages.run_control import RunControl

LOOK_EVERY: Final = 0.25  # seconds between two looks at how late the event loop is
FRESH: Final = 1.0  # seconds for which figures from the ledger are used again …
# … or so many times as long as reading them took, if that is longer: two percent of a processor
REST: Final = 50.0
TOO_MANY: Final = "429"
STATES: Final = tuple(state for state in State if state is not State.SUPERSEDED)
LANES: Final = tuple(field.name for field in fields(RateLimits) if field.name != "whole")
_LAG: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_COMMIT: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """What the ledger said at `read_at`. `documents` are counted by (step, state)."""

    read_at: float
    took: float
    documents: dict[tuple[str, str], int]
    pages: int
    credits: float
    credits_in_run: float
    deadline_at: float | None


class RunMetrics:
    """The registry of a run. It is the `Meter` of the client."""

    def __init__(self, manifest: Manifest, ledger: Ledger, control: RunControl) -> None:
        self.registry = CollectorRegistry()
        self._ledger = ledger
        self._control = control
        self._path = manifest.output.ledger_path
        self._steps = tuple(job.name for job in manifest.jobs)
        # The local service costs nothing, whatever it counts.
        self._price = 0.0 if manifest.service.is_local else manifest.prices.dollars_per_credit
        self._mark = ledger.reporting.last_event()
        self._figures: LedgerFigures | None = None
        self._reading = asyncio.Lock()
        self._rate_limits: RateLimits | None = None
        self._requests: Counter[tuple[str, str]] = Counter()
        self._sent: Counter[str] = Counter()
        self._received: Counter[str] = Counter()
        self._time()
        self._describe(manifest)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def _time(self) -> None:
        self._lag = Histogram(
            "batcher_event_loop_lag_seconds",
            "How late the event loop is.",
            buckets=_LAG,
            registry=self.registry,
        )
        commits = Histogram(
            "batcher_ledger_commit_seconds",
            "How long the commits of the ledger take.",
            buckets=_COMMIT,
            registry=self.registry,
        )
        self._ledger.time_commits(commits.observe)

    def _describe(self, manifest: Manifest) -> None:
        """Set what stays the same during the run."""
        Info("batcher_build", "The version of batcher.", registry=self.registry).info(
            {"version": batcher.__version__, "python": platform.python_version()}
        )
        Info("batcher_run", "The batch, and the service's name.", registry=self.registry).info(
            {"batch": manifest.batch, "service": manifest.service.name or "other"}
        )
        Gauge(
            "batcher_run_started_timestamp_seconds", "When the run began.", registry=self.registry
        ).set(time.time())
        limits = Gauge(
            "batcher_limit", "The limits that the manifest sets.", ["limit"], registry=self.registry
        )
        for name, cap in caps(manifest).items():
            limits.labels(name).set(cap)

    # --- what happens -----------------------------------------------------------------------------

    def exchanged(self, call: str, outcome: str, *, sent: int, received: int) -> None:
        """Count a request; see `reducto.calls.Meter`."""
        # A run makes thousands of requests between two looks at its metrics, so that the library's
        # counters, with their locks, would cost more than all else here.
        self._requests[call, outcome] += 1
        self._sent[call] += sent
        self._received[call] += received

    def watch_lanes(self, rate_limits: RateLimits) -> None:
        """Report from now on for how long each kind of call pauses."""
        self._rate_limits = rate_limits

    async def watch_lag(self) -> None:
        """Measure until cancelled how late the event loop is."""
        loop = asyncio.get_running_loop()
        while True:
            due_at = loop.time() + LOOK_EVERY
            await asyncio.sleep(LOOK_EVERY)
            self._lag.observe(max(0.0, loop.time() - due_at))

    # --- what is asked for ------------------------------------------------------------------------

    async def page(self, accept: str) -> tuple[str, bytes]:
        """Return the content type and the page of metrics that fits the header `accept`."""
        await self._refresh()
        encode, content_type = choose_encoder(accept)
        return str(content_type), bytes(encode(self.registry))

    async def _refresh(self) -> None:
        """Read the ledger again, unless what is known is fresh enough."""
        async with self._reading:
            known = self._figures
            if known and time.monotonic() < known.read_at + max(FRESH, REST * known.took):
                return
            try:
                self._figures = await asyncio.to_thread(
                    read_figures, self._path, self._steps, self._mark
                )
            except sqlite3.Error:
                # The run itself tells of a ledger that can't be read; here its figures are missing.
                self._figures = None

    def collect(self) -> Iterator[Any]:
        """Yield what is read when asked: called by the registry."""
        yield _gauge("batcher_in_flight", "Jobs in flight.", self._ledger.in_flight)
        yield from self._of_requests()
        if self._rate_limits is not None:
            yield _lanes(self._rate_limits)
        if self._figures is not None:
            yield from self._of_ledger(self._figures)
        if self._control.cluster is not None:
            yield from _of_cluster(self._control.cluster)

    def _of_requests(self) -> Iterator[Any]:
        too_many = {
            call: number for (call, status), number in self._requests.items() if status == TOO_MANY
        }
        yield _counter(
            "batcher_requests",
            "Requests to the service that have ended.",
            ["call", "status"],
            self._requests,
        )
        by_call: dict[tuple[str, str], Mapping[str, int]] = {
            ("batcher_rate_limited", "Requests that the service refused as too many."): too_many,
            ("batcher_sent_bytes", "Bytes of bodies sent."): self._sent,
            ("batcher_received_bytes", "Bytes of bodies received."): self._received,
        }
        for (name, about), numbers in by_call.items():
            of_calls = {(call,): number for call, number in numbers.items()}
            yield _counter(name, about, ["call"], of_calls)

    def _of_ledger(self, figures: LedgerFigures) -> Iterator[Any]:
        documents = GaugeMetricFamily(
            "batcher_documents", "Documents by step and state.", labels=["step", "state"]
        )
        for labels, number in figures.documents.items():
            documents.add_metric(labels, number)
        yield documents
        yield _gauge("batcher_pages", "Pages that were billed, in all runs.", figures.pages)
        credits = {"all": figures.credits, "run": figures.credits_in_run}
        spent = GaugeMetricFamily(
            "batcher_credits_spent", "Credits spent in all runs, and in this run.", labels=["scope"]
        )
        dollars = GaugeMetricFamily(
            "batcher_dollars_spent", "Dollars spent in all runs, and in this run.", labels=["scope"]
        )
        for scope, amount in credits.items():
            spent.add_metric([scope], amount)
            dollars.add_metric([scope], round(amount * self._price, 6))
        yield spent
        yield dollars
        if figures.deadline_at is not None:
            yield _gauge(
                "batcher_nearest_deadline_seconds",
                "Seconds until the first result of a job in flight is deleted.",
                figures.deadline_at - self._ledger.clock(),
            )


def _of_cluster(standing: Standing) -> Iterator[Any]:
    hands = GaugeMetricFamily(
        "batcher_cluster_hands",
        "Processes that read documents, or hash and upload files, by node.",
        labels=["node"],
    )
    for node in standing.nodes:
        hands.add_metric([node.address], node.hands)
    yield hands
    done: dict[tuple[str, str], dict[tuple[str], float]] = {
        ("batcher_cluster_documents", "Documents read, by node."): {},
        ("batcher_cluster_pages", "Pages read, by node."): {},
        ("batcher_cluster_hashed_files", "Files hashed, by node."): {},
        ("batcher_cluster_uploaded_files", "Files uploaded, by node."): {},
        ("batcher_cluster_uploaded_bytes", "Bytes of files uploaded, by node."): {},
        ("batcher_cluster_busy_seconds", "Seconds in which a node was at work."): {},
    }
    for node in standing.nodes:
        amounts = (
            node.documents,
            node.pages,
            node.hashed,
            node.uploaded,
            node.bytes,
            node.seconds,
        )
        for numbers, number in zip(done.values(), amounts, strict=True):
            numbers[(node.address,)] = number
    for (name, about), numbers in done.items():
        yield _counter(name, about, ["node"], numbers)
    lost = {("hand",): standing.lost_hands, ("node",): standing.lost_nodes}
    yield _counter("batcher_cluster_lost", "Hands and nodes that were lost.", ["what"], lost)


def caps(manifest: Manifest) -> dict[str, float]:
    """Return the limits that the manifest sets, by key; `stop_at` isn't an amount."""
    of_run = ("max_documents", "max_pages", "max_credits", "max_cost", "max_duration", "pay_again")
    of_service = ("max_in_flight", "requests_per_second")
    found = {name: getattr(manifest.limits, name) for name in of_run}
    found |= {name: getattr(manifest.service, name) for name in of_service}
    return {name: float(cap) for name, cap in found.items() if cap is not None and cap < math.inf}


def read_figures(path: Path, steps: tuple[str, ...], mark: int) -> LedgerFigures:
    """Read the ledger at `path`; `mark` is the last event before the run. Raises sqlite3.Error."""
    began = time.monotonic()
    with closing(reader(path)) as connection:
        tracking = TrackingQueries(connection)
        reporting = ReportingQueries(connection)
        documents = dict.fromkeys(((step, str(state)) for step in steps for state in STATES), 0)
        documents |= _counts(tracking, reporting, steps)
        pages, credits = reporting.spent()
        _, credits_in_run = reporting.since(mark)
        deadline_at = tracking.nearest_deadline_at()
    now = time.monotonic()
    return LedgerFigures(now, now - began, documents, pages, credits, credits_in_run, deadline_at)


def _counts(
    tracking: TrackingQueries, reporting: ReportingQueries, steps: tuple[str, ...]
) -> dict[tuple[str, str], int]:
    """Count documents by (step, state); with a single step an index alone tells."""
    by_step = reporting.steps()
    if not by_step:
        states = {str(state): number for state, number in tracking.counts().items()}
        by_step = {steps[0]: states}
    return {
        (step, state): number
        for step, states in by_step.items()
        for state, number in states.items()
        if state != State.SUPERSEDED
    }


def _gauge(name: str, about: str, value: float) -> Any:
    return GaugeMetricFamily(name, about, value=value)


def _counter(name: str, about: str, labels: list[str], numbers: Mapping[Any, float]) -> Any:
    counter = CounterMetricFamily(name, about, labels=labels)
    for values, number in numbers.items():
        counter.add_metric(values, number)
    return counter


def _lanes(rate_limits: RateLimits) -> Any:
    paused = GaugeMetricFamily(
        "batcher_lane_paused_seconds", "Seconds for which calls still pause.", labels=["lane"]
    )
    for lane in LANES:
        paused.add_metric([lane], getattr(rate_limits, lane).held_for)
    return paused


@asynccontextmanager
async def measuring(
    manifest: Manifest, ledger: Ledger, control: RunControl
) -> AsyncIterator[RunMetrics]:
    """Serve the metrics of a run during the block. Raises MetricsUnusable."""
    assert manifest.metrics is not None
    host, port = manifest.metrics.listen
    metrics = RunMetrics(manifest, ledger, control)
    async with listening(host, port, metrics.page) as address:
        if not is_loopback(host):
            control.warn(f"anybody who can reach this machine can read its metrics: {address}")
        elif port == 0:
            control.tell(f"metrics: {address}")
        looking = asyncio.create_task(metrics.watch_lag())
        try:
            yield metrics
        finally:
            looking.cancel()
