"""A service on loopback that misbehaves when told to, by name: the API over real HTTP, its work
done by the twin's.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import msgspec
from aiohttp import web

from batcher.errors import NotFound
from batcher.reducto import api_types
from batcher.reducto.fake_client import PLACES, FakeClient, FakeJob, FakeService

KEY = "peer-key"
Handler = Callable[["Peer", web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Peer:
    """`moods` by call ("run_job", "upload", "job", "jobs", "delete_upload"): what is done instead
    of the normal.
    """

    moods: dict[str, Handler] = field(default_factory=dict)
    url: str = ""
    service: FakeService = field(
        default_factory=lambda: FakeService(time.time, work=lambda job: (0.0, None))
    )
    calls: Counter[str] = field(default_factory=Counter)
    authorizations: set[str] = field(default_factory=set)
    # of each call, in order
    headers: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    off: float = 0.0  # seconds that its clock, as its `Date` shows it, is ahead of ours
    padding: int = 0  # bytes by which each result is larger
    signature: str = "signed"  # of the addresses that it announces
    puts: Counter[str] = field(default_factory=Counter)  # by upload, of what is put at addresses
    accepted: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request, call: str) -> web.StreamResponse:
        self.calls[call] += 1
        self.authorizations.add(request.headers.get("Authorization", ""))
        self.headers.append((call, request.headers))
        mood = self.moods.get(call)
        answer: web.StreamResponse = await (
            mood(self, request) if mood else getattr(self, call)(request)
        )
        if self.off and not answer.prepared:
            answer.headers["Date"] = formatdate(time.time() + self.off, usegmt=True)
        return answer

    async def upload(self, request: web.Request) -> web.StreamResponse:
        if not request.content_type.startswith("multipart/"):
            await request.read()
            self.calls["announce"] += 1
            announced = self.service.announce("")
            url = f"{self.url}/places/{announced.file_id}?signature={self.signature}"
            return web.json_response({"file_id": announced.file_id, "presigned_url": url})
        part = await (await request.multipart()).next()
        assert part is not None
        content = bytes(await part.read())  # type: ignore[union-attr]
        return web.json_response({"file_id": self.service.take_upload(content, "")})

    async def put(self, request: web.Request) -> web.StreamResponse:
        """Takes what is put at an announced address, and who asked with the key."""
        assert "Authorization" not in request.headers
        assert request.query["signature"] == self.signature
        file_id = request.match_info["id"]
        self.puts[file_id] += 1
        self.service.put(f"{PLACES}{file_id}", await request.read())
        return web.Response()

    async def delete_upload(self, request: web.Request) -> web.StreamResponse:
        known = self.service.uploads.pop(request.match_info["id"], None)
        return (
            web.json_response({"detail": "ok"})
            if known
            else web.json_response({"detail": "unknown"}, status=404)
        )

    async def run_job(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"job_id": (await self.accept(request)).job_id})

    async def accept(self, request: web.Request) -> FakeJob:
        text = await request.text()
        source = json.loads(text)["input"]
        named = source if isinstance(source, str) else json.dumps(source)
        job = self.service.accept(request.match_info["endpoint"], named, text)
        self.accepted.set()
        return job

    def hold_jobs(self) -> None:
        """Let no job end before `end_jobs` is called, however long a machine takes until then."""
        self.service.work = lambda job: (1e9, None)

    def end_jobs(self) -> None:
        """End all jobs now, and those to come at once."""
        self.service.work = lambda job: (0.0, None)
        for job in self.service.jobs.values():
            job.ends_at = self.service.clock()

    async def has_jobs(self, number: int) -> None:
        """Returns when so many submissions have been accepted."""
        while len(self.service.jobs) < number:
            self.accepted.clear()
            await self.accepted.wait()

    async def job(self, request: web.Request) -> web.StreamResponse:
        try:
            answer, _ = await FakeClient(self.service, latency=0.0).job(request.match_info["id"])
        except NotFound:
            return web.json_response({"detail": "Job not found"}, status=404)
        body = {"status": answer.status}
        if answer.result is not None:
            body["result"] = {**json.loads(bytes(answer.result)), "padding": "x" * self.padding}
        if answer.error is not None:
            body["error"] = msgspec.to_builtins(answer.error)
        return web.json_response(body)

    async def delete_job(self, request: web.Request) -> web.StreamResponse:
        await FakeClient(self.service, latency=0.0).delete_job(request.match_info["id"])
        return web.json_response({"job_id": request.match_info["id"]}, status=202)

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        await FakeClient(self.service, latency=0.0).cancel(request.match_info["id"])
        return web.json_response({})

    async def blob(self, request: web.Request) -> web.StreamResponse:
        """What a linked result links to: as many chunks as `padding` says bytes, and who asked with
        the key.
        """
        assert "Authorization" not in request.headers
        return web.json_response(
            [{"content": request.match_info["id"] + "x" * self.padding, "blocks": []}]
        )

    async def jobs(self, request: web.Request) -> web.StreamResponse:
        page = await FakeClient(self.service, latency=0.0).jobs(
            limit=int(request.query.get("limit", "500"))
        )
        return web.json_response(msgspec.to_builtins(page))

    async def nobody(self, request: web.Request) -> web.StreamResponse:
        """Where news may be posted, and who asked with the key."""
        assert "Authorization" not in request.headers
        return web.json_response({"detail": "nobody is here"}, status=404)


@asynccontextmanager
async def listening(peer: Peer, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """`peer` on a port of its own, as long as the block lasts."""
    app = web.Application(client_max_size=1 << 30)
    for method, path, call in (
        ("POST", "/upload", "upload"),
        ("DELETE", "/upload/{id:.+}", "delete_upload"),
        ("POST", "/{endpoint}_async", "run_job"),
        ("GET", "/job/{id}", "job"),
        ("DELETE", "/job/{id}", "delete_job"),
        ("POST", "/cancel/{id}", "cancel"),
        ("GET", "/blob/{id}", "blob"),
        ("GET", "/jobs", "jobs"),
        ("POST", "/nobody", "nobody"),
        ("PUT", "/places/{id:.+}", "put"),
    ):
        app.router.add_route(method, path, _route(peer, call))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    peer.url = (
        f"{'https' if tls else 'http'}://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
    )
    try:
        yield peer
    finally:
        await runner.cleanup()


def _route(peer: Peer, call: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await peer.handle(request, call)

    return handle


# --- moods ----------------------------------------------------------------------------------------


def says(status: int, body: Any = None, **headers: str) -> Handler:
    """An answer with that status; `body` as JSON, or as it is where it's bytes."""

    async def mood(peer: Peer, request: web.Request) -> web.StreamResponse:
        await request.read()
        if isinstance(body, bytes):
            return web.Response(status=status, body=body, headers=headers, content_type="text/html")
        return web.json_response(body, status=status, headers=headers)

    return mood


