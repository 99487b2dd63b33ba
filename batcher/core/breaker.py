"""A circuit breaker for submissions: where the service itself is unwell, the next document would fare no better.

Only failures of the provider's class count. It never holds back what brings results home.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batcher.core.policy import Kind

TRIPS_AT: Final = 5  # failures in a row
FIRST_REST: Final = 15.0  # seconds until one document may try again; twice as long after each that fails
LONGEST_REST: Final = 600.0


@dataclass(slots=True)
class Breaker:
    """Closed while all is well; open after `TRIPS_AT` failures in a row; half open, for one document, after a rest."""

    in_a_row: int = 0
    rests: int = 0
    open_until: float | None = None
    unanswered: int = 0  # of those in a row: submissions whose answers were lost

    def answered(self) -> None:
        """A submission was: answers lost before it are no failures in a row, though no job may have ended for hours."""
        self.in_a_row -= self.unanswered
        self.unanswered = 0
        if self.in_a_row < TRIPS_AT:
            self.rests, self.open_until = 0, None

    def answer_lost(self, now: float) -> None:
        self.unanswered += 1
        self.note(Kind.PROVIDER, now)

    def note(self, kind: str | None, now: float) -> None:
        """Take in how a document fared: the class of its error, or None where there was none."""
        if kind != Kind.PROVIDER:
            self.in_a_row, self.unanswered, self.rests, self.open_until = 0, 0, 0, None
            return
        self.in_a_row += 1
        if self.in_a_row >= TRIPS_AT and not self._is_resting(now):
            self.open_until = now + self._rest()
            self.rests += 1

    def room(self, now: float) -> int | None:
        """How many more documents may be submitted; None: as many as there are."""
        if self.open_until is None:
            return None
        return 0 if self._is_resting(now) else 1

    def sent(self, now: float) -> None:
        """A document is on its way: while the breaker isn't closed, no other goes before its rest is over."""
        if self.open_until is not None:
            self.open_until = now + self._rest()

    def _is_resting(self, now: float) -> bool:
        return self.open_until is not None and now < self.open_until

    def _rest(self) -> float:
        return min(LONGEST_REST, FIRST_REST * 2.0**self.rests)
