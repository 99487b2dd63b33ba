"""Connections to the ledger's file that can only read."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read: any number of them may be open beside a run."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5
    )
