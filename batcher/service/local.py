"""The local service as a whole: lock the data folder, build the components, listen, and close.

`LocalService` runs it in this process, for tests and users; `__main__` as a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final

import aiohttp
from aiohttp import web

from batcher.cluster.hands import Hands
from batcher.cluster.local import LocalHands
from batcher.cluster.messages import Wanted
from batcher.cluster.on_ray import PATIENCE, RayHands, Tell
from batcher.doorkeeper import ConnectionLimits, Doorkeeper, Make, descriptors
from batcher.errors import PlaceUnusable
from batcher.reducto.api_types import RETENTION
from batcher.service.app import SYNC_PATIENCE, Components, make_app
from batcher.service.background_tasks import Errands
from batcher.service.database import Database
from batcher.service.endpoints import Endpoint, Endpoints
from batcher.service.faults import Chaos, Fault
from batcher.service.fetching import DocumentFetcher
from batcher.service.folder import DATABASE, held
from batcher.service.inputs import InputReader
from batcher.service.job_runner import JOB_SECONDS, JobRunner
from batcher.service.jobs import Clock, Jobs
from batcher.service.llm import Model, ModelClient
from batcher.service.middleware import LOOPBACK
from batcher.service.protocol import Protocol
from batcher.service.public_addresses import Reach, checked_connector
from batcher.service.queue import Queue
from batcher.service.results import Results
from batcher.service.tasks import Ask, Tools
from batcher.service.uploads import Uploads
from batcher.service.webhook_sender import WebhookSender
from batcher.service.webhooks import Pauses, Webhooks
from batcher.service.workers import PARSER

SWEEP: Final = 60.0  # seconds between removals of what has expired; reads check expiry themselves
FAREWELL: Final = 0.2  # seconds for answers in progress when the service ends
CONNECTIONS: Final = 1024  # connections at a time, if the system allows as many
RESERVED = 64  # file descriptors that aren't for connections
WORKER_FILES = 8


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """The settings of a local service.

    `port` 0 lets the system choose one. `retention` and `job_seconds` are in seconds. `hosts` are
    Host headers to accept in addition to loopback's and `host`. `limits` of connections follow by
    default from the number of files that the process may open.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    hosts: Sequence[str] = ()
    port: int = 0
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    retention: float = RETENTION
    capacity: float | None = None  # most jobs that are started per second
    job_seconds: float = JOB_SECONDS
    sync_patience: float = SYNC_PATIENCE
    parser: str = PARSER
    cluster: Wanted | None = None  # whose hands read documents, instead of `workers`
    patience: float = PATIENCE  # seconds that the cluster may be gone
    tell: Tell = lambda standing: None  # is told how the cluster is, whenever that changes
    pipelines: Path | None = None
    model: Model | None = None
    clock: Clock = time.time
    chaos: Mapping[str, Fault] = field(default_factory=dict)
    seed: int = 0
    webhooks: Sequence[Endpoint] = ()
    reach: Reach = field(default_factory=Reach)
    pauses: Pauses = field(default_factory=Pauses)
    limits: ConnectionLimits | None = None


class LocalService:
    """The service, as an async context manager; `url` and `key` say how to reach it.

    Leaving it ends the workers. Entering it raises `ServiceUnusable` if the data folder is held by
    another service or can't be used.
    """

    def __init__(self, options: LocalOptions, *, key: str | None = None) -> None:
        self.options = options
        self.key = key or secrets.token_urlsafe(24)
        self.url = ""
        self._stack = contextlib.AsyncExitStack()
        self.cluster: RayHands | None = None

    async def __aenter__(self) -> LocalService:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(held(self.options.data_dir))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            connector = checked_connector(_reach_of_webhooks(self.options))
            checked = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            ask = ModelClient(session, self.options.model).ask if self.options.model else None
            hands: Hands = LocalHands(self.options.workers, parser=self.options.parser, ask=ask)
            if self.options.cluster is not None:
                self.cluster = _hands_of(self.options, self.options.cluster, ask)
                hands = await stack.enter_async_context(self.cluster)
            self.rooms = stack.enter_context(_open_rooms(self.options, session, checked, hands))
            self.url = await stack.enter_async_context(_listen(self.rooms, self.key, self.options))
            await stack.enter_async_context(_background(self.rooms, self.options))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def lost(self) -> None:
        """Wait until its cluster is lost, if it has one; then raise ClusterLost."""
        if self.cluster is None:
            await asyncio.Event().wait()
        else:
            await self.cluster.lost()

    async def sweep(self) -> None:
        """Remove what has expired now, instead of within the next minute."""
        await _sweep(self.rooms)


