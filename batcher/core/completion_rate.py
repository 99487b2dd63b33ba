"""How fast the service completes our jobs, and so how many of them may be in flight.

Each must end before its result expires. A result's time runs from the submission, and a job waits
behind those already in flight: with `n` in flight and `c` ending per second, a new one has ended
after `n / c` seconds. So no more may be in flight than the service completes within a share of the
retention; the rest of the retention is a reserve for outages and for hours in which the service is
slower. If results say how long the service worked on them, the rest of a job's time was waiting,
and no more waiting is wanted than keeps the service busy: then even a service that becomes many
times slower completes all that is in flight.

Nothing is known at first, so it starts as if the slowest acceptable service had been observed for a
moment: a probe whose size follows from the retention. Soon the observed completions outweigh it. A
service that processes many jobs in parallel completes more the more are in flight, so the bound
grows with each round; at a service whose capacity is reached, the bound stays. Time in which
nothing was in flight, or in which this machine was offline or asleep, says nothing about the
service and isn't counted; nor are jobs that ended during that absence, as nobody knows when they
did.

Pure: the caller passes the time. How fast results are fetched is the subject of `core.fetch_rate`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from batcher.core.fetch_rate import SHARE

# Share of the retention in which all jobs in flight are to end: a third more can still be met with
# half of it left.
WITHIN: Final = 3 / 8
# share of the retention that may be spent in the service's queue, if results tell it
WAIT: Final = 1 / 16
# Factor on the work on a job: slightly more than is in flight, to find out whether more jobs are
# processed in parallel.
OWN: Final = 1.25
# jobs per second that a service is assumed to complete before it has completed any …
SLOWEST: Final = 0.01
WATCHED: Final = 100.0  # … and the seconds of observation that this guess is worth
# How many more jobs may be in flight for each that ended: the first ones may have failed at once.
VOUCHES: Final = 16
SMALLEST: Final = 2  # one job in progress, and one that is next
ENOUGH: Final = 64  # completions that suffice for a rate; with fewer, a longer past is taken
SLICES: Final = 256  # of the longest past that is considered, in which completions are counted
SHORTEST: Final = 1 / 4  # of the longest past that is considered
# Of the longest past that is considered: a longer gap between two calls of `look` means that we
# were absent.
AWAY: Final = 1 / 8
SMOOTH: Final = 0.05


@dataclass(slots=True)
class CompletionRate:
    """Learns from each job that ends. The caller passes moments, in seconds."""

    retention: float
    work: float | None = None  # seconds that the service works on a job, if it says so
    ended: int = 0
    _busy: float | None = None  # seconds with anything in flight and without absences
    _seen: float = 0.0  # the value of `_busy` when a completion was last found
    _looked_at: float = 0.0
    _is_idle: bool = True
    # completions in each slice; the last slice is the current one
    _counts: deque[float] = field(default_factory=lambda: deque([0.0], maxlen=SLICES))
    _slice: int = 0  # the number of the last slice

    def look(self, now: float, out: int) -> None:
        """Take in that `out` jobs are in flight at `now`."""
        if self._busy is None:
            self._busy = 0.0 if out else None
        elif not self._is_idle:
            self._advance(now)
        self._looked_at = now
        self._is_idle = not out

    def learn(self, now: float, *, age: float, since: float, work: float | None = None) -> None:
        """Take in that a job has ended.

        It was submitted `age` seconds ago, and `since` seconds ago it hadn't ended yet. `work` is
        how many seconds the service worked on it, if known.
        """
        if self._busy is None:
            return  # an earlier run submitted it, and it may have ended at any time
        self._advance(now)
        self.ended += 1
        weight = max(1 / self.ended, SMOOTH)
        if work:
            work = min(work, age)
            self.work = work if self.work is None else self.work + weight * (work - self.work)
        if since <= AWAY * self._longest:
            self._counts[-1] += 1
        else:
            self._leave_out(since)
        self._seen = self._busy

    def bound(self) -> int:
        """Return how many jobs may be in flight, as of the last `look`."""
        probe = self._probe
        if self._busy is None:
            return probe
        return min(
            max(SMALLEST, 1 + int(self._rate(self._busy) * self._horizon)),
            probe + VOUCHES * self.ended,
        )

    @property
    def _longest(self) -> float:
        """The longest past that is considered, in seconds."""
        return self.retention * SHARE

    @property
    def _probe(self) -> int:
        return max(SMALLEST, int(self.retention * WITHIN * SLOWEST))

    @property
    def _horizon(self) -> float:
        """The seconds within which all jobs in flight are to end."""
        if self.work is None:
            return self.retention * WITHIN
        return min(self.retention * WITHIN, self.retention * WAIT + self.work * OWN)

    @property
    def _width(self) -> float:
        return self._longest / SLICES

    def _advance(self, now: float) -> None:
        assert self._busy is not None
        self._busy += max(0.0, now - self._looked_at)
        self._looked_at = now
        latest = int(self._busy / self._width)
        self._counts.extend([0.0] * min(SLICES, latest - self._slice))
        self._slice = latest

    def _leave_out(self, span: float) -> None:
        """Leave out the last `span` seconds, unless something was found in them: we were absent."""
        assert self._busy is not None
        self._busy = min(self._busy, max(self._seen, self._busy - span))
        latest = int(self._busy / self._width)
        for _ in range(min(len(self._counts) - 1, self._slice - latest)):
            self._counts.pop()
        self._slice = latest

    def _rate(self, busy: float) -> float:
        """Return recent completions per second, from a past that is long enough to have several."""
        least = self._longest * SHORTEST
        width = self._width
        count = 0.0
        start = busy
        for back, ends in enumerate(reversed(self._counts)):
            count = count + ends
            start = (self._slice - back) * width
            if busy - start >= least and count >= ENOUGH:
                return count / (busy - start)
        if len(self._counts) == SLICES:
            return count / (busy - start)
        watched = min(WATCHED, self._longest / 4)  # the observation began recently
        return (count + self._probe / self._horizon * watched) / (busy + watched)
