"""What the stages of one run have in common: where they write, whom they ask, and how they tell
time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from batcher.adapters.rate_limits import RateLimits
from batcher.ledger.ledger import Ledger
from batcher.reducto.client import Api
from batcher.stages.job_tracker import JobTracker
from batcher.stages.run_control import RunControl


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """`jobs` are those that are out, and `clock` is the time of deadlines, in seconds.

    A stage that needs no more than one or two of these takes them by themselves.
    """

    ledger: Ledger
    client: Api
    rate_limits: RateLimits
    control: RunControl
    jobs: JobTracker
    clock: Callable[[], float]
    rng: random.Random
