"""Opens read-only connections to the ledger's file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# Steps of SQLite's machine between two looks at the clock: some milliseconds.
_STEPS: Final = 100_000


def reader(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """Return a read-only connection; any number of them may be open during a run.

    With `any_thread` it may be used by several threads, one at a time.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        timeout=5,
        check_same_thread=not any_thread,
    )


@contextmanager
def bounded(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Let no query of the block take longer than until `seconds` from now. Raises TimeoutError."""
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        raise TimeoutError(f"the query took longer than {seconds:g} s") from error
    finally:
        connection.set_progress_handler(None, 0)
