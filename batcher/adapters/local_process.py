"""The local service as a child process: in a session of its own, and ending when its pipe to this
process closes.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from batcher.errors import ServiceUnusable

# seconds until it must have printed its address; an earlier one may have to end first
PATIENCE: Final = 60.0


class _Hello(msgspec.Struct):
    url: str


@asynccontextmanager
async def embedded(
    data_dir: Path, *, retention: float, chaos: str = "", urls: bool = False
) -> AsyncIterator[tuple[str, str]]:
    """The URL and the key of a local service for as long as the block runs.

    It keeps its data in `data_dir`, and so knows the jobs of earlier runs. `chaos`: faults to
    make, as `batcher run --chaos` takes them. `urls`: whether it fetches documents from public
    addresses. Raises ServiceUnusable where it doesn't start.
    """
    process = _Process(data_dir, retention=retention, chaos=chaos, urls=urls)
    try:
        # If this is cancelled, the thread ends when the process does.
        url = await asyncio.to_thread(process.url)
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
    ) -> None:
        self.key = secrets.token_urlsafe(24)
        words = [sys.executable, "-m", "batcher.service", "--embedded", "--data-dir", str(data_dir)]
        if retention is not None:
            words += ["--retention", str(retention)]
        if chaos:
            words += ["--chaos", chaos]
        if urls:
            words.append("--allow-urls")
        self._process = subprocess.Popen(  # noqa: S603 (our own module, by our own interpreter)
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )

    def url(self) -> str:
        """Hand over the key, and wait until the service prints where it listens."""
        assert self._process.stdin is not None and self._process.stdout is not None
        too_late = threading.Timer(PATIENCE, self._process.kill)
        too_late.start()
        try:
            # by pipe: a process list shows arguments and environments
            self._process.stdin.write(f"{self.key}\n".encode())
            self._process.stdin.flush()
            return msgspec.json.decode(self._process.stdout.readline(), type=_Hello).url
        except (OSError, msgspec.MsgspecError) as error:
            self._process.kill()
            raise ServiceUnusable(
                "the local service didn't start; what it said stands above"
            ) from error
        finally:
            too_late.cancel()

    def tell_to_end(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # a key that it never read is flushed once more
            self._process.stdin.close()

    def wait(self) -> None:
        assert self._process.stdout is not None
        self._process.wait()
        self._process.stdout.close()
