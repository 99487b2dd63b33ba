"""Keeps on record how the cluster of a run is, for `status` and `report`. It decides nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from batcher.cluster.figures import values_of
from batcher.ledger.ledger import Ledger
from batcher.ledger.queries.reporting import CLUSTER
from batcher.stages.run_control import RunControl

EVERY: Final = 2.0  # seconds between two records, if anything has changed


@asynccontextmanager
async def recording(ledger: Ledger, control: RunControl) -> AsyncIterator[None]:
    """Record what `control` knows of the cluster while the block runs, and once more after it.

    A run without a cluster removes what an earlier one recorded.
    """
    if control.cluster is None:
        if ledger.noted(CLUSTER) is not None:
            await ledger.note(CLUSTER, None)
        yield
        return
    keeping = asyncio.create_task(_keep(ledger, control))
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await _record(ledger, control)


async def _keep(ledger: Ledger, control: RunControl) -> None:
    recorded = None
    while True:
        if control.cluster != recorded:
            recorded = control.cluster
            await _record(ledger, control)
        await asyncio.sleep(EVERY)


async def _record(ledger: Ledger, control: RunControl) -> None:
    if control.cluster is not None:
        await ledger.note(CLUSTER, json.dumps(values_of(control.cluster)))