async def hangs_up(peer: Peer, request: web.Request) -> web.StreamResponse:
    """The request arrives whole, the connection is reset, nothing is done."""
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def accepts_and_hangs_up(peer: Peer, request: web.Request) -> web.StreamResponse:
    """The job exists, and its id is never told."""
    await peer.accept(request)
    return await hangs_up(peer, request)


async def cuts_the_answer_short(peer: Peer, request: web.Request) -> web.StreamResponse:
    """Half of what Content-Length promised."""
    await peer.accept(request)
    answer = web.StreamResponse(
        headers={"Content-Length": "100", "Content-Type": "application/json"}
    )
    await answer.prepare(request)
    await answer.write(b'{"job_id": "')
    assert request.transport is not None
    request.transport.abort()
    return answer


async def links(peer: Peer, request: web.Request) -> web.StreamResponse:
    """A completed job whose result stands at a URL, as a bare list of chunks."""
    job_id = request.match_info["id"]
    link = {"type": "url", "url": f"{peer.url}/blob/{job_id}", "result_id": "r"}
    result = {"job_id": job_id, "response_type": "parse", "usage": {"num_pages": 3}, "result": link}
    return web.json_response({"status": "Completed", "result": result})


async def ends_early(peer: Peer, request: web.Request) -> web.StreamResponse:
    """Half a list, and a length that says it is all."""
    return web.Response(body=b'[{"content": "half', content_type="application/json")


def once(mood: Handler, call: str) -> Handler:
    """`mood` the first time, the normal from then on."""

    async def first(peer: Peer, request: web.Request) -> web.StreamResponse:
        if peer.calls[call] == 1:
            return await mood(peer, request)
        answer: web.StreamResponse = await getattr(peer, call)(request)
        return answer

    return first


UNPROCESSABLE = {
    "error": {
        "name": api_types.ErrorName.DOCUMENT_UNSUPPORTED,
        "code": 422,
        "message": "not this one",
    }
}
