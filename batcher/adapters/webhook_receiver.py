"""Receive webhooks: a small HTTP server that answers at once and queues the jobs to ask about.

`reducto.webhook_signature` decides whether a message is genuine, and the poller asks. A message
that is lost costs time, but no result.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from aiohttp import web

from batcher.adapters.small_server import serving
from batcher.doorkeeper import ConnectionLimits, Doorkeeper, descriptors
from batcher.errors import ReceiverUnusable
from batcher.reducto.webhook_signature import Judge

LARGEST: Final = 64 << 10  # bytes of a message; real ones have a few hundred
RATE = 1000.0  # messages per second, more than the API ends jobs
# Messages at once.
BURST = 2000.0
READ_WITHIN: Final = 5.0  # seconds for a whole body to arrive
CONNECTIONS: Final = 64  # connections at a time; a message takes a few milliseconds
# one part in so many of the files that the process may open; the run needs the rest
SHARE: Final = 8
LIMITS: Final = ConnectionLimits(CONNECTIONS, header=10.0, idle=30.0, stalled=READ_WITHIN, body=1.0)
WAITING: Final = 20_000  # jobs to ask about; the poller finds more of them without a message
REMEMBERED: Final = 50_000  # messages by which repetitions are recognised


class Receiver:
    """Queues the jobs that genuine messages name.

    `answers` counts answers by HTTP status: 204 for accepted or repeated messages, 401 for those
    that aren't genuine, 413 too large, 408 too slow, 429 too many.
    """

    def __init__(
        self, judge: Judge, *, clock: Callable[[], float], rate: float = RATE, burst: float = BURST
    ) -> None:
        self.url = ""
        self.answers: Counter[int] = Counter()
        self._judge = judge
        self._clock = clock
        self._jobs: asyncio.Queue[str] = asyncio.Queue(WAITING)
        self._seen: dict[str, None] = {}  # in the order of arrival
        self._rate = rate
        self._burst = burst
        self._allowance = burst
        self._counted_at = 0.0

    async def next_job(self) -> str:
        """Return the id of the next job that a genuine message names, waiting for one."""
        return await self._jobs.get()

    @property
    def waiting(self) -> int:
        """The number of jobs that are named and not yet asked about."""
        return self._jobs.qsize()

    async def answer(self, request: web.Request) -> web.Response:
        """Handle a request."""
        status = await self._status(request)
        self.answers[status] += 1
        answer = web.Response(status=status)
        if status != 204:
            answer.force_close()  # nothing more on this connection is worth reading
        return answer

    async def _status(self, request: web.Request) -> int:
        if not self._is_in_time():
            return 429
        if (request.content_length or 0) > LARGEST:
            return 413
        try:
            async with asyncio.timeout(READ_WITHIN):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return 413
        except TimeoutError:
            return 408
        notice = self._judge.judge(request.headers, body, now=self._clock())
        if notice is None:
            return 401
        if self._is_new(notice.message) and not self._jobs.full():
            self._jobs.put_nowait(notice.job_id)
        return 204

    def _is_in_time(self) -> bool:
        """Take a token for a message from a bucket of size `burst`, filled at `rate`."""
        now = asyncio.get_running_loop().time()
        self._allowance = min(self._burst, self._allowance + (now - self._counted_at) * self._rate)
        self._counted_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _is_new(self, message: str) -> bool:
        if message in self._seen:
            return False
        self._seen[message] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True


@asynccontextmanager
async def receiving(
    host: str,
    port: int,
    judge: Judge,
    *,
    clock: Callable[[], float],
    rate: float = RATE,
    burst: float = BURST,
    limits: ConnectionLimits = LIMITS,
) -> AsyncIterator[Receiver]:
    """Run a receiver that listens for the duration of the block.

    `rate` is in messages per second, `burst` how many may come at once. Raises ReceiverUnusable if
    the address can't be used.
    """
    receiver = Receiver(judge, clock=clock, rate=rate, burst=burst)
    keeper = Doorkeeper(
        replace(limits, connections=min(limits.connections, max(4, descriptors() // SHARE)))
    )

    async def answer(request: web.Request) -> web.Response:
        with keeper.attending(request.transport, request.content.is_eof):
            return await receiver.answer(request)

    def refused(why: str) -> ReceiverUnusable:
        return ReceiverUnusable(
            f"webhook.listen: can't listen on {host}:{port}: {why}; free the port, or name another "
            "one"
        )

    app = web.Application(client_max_size=LARGEST)
    app.router.add_post("/{path:.*}", answer)
    async with serving(app, keeper, host, port, refused=refused) as bound:
        receiver.url = f"http://{host}:{bound}/"
        yield receiver
