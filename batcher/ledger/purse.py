"""What one run has spent and committed, kept up to date by triggers within the very transactions that change it.

Tables and triggers are temporary: they are seen by the writer's connection alone and end with it.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from batcher.core.budget import Spend

_REFUSED: Final = "{row}.outcome = 'void' AND {row}.cost = 0"
_SAID: Final = "({row}.pages IS NOT NULL OR {row}.credits IS NOT NULL)"
# What one attempt adds to each column of the purse.
_SHARES: Final = {
    "submissions": f"iif({_REFUSED}, 0, 1)",
    "estimated_out": f"iif({_SAID}, 0, {{row}}.cost)",
    "estimated_ended": f"iif({_SAID}, {{row}}.cost, 0)",
    "pages": "coalesce({row}.pages, 0)",
    "credits": f"iif({_SAID}, coalesce({{row}}.credits, {{row}}.cost), 0)",
}


def open_purse(connection: sqlite3.Connection) -> None:
    """Count from now on: what is sent after this, and what becomes of it."""
    last = int(connection.execute("SELECT coalesce(max(rowid), 0) FROM attempts").fetchone()[0])
    columns = ", ".join(f"{name} REAL NOT NULL DEFAULT 0" for name in _SHARES)
    connection.execute(f"CREATE TEMP TABLE purse ({columns})")
    connection.execute("INSERT INTO temp.purse DEFAULT VALUES")
    connection.execute(
        f"CREATE TEMP TRIGGER pay AFTER INSERT ON main.attempts BEGIN UPDATE purse SET {_change('+', 'NEW')}; END"
    )
    connection.execute(
        f"CREATE TEMP TRIGGER settle AFTER UPDATE ON main.attempts WHEN NEW.rowid > {last} BEGIN"
        f" UPDATE purse SET {_change('-', 'OLD')}; UPDATE purse SET {_change('+', 'NEW')}; END"
    )


def spend(connection: sqlite3.Connection) -> Spend:
    return Spend(*connection.execute(f"SELECT {', '.join(Spend._fields)} FROM temp.purse").fetchone())


def _change(sign: str, row: str) -> str:
    return ", ".join(f"{name} = {name} {sign} {share.format(row=row)}" for name, share in _SHARES.items())
