"""What the local service costs beside reading: `python tests/bench/service.py`. Linux, as it looks
into /proc.

A large upload (memory must stay flat), pages of a long listing, and the service's own processor
time for each job.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[2]
PIECE = bytes(1 << 20)
HEADERS = {"Authorization": "Bearer secret"}


class Service:
    """`batcher serve` in a process of its own, and what the system says of it."""

    def __init__(self, session: aiohttp.ClientSession, url: str, pid: int) -> None:
        self.session = session
        self.url = url
        self.pid = pid

    def peak(self) -> float:
        """MB that it has held at most."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def spent(self) -> float:
        """Seconds of processor time, its workers' left out."""
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    async def call(self, method: str, path: str, **words: object) -> dict:
        async with self.session.request(method, self.url + path, **words) as answer:  # type: ignore[arg-type]
            answer.raise_for_status()
            return await answer.json()

    async def submit(self, file_id: str) -> None:
        await self.call("POST", "/parse_async", json={"input": file_id})

    async def submit_all(self, file_id: str, number: int) -> None:
        for start in range(0, number, 50):
            await asyncio.gather(*(self.submit(file_id) for _ in range(min(50, number - start))))

    async def is_done(self) -> bool:
        page = await self.call("GET", "/jobs?limit=50")
        return all(job["status"] == "Completed" for job in page["jobs"])

    async def upload(self, content: bytes) -> str:
        form = aiohttp.FormData()
        form.add_field("file", content, filename="a.txt")
        return (await self.call("POST", "/upload", data=form))["file_id"]


@contextlib.asynccontextmanager
async def serving(*more: str) -> AsyncIterator[Service]:
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "batcher",
            "serve",
            "--data-dir",
            folder,
            "--workers",
            "1",
            *more,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "REDUCTO_API_KEY": "secret"},
        )
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            yield Service(session, url, process.pid)
        process.terminate()
        await process.wait()


async def large_upload(megabytes: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(megabytes):
            yield PIECE

    async with serving() as service:
        before = service.peak()
        upload = await service.call("POST", "/upload", json={})
        began = time.perf_counter()
        async with (
            aiohttp.ClientSession() as session,
            session.put(upload["presigned_url"], data=pieces()) as answer,
        ):
            answer.raise_for_status()
        took = time.perf_counter() - began
        print(
            f"upload of {megabytes} MB    {megabytes / took:7.0f} MB/s, "
            f"{service.peak() - before:.1f} MB more memory"
        )


async def long_listing(jobs: int) -> None:
    async with serving("--chaos", "stuck=1") as service:
        await service.submit_all(await service.upload(b"a letter"), jobs)
        took = []
        rows = 0
        for _ in range(5):
            cursor = ""
            while cursor is not None:
                began = time.perf_counter()
                page = await service.call("GET", f"/jobs?limit=500{cursor and f'&cursor={cursor}'}")
                took.append(1000 * (time.perf_counter() - began))
                rows = rows + len(page["jobs"])
                cursor = page["next_cursor"]
        assert rows == 5 * jobs
        print(
            f"a page of 500 of {jobs} jobs  {statistics.median(took):7.1f} ms, {max(took):.1f} at "
            "most"
        )


async def each_job(jobs: int) -> None:
    async with serving() as service:
        file_id = await service.upload(b"a letter")
        await service.submit_all(file_id, 20)
        began = time.perf_counter()
        before = service.spent()
        await service.submit_all(file_id, jobs)
        while not await service.is_done():  # noqa: ASYNC110 (it is another process that ends them)
            await asyncio.sleep(0.2)
        took = time.perf_counter() - began
        each = 1000 * (service.spent() - before) / jobs
        print(f"a job, accepted to done {each:7.2f} ms of CPU, {jobs / took:.0f} a second")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--jobs", type=int, default=2000)
    arguments = parser.parse_args()
    await large_upload(arguments.megabytes)
    await long_listing(arguments.jobs)
    await each_job(arguments.jobs)


if __name__ == "__main__":
    asyncio.run(main())
