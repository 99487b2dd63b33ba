"""The hands of a cluster that a run against a hosted service borrows for its large files.

Documents for the local service are read by hands that the service itself borrows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from batcher.cluster.file_work import landmarks
from batcher.cluster.hands import FileHands
from batcher.cluster.messages import Wanted
from batcher.cluster.on_ray import RayHands
from batcher.errors import ClusterLost
from batcher.exit_codes import ExitCode
from batcher.manifest.model import Cluster, Manifest
from batcher.stages.run_control import RunControl


@asynccontextmanager
async def borrowed(manifest: Manifest, control: RunControl) -> AsyncIterator[FileHands | None]:
    """Hands that hash and upload files while the block runs; None where the run has none.

    Raises ClusterUnusable where there is no such cluster, or no node of it sees the files. A
    cluster that is gone for longer than the service's patience stops the run.
    """
    if manifest.cluster is None or manifest.service.is_local:
        yield None
        return
    wanted = await asyncio.to_thread(_wanted, manifest, manifest.cluster)
    patience = manifest.service.patience
    async with RayHands(wanted, patience=patience, tell=control.cluster_became) as hands:
        watching = asyncio.create_task(_watch(hands, control))
        try:
            yield hands
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


async def _watch(hands: RayHands, control: RunControl) -> None:
    try:
        await hands.lost()
    except ClusterLost as error:
        control.stop(str(error), ExitCode.RUN_AGAIN, home=True)


def _wanted(manifest: Manifest, cluster: Cluster) -> Wanted:
    ca_file = manifest.service.ca_file
    return Wanted(
        address=cluster.address,
        hands=cluster.hands or 0,
        cpus=cluster.cpus,
        memory=cluster.memory or 0,
        resources=dict(cluster.resources),
        landmarks=[
            mark
            for source in manifest.sources
            if source.directory is not None
            for mark in landmarks(Path(source.directory))
        ],
        trust="" if ca_file is None else ca_file.read_text("ascii", errors="ignore"),
    )
