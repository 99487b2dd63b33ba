"""When to look at a job next: learned from how long jobs of that size took.

Pure: the clock is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

# seconds after acceptance; a first look earlier than that only finds the job queued
SOONEST: Final = 0.02
LATEST: Final = 60.0  # between two looks, however long the job has been running
LATEST_FIRST: Final = 900.0  # jobs of a size that has always taken long aren't asked about before
DEFAULT_FIRST_DELAY: Final = 0.5  # before anything is known of jobs of a size
# a look that finds the job done makes for a first one at this share of its age …
ON_HIT: Final = 0.97
# … and a first one too soon for one at this: the two balance near two hits in three
ON_MISS: Final = 1.05
SMOOTH: Final = 0.05  # how much one first look moves `too_soon`
PATIENCE: Final = 0.1  # after a look too soon, the next one comes after this share of the job's age
# seconds: of a job as young as that half a share, for there a place is worth more than a request
SHORT: Final = 3.0


def size_class(size: int) -> int:
    """Doubling classes of bytes: 0 for up to 64 KiB."""
    return max(0, (size >> 16).bit_length())


def share(of_age: float, age: float) -> float:
    """That share of `age` in seconds, and less of the age of jobs that take a few seconds
    altogether.
    """
    return of_age * age * age / (age + SHORT)


@dataclass(slots=True)
class PollSchedule:
    """The span from acceptance to the first look, for each class of sizes."""

    first: dict[int, float] = field(default_factory=dict)
    # less where results are soon deleted: what isn't found is still out
    latest_first: float = LATEST_FIRST
    too_soon: float = 0.5  # share of first looks, of late, that found a job still running

    @property
    def is_learned(self) -> bool:
        """Whether anything is known of how long jobs take."""
        return bool(self.first)

    def first_delay(self, size: int) -> float:
        """Seconds from acceptance to the first look."""
        known = self.first.get(size_class(size))
        return min(
            self.latest_first, known if known is not None else self._nearest(size_class(size))
        )

    def next_delay(self, age: float) -> float:
        """Seconds to the next look at a job that has been out for `age` seconds and wasn't done."""
        return min(LATEST, max(SOONEST, share(PATIENCE, age)))

    def learn(self, size: int, age: float, *, done: bool, first: bool = True) -> None:
        """Take in what a look at a job of that size, `age` seconds after its acceptance, found."""
        if first:
            self.too_soon += SMOOTH * ((not done) - self.too_soon)
        elif not done:
            return
        aim = age * (ON_HIT if done else ON_MISS)
        here = self.first_delay(size)
        self.first[size_class(size)] = min(LATEST_FIRST, max(SOONEST, (here + aim) / 2))

    def seed(self, size: int, took: float) -> None:
        """Take in that an earlier run's job of that size took so many seconds, save where more is
        known.
        """
        self.first.setdefault(size_class(size), min(LATEST_FIRST, max(SOONEST, took)))

    def _nearest(self, wanted: int) -> float:
        if not self.first:
            return DEFAULT_FIRST_DELAY
        return self.first[min(self.first, key=lambda known: abs(known - wanted))]
