"""A hand on a node for files: an actor of Ray's that hashes them, and puts them at addresses.

It holds no key, calls no API, opens no ledger, and writes no file. Addresses come with its tasks,
and are kept nowhere. It is lost with its node, and never restarted by Ray.
"""

from __future__ import annotations

import asyncio
import ssl

import msgspec

import batcher
from batcher.cluster.file_tasks import FileReport, FileTask, StoredFile
from batcher.cluster.file_work import done, unseen
from batcher.cluster.messages import Ready
from batcher.reducto.presigned import SignedAddresses

TASKS = msgspec.json.Decoder(list[FileTask])


class FileHand:
    """Does several tasks at a time; says which folder of the `landmarks` it doesn't see."""

    def __init__(self, landmarks: bytes, trust: str) -> None:
        self._landmarks = msgspec.json.decode(landmarks, type=list[StoredFile])
        self._addresses = SignedAddresses(_trusting(trust))

    async def ready(self) -> bytes:
        """Say where this is, and what it doesn't see."""
        import ray  # it is there already: this runs within an actor

        context = ray.get_runtime_context()
        lacking = await asyncio.to_thread(unseen, self._landmarks)
        return msgspec.json.encode(
            Ready(
                context.get_node_id(),
                ray.util.get_node_ip_address(),
                batcher.__version__,
                unseen=lacking,
            )
        )

    async def until_death(self) -> None:
        """Never return: whoever waits for this learns at once that the hand is lost."""
        await asyncio.Event().wait()

    async def do(self, tasks: bytes) -> bytes:
        """Do all tasks at a time, and return their reports in the same order."""
        reports = await asyncio.gather(*(self._done(task) for task in TASKS.decode(tasks)))
        return msgspec.json.encode(reports)

    async def _done(self, task: FileTask) -> FileReport:
        return await done(task, self._addresses)

    async def leave(self) -> None:
        """Close all connections."""
        await self._addresses.__aexit__(None, None, None)


def _trusting(certificates: str) -> ssl.SSLContext | None:
    return ssl.create_default_context(cadata=certificates) if certificates else None
