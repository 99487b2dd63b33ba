"""What a batch would cost in the standard and the batch lane, by the card and by the list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from batcher.common.formatting import format_credits, format_usd, pluralize
from batcher.reducto.job import Job
from batcher.reducto.rate_card import AS_OF, Measure, Prices, by_list, rate


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """An estimate in dollars, except for `credits`.

    `at_most` is the cost if every page is dense. `batch_lane` is None if there is no such lane.
    """

    pages: int = 0
    credits: float = 0.0
    dollars: float = 0.0
    at_most: float = 0.0
    batch_lane: float | None = None
    by_list: float = 0.0

    def __add__(self, other: CostEstimate) -> CostEstimate:
        """Add the estimates of two steps of a chain.

        If the batch lane takes only one of them, the other counts at its standard price.
        """
        lanes = (self.batch_lane, other.batch_lane)
        both = (self.dollars if lanes[0] is None else lanes[0]) + (
            other.dollars if lanes[1] is None else lanes[1]
        )
        return CostEstimate(
            pages=self.pages + other.pages,
            credits=round(self.credits + other.credits, 6),
            dollars=round(self.dollars + other.dollars, 6),
            at_most=round(self.at_most + other.at_most, 6),
            batch_lane=None if lanes == (None, None) else round(both, 6),
            by_list=round(self.by_list + other.by_list, 6),
        )

    def words(self, prices: Prices) -> list[str]:
        """Return the estimate as lines for people."""
        if prices.dollars_per_page:
            basis = f"by the manifest's own prices{f' of {prices.as_of}' if prices.as_of else ''}"
        else:
            basis = f"by {'credits' if prices.card == 'credits' else 'the list'} as of {AS_OF}"
        lines = [
            f"{format_usd(self.dollars)} or {format_credits(self.credits)} for "
            f"{pluralize(self.pages, 'page')}, {basis}"
        ]
        if self.at_most > self.dollars:
            lines.append(f"{format_usd(self.at_most)} if every page is dense: tables, figures")
        if self.batch_lane is not None:
            price = format_usd(self.batch_lane)
            lines.append(f'{price} with queue_priority = "batch", which may take up to 12 h')
        if prices.card == "credits" and not prices.dollars_per_page:
            lines.append(f"{format_usd(self.by_list)} for accounts from {AS_OF} on, by the list")
        return lines


def quote(
    documents: Iterable[tuple[str, Measure]], job: Job, prices: Prices, *, chained: bool = False
) -> CostEstimate:
    """Estimate the cost of documents, given as (extension, measure).

    `chained` means that the job reads parse jobs.
    """
    lane = replace(job, queue_priority="batch")
    asked = rate(job, prices, chained=chained)
    batch = rate(lane, prices, chained=chained)
    listed = by_list(job, prices)
    pages = 0
    sums = [0.0] * 4
    for extension, size in documents:
        pages += size.pages
        costs = (
            asked.likely(size, extension),
            asked.at_most(size, extension),
            batch.likely(size, extension),
            listed.likely(size, extension),
        )
        sums = [total + cost for total, cost in zip(sums, costs, strict=True)]
    credits, at_most, cheaper, by_the_list = sums
    price = prices.dollars_per_credit
    offered = job.endpoint == "parse" and job.queue_priority != "batch" and cheaper < credits
    return CostEstimate(
        pages=pages,
        credits=round(credits, 6),
        dollars=round(credits * price, 6),
        at_most=round(at_most * price, 6),
        batch_lane=round(cheaper * price, 6) if offered else None,
        by_list=round(by_the_list * price, 6),
    )
