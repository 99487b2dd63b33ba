"""The API's endpoints on aiohttp: read the request, call the components, shape the answer.

The rules are elsewhere: order in `queue`, lifetimes in `jobs` and `uploads`, access in
`middleware`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

from batcher.doorkeeper import Doorkeeper
from batcher.reducto.api_types import ErrorName, JobStatus, JobType
from batcher.reducto.request_schema import BODIES
from batcher.service import middleware
from batcher.service.answers import ApiError, as_json, html_page, job_not_found
from batcher.service.background_tasks import Errands
from batcher.service.endpoints import Endpoints
from batcher.service.fault_middleware import disturb
from batcher.service.faults import Chaos
from batcher.service.job_runner import LiveJob
from batcher.service.jobs import Clock, JobLane, Jobs, described, detailed, listed, parse_cursor
from batcher.service.parameters import address_of, flag, number
from batcher.service.portal import Portal
from batcher.service.queue import Queue
from batcher.service.requests import accept, lane_of, read_request, waits
from batcher.service.results import Results
from batcher.service.uploading import UploadEndpoints
from batcher.service.uploads import Uploads

VERSION: Final = "v1.12.20-local"
BODY_LIMIT: Final = 16 << 20  # bytes of a JSON request; schemas can be long
# seconds after which the hosted service's edge gives up on a synchronous call
SYNC_PATIENCE: Final = 900.0
# The values that `limit` of `GET /jobs` may have.
LISTED: Final = range(1, 501)
ENDPOINTS: Final = {
    "parse": JobType.PARSE,
    "extract": JobType.EXTRACT,
    "split": JobType.SPLIT,
    "pipeline": JobType.PIPELINE,
    "classify": JobType.CLASSIFY,
    "edit": JobType.EDIT,
}
# Jobs whose synchronous path submits, and doesn't wait, if the request has an `async` object.
SUBMITTED: Final = frozenset({JobType.PARSE, JobType.EXTRACT})


@dataclass(frozen=True, slots=True)
class Components:
    """The parts of the service that the endpoints use."""

    jobs: Jobs
    uploads: Uploads
    results: Results
    queue: Queue
    clock: Clock
    chaos: Chaos
    errands: Errands
    endpoints: Endpoints
    sync_patience: float = SYNC_PATIENCE


def make_app(
    rooms: Components, *, key: str, hosts: frozenset[str], keeper: Doorkeeper
) -> web.Application:
    """Return the application with its middlewares and routes.

    `key` is the API key to accept, `hosts` the values of the Host header to accept.
    """
    middlewares = [
        middleware.attend(keeper),
        middleware.answer_errors,
        middleware.check_text,
        middleware.check_host(hosts),
        middleware.check_key(key),
        disturb(rooms.chaos, rooms.errands),
    ]
    app = web.Application(middlewares=middlewares, client_max_size=BODY_LIMIT)  # type: ignore[arg-type]
    doors = (UploadEndpoints(rooms.uploads), Portal(rooms.endpoints), Routes(rooms))
    app.add_routes([route for door in doors for route in door.routes()])
    return app


class Routes:
    """The endpoints of jobs."""

    def __init__(self, rooms: Components) -> None:
        self._rooms = rooms

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of submissions and jobs."""
        return [
            *(web.post(f"/{name}", self._sync(type)) for name, type in ENDPOINTS.items()),
            *(web.post(f"/{name}_async", self._async(type)) for name, type in ENDPOINTS.items()),
            web.get("/job/{job_id}", self.job),
            web.delete("/job/{job_id}", self.delete_job),
            web.get("/jobs", self.list_jobs),
            web.post("/cancel/{job_id}", self.cancel),
            web.get("/files/{job_id}/{token}/{name}", self.file),
            web.get("/version", self.version),
            web.get("/__chaos", self.chaos),
        ]

    # --- submissions ------------------------------------------------------------------------------

    def _sync(self, type: JobType) -> middleware.Handler:
        async def run(request: web.Request) -> web.StreamResponse:
            body = await self._body(request, type)
            if not waits(body, read_request(body, type)) and type in SUBMITTED:
                return await self._submit(body, type)
            return await self._run(request, body, type)

        return run

    def _async(self, type: JobType) -> middleware.Handler:
        async def submit(request: web.Request) -> web.StreamResponse:
            return await self._submit(await self._body(request, type), type)

        return submit

    async def _body(self, request: web.Request, type: JobType) -> bytes:
        if type not in BODIES:
            raise ApiError(ErrorName.INVALID_CONFIG, f"{type} is not served by the local service")
        return await request.read()

    async def _submit(self, body: bytes, type: JobType) -> web.Response:
        live = await self._accept(body, type, None)
        return as_json({"job_id": live.job.job_id})

    async def _run(self, request: web.Request, body: bytes, type: JobType) -> web.Response:
        live = await self._accept(body, type, JobLane.SYNC)
        try:
            async with asyncio.timeout(self._rooms.sync_patience):
                await live.ended.wait()
        except TimeoutError:
            return html_page(504, "Gateway Time-out")
        return await self._outcome(request, live.job.job_id)

    async def _accept(self, body: bytes, type: JobType, lane: JobLane | None) -> LiveJob:
        asked = read_request(body, type)
        job = accept(
            body,
            asked,
            type,
            lane=lane_of(asked) if lane is None else lane,
            now=self._rooms.clock(),
        )
        return await self._rooms.queue.submit(job)

    async def _outcome(self, request: web.Request, job_id: str) -> web.Response:
        """Return a synchronous call's answer: the bare result, or the job's error."""
        row = self._rooms.jobs.find(job_id)
        if row["status"] == JobStatus.COMPLETED:
            result = await self._rooms.results.read(
                job_id, address=address_of(request) if row["linked"] else None
            )
            return web.Response(body=result, content_type="application/json")
        message = row["error_message"]
        error = {
            "code": row["error_code"],
            "name": row["error_name"],
            "message": message,
            "job_id": job_id,
        }
        return as_json({"error": error, "detail": message}, status=row["error_code"])

    # --- jobs -------------------------------------------------------------------------------------

    async def job(self, request: web.Request) -> web.Response:
        """`GET /job/{job_id}`. A finished result is sent as the bytes in which it was stored.

        A job that has not ended is Pending here, whatever is done with it: the description knows
        the other statuses only in `GET /jobs`.
        """
        job_id = request.match_info["job_id"]
        row = self._rooms.jobs.find(job_id)
        live = self._rooms.queue.live(job_id)
        if live is not None:
            running = {"progress": live.progress, "result": None}
            return as_json({"status": JobStatus.PENDING, **detailed(row), **running})
        if row["status"] != JobStatus.COMPLETED:
            ended = {"reason": row["error_message"], "error": described(row), "result": None}
            return as_json({"status": row["status"], **detailed(row), **ended})
        result = await self._rooms.results.read(
            job_id, address=address_of(request) if row["linked"] else None
        )
        head = msgspec.json.encode({"status": row["status"], **detailed(row)})
        return web.Response(
            body=b"".join((head[:-1], b',"result":', result, b"}")), content_type="application/json"
        )

    async def list_jobs(self, request: web.Request) -> web.Response:
        """`GET /jobs`: one page of jobs, the newest first."""
        limit = number(request, "limit", default=100, allowed=LISTED)
        bare = self._rooms.chaos.strikes("listing-bare", "GET /jobs")
        with_config = not (bare or flag(request, "exclude_configs"))
        rows, following = self._rooms.jobs.page(
            limit=limit, before=parse_cursor(request.query.get("cursor"))
        )
        status_of = self._rooms.queue.status_of
        page = [
            listed(row, status=status_of(row["job_id"], row["status"]), with_config=with_config)
            for row in rows
        ]
        return as_json({"jobs": page, "next_cursor": None if following is None else str(following)})

    async def cancel(self, request: web.Request) -> web.Response:
        """`POST /cancel/{job_id}`: end a job that has not ended; the answer is always the same."""
        job_id = request.match_info["job_id"]
        self._rooms.jobs.find(job_id)
        await self._rooms.queue.cancel(job_id)
        return as_json({})

    async def delete_job(self, request: web.Request) -> web.Response:
        """`DELETE /job/{job_id}`: delete a job, and a persisted one only if asked to."""
        job_id = request.match_info["job_id"]
        with_persisted = flag(request, "include_persisted")
        row = self._rooms.jobs.find(job_id)
        if self._rooms.queue.live(job_id) is not None:
            raise ApiError(ErrorName.JOB_NOT_COMPLETE, "Job is still running; cancel it first")
        if with_persisted or not row["persist"]:
            await self._rooms.jobs.delete(job_id)
            self._rooms.results.remove(job_id)
        return as_json({"job_id": job_id}, status=202)

    async def file(self, request: web.Request) -> web.Response:
        """`GET /files/…`: a file that a result links to; the token in the path is its only key."""
        job_id, token, name = (request.match_info[part] for part in ("job_id", "token", "name"))
        row = self._rooms.jobs.find(job_id)
        if not middleware.same(token, row["token"]):
            raise job_not_found()
        content = await self._rooms.results.read_attachment(
            job_id, name, address=address_of(request)
        )
        if content is None:
            raise ApiError(ErrorName.NOT_FOUND, "File not found")
        return web.Response(
            body=content, content_type=_CONTENT_TYPES.get(name.rpartition(".")[2], _BYTES)
        )

    async def chaos(self, request: web.Request) -> web.Response:
        """`GET /__chaos`: the faults that were injected, for rehearsals to compare with."""
        return as_json(self._rooms.chaos.account())

    async def version(self, request: web.Request) -> web.Response:
        """`GET /version`: the version of the API that is imitated."""
        return as_json(VERSION)


_BYTES: Final = "application/octet-stream"
_CONTENT_TYPES: Final = {
    "json": "application/json",
    "png": "image/png",
    "jpg": "image/jpeg",
    "pdf": "application/pdf",
}
