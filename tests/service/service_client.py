"""Just enough of a client to say what a test is about, and a clock that tests move."""

from __future__ import annotations

import time
from typing import Any

import aiohttp

from batcher.service.local import LocalService

PARSER = "plain_parser"  # the module that real workers parse with in tests


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Client:
    def __init__(self, session: aiohttp.ClientSession, service: LocalService) -> None:
        self.session = session
        self.service = service

    async def call(self, method: str, path: str, **words: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.service.url + path, **words) as answer:
            return answer.status, await answer.json()

    async def upload(self, content: bytes = b"hello", name: str = "a.txt") -> str:
        form = aiohttp.FormData()
        form.add_field("file", content, filename=name)
        status, answer = await self.call("POST", "/upload", data=form)
        assert status == 200
        return answer["file_id"]

    async def submit(self, source: Any, endpoint: str = "parse_async", **more: Any) -> str:
        status, answer = await self.call("POST", f"/{endpoint}", json={"input": source, **more})
        assert status == 200, answer
        return answer["job_id"]

    async def end_of(self, job_id: str) -> dict[str, Any]:
        live = self.service.rooms.queue.live(job_id)
        if live is not None:
            await live.ended.wait()
        status, answer = await self.call("GET", f"/job/{job_id}")
        assert status == 200, answer
        return answer

    async def parsed(self, content: bytes = b"hello", **more: Any) -> tuple[str, dict[str, Any]]:
        job_id = await self.submit(await self.upload(content), **more)
        return job_id, await self.end_of(job_id)
