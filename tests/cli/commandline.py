"""The command line in a process of its own, against a service in this one."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import warm_start
from peer import KEY

# What an interpreter reads of the environment when it starts, and never again.
INTERPRETERS = ("PYTHON", "LC_", "LANG")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


async def batcher(
    *words: object,
    key: str | None = KEY,
    before: Callable[[], None] | None = None,
    stdin: bytes | None = None,
) -> Said:
    """The command line in a process of its own, of which only the end is looked at.

    It is forked from one that has imported batcher already, which takes a tenth of the processor
    time; `before` is called in one that is started anew, as is one that reads `stdin`.
    """
    if before is None and stdin is None:
        return await _forked(words, {**os.environ, "REDUCTO_API_KEY": key or ""})
    process = await start(*words, key=key, before=before, reads=stdin is not None)
    out, err = await process.communicate(stdin)
    return Said(process.returncode or 0, out.decode(), err.decode())


async def _forked(words: tuple[object, ...], environment: dict[str, str]) -> Said:
    command = {
        "words": list(map(str, words)),
        "environment": environment,
        "directory": str(Path.cwd()),
    }
    own = {name: value for name, value in environment.items() if name.startswith(INTERPRETERS)}
    asked, asking = os.pipe()
    pipes = [os.pipe() for _ in range(3)]
    code, out, err = (there for _, there in pipes)
    socket.send_fds(_warm(tuple(own.items())), [b"\n"], [asked, code, 0, out, err])
    for there in (asked, code, out, err):
        os.close(there)
    with os.fdopen(asking, "w") as words_of_it:
        json.dump(command, words_of_it)
    told, said, complained = await asyncio.gather(*(_all_of(here) for here, _ in pipes))
    return Said(int(told), said.decode(), complained.decode())


async def _all_of(pipe: int) -> bytes:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", 0)
    )
    try:
        return await reader.read()
    finally:
        transport.close()


@cache
def _warm(environment: tuple[tuple[str, str], ...]) -> socket.socket:
    """The socket to the process that forks, which ends when this one does.

    `environment` is that part of it which an interpreter reads only when it starts.
    """
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, warm_start.__file__, str(theirs.fileno())],
        env={**os.environ, **dict(environment)},
        pass_fds=[theirs.fileno()],
        stdout=subprocess.DEVNULL,
    )
    theirs.close()

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours


async def start(
    *words: object,
    key: str | None = KEY,
    before: Callable[[], None] | None = None,
    reads: bool = False,
) -> asyncio.subprocess.Process:
    environment = {**os.environ, "REDUCTO_API_KEY": key or ""}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "batcher",
        *map(str, words),
        env=environment,
        stdin=asyncio.subprocess.PIPE if reads else None,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=before,
    )


def rows(out: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(out / ".batcher" / "ledger.db")) as ledger:
        return ledger.execute(sql).fetchall()
