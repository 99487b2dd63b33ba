"""How fast ended jobs are fetched, and so how many jobs may be in flight.

All results must be fetched before the service deletes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Each job in flight takes some hundred bytes of memory, and more of them aren't faster.
CEILING: Final = 20_000
SHARE: Final = 0.5  # of the retention; the other half is reserved for outages
SMOOTH: Final = 0.1


@dataclass(slots=True)
class Drain:
    """Learns how long a fetch takes, waits for the disk included; `width` fetches run in
    parallel.
    """

    width: int
    span: float | None = None  # seconds

    def learn(self, span: float) -> None:
        """Take in that a fetch took `span` seconds."""
        self.span = span if self.span is None else self.span + SMOOTH * (span - self.span)

    def bound(self, retention: float) -> int:
        """Return how many jobs may be in flight if results are kept for `retention` seconds."""
        if not self.span:
            return CEILING  # nothing has ended yet, and `core.completion_rate` sets the bound
        return max(1, min(CEILING, int(self.width / self.span * retention * SHARE)))
