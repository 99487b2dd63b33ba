"""What a run can tell those who watch it and the ledger doesn't know: lanes that wait, and how fast
results can be fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from batcher.adapters.rate_limits import RateLimiter
from batcher.core.fetch_rate import Drain

SHORTEST: Final = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Outlook:
    """`lanes` are the rate limiters by what waits for them, as in "uploads"."""

    lanes: Mapping[str, RateLimiter]
    drain: Drain

    def waits(self) -> dict[str, float]:
        """Return for each lane that pauses now for how many more seconds it does.

        The short pauses by which a lane finds its rate are left out.
        """
        held = {what: lane.held_for for what, lane in self.lanes.items()}
        return {what: seconds for what, seconds in held.items() if seconds >= SHORTEST}

    def fetches_per_second(self) -> float | None:
        """Return how many results can be fetched and written in a second; None if unknown."""
        return self.drain.width / self.drain.span if self.drain.span else None
