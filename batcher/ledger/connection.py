"""Opens read-only connections to the ledger's file."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def reader(path: Path) -> sqlite3.Connection:
    """Return a read-only connection; any number of them may be open during a run."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5
    )
