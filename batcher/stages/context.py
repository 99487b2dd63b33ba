"""What the stages of one run share: the ledger, the client, the limits, and the time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from batcher.adapters.rate_limits import RateLimits
from batcher.cluster.hands import FileHands
from batcher.ledger.ledger import Ledger
from batcher.reducto.client import Api
from batcher.stages.job_tracker import JobTracker
from batcher.stages.run_control import RunControl


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """The shared parts; `jobs` are those in flight, `clock` gives the time of deadlines in seconds.

    A stage that needs only one or two of these takes them as separate arguments.
    """

    ledger: Ledger
    client: Api
    rate_limits: RateLimits
    control: RunControl
    jobs: JobTracker
    clock: Callable[[], float]
    rng: random.Random
    hands: FileHands | None = None  # for large files
