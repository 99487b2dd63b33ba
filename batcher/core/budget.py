"""Whether one more submission keeps within the limits of a run, and when its time is up. Pure.

What is committed counts as spent: a job that is out counts with its estimate, raised by what jobs have turned out to
cost beyond theirs, and as long as few bills are known by what they may cost. So the cap is met from below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple

from batcher.core.manifest import Limits

CAUTION: Final = 20.0  # pages: so many that cost what they may are counted beside those whose bills are known
A_DAY: Final = timedelta(days=1)


class Spend(NamedTuple):
    """Of the submissions of one run that weren't refused. Estimates in credits; `pages` and `credits` of what ended."""

    submissions: int = 0
    estimated_out: float = 0.0
    estimated_ended: float = 0.0
    pages: float = 0.0
    credits: float = 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    """`credits_per_page` is what estimates were made with; a page may cost `dense` times as much, which bills tell."""

    limits: Limits
    credits_per_page: float
    dollars_per_credit: float = 0.015
    dense: float = 1.0

    @property
    def counts_pages(self) -> bool:
        """Whether it matters how many pages a document has."""
        return any((self.limits.max_pages, self.limits.max_credits, self.limits.max_cost))

    def refusal(self, spend: Spend, cost: float) -> str | None:
        """Why a submission of so many estimated credits would pass a limit; None where it doesn't."""
        for name, cap, spent, more in self._measures(spend, cost):
            if cap is not None and spent + more > cap + 1e-9:
                return _words(name, cap, spent, more)
        return None

    def may_fit_later(self, spend: Spend, cost: float) -> bool:
        """Whether a submission that is refused could fit once the bills of what is out are known."""
        return bool(spend.estimated_out) and replace(self, dense=1.0).refusal(spend, cost) is None

    def _measures(self, spend: Spend, cost: float) -> list[tuple[str, float | None, float, float]]:
        """(key, cap, spent and committed, what one more would add) for each limit."""
        limits, per_page = self.limits, self.credits_per_page
        dearer = max(1.0, spend.credits / spend.estimated_ended) if spend.estimated_ended else 1.0
        longer = max(1.0, spend.pages * per_page / spend.estimated_ended) if spend.estimated_ended else 1.0
        feared = (spend.credits + self.dense * CAUTION * per_page) / (spend.estimated_ended + CAUTION * per_page)
        credits = spend.credits + spend.estimated_out * max(dearer, feared)
        pages = spend.pages + spend.estimated_out / per_page * longer
        return [
            ("max_documents", limits.max_documents, spend.submissions, 1),
            ("max_pages", limits.max_pages, pages, cost / per_page * longer),
            ("max_credits", limits.max_credits, credits, cost * dearer),
            ("max_cost", limits.max_cost, credits * self.dollars_per_credit, cost * dearer * self.dollars_per_credit),
        ]


def _words(name: str, cap: float, spent: float, more: float) -> str:
    if name == "max_documents":
        return f"limits.max_documents or --sample, here {cap:g}, is reached: so many were sent in this run"
    if more > cap:
        return f"limits.{name} = {cap:g} is less than one document needs ({more:g}); raise it"
    spent = round(spent, 2)
    return f"limits.{name} = {cap:g} is reached: {spent:g} spent or committed, and one more document needs {more:g}"


def nearest(stop_at: time, now: datetime) -> datetime:
    """The moment nearest to `now` at which the clock shows `stop_at`: at most twelve hours off, either way.

    So a night that begins late, after its own end, is over at once, and doesn't run through the day.
    """
    today = datetime.combine(now.date(), stop_at)
    return min((today - A_DAY, today, today + A_DAY), key=lambda moment: abs(moment - now))
