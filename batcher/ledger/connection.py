"""Opens read-only connections to the ledger's file."""

from __future__ import annotations

import sqlite3
from pathlib import Path


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
