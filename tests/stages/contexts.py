"""What a stage gets that is tested by itself: all of it real, and whatever the test names."""

from __future__ import annotations

import random
from typing import Any

from batcher.adapters.rate_limits import RateLimits
from batcher.ledger.ledger import Ledger
from batcher.stages.context import StageContext
from batcher.stages.job_tracker import JobTracker
from batcher.stages.run_control import RunControl


def context_of(ledger: Ledger, client: Any, **given: Any) -> StageContext:
    """The ledger's clock counts, unless another one is `given`."""
    usual: dict[str, Any] = {
        "rate_limits": RateLimits(),
        "control": RunControl(),
        "jobs": JobTracker(),
        "clock": ledger.clock,
        "rng": random.Random(1),
    }
    return StageContext(ledger=ledger, client=client, **{**usual, **given})
