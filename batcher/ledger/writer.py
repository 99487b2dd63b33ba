"""How the ledger is written: by one connection for its whole life, and no more once its disk has
failed.

The work itself is `common.group_writer`'s; this module adds what a failure means to a ledger.
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

# Seconds that a commit waits for requests of the same moment; what arrives during a commit is the
# next one's.
GROUP_COMMIT_DELAY: Final = 0.002


class Writer(Protocol):
    async def do(self, work: Work[T]) -> T:
        """Run `work` in a transaction and return its value once that is durable.

        An error undoes this work alone.
        """

    def close(self) -> None: ...


def group_writer(
    connection: sqlite3.Connection, *, shadow: WriteAheadLog | None = None
) -> GroupWriter:
    """The writer of every real run."""
    return GroupWriter(
        connection, name="ledger", delay=GROUP_COMMIT_DELAY, rules=RULES, shadow=shadow
    )


class InlineWriter:
    """Writes without a thread or a group: in virtual time an answer from another thread comes too
    late.
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
    """A failure of the disk as an error of this program; any other error as it is."""
    if isinstance(error, sqlite3.OperationalError | OSError):
        return OutputError(
            f"the ledger can't be written: {error}; make sure of its disk and run again", errno=EIO
        )
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.IntegrityError):
        return LedgerDamaged(f"the ledger: {error}; nothing more is submitted")
    return error


# The next run starts from what is on disk.
RULES: Final = FailureRules(translate=_translated, final=(OutputError, LedgerDamaged))
