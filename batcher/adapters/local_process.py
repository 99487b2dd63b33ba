"""The local service as a child process: in a session of its own, and ending when its pipe to this
process closes.

It says on its stdout where it listens, and from then on how its cluster is, if it has one.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from batcher.cluster.messages import SILENCE, Standing
from batcher.common.formatting import format_duration
from batcher.errors import ClusterUnusable, ServiceUnusable
from batcher.exit_codes import ExitCode
from batcher.manifest.model import Cluster

# seconds until it must have printed its address; an earlier one may have to end first
PATIENCE: Final = 60.0


class _Line(msgspec.Struct, frozen=True):
    """What the service says: its address, how its cluster is, or why it ends."""

    url: str = ""
    standing: Standing | None = None
    trouble: str = ""
    exit_code: int = ExitCode.SERVICE_FAILED


@dataclass(frozen=True, slots=True)
class OnCluster:
    """A cluster for the service.

    `became` is told how it is, and `lost` why the service ended for want of it, with an exit code.
    Both are called on the event loop.
    """

    wanted: Cluster
    patience: float
    became: Callable[[Standing], None]
    lost: Callable[[str, ExitCode], None]

    def words(self) -> list[str]:
        """Return the arguments by which the service is told of it."""
        wanted = self.wanted
        words = ["--on", wanted.engine, "--cluster-address", wanted.address]
        words += ["--hands", str(wanted.hands or 0), "--hand-cpus", str(wanted.cpus)]
        words += ["--hand-memory", str(wanted.memory or 0)]
        # a service may be given no patience at all, which its option doesn't take
        words += ["--cluster-patience", _digits(max(self.patience, 1.0))]
        for name, amount in wanted.resources.items():
            words += ["--hand-resource", f"{name}={_digits(amount)}"]
        return words


def _digits(number: float) -> str:
    """Return the number without an exponent, which the service's options don't take."""
    return f"{Decimal(str(number)):f}"


@asynccontextmanager
async def embedded(
    data_dir: Path,
    *,
    retention: float,
    chaos: str = "",
    urls: bool = False,
    on: OnCluster | None = None,
) -> AsyncIterator[tuple[str, str]]:
    """The URL and the key of a local service for as long as the block runs.

    It keeps its data in `data_dir`, and so knows the jobs of earlier runs. `chaos`: faults to
    make, as `batcher run --chaos` takes them. `urls`: whether it fetches documents from public
    addresses. `on`: the cluster whose nodes read them. Raises ServiceUnusable where it doesn't
    start, and ClusterUnusable where the cluster is why.
    """
    process = _Process(data_dir, retention=retention, chaos=chaos, urls=urls, on=on)
    try:
        # If this is cancelled, the thread ends when the process does.
        url = await asyncio.to_thread(process.url)
        if on is not None:
            process.follow(on, asyncio.get_running_loop())
        yield url, process.key
    finally:
        process.tell_to_end()
        await asyncio.to_thread(process.wait)


@contextmanager
def serving(data_dir: Path, *, chaos: str = "") -> Iterator[tuple[str, str]]:
    """The same as `embedded` for code without an event loop."""
    process = _Process(data_dir, chaos=chaos)
    try:
        yield process.url(), process.key
    finally:
        process.tell_to_end()
        process.wait()


class _Process:
    """Starts the service at once, and hands it a key of its own."""

    def __init__(
        self,
        data_dir: Path,
        *,
        retention: float | None = None,
        chaos: str = "",
        urls: bool = False,
        on: OnCluster | None = None,
    ) -> None:
        self.key = secrets.token_urlsafe(24)
        words = [sys.executable, "-m", "batcher.service", "--embedded", "--data-dir", str(data_dir)]
        if retention is not None:
            words += ["--retention", _digits(retention)]
        if chaos:
            words += ["--chaos", chaos]
        if urls:
            words.append("--allow-urls")
        self._patience = PATIENCE
        self._is_late = False
        self._standing = Standing()
        if on is not None:
            words += on.words()
            self._patience += max(on.patience, SILENCE)  # it gives its cluster up before that
        self._process = subprocess.Popen(  # noqa: S603 (our own module, by our own interpreter)
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )

    def url(self) -> str:
        """Hand over the key, and wait until the service prints where it listens."""
        assert self._process.stdin is not None and self._process.stdout is not None
        too_late = threading.Timer(self._patience, self._end_late)
        too_late.start()
        try:
            # by pipe: a process list shows arguments and environments
            self._process.stdin.write(f"{self.key}\n".encode())
            self._process.stdin.flush()
            return self._greeting()
        except (OSError, msgspec.MsgspecError) as error:
            self._process.kill()
            raise ServiceUnusable(self._why_not()) from error
        finally:
            too_late.cancel()

    def _end_late(self) -> None:
        self._is_late = True
        self._process.kill()

    def _why_not(self) -> str:
        if not self._is_late:
            return "the local service didn't start; what it said stands above"
        return (
            f"the local service wasn't ready after {format_duration(self._patience)}: perhaps this "
            "machine has too much to do; rerun the same command"
        )

    def _greeting(self) -> str:
        """Return the address that the service prints; before it, it may tell of its cluster."""
        assert self._process.stdout is not None
        while True:
            line = msgspec.json.decode(self._process.stdout.readline(), type=_Line)
            if line.trouble:
                raise ClusterUnusable(line.trouble)
            if line.url:
                return line.url
            self._standing = line.standing or self._standing

    def follow(self, on: OnCluster, loop: asyncio.AbstractEventLoop) -> None:
        """Tell of the cluster, now and until the service ends."""
        on.became(self._standing)
        threading.Thread(target=self._listen, args=(on, loop), daemon=True).start()

    def _listen(self, on: OnCluster, loop: asyncio.AbstractEventLoop) -> None:
        assert self._process.stdout is not None
        # the loop may end first, and the pipe is closed once the service has ended
        with suppress(RuntimeError, ValueError, msgspec.MsgspecError):
            for said in self._process.stdout:
                line = msgspec.json.decode(said, type=_Line)
                if line.standing is not None:
                    loop.call_soon_threadsafe(on.became, line.standing)
                elif line.trouble:
                    loop.call_soon_threadsafe(on.lost, line.trouble, ExitCode(line.exit_code))

    def tell_to_end(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # a key that it never read is flushed once more
            self._process.stdin.close()

    def wait(self) -> None:
        assert self._process.stdout is not None
        self._process.wait()
        self._process.stdout.close()
