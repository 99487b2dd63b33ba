"""What can be seen of a batch and of its last run; the ledger is read again and again.

What was counted once is remembered, so that following a long run costs no more than a short one.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from batcher.common.formatting import format_duration
from batcher.core.lifecycle import IN_FLIGHT
from batcher.core.summary import FailureGroup
from batcher.ledger import schema
from batcher.ledger.queries.failed_documents import FailedDocument, FailedDocuments
from batcher.ledger.queries.run_activity import (
    Mishap,
    deadlines_by_minute,
    last_seq_before,
    mishaps_since,
    seconds_since,
)
from batcher.ledger.queries.run_history import RunRecord, run_history
from batcher.views.plots import Bar
from batcher.web.catalogue import Batch
from batcher.web.glance import Glance, glance_at

RUNS: Final = 20  # that are listed
BARS: Final = 48  # of a plot over the time of a run
DEADLINE_BARS: Final = 12
FAILED_OF_EACH_GROUP: Final = 50  # documents that are listed; the table of documents has all
FAILED_AT_MOST: Final = 500
LATELY: Final = 60  # seconds in which answers and mishaps tell how the service is
# Seconds that a bar may stand for.
WIDTHS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)

# What differs between reasons of one kind: amounts, and ids of jobs and uploads.
_PARTICULARS: Final = re.compile(r"\b[0-9a-f][0-9a-f-]{15,}\b|\d+\.\d+|\bdocument \d+")
REASONS_AT_MOST: Final = 200  # that are told apart

_ENTER: Final = ("Accepted", "Adopted", "FileMissed")
_LEAVE: Final = ("Saved", "JobFailed", "JobToRepeat", "JobVoided", "Expired", "Lost", "Stuck")
_ANSWERS: Final = ("Accepted", "Adopted", "Ended", "Saved")
_MISHAPS: Final = ("RefusedForNow", "ReplyLost", "JobToRepeat", "JobVoided")


@dataclass(frozen=True, slots=True)
class Observation:
    """What the pages of a batch show of its ledger."""

    glance: Glance
    throughput: Sequence[Bar] = ()  # results a minute
    in_flight: Sequence[Bar] = ()
    width: str = ""  # of a bar, in words
    mishaps: Sequence[Mishap] = ()
    answers_lately: int = 0
    mishaps_lately: int = 0
    deadlines: Sequence[Bar] = ()
    failed: Sequence[tuple[FailureGroup, Sequence[FailedDocument]]] = ()
    runs: Sequence[RunRecord] = ()


@dataclass(slots=True)
class _Activity:
    """The events of one run by second, as far as they have been read."""

    seq: int
    seconds: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    mishaps: dict[tuple[str, str], Mishap] = field(default_factory=dict)

    def read_on(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN")  # so that all three see the same events
        try:
            (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
            for at, event, number in seconds_since(connection, self.seq):
                self.seconds[at][event] += number
            for mishap in mishaps_since(connection, self.seq):
                self._add(mishap)
            self.seq = int(last)
        finally:
            connection.execute("ROLLBACK")

    def _add(self, mishap: Mishap) -> None:
        key = mishap.event, _PARTICULARS.sub("", mishap.reason)
        if key not in self.mishaps and len(self.mishaps) >= REASONS_AT_MOST:
            key = mishap.event, ""
            mishap = mishap._replace(reason="for other reasons")
        before = self.mishaps.get(key, mishap._replace(number=0))
        latest = max(mishap, before, key=lambda one: one.last_at)
        self.mishaps[key] = latest._replace(number=mishap.number + before.number)

    def lately(self, now: float, events: Sequence[str]) -> int:
        since = int(now) - LATELY
        counts = (count for at, count in self.seconds.items() if at >= since)
        return sum(count[event] for count in counts for event in events)


class Observer:
    """Observes one batch, in whatever thread it is called, one call at a time."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._run: int | None = None
        self._activity = _Activity(0)
        self._runs: Sequence[RunRecord] = ()
        self._failed: Sequence[tuple[FailureGroup, Sequence[FailedDocument]]] = ()
        self._groups: Sequence[FailureGroup] = ()

    def observe(self) -> Observation:
        """Return what there is to see now. Raises LedgerError where the ledger can't be read."""
        glance = glance_at(self._batch)
        last = glance.last_run
        if glance.values is None or last is None:
            return Observation(glance)
        now = time.time()
        with schema.reading_beside(self._batch.ledger) as connection:
            self._read_activity(connection, last)
            self._read_runs(connection, last, under_way=glance.values["under_way"])
            deadlines = list(_deadline_bars(deadlines_by_minute(connection), now))
        self._read_failures(glance.values["failures"])
        end = last.ended_at or now
        documents = glance.documents
        still = sum(documents.get(state, 0) for state in IN_FLIGHT)
        width = _width(end - last.started_at)
        return Observation(
            glance,
            throughput=list(_throughput(self._activity.seconds, last.started_at, end, width)),
            in_flight=list(_in_flight(self._activity.seconds, last.started_at, end, width, still)),
            width=format_duration(width),
            mishaps=sorted(self._activity.mishaps.values(), key=lambda m: -m.last_at),
            answers_lately=self._activity.lately(now, _ANSWERS),
            mishaps_lately=self._activity.lately(now, _MISHAPS),
            deadlines=deadlines,
            failed=self._failed,
            runs=[last, *reversed(self._runs[:-1])],
        )

    def _read_activity(self, connection: sqlite3.Connection, last: RunRecord) -> None:
        if self._run != last.number:
            self._activity = _Activity(last_seq_before(connection, last.started_at))
        self._activity.read_on(connection)

    def _read_runs(
        self, connection: sqlite3.Connection, last: RunRecord, *, under_way: bool
    ) -> None:
        """Read the history again where a run has begun: earlier ones don't change any more."""
        if self._run != last.number:
            self._runs = run_history(connection, under_way=under_way, last=RUNS)
            self._run = last.number

    def _read_failures(self, groups: Sequence[FailureGroup]) -> None:
        if groups == self._groups:
            return
        with schema.reading_beside(self._batch.ledger) as connection:
            found = FailedDocuments(connection)
            listed: dict[int, list[FailedDocument]] = defaultdict(list)
            for rank, document in found.documents(
                of_each_group=FAILED_OF_EACH_GROUP, at_most=FAILED_AT_MOST
            ):
                listed[rank].append(document)
            self._failed = [(group, listed[n]) for n, group in enumerate(found.groups())]
        self._groups = groups


