"""What can be seen of a batch and of its last run; the ledger is read again and again.

What was counted once is remembered, so that following a long run costs no more than a short one.
What can't be read in time is left out and named.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeVar

from batcher.common.formatting import format_duration
from batcher.core.lifecycle import IN_FLIGHT
from batcher.core.summary import FailureGroup
from batcher.errors import BatcherError
from batcher.ledger import schema
from batcher.ledger.connection import bounded
from batcher.ledger.queries.failed_documents import FailedDocument, FailedDocuments
from batcher.ledger.queries.run_activity import (
    Mishap,
    deadlines_by_minute,
    fetched_since,
    last_seq_before,
    mishaps_since,
    seconds_since,
    verdicts_since,
)
from batcher.ledger.queries.run_history import (
    RunRecord,
    RunSums,
    latest_run_with,
    run_history,
)
from batcher.views.plots import Bar
from batcher.web.catalogue import Batch
from batcher.web.glance import Glance, glance_in, too_slow, unreadable
from batcher.web.site import PATIENCE

T = TypeVar("T")

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
_REFUSALS: Final = ("RefusedForNow", "ReplyLost", "JobToRepeat", "JobVoided")


@dataclass(frozen=True, slots=True)
class Observation:
    """What the pages of a batch show of its ledger.

    `late` names what couldn't be read within `PATIENCE`: the "activity" of the last run, its
    "deadlines", the "failures" and the "runs".
    """

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
    late: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Activity:
    """The events of one run, as far as they have been read; the keys are seconds."""

    seq: int
    saved: Counter[int] = field(default_factory=Counter)
    in_flight: Counter[int] = field(default_factory=Counter)  # by how many more there were
    answers: Counter[int] = field(default_factory=Counter)
    refusals: Counter[int] = field(default_factory=Counter)
    failed: set[int] = field(default_factory=set)
    mishaps: dict[tuple[str, str], Mishap] = field(default_factory=dict)

    def read_on(self, connection: sqlite3.Connection) -> None:
        """Read what is new; the connection is in a transaction, so that all see the same.

        Nothing is counted before all is read: whoever interrupts a query may ask again.
        """
        seconds = list(seconds_since(connection, self.seq))
        mishaps = list(mishaps_since(connection, self.seq))
        failed = list(verdicts_since(connection, self.seq))
        (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        for at, event, number in seconds:
            self.saved[at] += number * (event == "Saved")
            self.in_flight[at] += number * ((event in _ENTER) - (event in _LEAVE))
            self.answers[at] += number * (event in _ANSWERS)
            self.refusals[at] += number * (event in _REFUSALS)
        for mishap in mishaps:
            self._add(mishap)
        self.failed.update(failed)
        self.seq = int(last)

    def _add(self, mishap: Mishap) -> None:
        key = mishap.event, _PARTICULARS.sub("", mishap.reason)
        if key not in self.mishaps and len(self.mishaps) >= REASONS_AT_MOST:
            key = mishap.event, ""
            mishap = mishap._replace(reason="for other reasons")
        before = self.mishaps.get(key, mishap._replace(number=0))
        latest = max(mishap, before, key=lambda one: one.last_at)
        self.mishaps[key] = latest._replace(number=mishap.number + before.number)


class Observer:
    """Observes one batch, in whatever thread it is called, one call at a time."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._run: int | None = None
        self._activity = _Activity(0)
        self._sums = RunSums()
        self._history_of: int | None = None
        self._history: Sequence[RunRecord] = ()
        self._groups: Sequence[FailureGroup] = ()
        self._failed: Sequence[tuple[FailureGroup, Sequence[FailedDocument]]] = ()
        self._late: set[str] = set()

    def observe(self) -> Observation:
        """Return what there is to see now, also of a ledger that can't be read."""
        self._late.clear()
        try:
            with schema.reading_beside(self._batch.ledger) as connection:
                connection.execute("BEGIN")  # one consistent state, while a run may keep writing
                seen = self._seen(connection)
            failed = self._failures(seen.glance)
        except TimeoutError:
            return Observation(too_slow(self._batch))
        except (BatcherError, sqlite3.Error) as error:
            return Observation(unreadable(self._batch, error))
        return replace(seen, failed=failed, late=frozenset(self._late))

    def _in_time(
        self, connection: sqlite3.Connection, name: str, read: Callable[[], T]
    ) -> T | None:
        """Return what is read; None if that takes too long, which is noted by `name`."""
        try:
            with bounded(connection, PATIENCE):
                return read()
        except TimeoutError:
            self._late.add(name)
            return None

    def _seen(self, connection: sqlite3.Connection) -> Observation:
        self._in_time(connection, "activity", lambda: self._read_activity(connection))
        glance = glance_in(connection, self._batch, last_run=self._latest_run)
        last = glance.last_run
        if last is None:
            return Observation(glance)
        deadlines = self._in_time(connection, "deadlines", lambda: deadlines_by_minute(connection))
        bars = list(_deadline_bars(deadlines or (), time.time()))
        if "activity" in self._late:  # then the figures of the last run are unknown, too
            self._late.add("runs")
            return Observation(glance, deadlines=bars)
        self._in_time(connection, "runs", lambda: self._read_history(connection, last))
        return replace(self._with_activity(glance, last), deadlines=bars)

    def _with_activity(self, glance: Glance, last: RunRecord) -> Observation:
        """Return what the last run did, and the runs before it as far as they could be read."""
        now = time.time()
        buckets = _Buckets(last.started_at, last.ended_at or now)
        still = sum(glance.documents.get(state, 0) for state in IN_FLIGHT)
        activity = self._activity
        earlier = self._history[:-1] if self._history_of == last.number else ()
        return Observation(
            glance,
            throughput=list(_throughput(activity.saved, buckets)),
            in_flight=_in_flight(activity.in_flight, buckets, still),
            width=format_duration(buckets.width),
            mishaps=sorted(activity.mishaps.values(), key=lambda m: -m.last_at),
            answers_lately=_lately(activity.answers, now),
            mishaps_lately=_lately(activity.refusals, now),
            runs=[last, *reversed(earlier)],
        )

    def _read_activity(self, connection: sqlite3.Connection) -> None:
        """Count what the latest run did, on from where the last look ended."""
        bare = latest_run_with(connection, RunSums(), under_way=False)
        if bare is None:
            return
        if self._run != bare.number:
            self._activity = _Activity(last_seq_before(connection, bare.started_at))
            self._run = bare.number
        self._activity.read_on(connection)
        pages, credits = fetched_since(connection, bare.started_at)
        saved = self._activity.saved.total()
        self._sums = RunSums(saved, self._activity.failed, pages, credits)

    def _latest_run(self, connection: sqlite3.Connection, *, under_way: bool) -> RunRecord | None:
        return latest_run_with(connection, self._sums, under_way=under_way)

    def _read_history(self, connection: sqlite3.Connection, last: RunRecord) -> None:
        """Read the list of runs where there is a new one: earlier ones don't change any more."""
        if self._history_of != last.number:
            self._history = run_history(connection, under_way=last.ended_at is None, last=RUNS)
            self._history_of = last.number

    def _failures(self, glance: Glance) -> Sequence[tuple[FailureGroup, Sequence[FailedDocument]]]:
        """Return the groups of failures with their documents, listed anew where they changed."""
        groups = glance.values["failures"] if glance.values else ()
        if groups != self._groups:
            with schema.reading_beside(self._batch.ledger) as connection:
                listed = self._in_time(connection, "failures", lambda: _listed(connection))
            if listed is None:
                return [(group, ()) for group in groups]
            self._failed = listed
            self._groups = groups
        return self._failed


