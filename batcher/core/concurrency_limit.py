"""How many more documents may be submitted now.

By what ends in time, by what is brought home in time, and by how the service fares.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from batcher.core.breaker import Breaker
from batcher.core.completion_rate import CompletionRate
from batcher.core.fetch_rate import CEILING, Drain


@dataclass(slots=True)
class ConcurrencyLimit:
    """`most` is a manifest's own bound on what is out.

    The batch lane is `exempt` from those of time.
    """

    drain: Drain
    completion_rate: CompletionRate
    most: int | None = None
    exempt: bool = False
    breaker: Breaker = field(default_factory=Breaker)

    def left(self, now: float, out: int) -> int:
        """`out` counts what is in flight and what is about to be."""
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
