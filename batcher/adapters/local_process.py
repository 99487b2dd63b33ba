"""The local service as a child of a run: a process of its own session, which ends when its pipe to
us does.
"""

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

# seconds until it must have said where it listens; a predecessor may have to end first
PATIENCE: Final = 60.0


class _Hello(msgspec.Struct):
    url: str


@asynccontextmanager
async def embedded(
    data_dir: Path, *, retention: float, chaos: str = "", urls: bool = False
) -> AsyncIterator[tuple[str, str]]:
    """(url, key) of a local service that keeps its data in `data_dir`, and so knows the jobs of
    earlier runs.

    `chaos`: faults to make, in the service's own words for them. `urls`: it fetches documents by
    public addresses.
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
        # by pipe: a process list shows arguments and environments
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
        raise ServiceUnusable(
            "the local service didn't start; what it said stands above"
        ) from error
