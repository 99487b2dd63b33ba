"""The command line in a process of its own, against a service in this one."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from peer import KEY


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


async def batcher(
    *words: object, key: str | None = KEY, before: Callable[[], None] | None = None
) -> Said:
    """The command line in a process of its own."""
    process = await start(*words, key=key, before=before)
    out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())


async def start(
    *words: object, key: str | None = KEY, before: Callable[[], None] | None = None
) -> asyncio.subprocess.Process:
    environment = {**os.environ, "REDUCTO_API_KEY": key or ""}
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


def rows(out: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(out / ".batcher" / "ledger.db")) as ledger:
        return ledger.execute(sql).fetchall()
