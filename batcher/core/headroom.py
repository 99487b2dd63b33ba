"""How many more documents may be submitted now: by what can be brought home in time, and by how the service fares."""

from __future__ import annotations

from dataclasses import dataclass, field

from batcher.core.breaker import Breaker
from batcher.core.drain import CEILING, Drain


@dataclass(slots=True)
class Headroom:
    """`most` is a manifest's own bound on what is out. The batch lane is `exempt` from the one of time."""

    drain: Drain
    retention: float
    most: int | None = None
    exempt: bool = False
    breaker: Breaker = field(default_factory=Breaker)

    def left(self, now: float, out: int) -> int:
        """`out` counts what is in flight and what is about to be."""
        bounds = [CEILING if self.exempt else self.drain.bound(self.retention)]
        if self.most is not None:
            bounds.append(self.most)
        left = max(0, min(bounds) - out)
        tried = self.breaker.room(now)
        return left if tried is None else min(left, tried)
