"""How many more documents may be submitted now.

That depends on how many jobs end in time, how many results are fetched in time, and whether the
service is well.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from batcher.core.breaker import Breaker
from batcher.core.completion_rate import CompletionRate
from batcher.core.fetch_rate import CEILING, Drain


@dataclass(slots=True)
class ConcurrencyLimit:
    """All limits on the number of jobs in flight.

    `most` is the manifest's own limit. `exempt` lifts the limits that follow from time, for the
    batch lane.
    """

    drain: Drain
    completion_rate: CompletionRate
    most: int | None = None
    exempt: bool = False
    breaker: Breaker = field(default_factory=Breaker)

    def left(self, now: float, out: int) -> int:
        """Return how many more may be submitted. `out` counts jobs in flight or about to be."""
        self.completion_rate.look(now, out)
        bounds = [CEILING if self.most is None else min(CEILING, self.most)]
        if not self.exempt:
            bounds += [
                self.drain.bound(self.completion_rate.retention),
                self.completion_rate.bound(),
            ]
        left = max(0, min(bounds) - out)
        tried = self.breaker.room(now)
        return left if tried is None else min(left, tried)
