"""Whether one more submission stays within a run's limits, and when the run's time is up. Pure.

A cap is never exceeded by what can be counted. Jobs in flight count with their maximum cost (see
`core.reservations`) until the bill takes its place, so a job that turns out cheaper makes room.
While all of that fits, submissions proceed in parallel. Once it doesn't, the next one waits for
bills as long as any is due; when none is, it is submitted alone if its expected cost fits. A
document whose pages were counted then stays within the cap. One whose pages had to be guessed may
exceed it, but only by the difference between its bill and its expected cost: nothing else is in
flight with it.

A step that others follow is submitted only if the whole chain of its document fits. What the later
steps may cost is kept for them until they are submitted, or can't be any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple

from batcher.core.reasons import RAISE_IT
from batcher.core.reservations import Fear
from batcher.manifest.model import Limits

A_DAY: Final = timedelta(days=1)
PAST_FOR: Final = timedelta(hours=6)  # how late a timer may be, and less than a night is long
ROUNDING: Final = 1e-6


class Spend(NamedTuple):
    """What the submissions of one run come to, except for refused ones.

    The first fields are the number of submissions and what was billed; `out_pages` and
    `out_credits` are what the jobs in flight may cost. The last four are kept for the later steps
    of documents whose first step was sent: what they are expected to cost, and at most.
    """

    submissions: int = 0
    pages: float = 0.0
    credits: float = 0.0
    out_pages: float = 0.0
    out_credits: float = 0.0
    later_pages: float = 0.0
    later_credits: float = 0.0
    later_most_pages: float = 0.0
    later_most_credits: float = 0.0


class Overrun(NamedTuple):
    """A cap that was exceeded, and the document whose bill exceeded it, if it can be named."""

    name: str
    cap: float
    spent: float
    source: str | None = None
    cost: float = 0.0
    expected: float = 0.0

    def words(self) -> str:
        passed = f"limits.{self.name} = {self.cap:g}: {round(self.spent, 4):g} spent"
        if self.source is None:
            return f"{passed}; bills were higher than could be told beforehand"
        cost = round(self.cost, 4)
        expected = round(self.expected, 4)
        told = (
            f"{passed}; the last document ({self.source}) cost {cost:g} and was expected to "
            f"cost {expected:g}"
        )
        if self.spent - self.cap > self.cost - self.expected + ROUNDING:
            told += "; others before it cost more than expected, too"
        return told


class Surprise(NamedTuple):
    """A document whose bill differed from what was expected."""

    source: str
    pages: float
    credits: float
    expected_pages: float
    expected_credits: float


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of one run, against which each submission is checked before it is made."""

    limits: Limits
    dollars_per_credit: float = 0.015

    @property
    def counts_pages(self) -> bool:
        """Whether the number of pages of a document matters."""
        return any((self.limits.max_pages, self.limits.max_credits, self.limits.max_cost))

    def beyond_number(self, spend: Spend) -> str | None:
        """Return why no more documents may be sent at all, whatever they cost; None if some may."""
        most = self.limits.max_documents
        if most is None or spend.submissions + 1 <= most:
            return None
        return (
            f"limits.max_documents or --sample, here {most:g}, is reached: so many were sent "
            "in this run"
        )

    def beside_others(self, spend: Spend, fear: Fear) -> bool:
        """Whether it fits even if it and all jobs in flight cost their maximum."""
        return (
            self._passed(
                spend,
                spend.out_pages + spend.later_most_pages,
                spend.out_credits + spend.later_most_credits,
                fear.most_pages,
                fear.most_credits,
            )
            is None
        )

    def in_any_case(self, spend: Spend, fear: Fear) -> str | None:
        """Return why it wouldn't fit even if all jobs in flight cost nothing; None if it might."""
        return self._passed(spend, 0.0, 0.0, fear.pages, fear.credits)

    def alone(self, spend: Spend, fear: Fear) -> str | None:
        """Return why it doesn't fit at its expected cost, or None.

        The jobs in flight count too: their bills will never arrive.
        """
        return self._passed(
            spend,
            spend.out_pages + spend.later_pages,
            spend.out_credits + spend.later_credits,
            fear.pages,
            fear.credits,
        )

    def overruns(self, spend: Spend, last: Surprise | None) -> list[Overrun]:
        """Return the exceeded caps; each names `last` if its bill was higher than expected."""
        found: list[Overrun] = []
        price = self.dollars_per_credit
        bills = (last.pages, last.credits, last.credits * price) if last else ()
        hopes = (
            (last.expected_pages, last.expected_credits, last.expected_credits * price)
            if last
            else ()
        )
        for number, (name, cap, spent) in enumerate(self._caps(spend.pages, spend.credits)):
            if cap is None or spent <= cap + ROUNDING:
                continue
            by_it = last is not None and bills[number] > hopes[number]
            told = (last.source, bills[number], hopes[number]) if last is not None and by_it else ()
            found.append(Overrun(name, cap, spent, *told))
        return found

    def _passed(
        self, spend: Spend, out_pages: float, out_credits: float, pages: float, credits: float
    ) -> str | None:
        used = self._caps(spend.pages + out_pages, spend.credits + out_credits)
        more = self._caps(pages, credits)
        for (name, cap, taken), (_, _, wanted) in zip(used, more, strict=True):
            if cap is not None and taken + wanted > cap + ROUNDING:
                return _words(name, cap, taken, wanted)
        return None

    def _caps(self, pages: float, credits: float) -> list[tuple[str, float | None, float]]:
        """Return (key, cap, amount) for each limit on what is billed."""
        limits = self.limits
        return [
            ("max_pages", limits.max_pages, pages),
            ("max_credits", limits.max_credits, credits),
            ("max_cost", limits.max_cost, credits * self.dollars_per_credit),
        ]


def _words(name: str, cap: float, spent: float, more: float) -> str:
    spent = round(spent, 4)
    more = round(more, 4)
    if more > cap:
        return f"limits.{name} = {cap:g} is less than one document needs ({more:g}); {RAISE_IT}"
    return (
        f"limits.{name} = {cap:g} is reached: {spent:g} spent or committed, and one more "
        f"document needs {more:g}"
    )


def next_occurrence(stop_at: time, now: datetime) -> datetime:
    """Return the moment at which the clock last showed `stop_at`, or else will show it next.

    The last one counts for `PAST_FOR`: an overnight run that begins late, after its own end, ends
    at once, and doesn't continue through the day. A run that begins in the afternoon for the next
    morning is no such run.
    """
    last = datetime.combine(now.date(), stop_at)
    if last > now:
        last -= A_DAY
    return last if now - last < PAST_FOR else last + A_DAY