def _listed(
    connection: sqlite3.Connection,
) -> list[tuple[FailureGroup, Sequence[FailedDocument]]]:
    found = FailedDocuments(connection)
    listed: dict[int, list[FailedDocument]] = defaultdict(list)
    for rank, document in found.documents(
        of_each_group=FAILED_OF_EACH_GROUP, at_most=FAILED_AT_MOST
    ):
        listed[rank].append(document)
    return [(group, listed[n]) for n, group in enumerate(found.groups())]


class _Buckets:
    """The spans of time that the bars of a plot stand for, each `width` seconds long."""

    def __init__(self, start: float, end: float) -> None:
        self.width = next((width for width in WIDTHS if width * BARS >= end - start), WIDTHS[-1])
        first = int(start) // self.width
        last = max(first, int(end) // self.width)
        self.numbers = range(max(first, last - 2 * BARS), last + 1)

    def sums(self, seconds: Counter[int]) -> Counter[int]:
        """Return the sums by number of the bucket."""
        found = Counter[int]()
        for at, number in seconds.items():
            found[at // self.width] += number
        return found

    def label(self, number: int) -> str:
        at = datetime.fromtimestamp(number * self.width)
        if self.width < 60:
            return f"{at:%H:%M:%S}"
        return f"{at:%H:%M}" if self.width < 3600 else f"{at:%m-%d %H:%M}"


def _throughput(saved: Counter[int], buckets: _Buckets) -> Iterator[Bar]:
    sums = buckets.sums(saved)
    for number in buckets.numbers:
        rate = sums[number] / buckets.width * 60
        yield Bar(buckets.label(number), rate, f"{rate:,.4g}")


def _in_flight(change: Counter[int], buckets: _Buckets, still: int) -> list[Bar]:
    """Return the number in flight at the end of each bar, counted back from what it is now."""
    sums = buckets.sums(change)
    bars = []
    for number in reversed(buckets.numbers):
        shown = max(0, still)
        bars.append(Bar(buckets.label(number), shown, f"{shown:,}"))
        still -= sums[number]
    return bars[::-1]


def _lately(seconds: Counter[int], now: float) -> int:
    return sum(seconds[at] for at in range(int(now) - LATELY, int(now) + 1))


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
