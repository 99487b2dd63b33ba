"""One run with a fault in it, a second and a third without; and after each of them the witness is
heard.

Looked at three times, because what a restart mends was still wrong before it, and what it breaks
shows only after.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from disks import Disks
from driver import UNFORESEEN
from peer import KEY, Peer, listening
from witness import Book, Witness

HERE: Final = Path(__file__).parent
SETTLE: Final = 0.2  # seconds; the service here lists a job at once
PATIENCE: Final = 60.0  # seconds for a run; a longer one hangs


class Mode(IntEnum):
    """As in shim.c."""

    NONE = 0
    COUNT = 1
    KILL = 2
    CUT = 3
    EIO_ONCE = 4
    EIO_FOR_EVER = 5
    FULL = 6
    SHORT = 7


@dataclass(slots=True)
class Ended:
    """`code` as of a process; `calls` that write were made, None where it didn't live to tell."""

    code: int
    calls: int | None


@dataclass(slots=True)
class Laboratory:
    disks: Disks
    inbox: Path
    peer: Peer
    driver: asyncio.subprocess.Process
    acknowledgements: int
    documents: dict[str, str]
    defect: str = ""
    unlike: int = 0  # runs so far: each has chances of its own, as in real life
    witness: Witness = field(init=False)

    def begin(self, book: Book | None = None) -> None:
        """An empty output, and a service that knows nothing."""
        self.disks.wipe()
        self.peer.service = book = book or Book()
        output = self.disks.results / "out"
        self.witness = Witness(
            book, output, self.disks.ledger / "state" / "ledger.db", self.documents
        )

    async def trial(self, mode: Mode, nth: int) -> tuple[list[str], bool]:
        """What went wrong, and whether the run lived to its `nth` call."""
        self.begin()
        ended = await self.run(mode, nth)
        if mode is Mode.CUT:
            self.disks.restore_power()
        wrong = _unforeseen(ended) + self.witness.after_the_fault()
        return wrong + await self.recover(), ended.calls is None or ended.calls >= nth

    async def recover(self) -> list[str]:
        """Two runs without a fault: the first brings everything home, the second finds nothing to
        do.
        """
        ended = await self.run()
        if (
            ended.code == 1
        ):  # held, for lack of a job that the listing could be held against: a person lets it go
            ended = await self.run(retry="held")
        wrong = [f"the restart ended with {ended.code}"] * (
            ended.code != 0
        ) + self.witness.in_the_end()
        paid = len(self.witness.book.jobs)
        ended = await self.run()
        wrong += [f"the second restart ended with {ended.code}"] * (ended.code != 0)
        wrong += ["the second restart sent something"] * (len(self.witness.book.jobs) != paid)
        return wrong + self.witness.in_the_end()

    async def run(
        self,
        mode: Mode = Mode.NONE,
        nth: int = 0,
        *,
        retry: str = "",
        meanwhile: Callable[[int], Awaitable[None]] | None = None,
    ) -> Ended:
        """One run, in a process of its own; `meanwhile` is told its pid and may do to it what it
        likes.

        What is acknowledged after `meanwhile` doesn't count: a sync under way may be answered by
        disks that are off.
        """
        self.unlike += 1
        await self._order(mode, nth, retry)
        pid = (await self._answer())["pid"]
        ending = asyncio.ensure_future(self._answer())
        try:
            if meanwhile is not None:
                await meanwhile(pid)
            async with asyncio.timeout(PATIENCE):
                code = (await asyncio.shield(ending))["ended"]
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            await ending
            code = UNFORESEEN
        return Ended(code, self.hear() if meanwhile is None else self._overhear())

    def hear(self) -> int | None:
        """Take in what has been acknowledged so far; the number of calls where the run has ended by
        itself.
        """
        calls = None
        for line in self._lines():
            name, _, said = line.partition("\t")
            if name == "calls":
                calls = int(said)
            else:
                self.witness.acknowledged[name] = said
        return calls

    def _overhear(self) -> None:
        self._lines()

    def _lines(self) -> list[str]:
        said = b""
        try:
            while block := os.read(self.acknowledgements, 1 << 16):
                said += block
        except BlockingIOError:
            pass
        return said.decode().splitlines()

    async def _order(self, mode: Mode, nth: int, retry: str) -> None:
        values = {
            "mode": mode,
            "nth": nth,
            "retry": retry,
            "defect": self.defect,
            "seed": self.unlike,
            "mounts": self.disks.mounts,
            "url": self.peer.url,
            "settle": SETTLE,
            "inbox": str(self.inbox),
            "output": str(self.witness.output),
            "ledger": str(self.witness.ledger),
        }
        assert self.driver.stdin is not None
        self.driver.stdin.write(json.dumps(values).encode() + b"\n")
        await self.driver.stdin.drain()

    async def _answer(self) -> dict[str, Any]:
        assert self.driver.stdout is not None
        answer: dict[str, Any] = json.loads(await self.driver.stdout.readline())
        return answer


def _unforeseen(ended: Ended) -> list[str]:
    if ended.code in (*range(6), -signal.SIGKILL):
        return []
    return [f"the run hung, or ended with an error that isn't batcher's own ({ended.code})"]


@asynccontextmanager
async def laboratory(
    disks: Disks, root: Path, *, documents: int, defect: str = ""
) -> AsyncIterator[Laboratory]:
    """A service, an inbox, and a process that runs can be ordered from."""
    shim = build_shim(root)
    inbox = fill(root / "inbox", documents)
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    paths = [str(HERE), str(HERE.parents[1])]
    environment = {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "PYTHONPATH": os.pathsep.join(paths),
        "REDUCTO_API_KEY": KEY,
    }
    async with listening(Peer()) as peer:
        driver = await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / "driver.py"),
            str(write),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[write],
            env=environment,
        )
        os.close(write)
        names = {
            f"{path.name}.json": sha256(path.read_bytes()).hexdigest() for path in inbox.iterdir()
        }
        try:
            yield Laboratory(disks, inbox, peer, driver, read, names, defect)
        finally:
            assert driver.stdin is not None
            driver.stdin.close()
            await driver.wait()
            os.close(read)


def build_shim(root: Path) -> Path:
    """Raises CalledProcessError or FileNotFoundError where there is no C compiler."""
    library = root / "shim.so"
    words = ("cc", "-shared", "-fPIC", "-O2", "-Wall", "-o", library, HERE / "shim.c", "-ldl")
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
    return library


def fill(folder: Path, documents: int) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(documents):
        path = folder / f"{number:03}.txt"
        path.write_text(f"letter {number}")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder
