"""Run the local service as a child process, which ends when its pipe to this process does."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from batcher.errors import ServiceUnusable

# Seconds in which it must report its address; an earlier service may have to end first.
PATIENCE: Final = 60.0


class _Hello(msgspec.Struct):
    url: str


@asynccontextmanager
async def embedded(
    data_dir: Path, *, retention: float, chaos: str = "", urls: bool = False
) -> AsyncIterator[tuple[str, str]]:
    """Run a local service for the duration of the block; yield its URL and its key.

    It keeps its data in `data_dir`, and so knows the jobs of earlier runs. `retention` is in
    seconds. `chaos` are faults to inject, as for `batcher serve --chaos`; with `urls` it fetches
    documents from public addresses. Raises ServiceUnusable if it doesn't start.
    """
    key = secrets.token_urlsafe(24)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "batcher.service",
        "--embedded",
        "--data-dir",
        str(data_dir),
        "--retention",
        str(retention),
        *(("--chaos", chaos) if chaos else ()),
        *(("--allow-urls",) if urls else ()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        # Through the pipe, since a list of processes shows arguments and environments.
        process.stdin.write(f"{key}\n".encode())
        yield await _hello(process), key
    finally:
        process.stdin.close()
        await process.wait()


async def _hello(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = await process.stdout.readline()
        return msgspec.json.decode(line, type=_Hello).url
    except (TimeoutError, msgspec.MsgspecError) as error:
        process.kill()
        raise ServiceUnusable("the local service didn't start; see its messages above") from error
