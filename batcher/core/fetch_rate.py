"""How fast we bring home what has ended, and so how many may be out for that to be done in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# each one that is out costs some hundred bytes of memory, and more of them are no faster
CEILING: Final = 20_000
SHARE: Final = 0.5  # of the retention: the other half is for outages
SMOOTH: Final = 0.1


@dataclass(slots=True)
class Drain:
    """Learns what one fetch takes, waiting for the disk included; `width` of them go on side by
    side.
    """

    width: int
    span: float | None = None  # seconds

    def learn(self, span: float) -> None:
        self.span = span if self.span is None else self.span + SMOOTH * (span - self.span)

    def bound(self, retention: float) -> int:
        """How many may be out, where results are kept for `retention` seconds."""
        if not self.span:
            return CEILING  # what has ended yet says so, and that is `core.completion_rate`'s
        return max(1, min(CEILING, int(self.width / self.span * retention * SHARE)))