def _width(span: float) -> int:
    return next((width for width in WIDTHS if width * BARS >= span), WIDTHS[-1])


def _throughput(
    seconds: Mapping[int, Counter[str]], start: float, end: float, width: int
) -> Iterator[Bar]:
    saved = Counter[int]()
    for at, counts in seconds.items():
        saved[at // width] += counts["Saved"]
    for bucket in _buckets(start, end, width):
        rate = saved[bucket] / width * 60
        yield Bar(_label(bucket, width), rate, f"{rate:,.4g}")


def _in_flight(
    seconds: Mapping[int, Counter[str]], start: float, end: float, width: int, still: int
) -> Iterator[Bar]:
    """Yield the number in flight at the end of each bar, counted back from what it is now."""
    change = Counter[int]()
    for at, counts in seconds.items():
        entered = sum(counts[event] for event in _ENTER)
        change[at // width] += entered - sum(counts[event] for event in _LEAVE)
    bars = []
    number = still
    for bucket in reversed(_buckets(start, end, width)):
        shown = max(0, number)
        bars.append(Bar(_label(bucket, width), shown, f"{shown:,}"))
        number -= change[bucket]
    yield from reversed(bars)


def _buckets(start: float, end: float, width: int) -> range:
    first = int(start) // width
    last = max(first, int(end) // width)
    return range(max(first, last - 2 * BARS), last + 1)


def _label(bucket: int, width: int) -> str:
    at = datetime.fromtimestamp(bucket * width)
    if width < 60:
        return f"{at:%H:%M:%S}"
    return f"{at:%H:%M}" if width < 3600 else f"{at:%m-%d %H:%M}"


def _deadline_bars(deadlines: Sequence[tuple[float, int]], now: float) -> Iterator[Bar]:
    """Yield how many jobs in flight have so much time left, the most urgent first."""
    if not deadlines:
        return
    longest = max(60.0, deadlines[-1][0] + 60 - now)
    width = next(w for w in (*WIDTHS, longest) if w * DEADLINE_BARS >= longest)
    counts = Counter[int]()
    for deadline, number in deadlines:
        counts[max(0, int((deadline - now) // width))] += number
    for bucket in range(max(counts) + 1):
        number = counts[bucket]
        yield Bar(format_duration(bucket * width) if bucket else "now", number, f"{number:,}")
