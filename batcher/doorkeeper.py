"""Limits the connections to our own servers: how many are open, and how slow each may be.

This stands between the listening socket and the protocol that parses the bytes. It knows nothing of
HTTP, except that a request begins once its whole header has arrived, which the code that answers
the request reports through `attending`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final, cast

Make = Callable[[], asyncio.Protocol]

# A body must bring this many bytes within `stalled` seconds: a byte now and then is no transfer.
PROGRESS: Final = 1024
MOST_DESCRIPTORS: Final = 16_384  # more than we ever use, if the system sets no limit
# These modules raise the errors that a peer's malformed bytes cause.
PARSERS: Final = ("aiohttp.http", "aiohttp.web_protocol")
# Seconds between two log lines about malformed requests, since one peer may send many.
LINE_EVERY: Final = 10.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of one server. All are in seconds except `connections`.

    When too many connections are open, a request body is cut off only if it has taken longer than
    `body`.
    """

    connections: int
    header: float = 10.0  # from its first byte, or from when the connection was made
    # Between two requests. Clients keep idle connections for less, so that none is cut while a
    # client is about to use it.
    idle: float = 75.0
    stalled: float = 60.0  # a body that doesn't arrive, or an answer that isn't read
    body: float = math.inf


class Doorkeeper:
    """Admits and drops connections: `listen`, and serve in a block of `watching`.

    `dropped` counts the connections that were closed, by reason.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.dropped: Counter[str] = Counter()
        self._limits = limits
        self._open: dict[asyncio.BaseTransport, _Connection] = {}

    @property
    def backlog(self) -> int:
        """The backlog for the listening socket.

        The event loop accepts this many connections at once, before any of them can be dropped.
        """
        return self._limits.connections

    async def listen(self, make: Make, host: str, port: int) -> asyncio.Server:
        """Listen on an address; `make` is the protocol factory of the connections let through.

        Raises OSError, whose `strerror` says why that can't be done.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(
                lambda: _Connection(make(), self), host, port, backlog=self.backlog
            )
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise OSError(getattr(error, "errno", None), why) from error

    @asynccontextmanager
    async def watching(self, server: asyncio.Server) -> AsyncIterator[None]:
        """Watch the connections during the block, and close the server at its end."""
        watching = asyncio.create_task(self.watch())
        try:
            yield
        finally:
            watching.cancel()
            server.close()

    @contextmanager
    def attending(
        self, transport: asyncio.BaseTransport | None, is_fed: Callable[[], bool]
    ) -> Iterator[None]:
        """Mark the connection as busy while the block answers a request.

        `is_fed` tells whether the request's body has arrived completely.
        """
        connection = self._open.get(transport) if transport else None
        if connection is None:
            yield
            return
        connection.begin(is_fed)
        try:
            yield
        finally:
            connection.end()

    async def watch(self) -> None:
        """Close the connections that take too long, until cancelled."""
        pause = min(1.0, self._limits.header / 4, self._limits.stalled / 4)
        while True:
            await asyncio.sleep(pause)
            for connection in list(self._open.values()):
                why = connection.overdue(self._limits)
                if why:
                    self._drop(connection, why)

    def admit(self, connection: _Connection) -> None:
        """Register a connection; if that is one too many, drop the least valuable one.

        If all others are busy, the new connection itself is dropped.
        """
        self._open[connection.transport] = connection
        if len(self._open) > self._limits.connections:
            others = [one for one in self._open.values() if one is not connection]
            late = [one for one in others if one.may_go(self._limits)]
            self._drop(min(late, key=_Connection.worth, default=connection), "too many")

    def forget(self, connection: _Connection) -> None:
        self._open.pop(connection.transport, None)

    def _drop(self, connection: _Connection, why: str) -> None:
        self.dropped[why] += 1
        self.forget(connection)
        connection.transport.abort()


class _Connection(asyncio.Protocol):
    """Passes all calls on to `inner` and records since when expected bytes have been missing."""

    transport: asyncio.Transport

    def __init__(self, inner: asyncio.Protocol, keeper: Doorkeeper) -> None:
        self._inner = inner
        self._keeper = keeper
        self._is_fed: Callable[[], bool] | None = None  # of the request that is being answered
        self._heard = True  # part of a header has arrived, or the connection is new and one is due
        self._since = self._moved_at = time.monotonic()
        self._received = self._counted = 0
        self._unsent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transport is no subclass
        self._inner.connection_made(transport)
        self._keeper.admit(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._keeper.forget(self)
        self._inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._is_fed is None and not self._heard:
            self._heard = True
            self._since = time.monotonic()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def begin(self, is_fed: Callable[[], bool]) -> None:
        self._is_fed = is_fed
        self._heard = False
        self._since = self._moved_at = time.monotonic()
        self._counted = self._received

    def end(self) -> None:
        self._is_fed = None
        self._since = self._moved_at = time.monotonic()

    def may_go(self, limits: ConnectionLimits) -> bool:
        """Whether the connection can be closed without the loss of an answer."""
        if self._is_fed is None:
            return not self.transport.get_write_buffer_size()
        return not self._is_fed() and time.monotonic() - self._since > limits.body

    def worth(self) -> tuple[bool, bool, float]:
        """Return a sort key: the connection with the lowest one is dropped first.

        Half a header is worth less than an idle client that may return, which is worth less than
        half a body. Among equals, the oldest is worth least.
        """
        return self._is_fed is not None, not self._heard, self._since

    def overdue(self, limits: ConnectionLimits) -> str:
        """Return the reason for which to close the connection; empty while it is in time."""
        now = time.monotonic()
        if self._is_moving():
            self._moved_at = now
        if now - self._moved_at > limits.stalled:
            return "stalled"
        if self._is_fed is not None or self._unsent:
            return ""
        if now - self._since <= (limits.header if self._heard else limits.idle):
            return ""
        return "header" if self._heard else "idle"

    def _is_moving(self) -> bool:
        """Whether bytes have moved since the last check, or the peer owes none."""
        before = self._unsent
        self._unsent = self.transport.get_write_buffer_size()
        if self._unsent:
            return self._unsent != before
        if self._is_fed is None or self._is_fed() or not self.transport.is_reading():
            return True  # the delay is on our side
        if self._received - self._counted < PROGRESS:
            return False
        self._counted = self._received
        return True


def descriptors() -> int:
    """Return how many files and connections this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, MOST_DESCRIPTORS)


def terse(name: str) -> logging.Logger:
    """Return an HTTP server's logger that logs a malformed request in one line, not a traceback."""
    logger = logging.getLogger(name)
    if not any(isinstance(one, _Terse) for one in logger.filters):
        logger.addFilter(_Terse())
    return logger


class _Terse(logging.Filter):
    """Shortens malformed requests. Tracebacks of other errors are kept: those are our defects."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at = -math.inf
        self._untold = 0

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or not type(error).__module__.startswith(PARSERS):
            return True
        if record.created - self._told_at < LINE_EVERY:
            self._untold += 1
            return False
        more = f" ({self._untold} more since the last such line)" if self._untold else ""
        words = (getattr(error, "message", "") or str(error)).strip().split("\n", 1)[0]
        record.msg = f"a malformed request was refused: {words}{more}"
        record.args = ()
        record.exc_info = record.exc_text = None
        self._told_at = record.created
        self._untold = 0
        return True
