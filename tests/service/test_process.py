"""The service as a process of its own: how it starts and ends, and what a SIGKILL leaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from service_client import PARSER, Client

ROOT = Path(__file__).parents[2]


class Embedded:
    """`python -m batcher.service --embedded`, held by its stdin."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url


@contextlib.asynccontextmanager
async def embedded(folder: Path, *more: str) -> AsyncIterator[Embedded]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "batcher.service",
        "--embedded",
        "--data-dir",
        str(folder),
        "--workers",
        "2",
        "--parser",
        PARSER,
        *more,
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
    """The end of stdin is the end of the service, and its folder is free again."""
    async with embedded(tmp_path) as service, asyncio.timeout(30):
        service.process.stdin.close()
        assert await service.process.wait() == 0
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
    """Killed at random moments under load, it forgets nothing it answered for, and ends each job
    exactly once.
    """
    chance = random.Random(seed)
    accepted: list[str] = []
    for _ in range(3):
        async with embedded(tmp_path) as service:
            feeding = asyncio.create_task(feed(session, service, accepted))
            await asyncio.wait([feeding], timeout=chance.uniform(0.05, 0.6))
            service.process.kill()
            await asyncio.wait([feeding])
    async with embedded(tmp_path) as service:
        statuses = [await ended(Client(session, service), job_id) for job_id in accepted]
    assert accepted and set(statuses) == {"Completed"}, f"seed {seed}"


async def test_a_restart_does_not_repeat_what_has_ended(tmp_path, session):
    """A completed job is not read a second time; one that was waiting is read once."""
    gate = tmp_path / "gate"
    notes = tmp_path / "notes"
    async with embedded(tmp_path / "data", "--workers", "1") as service:
        client = Client(session, service)
        first = await client.submit(await client.upload(f"note read in {notes}".encode()))
        await ended(client, first)
        blocked = await client.submit(await client.upload(f"wait for {gate}".encode()))
        waiting = await client.submit(await client.upload(f"note read in {notes}".encode()))
        service.process.kill()
    gate.touch()
    async with embedded(tmp_path / "data") as service:
        ends = [
            await ended(Client(session, service), job_id) for job_id in (first, blocked, waiting)
        ]
    assert ends == ["Completed"] * 3 and notes.read_text() == "read\nread\n"


async def test_a_restart_forgets_passwords_and_says_so(tmp_path, session):
    """They stand in no file, waiting or not; the job that wanted one fails by a name that has it
    sent again.
    """
    gate = tmp_path / "gate"
    async with embedded(tmp_path / "data", "--workers", "1") as service:
        client = Client(session, service)
        blocked = await client.submit(await client.upload(f"wait for {gate}".encode()))
        locked = await client.submit(
            await client.upload(b"text"), settings={"document_password": "hunter2"}
        )
        service.process.kill()
    assert not [
        path
        for path in (tmp_path / "data").rglob("*")
        if path.is_file() and b"hunter2" in path.read_bytes()
    ]
    gate.touch()
    async with embedded(tmp_path / "data") as service:
        client = Client(session, service)
        assert await ended(client, blocked) == "Completed"
        assert await ended(client, locked) == "Failed"
        _, answer = await client.call("GET", f"/job/{locked}")
    assert answer["error"]["name"] == "JOB_STATE_ERROR" and "password" in answer["error"]["message"]


async def feed(session: aiohttp.ClientSession, service: Embedded, accepted: list[str]) -> None:
    """Submit until the service is gone; only what it has answered for counts."""
    client = Client(session, service)
    with contextlib.suppress(aiohttp.ClientError):
        while True:
            accepted.append(await client.submit(await client.upload(b"a document")))


async def ended(client: Client, job_id: str) -> str:
    while True:
        _, answer = await client.call("GET", f"/job/{job_id}")
        if answer["status"] in {"Completed", "Failed", "Cancelled"}:
            return answer["status"]
