"""What one run has spent and reserved, and what its bills have taught, kept up to date by triggers.

The triggers run in the very transactions that change attempts, so a submission is judged in the
transaction that records it. Tables and triggers are temporary: only the writer's connection sees
them, and they end with it. `core.budget` and `core.reservations` decide what the numbers mean.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from batcher.core.budget import Spend, Surprise
from batcher.core.lifecycle import FOLLOWED, OUT, State
from batcher.core.reservations import Fear, Lessons, Reservation
from batcher.ledger.queries.fragments import listed

LATEST: Final = 10_000  # how many bills of earlier runs are learned from
_SAID: Final = "({row}.pages IS NOT NULL OR {row}.credits IS NOT NULL)"
# no bill is still to come
_SETTLED: Final = f"({_SAID} OR {{row}}.outcome IN ('void', 'saved'))"
_REFUSED: Final = "({row}.outcome = 'void' AND {row}.cost = 0)"
# What one attempt adds to each column of the table `purse`. A job that ended without a bill counts
# with its estimate: nobody knows whether a failed job costs anything. A job whose result was lost
# is billed, and nobody knows how much.
_SHARES: Final = {
    "submissions": f"iif({_REFUSED}, 0, 1)",
    "pages": f"iif({_REFUSED} OR NOT {_SETTLED}, 0, coalesce({{row}}.pages, (SELECT pages "
    f"{{claim}}), 1))",
    "credits": f"iif({_SETTLED}, coalesce({{row}}.credits, {{row}}.cost), 0)",
    "out_pages": f"iif({_SETTLED}, 0, coalesce((SELECT most_pages {{claim}}), 1))",
    "out_credits": f"iif({_SETTLED}, 0, coalesce((SELECT most_credits {{claim}}), {{row}}.cost))",
}
_CLAIMS: Final = (
    "nonce TEXT PRIMARY KEY, document INTEGER, sort TEXT, cost REAL, counted REAL, pages REAL, "
    "credits REAL,"
    " most_pages REAL, most_credits REAL, is_alone INTEGER, is_out INTEGER DEFAULT 1"
)
# What is kept for later steps, by the number of their document; the table `purse` has the sums.
_KEPT: Final = ("pages", "credits", "most_pages", "most_credits")
_KEPT_WHILE: Final = "('following', 'queued', 'uploaded')"
# the later steps of such a document are sent before long, or never will be
_SOON: Final = listed(FOLLOWED - {State.UNKNOWN})
_SORT: Final = "{row}.step || ' ' || substr({row}.content, instr({row}.content, '.') + 1)"
_PAGES: Final = "max(1, coalesce({row}.pages, 1))"
_CREDITS: Final = "coalesce({row}.credits, {row}.cost)"
# What one bill teaches; where there was a reservation, compared with it.
_LESSON: Final = {
    "bills": "1",
    "ended": "1",
    "pages": _PAGES,
    "credits": _CREDITS,
    "longest": _PAGES,
    "dearest": f"{_CREDITS} / {_PAGES}",
    "bytes": "d.size",
    "beyond": f"iif(d.size, {_PAGES} - 1, 0)",
    "steepest": f"iif(d.size, ({_PAGES} - 1.0) / d.size, 0)",
    "longer": "coalesce({row}.pages / c.counted, 0)",
    "dearer": f"iif(c.counted, coalesce({_CREDITS} / nullif(c.cost, 0), 0), 0)",
}
# the highest of all bills is kept; other columns are summed up
_HIGHEST: Final = frozenset({"longest", "dearest", "steepest", "longer", "dearer"})
_BILL_COMES: Final = f"NOT {_SAID.format(row='OLD')} AND {_SAID.format(row='NEW')}"
_ENDS_WITHOUT: Final = (
    "OLD.outcome = 'accepted' AND NEW.outcome IN ('void', 'saved') AND "
    f"NEW.cost > 0 AND NOT {_SAID.format(row='NEW')}"
)


def open_purse(connection: sqlite3.Connection) -> None:
    """Start counting: what is sent after this call, and what it comes to.

    The bills of earlier runs are learned from, but not counted.
    """
    last = int(connection.execute("SELECT coalesce(max(rowid), 0) FROM attempts").fetchone()[0])
    for table in ("purse", "claims", "lessons", "kept"):
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    sums = (*_SHARES, *(f"later_{name}" for name in _KEPT))
    columns = ", ".join(f"{name} REAL NOT NULL DEFAULT 0" for name in sums)
    connection.execute(f"CREATE TEMP TABLE purse ({columns})")
    connection.execute("INSERT INTO temp.purse DEFAULT VALUES")
    connection.execute(f"CREATE TEMP TABLE claims ({_CLAIMS}) WITHOUT ROWID")
    connection.execute("CREATE INDEX temp.claims_out ON claims(sort) WHERE is_out = 1")
    amounts = ", ".join(f"{name} REAL" for name in _KEPT)
    connection.execute(f"CREATE TEMP TABLE kept (document INTEGER PRIMARY KEY, {amounts})")
    lessons = ", ".join(f"{name} REAL NOT NULL DEFAULT 0" for name in Lessons._fields)
    connection.execute(
        f"CREATE TEMP TABLE lessons (sort TEXT PRIMARY KEY, {lessons}) WITHOUT ROWID"
    )
    _learn_from_earlier_runs(connection)
    for name, trigger in _triggers(last).items():
        connection.execute(f"DROP TRIGGER IF EXISTS temp.{name}")
        connection.execute(f"CREATE TEMP TRIGGER {name} AFTER {trigger}")


def _triggers(last: int) -> dict[str, str]:
    forget = "DELETE FROM claims WHERE nonce = NEW.nonce AND NOT is_out AND NOT is_alone"
    as_feared = "coalesce(NEW.pages, 0) <= most_pages AND coalesce(NEW.credits, 0) <= most_credits"
    return {
        "pay": f"INSERT ON main.attempts BEGIN UPDATE purse SET {_change('+', 'NEW')}; END",
        "learn": f"UPDATE ON main.attempts WHEN NEW.rowid <= {last} AND {_BILL_COMES} BEGIN "
        f"{_learn()}; END",
        "end_without": f"UPDATE ON main.attempts WHEN {_ENDS_WITHOUT} BEGIN"
        f" INSERT INTO lessons (sort, ended) VALUES ({_SORT.format(row='NEW')}, 1)"
        " ON CONFLICT (sort) DO UPDATE SET ended = ended + 1; END",
        # One trigger for all of it: SQLite guarantees no order among triggers, and the claim must
        # be deleted last.
        "settle": f"UPDATE ON main.attempts WHEN NEW.rowid > {last} AND NOT "
        f"{_SETTLED.format(row='OLD')} BEGIN"
        f" {_learn()};"
        f" UPDATE purse SET {_change('-', 'OLD')}; UPDATE purse SET {_change('+', 'NEW')};"
        f" UPDATE claims SET is_out = NOT {_SETTLED.format(row='NEW')} WHERE nonce = NEW.nonce;"
        f" {forget} AND {as_feared}; END",
        "keep": f"INSERT ON temp.kept BEGIN UPDATE purse SET {_keep('+', 'NEW')}; END",
        "free": f"DELETE ON temp.kept BEGIN UPDATE purse SET {_keep('-', 'OLD')}; END",
        "sent_or_over": f"UPDATE OF state ON main.documents WHEN NEW.state NOT IN {_KEPT_WHILE}"
        " BEGIN DELETE FROM kept WHERE document = NEW.id; END",
        # else documents that are all to be sent again would wait for one another
        "not_followed": f"UPDATE OF state ON main.documents WHEN OLD.state IN ({listed(OUT)})"
        f" AND NEW.state NOT IN ({listed(FOLLOWED)}) AND EXISTS (SELECT 1 FROM kept)"
        " BEGIN DELETE FROM kept WHERE document IN"
        " (SELECT id FROM documents WHERE upstream = NEW.id); END",
    }


def spend(connection: sqlite3.Connection) -> Spend:
    """Return what this run has spent and reserved so far."""
    return Spend(
        *connection.execute(f"SELECT {', '.join(Spend._fields)} FROM temp.purse").fetchone()
    )


def lessons(connection: sqlite3.Connection, sort: str) -> Lessons:
    """Return what bills have taught about documents of that sort."""
    sql = f"SELECT {', '.join(Lessons._fields)} FROM temp.lessons WHERE sort = ?"
    row = connection.execute(sql, (sort,)).fetchone()
    return Lessons(*row) if row else Lessons()


def put_in(
    connection: sqlite3.Connection,
    nonce: str,
    document: int,
    claim: Reservation,
    fear: Fear,
    *,
    alone: bool,
) -> None:
    """Record the reservation of a submission; it counts once its attempt is recorded."""
    values = (
        nonce,
        document,
        claim.sort,
        claim.cost,
        claim.pages if claim.counted else None,
        fear.pages,
        fear.credits,
        fear.most_pages,
        fear.most_credits,
        alone,
    )
    connection.execute(
        f"INSERT INTO temp.claims VALUES ({', '.join('?' * len(values))}, 1)", values
    )


def keep(connection: sqlite3.Connection, document: int, fear: Fear) -> None:
    """Keep room for a later step until its document is sent, or the one before it isn't out."""
    connection.execute(
        "INSERT INTO temp.kept VALUES (?, ?, ?, ?, ?)",
        (document, fear.pages, fear.credits, fear.most_pages, fear.most_credits),
    )


