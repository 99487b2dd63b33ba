"""How fast the service ends our jobs, and so how many may be out: those that surely end before
their results go.

A result's time runs from the submission, and a job waits behind those that are out already: with
`n` out and `c` ended a second, a new one has ended after `n / c` seconds. So no more may be out
than the service ends within a share of the retention; what is left of it is for outages and for
hours in which the service is slower. Where results tell how long the service worked on them, the
rest of a job's time was waiting, and no more of that is wanted than keeps the service busy: then
even a service that becomes many times slower still ends all that is out.

Nothing is known at first, so it begins as though the slowest service worth waiting for had been
watched for a moment: a probe whose size follows from the retention. Soon what really ends outweighs
it. A service that works on many jobs side by side ends the more the more are out, so the bound
grows with each round; one whose capacity is reached doesn't, and there the bound stays. Time in
which nothing was out, or we were away, says nothing of the service and isn't counted; what ended
while we were away isn't either, for nobody knows when it did.

Pure: the clock is the caller's. How fast we fetch is `core.fetch_rate`'s.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from batcher.core.fetch_rate import SHARE

# of the retention all that is out is to end: a third more may yet be met with half of it left
WITHIN: Final = 3 / 8
WAIT: Final = 1 / 16  # of it may go by in the service's queue, where results tell what was waiting
# times the work on a job: a little more than is out, to find out whether more are worked on at once
OWN: Final = 1.25
SLOWEST: Final = 0.01  # jobs a second that a service is trusted to end before it has ended any …
WATCHED: Final = 100.0  # … and the seconds of watching that this guess is worth
# so many more may be out for each that ended: the first ones may have failed at once
VOUCHES: Final = 16
SMALLEST: Final = 2  # one that is worked on, and one whose turn is next
ENOUGH: Final = 64  # ends that tell a rate; where there are fewer, it is looked back further
SLICES: Final = 256  # of the longest look back, in which ends are counted
SHORTEST: Final = 1 / 4  # of the longest look back
# of the longest look back: where no look came through for longer than that, we were away
AWAY: Final = 1 / 8
SMOOTH: Final = 0.05


@dataclass(slots=True)
class CompletionRate:
    """Learns from each job that ended. Moments are the caller's, in seconds."""

    retention: float
    work: float | None = None  # seconds that the service works on a job, where it tells
    ended: int = 0
    _busy: float | None = None  # seconds in which anything was out, and we weren't away
    _seen: float = 0.0  # of these, when an end was last found
    _looked_at: float = 0.0
    _is_idle: bool = True
    # of ends; the last is now's
    _counts: deque[float] = field(default_factory=lambda: deque([0.0], maxlen=SLICES))
    _slice: int = 0  # the number of the last one

    def look(self, now: float, out: int) -> None:
        """Take in how many are out."""
        if self._busy is None:
            self._busy = 0.0 if out else None
        elif not self._is_idle:
            self._advance(now)
        self._looked_at = now
        self._is_idle = not out

    def learn(self, now: float, *, age: float, since: float, work: float | None = None) -> None:
        """A job submitted `age` seconds ago was found to have ended; `since` seconds ago it
        hadn't.
        """
        if self._busy is None:
            return  # an earlier run left it out, and it may have ended at any time
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
        """How many may be out, as of the last look."""
        probe = self._probe
        if self._busy is None:
            return probe
        return min(
            max(SMALLEST, 1 + int(self._rate(self._busy) * self._horizon)),
            probe + VOUCHES * self.ended,
        )

    @property
    def _longest(self) -> float:
        """Seconds that are looked back at most."""
        return self.retention * SHARE

    @property
    def _probe(self) -> int:
        return max(SMALLEST, int(self.retention * WITHIN * SLOWEST))

    @property
    def _horizon(self) -> float:
        """Seconds within which all that is out is to have ended."""
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
        """The last `span` seconds, as far as nothing was found in them: we were away."""
        assert self._busy is not None
        self._busy = min(self._busy, max(self._seen, self._busy - span))
        latest = int(self._busy / self._width)
        for _ in range(min(len(self._counts) - 1, self._slice - latest)):
            self._counts.pop()
        self._slice = latest

    def _rate(self, busy: float) -> float:
        """Ends a second of late: as far back as it takes to have seen enough."""
        least = self._longest * SHORTEST
        count = 0.0
        start = busy
        for back, ends in enumerate(reversed(self._counts)):
            count = count + ends
            start = (self._slice - back) * self._width
            if busy - start >= least and count >= ENOUGH:
                return count / (busy - start)
        if len(self._counts) == SLICES:
            return count / (busy - start)
        watched = min(WATCHED, self._longest / 4)  # it all began not long ago
        return (count + self._probe / self._horizon * watched) / (busy + watched)
