"""Connections to a server of ours: how many may be open at once, and how long each may dawdle.

Stands between the listening socket and the protocol that reads the bytes. Knows nothing of HTTP but
that a request begins once its header is there whole, which whoever answers it says by `attending`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, cast

Make = Callable[[], asyncio.Protocol]

# bytes that a body must bring within `stalled`; a byte now and then is no transfer
PROGRESS: Final = 1024
MOST_DESCRIPTORS: Final = 16_384  # more than we ever use, where the system names no limit
PARSERS: Final = ("aiohttp.http", "aiohttp.web_protocol")  # where what a peer did wrong is raised
# seconds between two lines about malformed requests: who sends them may send many
LINE_EVERY: Final = 10.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Seconds each, save `connections`.

    Where too many are open, a body younger than `body` is left to come in.
    """

    connections: int
    header: float = 10.0  # from its first byte, or from the connection's first moment
    # between two requests; clients keep connections for less, so that none is cut in their hands
    idle: float = 75.0
    stalled: float = 60.0  # a body that doesn't come, an answer that isn't taken
    body: float = math.inf


class Doorkeeper:
    """`watch` beside the server. `dropped` counts what was hung up on, by reason."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.dropped: Counter[str] = Counter()
        self._limits = limits
        self._open: dict[asyncio.BaseTransport, _Connection] = {}

    @property
    def backlog(self) -> int:
        """For the listening socket: as many are accepted at a stroke, before any of them can be
        turned away.
        """
        return self._limits.connections

    def guarding(self, make: Make) -> Make:
        """The factory of protocols to listen with, instead of `make`."""
        return lambda: _Connection(make(), self)

    @contextmanager
    def attending(
        self, transport: asyncio.BaseTransport | None, is_fed: Callable[[], bool]
    ) -> Iterator[None]:
        """While a request is answered. `is_fed` tells whether its body has come in whole."""
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
        """Hang up on those that take too long, until cancelled."""
        pause = min(1.0, self._limits.header / 4, self._limits.stalled / 4)
        while True:
            await asyncio.sleep(pause)
            for connection in list(self._open.values()):
                why = connection.overdue(self._limits)
                if why:
                    self._drop(connection, why)

    def admit(self, connection: _Connection) -> None:
        """Where it is one too many, the least loss makes room; where all others are at work, it
        goes itself.
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
    """Hands everything through, and remembers since when what is due has not come."""

    transport: asyncio.Transport

    def __init__(self, inner: asyncio.Protocol, keeper: Doorkeeper) -> None:
        self._inner = inner
        self._keeper = keeper
        self._is_fed: Callable[[], bool] | None = None  # of the request that is being answered
        self._heard = True  # bytes of a header, or a connection that is to begin with one
        self._since = self._moved_at = time.monotonic()
        self._received = self._counted = 0
        self._unsent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._inner.connection_made(transport)
        self._keeper.admit(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._keeper.forget(self)
        self._inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._is_fed is None and not self._heard:
            self._heard, self._since = True, time.monotonic()
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
        """Whether no answer is lost by hanging up now."""
        if self._is_fed is None:
            return not self.transport.get_write_buffer_size()
        return not self._is_fed() and time.monotonic() - self._since > limits.body

    def worth(self) -> tuple[bool, bool, float]:
        """Half a header is worth less than a client that may come back, that less than half a body;
        old ones least.
        """
        return self._is_fed is not None, not self._heard, self._since

    def overdue(self, limits: ConnectionLimits) -> str:
        """Why it is to be hung up on; empty: it is in time."""
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
        """Whether it does what it is to do, or there is nothing for it to do."""
        before = self._unsent
        self._unsent = self.transport.get_write_buffer_size()
        if self._unsent:
            return self._unsent != before
        if self._is_fed is None or self._is_fed() or not self.transport.is_reading():
            return True  # it is we who are slow
        if self._received - self._counted < PROGRESS:
            return False
        self._counted = self._received
        return True


def descriptors() -> int:
    """How many files and connections this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, MOST_DESCRIPTORS)


def terse(name: str) -> logging.Logger:
    """A logger for an HTTP server, in which a malformed request is a line and no traceback."""
    logger = logging.getLogger(name)
    if not any(isinstance(one, _Terse) for one in logger.filters):
        logger.addFilter(_Terse())
    return logger


class _Terse(logging.Filter):
    """Traces of other errors pass as they are: those are ours."""

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
