"""`batcher plan --check`: checks, at no cost, what a long run depends on.

It opens the batch as a run does, so it also checks that the ledger can be locked and the output
directory written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from batcher.adapters.clock import SteadyClock
from batcher.adapters.rate_limits import RateLimiter
from batcher.cluster.figures import values_of
from batcher.cluster.messages import Standing
from batcher.manifest.model import Manifest
from batcher.outputs.result_store import Store
from batcher.runs.hands import borrowed
from batcher.runs.preflight import open_batch, reach, refuse_foreign_attempts
from batcher.runs.wiring import account_of
from batcher.stages.capability_checks import prove_fence, prove_listing
from batcher.stages.job_list import EndlessListing
from batcher.stages.run_control import RunControl

PATIENCE: Final = 5.0  # seconds: somebody waits for the answer; a run at night waits longer
SETTLE: Final = 3.0  # seconds in which a cluster that starts hands has another one
# seconds to wait for the next hand, as long as fewer are ready than the manifest wants
NEXT_HAND: Final = 10.0
LOOK: Final = 0.1  # seconds between two looks at how many there are


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of the checks.

    `key`: the service accepts the API key. `listing`: the job list has shown a job of ours at some
    time. `fence`: a deleted upload can't be used any more. `cluster`: how the cluster is, with a
    hand on each node; empty without one.
    """

    service: str
    key: bool
    listing: bool
    fence: bool
    warnings: tuple[str, ...]
    cluster: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Whether everything that can be checked at no cost is right.

        The job list can only be checked with a job of ours, which costs; the first run does that.
        """
        return self.key and self.fence

    def values(self) -> dict[str, Any]:
        return {**asdict(self), "is_sound": self.is_sound}


async def check(manifest: Manifest, *, tell: Callable[[str], None]) -> Checked:
    """Run the checks; `tell` shows each warning as it comes.

    Raises BatcherError where the batch can't be opened, or where the service can't be reached
    within `PATIENCE` or refuses the key.
    """
    patience = min(manifest.service.patience, PATIENCE)
    manifest = replace(manifest, service=replace(manifest.service, patience=patience))
    control = RunControl(tell=tell)
    clock = SteadyClock()
    async with AsyncExitStack() as stack:
        ledger = open_batch(manifest, stack, clock)
        Store(manifest.output.directory, manifest.output.access).check_writable()
        reached = await stack.enter_async_context(reach(manifest, control, clock))
        refuse_foreign_attempts(ledger, reached)
        await stack.enter_async_context(borrowed(manifest, control))
        account = account_of(manifest, reached)
        fence = await prove_fence(ledger, reached.client, account)
        try:
            listing = await prove_listing(ledger, reached.client, RateLimiter(), account)
        except EndlessListing as error:
            control.warn(str(error))
            listing = False
        cluster = await _settled(control, manifest.cluster.hands) if manifest.cluster else {}
        warnings = tuple(control.warnings)
        return Checked(reached.identity, True, listing, fence, warnings, cluster)


async def _settled(control: RunControl, wanted: int | None) -> dict[str, Any]:
    """Return how the cluster is, once all `wanted` hands are ready or no more come.

    With None wanted, there may be as many as the cluster has room for.
    """
    clock = asyncio.get_running_loop().time
    known: Standing | None = None
    since = clock()
    while known is None or clock() < since + (SETTLE if wanted is None else NEXT_HAND):
        if control.cluster != known:
            known = control.cluster
            since = clock()
        if known is not None and wanted is not None and known.hands >= wanted:
            break
        await asyncio.sleep(LOOK)
    return values_of(known)
