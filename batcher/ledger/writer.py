"""The one hand that writes the ledger: one connection, one thread, for its whole life.

What is asked for while a commit is under way goes into the next one, so one fsync serves many, and
nobody's answer comes before his change is durable. It knows transactions and threads, and nothing
of documents.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from errno import EIO
from typing import Any, Final, Protocol, TypeVar

from batcher.errors import LedgerDamaged, OutputError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

# seconds a commit waits for company of the same moment; what comes during one is the next one's
GROUP_COMMIT_DELAY: Final = 0.002


class Writer(Protocol):
    async def do(self, work: Work[T]) -> T:
        """Run `work` in a transaction; its value, once that is durable.

        An error undoes this work alone.
        """

    def close(self) -> None: ...


class WriteAheadLog(Protocol):
    """Something that must be durable before each commit is."""

    def begin(self) -> None: ...

    def sync(self, connection: sqlite3.Connection) -> None:
        """Within the transaction that is about to be committed.

        Raises OSError, and then nothing is.
        """

    def close(self) -> None: ...


@dataclass(slots=True)
class _Request:
    work: Work[Any]
    answer: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None


class GroupWriter:
    """The writer of every real run.

    Once the disk has failed it, it writes no more: the next run begins from disk.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        linger: float = GROUP_COMMIT_DELAY,
        shadow: WriteAheadLog | None = None,
    ) -> None:
        self._connection = connection
        self._shadow = shadow
        self._linger = linger
        self._requests: deque[_Request] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._failed: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="ledger", daemon=True)
        self._thread.start()

    async def do(self, work: Work[T]) -> T:
        assert not self._closing, "the ledger is closed"
        self._loop = asyncio.get_running_loop()
        request = _Request(work, self._loop.create_future())
        self._requests.append(request)
        self._wake.set()
        value: T = await request.answer
        return value

    def close(self) -> None:
        """Commits what was asked for before, and ends the thread."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        self._connection.close()
        if self._shadow is not None:
            self._shadow.close()

    def _serve(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if not self._closing:
                time.sleep(self._linger)
            if group := self._gather():
                if self._failed is None:
                    commit(self._connection, group, self._shadow)
                    self._failed = next((r.error for r in group if is_final(r.error)), None)
                else:
                    _fail(group, self._failed)
                self._answer(group)
            if self._closing and not self._requests:
                return

    def _gather(self) -> list[_Request]:
        return [self._requests.popleft() for _ in range(len(self._requests))]

    def _answer(self, group: list[_Request]) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_settle, group)


class InlineWriter:
    """The same without a thread or a group: in virtual time an answer from another thread comes too
    late.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def do(self, work: Work[T]) -> T:
        await asyncio.sleep(0)
        request = _Request(work, asyncio.get_running_loop().create_future())
        commit(self._connection, [request])
        _settle([request])
        value: T = await request.answer
        return value

    def close(self) -> None:
        self._connection.close()


def commit(
    connection: sqlite3.Connection, group: list[_Request], shadow: WriteAheadLog | None = None
) -> None:
    """All of the group in one transaction; should one fail, each in one of its own, so that it
    fails alone.
    """
    try:
        _together(connection, group, shadow)
    except BaseException as error:
        if len(group) == 1 or is_final(_translated(error)):
            _fail(group, _translated(error))
            return
        for number, request in enumerate(group):
            commit(connection, [request], shadow)
            if is_final(request.error):
                _fail(group[number:], request.error)
                return


def is_final(error: BaseException | None) -> bool:
    """Whether the disk failed us.

    After a failed sync its pages count as clean though they aren't: no second try.
    """
    return isinstance(error, OutputError | LedgerDamaged)


def _fail(group: list[_Request], error: BaseException | None) -> None:
    for request in group:
        request.error = error


def _together(
    connection: sqlite3.Connection, group: list[_Request], shadow: WriteAheadLog | None
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if shadow is not None:
            shadow.begin()
        for request in group:
            request.value = request.work(connection)
        if shadow is not None:
            shadow.sync(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself has rolled back where the disk failed it
            connection.execute("ROLLBACK")
        raise


def _translated(error: BaseException) -> BaseException:
    """What the disk did to us, in our own words; anything else as it is."""
    if isinstance(error, sqlite3.OperationalError | OSError):
        return OutputError(
            f"the ledger can't be written: {error}; make sure of its disk and run again", errno=EIO
        )
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.IntegrityError):
        return LedgerDamaged(f"the ledger: {error}; nothing more is submitted")
    return error


def _settle(group: list[_Request]) -> None:
    for request in group:
        if (
            request.answer.done()
        ):  # whoever asked was cancelled meanwhile; the change stands all the same
            continue
        if request.error is not None:
            request.answer.set_exception(request.error)
        else:
            request.answer.set_result(request.value)
