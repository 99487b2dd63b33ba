"""A hand on a node: an actor of Ray's around one worker process.

The process that reads documents is the same as on one machine, with the same limits and without
secrets. It holds no key, calls no API, opens no ledger, and writes no output: what it makes is
returned as bytes. It is lost with its node, and never restarted by Ray.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final

import msgspec

import batcher
from batcher.cluster.messages import Reading, Ready
from batcher.cluster.parcels import Files, gathered, opened, sealed, unpacked
from batcher.reducto.api_types import ErrorName
from batcher.service.tasks import Offer, Question, Reply, Report
from batcher.service.workers import Worker

FOLDER: Final = "batcher-hand-"
LOCK: Final = "in-use"


class Hand:
    """Reads one task at a time; `cores` is how many it may keep busy.

    `mark` is the path of a file where the foreman is: who sees it reads the documents of its folder
    there.
    """

    def __init__(self, parser: str, cores: int, mark: str) -> None:
        self._worker = Worker(parser=parser, ask=self._ask)
        self._cores = max(1, cores)
        self._shared = str(Path(mark).parent) if mark and Path(mark).is_file() else ""
        self._questions: asyncio.Queue[Report] = asyncio.Queue()
        self._replies: asyncio.Queue[Reply] = asyncio.Queue()
        self._reading: asyncio.Task[bytes] | None = None
        _sweep(Path(tempfile.gettempdir()))
        self._folder = Path(tempfile.mkdtemp(prefix=FOLDER))
        self._lock = _locked(self._folder)

    async def ready(self) -> bytes:
        """Start the process that reads, and say where it is. Raises OSError if it can't start."""
        import ray  # it is there already: this runs within an actor

        await self._worker.warm_up()
        context = ray.get_runtime_context()
        return msgspec.json.encode(
            Ready(
                context.get_node_id(),
                ray.util.get_node_ip_address(),
                batcher.__version__,
                bool(self._shared),
            )
        )

    async def until_death(self) -> None:
        """Never return: whoever waits for this learns at once that the hand is lost."""
        await asyncio.Event().wait()

    async def read(self, parcel: bytes) -> bytes:
        """Begin a `Reading`, and return the parcel of its end or its first question."""
        self._questions = asyncio.Queue()  # an earlier task may have left some open
        self._replies = asyncio.Queue()
        reading, files = opened(parcel, Reading)
        self._reading = asyncio.ensure_future(self._read(reading, files))
        return await self._next()

    async def answer(self, reply: bytes) -> bytes:
        """Answer the question of the task in progress, and return its end or its next one."""
        self._replies.put_nowait(msgspec.json.decode(reply, type=Reply))
        return await self._next()

    async def stop(self) -> None:
        """End the task in progress, whose report says that its process died."""
        self._worker.kill()

    async def leave(self) -> None:
        """End the process that reads, and remove all files. Nothing else is to be asked after."""
        await self._worker.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _next(self) -> bytes:
        assert self._reading is not None
        asked = asyncio.ensure_future(self._questions.get())
        await asyncio.wait({asked, self._reading}, return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            return sealed(asked.result(), {})
        asked.cancel()
        return self._reading.result()

    async def _read(self, reading: Reading, files: Files) -> bytes:
        made = reading.made
        try:
            with self._folder_for(reading, files) as folder:
                place = Path(made or folder / "made")
                here = unpacked(reading.task, files, folder, shares=self._shared, made=place)
                report = await self._worker.read(
                    msgspec.structs.replace(here, cores=self._cores),
                    seconds=reading.seconds,
                    on_stage=lambda stage: None,
                    share=self._share,
                )
                return sealed(report, {} if made or report.name else gathered(here))
        except OSError as error:
            message = f"The disk of a node refuses: {type(error).__name__}: {error.strerror}"
            refusal = Report(name=ErrorName.SERVICE_UNAVAILABLE, code=503, message=message)
            return sealed(refusal, {})

    def _folder_for(self, reading: Reading, files: Files) -> AbstractContextManager[Path]:
        """Return what makes a folder for the task, unless all of its files lie elsewhere."""
        folder = self._folder / "task"
        return _emptied(folder) if files or not reading.made else nullcontext(folder)

    async def _ask(self, question: Question) -> Reply:
        return await self._asked(Report(question=question))

    async def _share(self, offer: Offer) -> Reply:
        return await self._asked(Report(offer=offer))

    async def _asked(self, question: Report) -> Reply:
        self._questions.put_nowait(question)
        return await self._replies.get()


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _locked(folder: Path) -> int:
    """Mark the folder as in use, for as long as this process lives."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def _sweep(folder: Path) -> None:
    """Remove what hands left that were killed: it may hold parts of documents."""
    for left in folder.glob(f"{FOLDER}*"):
        try:
            lock = os.open(left / LOCK, os.O_RDWR)
        except OSError:  # another user's, or one that is being made
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        except OSError:
            pass
        finally:
            os.close(lock)
