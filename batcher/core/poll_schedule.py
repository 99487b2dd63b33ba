"""When to ask about a job next, learned from how long jobs of its size took.

Pure: the caller passes the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

# Seconds after acceptance; an earlier query only finds the job queued.
SOONEST: Final = 0.02
LATEST: Final = 60.0  # between two queries, however long the job has been running
LATEST_FIRST: Final = 900.0  # for jobs of a size that has always taken long
DEFAULT_FIRST_DELAY: Final = 0.5  # before anything is known of jobs of a size
# A query that finds the job done moves the first query to this share of the job's age …
ON_HIT: Final = 0.97
# … and a first query that came too early moves it to this: the two balance near two hits in three.
ON_MISS: Final = 1.05
SMOOTH: Final = 0.05  # the weight of one first query in `too_soon`
# after a query that came too early, the next one follows after this share of the job's age
PATIENCE: Final = 0.1
# Seconds: at this age the share is halved, since for short jobs a free place is worth more than a
# request.
SHORT: Final = 3.0


def size_class(size: int) -> int:
    """Return the class of a size in bytes; classes double, and 0 is up to 64 KiB."""
    return max(0, (size >> 16).bit_length())


def share(of_age: float, age: float) -> float:
    """Return that share of `age` in seconds, and less for jobs that take only a few seconds."""
    return of_age * age * age / (age + SHORT)


@dataclass(slots=True)
class PollSchedule:
    """The time from acceptance to the first query, for each class of sizes."""

    first: dict[int, float] = field(default_factory=dict)
    # Lower if results are soon deleted, since a result not yet found is still in flight.
    latest_first: float = LATEST_FIRST
    too_soon: float = 0.5  # share of recent first queries that found a job still running

    @property
    def is_learned(self) -> bool:
        """Whether anything is known of how long jobs take."""
        return bool(self.first)

    def first_delay(self, size: int) -> float:
        """Return the seconds from acceptance to the first query."""
        known = self.first.get(size_class(size))
        return min(
            self.latest_first, known if known is not None else self._nearest(size_class(size))
        )

    def next_delay(self, age: float) -> float:
        """Return the seconds to the next query, for a job still running at the age of `age`
        seconds.
        """
        return min(LATEST, max(SOONEST, share(PATIENCE, age)))

    def learn(self, size: int, age: float, *, done: bool, first: bool = True) -> None:
        """Take in what a query found, `age` seconds after the acceptance of a job of that size."""
        if first:
            self.too_soon += SMOOTH * ((not done) - self.too_soon)
        elif not done:
            return
        aim = age * (ON_HIT if done else ON_MISS)
        here = self.first_delay(size)
        self.first[size_class(size)] = min(LATEST_FIRST, max(SOONEST, (here + aim) / 2))

    def seed(self, size: int, took: float) -> None:
        """Take in that an earlier run's job took so many seconds, unless its size is known
        better.
        """
        self.first.setdefault(size_class(size), min(LATEST_FIRST, max(SOONEST, took)))

    def _nearest(self, wanted: int) -> float:
        if not self.first:
            return DEFAULT_FIRST_DELAY
        return self.first[min(self.first, key=lambda known: abs(known - wanted))]
