"""How the ledger is written: by one connection, and not at all once its disk has failed.

`common.group_writer` does the writing; this module says what a failure means for a ledger.
"""

from __future__ import annotations

import asyncio
import sqlite3
from errno import EIO
from typing import Final, Protocol

from batcher.common.group_writer import (
    FailureRules,
    GroupWriter,
    Request,
    T,
    Work,
    WriteAheadLog,
    commit,
    settle,
)
from batcher.errors import LedgerDamaged, OutputError

# Seconds that a commit waits for further requests. Requests that arrive during a commit go into the
# next one.
GROUP_COMMIT_DELAY: Final = 0.002


class Writer(Protocol):
    """Runs work on the ledger's connection."""

    async def do(self, work: Work[T]) -> T:
        """Run `work` in a transaction, and return its value once that is durable.

        An error undoes only this work, not that of others in the same transaction.
        """

    def close(self) -> None: ...


def group_writer(
    connection: sqlite3.Connection, *, shadow: WriteAheadLog | None = None
) -> GroupWriter:
    """Return the writer that every real run uses; `shadow` is its journal."""
    return GroupWriter(
        connection, name="ledger", delay=GROUP_COMMIT_DELAY, rules=RULES, shadow=shadow
    )


class InlineWriter:
    """Writes without a thread and without grouping.

    It is for virtual time, in which an answer from another thread would come too late.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def do(self, work: Work[T]) -> T:
        await asyncio.sleep(0)
        request = Request(work, asyncio.get_running_loop().create_future())
        commit(self._connection, [request], rules=RULES)
        settle([request])
        value: T = await request.answer
        return value

    def close(self) -> None:
        self._connection.close()


def _translated(error: BaseException) -> BaseException:
    """Return a disk failure as an error of batcher, and any other error unchanged."""
    if isinstance(error, sqlite3.OperationalError | OSError):
        return OutputError(
            f"the ledger can't be written: {error}; make sure of its disk and run again", errno=EIO
        )
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.IntegrityError):
        return LedgerDamaged(f"the ledger: {error}; nothing more is submitted")
    return error


# The next run starts from what is on disk.
RULES: Final = FailureRules(translate=_translated, final=(OutputError, LedgerDamaged))
