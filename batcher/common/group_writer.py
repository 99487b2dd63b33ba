"""Writes to an SQLite file from one thread, and commits what waits together in one transaction.

A request that arrives while a commit is under way goes into the next one, so one fsync serves many
requests, and no request is answered before its change is durable. This module knows transactions
and threads; it knows nothing of ledgers or jobs.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class WriteAheadLog(Protocol):
    """Something that must be durable before each commit is."""

    def begin(self) -> None: ...

    def sync(self, connection: sqlite3.Connection) -> None:
        """Make it durable, within the transaction that is about to be committed.

        Raises OSError, and then the transaction is rolled back.
        """

    def close(self) -> None: ...


def _unchanged(error: BaseException) -> BaseException:
    return error


@dataclass(frozen=True, slots=True)
class FailureRules:
    """What a failed transaction means to those who asked for it.

    `translate` turns SQLite's error into the one they are given. After an error of the types in
    `final` the writer writes no more: once a sync has failed, the pages it should have written
    count as clean though they aren't, so a second try can't be trusted.
    """

    translate: Callable[[BaseException], BaseException] = _unchanged
    final: tuple[type[BaseException], ...] = ()

    def is_final(self, error: BaseException | None) -> bool:
        return isinstance(error, self.final)


SQLITES_OWN: Final = FailureRules()  # errors as they are, and none of them is final


@dataclass(slots=True)
class Request:
    """Work to be done in a transaction, and the future that waits for its outcome."""

    work: Work[Any]
    answer: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None


class GroupWriter:
    """Owns `connection` and the thread that writes through it.

    `delay`: seconds that a commit waits for more requests. `most`: the most requests that share one
    commit. `shadow`: a log that is made durable before each commit.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        name: str,
        delay: float = 0.0,
        most: int | None = None,
        rules: FailureRules = SQLITES_OWN,
        shadow: WriteAheadLog | None = None,
    ) -> None:
        self._connection = connection
        self._delay = delay
        self._most = most
        self._rules = rules
        self._shadow = shadow
        self._requests: deque[Request] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._failed: BaseException | None = None
        # called by the writer's thread with the seconds that each commit took
        self.observe: Callable[[float], None] | None = None
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def do(self, work: Work[T]) -> T:
        """Run `work` in a transaction and return its value once that is durable.

        An error undoes this work alone.
        """
        assert not self._closing, "the writer is closed"
        request = Request(work, asyncio.get_running_loop().create_future())
        self._requests.append(request)
        self._wake.set()
        value: T = await request.answer
        return value

    def close(self) -> None:
        """Commit what was asked for before, end the thread and close the connection."""
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
            if self._delay and not self._closing:
                time.sleep(self._delay)
            if group := self._gather():
                self._write(group)
                _answer(group)
            if self._requests:  # the group was full, or these arrived meanwhile
                self._wake.set()
            elif self._closing:
                return

    def _gather(self) -> list[Request]:
        number = len(self._requests)
        if self._most is not None:
            number = min(number, self._most)
        return [self._requests.popleft() for _ in range(number)]

    def _write(self, group: list[Request]) -> None:
        if self._failed is not None:
            _fail(group, self._failed)
            return
        began = time.monotonic()
        commit(self._connection, group, rules=self._rules, shadow=self._shadow)
        if self.observe is not None:
            self.observe(time.monotonic() - began)
        errors = (request.error for request in group)
        self._failed = next((error for error in errors if self._rules.is_final(error)), None)


def commit(
    connection: sqlite3.Connection,
    group: list[Request],
    *,
    rules: FailureRules,
    shadow: WriteAheadLog | None = None,
) -> None:
    """Commit the whole group in one transaction.

    Where that fails, each request gets a transaction of its own, so that it fails alone.
    """
    try:
        _commit_together(connection, group, shadow)
    except BaseException as error:
        translated = rules.translate(error)
        if len(group) == 1 or rules.is_final(translated):
            _fail(group, translated)
            return
        for number, request in enumerate(group):
            commit(connection, [request], rules=rules, shadow=shadow)
            if rules.is_final(request.error):
                _fail(group[number:], request.error)
                return


def settle(group: list[Request]) -> None:
    """Answer all requests of a group; only the event loop's own thread may call it."""
    for request in group:
        if request.answer.done():  # its caller was cancelled meanwhile; the change stands
            continue
        if request.error is not None:
            request.answer.set_exception(request.error)
        else:
            request.answer.set_result(request.value)


def _answer(group: list[Request]) -> None:
    """Wake all callers of the group with one call into their event loop."""
    loop = group[0].answer.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle, group)


def _fail(group: list[Request], error: BaseException | None) -> None:
    for request in group:
        request.error = error


def _commit_together(
    connection: sqlite3.Connection, group: list[Request], shadow: WriteAheadLog | None
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
        if connection.in_transaction:  # SQLite itself rolls back where the disk has failed
            connection.execute("ROLLBACK")
        raise