def free(connection: sqlite3.Connection, document: int) -> bool:
    """Keep no room for a document any more; return whether there was some."""
    gone = connection.execute("DELETE FROM temp.kept WHERE document = ?", (document,))
    return gone.rowcount > 0


def keeps_room(connection: sqlite3.Connection) -> bool:
    """Return whether room is kept for some later step that is sent before long.

    It may turn out cheaper. Nothing waits for steps whose first one isn't found yet: their room
    stays reserved.
    """
    row = connection.execute(
        "SELECT 1 FROM temp.kept k JOIN documents d ON d.id = k.document"
        " LEFT JOIN documents u ON u.id = d.upstream"
        f" WHERE d.state <> 'following' OR u.state IN ({_SOON}) LIMIT 1"
    ).fetchone()
    return row is not None


def awaited(connection: sqlite3.Connection, sort: str | None = None) -> int | None:
    """Return a document of this run whose bill is still to come, or None.

    With `sort`, only documents of that sort count. Held documents, and those not found yet, may
    stay so for ever: their cost stays reserved, but nothing waits for them.
    """
    row = connection.execute(
        "SELECT c.document FROM temp.claims c JOIN documents d ON d.id = c.document"
        " WHERE c.is_out = 1 AND d.state IN ('sending', 'waiting', 'ready')"
        f"{' AND c.sort = ?' if sort is not None else ''} LIMIT 1",
        () if sort is None else (sort,),
    ).fetchone()
    return row and int(row[0])


