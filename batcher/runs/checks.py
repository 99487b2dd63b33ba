"""`batcher plan --check`: before a big batch, proves what a night depends on, and pays for nothing.

It opens the batch as a run does, so it proves that the ledger can be held and the output written,
too.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any

from batcher.adapters.clock import SteadyClock
from batcher.adapters.rate_limits import RateLimiter
from batcher.manifest.model import Manifest
from batcher.outputs.result_store import Store
from batcher.runs.preflight import open_batch, reach, refuse_foreign_attempts
from batcher.runs.wiring import account_of
from batcher.stages.capability_checks import prove_fence, prove_listing
from batcher.stages.job_list import EndlessListing
from batcher.stages.run_control import RunControl


@dataclass(frozen=True, slots=True)
class Checked:
    """`key`: accepted.

    `listing`: it has shown a job of ours, at some time. `fence`: a deleted upload is gone.
    """

    service: str
    key: bool
    listing: bool
    fence: bool
    warnings: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """The listing can be proven only by a job of ours, which costs: that is the first run's."""
        return self.key and self.fence

    def values(self) -> dict[str, Any]:
        return {**asdict(self), "is_sound": self.is_sound}


async def check(manifest: Manifest) -> Checked:
    """Raises BatcherError where the batch can't be opened or the service not reached, or refuses
    the key.
    """
    control = RunControl()
    clock = SteadyClock()
    async with AsyncExitStack() as stack:
        ledger = open_batch(manifest, stack, clock)
        Store(manifest.output.directory, manifest.output.access).check_writable()
        reached = await stack.enter_async_context(reach(manifest, control, clock))
        refuse_foreign_attempts(ledger, reached)
        account = account_of(manifest, reached)
        fence = await prove_fence(ledger, reached.client, account)
        try:
            listing = await prove_listing(ledger, reached.client, RateLimiter(), account)
        except EndlessListing as error:
            control.warn(str(error))
            listing = False
        return Checked(reached.identity, True, listing, fence, tuple(control.warnings))
