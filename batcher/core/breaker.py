"""A circuit breaker for submissions: pauses them while the service itself is unwell.

It judges by shares, as a service that fails now and then isn't down. Only failures of the
provider's class count. It never delays the fetching of results.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from batcher.reducto.error_rules import ErrorClass

WINDOW: Final = 10.0  # seconds of the past that are judged
AT_LEAST: Final = 20  # outcomes within that time, for a share to be meaningful
SHARE: Final = 0.9  # of them failed: the service isn't just having a bad day, it is down
# Failures and nothing else during that time: with few submissions, a share would never be
# meaningful.
IN_A_ROW: Final = 5
# Seconds until one document may be tried; doubled after each one that fails.
FIRST_REST: Final = 15.0
LONGEST_REST: Final = 600.0
REMEMBERED: Final = 500  # outcomes


@dataclass(slots=True)
class Outcomes:
    """Outcomes of one kind of operation, in the order in which they became known."""

    # (moment, whether it failed)
    _all: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _in_a_row: int = 0  # failures since the last success
    _since: float = 0.0  # the moment of the first of those

    def succeeded(self, now: float) -> None:
        self._all.append((now, False))
        self._in_a_row = 0

    def failed(self, now: float) -> None:
        self._all.append((now, True))
        self._in_a_row += 1
        if self._in_a_row == 1:
            self._since = now

    def nearly_all_fail(self, now: float) -> bool:
        """Whether nearly all recent outcomes are failures, by share or by failures in a row."""
        while self._all and now - self._all[0][0] > WINDOW:
            self._all.popleft()
        failed = sum(failed for _, failed in self._all)
        if len(self._all) >= AT_LEAST and failed >= SHARE * len(self._all):
            return True
        return self._in_a_row >= IN_A_ROW and now - self._since >= WINDOW

    def forget(self) -> None:
        self._all.clear()
        self._in_a_row = 0


@dataclass(slots=True)
class Breaker:
    """Closed while all is well, open while nearly everything fails, half open after a pause.

    When half open, one document is tried. Submissions and jobs are judged separately: that a
    submission was accepted says nothing about how earlier jobs fare.
    """

    rests: int = 0
    open_until: float | None = None
    _submissions: Outcomes = field(default_factory=Outcomes)
    _jobs: Outcomes = field(default_factory=Outcomes)
    _opened_by: Outcomes | None = None
    _tries: bool = False  # the document that is tried is on its way

    def answered(self, now: float) -> None:
        """Take in that a submission was answered with a job id."""
        self._submissions.succeeded(now)
        if self._opened_by is self._submissions:
            self._close_if_well(now)

    def answer_lost(self, now: float) -> None:
        self._submissions.failed(now)
        self._open_if_unwell(self._submissions, now)

    def note(self, kind: str | None, now: float) -> None:
        """Take in how a job ended: the class of its error, or None if there was none."""
        if kind == ErrorClass.PROVIDER:
            self._jobs.failed(now)
            self._open_if_unwell(self._jobs, now)
        else:
            self._jobs.succeeded(now)
            self._close_if_well(now)

    def room(self, now: float) -> int | None:
        """Return how many more documents may be submitted; None if there is no limit."""
        if self.open_until is None:
            return None
        return 0 if self._is_resting(now) else 1

    def admits(self, now: float) -> bool:
        """Whether a document may be sent at this moment.

        While the breaker isn't closed, one is admitted after each pause.
        """
        if self.open_until is None:
            return True
        if self._is_resting(now):
            return False
        self.open_until = now + self._rest()
        self._tries = True
        return True

    def _open_if_unwell(self, outcomes: Outcomes, now: float) -> None:
        if self.open_until is None:
            if not outcomes.nearly_all_fail(now):
                return
            self._opened_by = outcomes
        elif self._is_resting(now) and not self._tries:
            return  # it was submitted before the breaker opened
        else:
            self.rests += 1
        self.open_until = now + self._rest()
        self._tries = False

    def _close_if_well(self, now: float) -> None:
        if self._opened_by is None or (self._opened_by.nearly_all_fail(now) and not self._tries):
            return
        self._submissions.forget()
        self._jobs.forget()
        self.rests = 0
        self.open_until = None
        self._opened_by = None
        self._tries = False

    def _is_resting(self, now: float) -> bool:
        return self.open_until is not None and now < self.open_until

    def _rest(self) -> float:
        return min(LONGEST_REST, FIRST_REST * 2.0**self.rests)