def last_surprise(connection: sqlite3.Connection) -> Surprise | None:
    """Return the last document that cost more than expected, and by how much, or None.

    Only settled claims that are still kept count: those that nothing else fitted beside, and those
    whose bill exceeded even the worst case.
    """
    row = connection.execute(
        "SELECT d.source, coalesce(a.pages, c.pages), coalesce(a.credits, a.cost), c.pages, "
        "c.credits"
        " FROM temp.claims c JOIN attempts a ON a.nonce = c.nonce JOIN documents d ON d.id = "
        "c.document"
        " WHERE NOT c.is_out AND (a.pages > c.pages OR a.credits > c.credits) ORDER BY a.rowid "
        "DESC LIMIT 1"
    ).fetchone()
    return row and Surprise(*row)


def _change(sign: str, row: str) -> str:
    claim = f"FROM claims WHERE nonce = {row}.nonce"
    shares = {name: share.format(row=row, claim=claim) for name, share in _SHARES.items()}
    return ", ".join(f"{name} = {name} {sign} {share}" for name, share in shares.items())


def _keep(sign: str, row: str) -> str:
    return ", ".join(f"later_{name} = later_{name} {sign} {row}.{name}" for name in _KEPT)


def _learn() -> str:
    """Return the upsert that adds a new bill to the lessons of its sort."""
    values = ", ".join(value.format(row="NEW") for value in _LESSON.values())
    changes = ", ".join(
        f"{name} = max({name}, excluded.{name})"
        if name in _HIGHEST
        else f"{name} = {name} + excluded.{name}"
        for name in _LESSON
    )
    return (
        f"INSERT INTO lessons (sort, {', '.join(_LESSON)}) SELECT {_SORT.format(row='NEW')}, "
        f"{values}"
        " FROM documents d LEFT JOIN claims c ON c.nonce = NEW.nonce"
        f" WHERE d.id = NEW.document AND {_BILL_COMES}"
        f" ON CONFLICT (sort) DO UPDATE SET {changes}"
    )


def _learn_from_earlier_runs(connection: sqlite3.Connection) -> None:
    totals = ", ".join(
        f"{'max' if name in _HIGHEST else 'total'}({value.format(row='a')})"
        for name, value in _LESSON.items()
    )
    connection.execute(
        f"INSERT INTO temp.lessons (sort, {', '.join(_LESSON)}) SELECT {_SORT.format(row='a')}, "
        f"{totals}"
        f" FROM (SELECT * FROM attempts WHERE {_SAID.format(row='attempts')} ORDER BY rowid DESC "
        f"LIMIT {LATEST}) a"
        " JOIN documents d ON d.id = a.document LEFT JOIN temp.claims c ON c.nonce = a.nonce "
        "GROUP BY 1"
    )
