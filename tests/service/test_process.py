"""The service as a process of its own: how it starts and ends, and what a SIGKILL leaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from service_client import PARSER, Client

ROOT = Path(__file__).parents[2]


class Embedded:
    """`python -m batcher.service --embedded`, held by its stdin."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url


@contextlib.asynccontextmanager
async def embedded(folder: Path, *more: str) -> AsyncIterator[Embedded]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "batcher.service", "--embedded", "--data-dir", str(folder)),
        *("--workers", "2", "--parser", PARSER, *more),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}"},
    )
    process.stdin.write(b"secret\n")
    try:
        yield Embedded(process, json.loads(await process.stdout.readline())["url"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_it_ends_with_its_parent(tmp_path):
    """The end of stdin is the end of the service, within about a second, and its folder is free again."""
    async with embedded(tmp_path) as service:
        began = time.monotonic()
        service.process.stdin.close()
        assert await service.process.wait() == 0
        assert time.monotonic() - began < 1.5
    async with embedded(tmp_path) as successor:
        assert successor.url


async def test_the_folder_is_its_owner_s_alone(tmp_path):
    """Documents lie in it."""
    async with embedded(tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


async def test_it_runs_in_a_session_of_its_own(tmp_path):
    """The terminal's Ctrl-C doesn't reach it."""
    async with embedded(tmp_path) as service:
        assert os.getsid(service.process.pid) == service.process.pid


@pytest.mark.parametrize("seed", range(3))
async def test_a_kill_loses_no_accepted_job(tmp_path, session, seed):
    """Killed at random moments, it forgets nothing it has answered for, and ends each job once."""
    chance = random.Random(seed)
    accepted: list[str] = []
    for _ in range(3):
        async with embedded(tmp_path) as service:
            await asyncio.wait([asyncio.create_task(feed(session, service, accepted, 15 + chance.randrange(30)))])
            service.process.kill()
    async with embedded(tmp_path) as service:
        statuses = [await ended(Client(session, service), job_id) for job_id in accepted]
    assert accepted and set(statuses) == {"Completed"}, f"seed {seed}"
    with sqlite3.connect(tmp_path / "service.db") as database:
        assert database.execute("SELECT count(*) FROM jobs WHERE status = 'Pending'").fetchone() == (0,)


async def feed(session: aiohttp.ClientSession, service: Embedded, accepted: list[str], count: int) -> None:
    client = Client(session, service)
    for number in range(count):
        accepted.append(await client.submit(await client.upload(f"document {number}".encode())))


async def ended(client: Client, job_id: str) -> str:
    while True:
        _, answer = await client.call("GET", f"/job/{job_id}")
        if answer["status"] in {"Completed", "Failed", "Cancelled"}:
            return answer["status"]
