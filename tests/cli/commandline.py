"""The command line in a process of its own, against a service in this one."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import warm_start
from peer import KEY

# What an interpreter reads of the environment when it starts, and never again.
INTERPRETERS = ("PYTHON", "LC_", "LANG")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


class Process(Protocol):
    """What the two kinds of process have in common."""

    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None

    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, signal: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    async def wait(self) -> int: ...
    async def communicate(self) -> tuple[bytes, bytes]: ...


async def batcher(*words: object, **how: Any) -> Said:
    """The command line in a process of its own, as `start` starts it; only its end is looked at."""
    process = await start(*words, **how)
    out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())


async def start(
    *words: object,
    key: str | None = KEY,
    before: Callable[[], None] | None = None,
    under: Callable[[], None] | None = None,
    stdin: bytes = b"",
    stdout: int | None = None,
    stderr: int | None = None,
) -> Process:
    """The command line in a process of its own, with pipes in the place of what isn't given.

    It is forked from one that has imported batcher already, which takes a tenth of the processor
    time; `under` is called in the one that forks, once for all commands that name it. `stdout` and
    `stderr` are closed here. With `before` it is started anew, calls that first, and has pipes and
    the stdin of the tests whatever else is given.
    """
    environment = {**os.environ, "REDUCTO_API_KEY": key or ""}
    if before is None:
        return await _forked(words, environment, under, stdin, stdout, stderr)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "batcher",
        *map(str, words),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=before,
    )


class Forked:
    """A process as asyncio has them, which another one has forked and waits for."""

    def __init__(
        self, pid: int, told: asyncio.StreamReader, *standard: asyncio.StreamReader | None
    ) -> None:
        self.pid = pid
        self.stdout, self.stderr = standard
        self.returncode: int | None = None
        self._end = asyncio.create_task(self._ends(told))

    async def _ends(self, told: asyncio.StreamReader) -> int:
        self.returncode = int(await told.read())
        return self.returncode

    def send_signal(self, signal: int, /) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    async def communicate(self) -> tuple[bytes, bytes]:
        streams = (stream.read() if stream else _nothing() for stream in (self.stdout, self.stderr))
        out, err, _ = await asyncio.gather(*streams, self.wait())
        return out, err


async def _nothing() -> bytes:
    return b""


async def _forked(
    words: tuple[object, ...],
    environment: dict[str, str],
    under: Callable[[], None] | None,
    stdin: bytes,
    stdout: int | None,
    stderr: int | None,
) -> Forked:
    command = {
        "words": list(map(str, words)),
        "environment": environment,
        "directory": str(Path.cwd()),
    }
    own = {name: value for name, value in environment.items() if name.startswith(INTERPRETERS)}
    (asked, asking), (reads, writes), (told, tells) = (os.pipe() for _ in range(3))
    out, err = _out(stdout), _out(stderr)
    socket.send_fds(
        _warm(tuple(own.items()), under), [b"\n"], [asked, tells, reads, out[1], err[1]]
    )
    for there in (asked, tells, reads, out[1], err[1]):
        os.close(there)
    for pipe, content in ((asking, json.dumps(command).encode()), (writes, stdin)):
        with os.fdopen(pipe, "wb") as file:
            file.write(content)
    ends = await _reader(told)
    pid = int(await ends.readline())
    heard = [None if here is None else await _reader(here) for here, _ in (out, err)]
    return Forked(pid, ends, *heard)


def _out(given: int | None) -> tuple[int | None, int]:
    return os.pipe() if given is None else (None, given)


async def _reader(pipe: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", 0)
    )
    return reader


@cache
def _warm(
    environment: tuple[tuple[str, str], ...], under: Callable[[], None] | None
) -> socket.socket:
    """The socket to the process that forks, which ends when this one does.

    `environment` is that part of it which an interpreter reads only when it starts.
    """
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, warm_start.__file__, str(theirs.fileno())],
        env={**os.environ, **dict(environment)},
        pass_fds=[theirs.fileno()],
        stdout=subprocess.DEVNULL,
        preexec_fn=under,
    )
    theirs.close()

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours


def rows(out: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(out / ".batcher" / "ledger.db")) as ledger:
        return ledger.execute(sql).fetchall()