def _hands_of(options: LocalOptions, cluster: Wanted, ask: Ask | None) -> RayHands:
    return RayHands(cluster, ask=ask, patience=options.patience, tell=options.tell)


@contextlib.contextmanager
def _open_rooms(
    options: LocalOptions,
    session: aiohttp.ClientSession,
    checked: aiohttp.ClientSession,
    hands: Hands,
) -> Iterator[Components]:
    folder = options.data_dir
    with Database(folder / DATABASE) as database:
        chaos = Chaos(options.chaos, options.seed)
        jobs = Jobs(database, clock=options.clock, chaos=chaos, retention=options.retention)
        uploads = Uploads(database, folder / "uploads", clock=options.clock)
        results = Results(folder / "results")
        inputs = InputReader(
            uploads, jobs, results, DocumentFetcher(folder / "uploads", options.reach)
        )
        errands = Errands()
        endpoints = Endpoints(database, options.webhooks, clock=options.clock)
        sender = WebhookSender(
            session, checked, reach=_reach_of_webhooks(options), clock=options.clock
        )
        webhooks = Webhooks(sender, endpoints, errands, chaos=chaos, pauses=options.pauses)
        runner = JobRunner(
            inputs,
            results,
            chaos=chaos,
            tools=Tools(str(options.pipelines or ""), model=options.model is not None),
            seconds=options.job_seconds,
        )
        queue = Queue(
            jobs,
            runner,
            hands=hands,
            chaos=chaos,
            on_end=webhooks.announce,
        )
        queue.restore(jobs.unfinished())
        yield Components(
            jobs,
            uploads,
            results,
            queue,
            options.clock,
            chaos,
            errands,
            endpoints,
            options.sync_patience,
        )


def _reach_of_webhooks(options: LocalOptions) -> Reach:
    """Return where webhooks may go.

    That is where documents may come from; and this machine, if all callers are on it.
    """
    at_home = options.host in LOOPBACK | {"::1"} and not options.hosts
    urls = options.reach.urls
    loopback = options.reach.loopback
    return Reach(urls, loopback=at_home or (urls and loopback))


@contextlib.asynccontextmanager
async def _listen(rooms: Components, key: str, options: LocalOptions) -> AsyncIterator[str]:
    hosts = LOOPBACK | {options.host, *options.hosts}
    keeper = Doorkeeper(options.limits or ConnectionLimits(_room_for_connections(options.workers)))
    app = make_app(rooms, key=key, hosts=hosts, keeper=keeper)
    runner = web.AppRunner(app, shutdown_timeout=FAREWELL)
    await runner.setup()
    try:
        assert runner.server is not None
        server = await _bind(
            options, keeper, partial(Protocol, runner.server, loop=asyncio.get_running_loop())
        )
        async with keeper.watching(server):
            yield _address(server)
    finally:
        await runner.cleanup()


def _room_for_connections(workers: int) -> int:
    """Return how many connections to accept.

    An upload takes a connection and a file; the rest of each third is for other open files.
    """
    return max(16, min(CONNECTIONS, (descriptors() - RESERVED - WORKER_FILES * workers) // 3))


async def _bind(options: LocalOptions, keeper: Doorkeeper, make: Make) -> asyncio.Server:
    try:
        return await keeper.listen(make, options.host, options.port)
    except OSError as trouble:
        raise PlaceUnusable(
            f"the local service can't listen on {options.host}:{options.port}: "
            f"{trouble.strerror}; free the port, or name another with --port or --host"
        ) from trouble


def _address(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def _background(rooms: Components, options: LocalOptions) -> AsyncIterator[None]:
    """Run the workers and the removal of what has expired.

    An exception of the caller's block is raised as it is, and not in an ExceptionGroup.
    """
    group = asyncio.TaskGroup()
    await group.__aenter__()
    tasks = [
        group.create_task(rooms.queue.work(capacity=options.capacity)),
        group.create_task(rooms.errands.run()),
        group.create_task(_sweep_forever(rooms, min(SWEEP, options.retention))),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await group.__aexit__(None, None, None)


async def _sweep_forever(rooms: Components, pause: float) -> None:
    while True:
        await _sweep(rooms)
        await asyncio.sleep(pause)


async def _sweep(rooms: Components) -> None:
    for job_id in await rooms.jobs.forget_expired():
        rooms.results.remove(job_id)
    await rooms.uploads.forget_expired()
