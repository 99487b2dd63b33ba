"""Whether a ledger can be believed: what its tables say of one another, and what its journal says
of it.

SQLite notices a torn page and misses most flipped bits; two books that were written apart notice
what matters: an attempt that one of them knows and the other doesn't. It reads, and repairs
nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from batcher.core.lifecycle import State
from batcher.ledger.journal import JournalEntry, discontinuity, entries, journal_of

# bytes of the journal that the start of a run reads: the last thousands of submissions
TAIL: Final = 2 << 20
SHOWN: Final = 3
GROUP: Final = 500

# Each names the rows that can't be; only what is open is read, so that a start takes no time.
_RULES: Final = {
    "document {} is {}, and no submission of it is under way": """
        SELECT d.id, d.state FROM documents d
        WHERE d.state IN ('sending', 'unknown', 'waiting', 'ready')
        AND NOT EXISTS (
            SELECT 1 FROM attempts a WHERE a.document = d.id
            AND a.outcome = iif(d.state IN ('sending', 'unknown'), 'open', 'accepted')
        )""",
    "a submission of document {} is under way, and the document is {}": """
        SELECT a.document, d.state FROM attempts a LEFT JOIN documents d ON d.id = a.document
        WHERE a.outcome IN ('open', 'accepted')
        AND NOT coalesce(
            d.state IN ('sending', 'unknown', 'held') AND a.outcome = 'open'
            OR d.state IN ('waiting', 'ready', 'stuck') AND a.outcome = 'accepted',
            0
        )""",
    "document {} waits for job {}, which can't be": """
        SELECT a.document, a.job_id FROM attempts a
        WHERE a.outcome IN ('open', 'accepted')
        AND a.outcome = 'accepted' AND coalesce(a.job_id, '') = ''""",
}


def contradictions(connection: sqlite3.Connection) -> list[str]:
    """What the open rows of its tables say against one another; a few of them."""
    found = [_unknown_states(connection)]
    for words, sql in _RULES.items():
        rows = connection.execute(f"{sql} LIMIT {SHOWN}").fetchall()
        found.append([words.format(*row) for row in rows])
    return [words for group in found for words in group]


def disagreements(
    connection: sqlite3.Connection, ledger: Path, *, tail: int | None = TAIL
) -> list[str]:
    """What the journal, or its last `tail` bytes, knows otherwise; a few of it.

    One that never had any is believed.
    """
    journal = journal_of(ledger)
    broken = discontinuity(connection, ledger)
    if broken or not journal.exists():
        return [broken] if broken else []
    told = _Told()
    for entry in entries(journal, tail=tail):
        told.take_in(entry)
    return list(islice(_differences(connection, told), SHOWN))


def whole(connection: sqlite3.Connection, ledger: Path) -> list[str]:
    """Everything that can be found out without the service: reads all of the ledger and of its
    journal.
    """
    said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
    damage = [] if said == ["ok"] else said
    return [*damage, *contradictions(connection), *disagreements(connection, ledger, tail=None)]


class _Told:
    """What the journal tells of each submission, by nonce: what it was of, and what came of it."""

    def __init__(self) -> None:
        self.facts: dict[str, tuple[str, str, str]] = {}  # content, step, service
        self.came_of_it: set[str] = set()
        self.jobs: dict[str, str] = {}
        self._last: dict[int, str] = {}  # by document

    def take_in(self, entry: JournalEntry) -> None:
        document = entry.values["document"]
        if entry.event == "Sending":
            nonce = self._last[document] = entry.values["nonce"]
            self.facts[nonce] = (
                entry.facts["content"],
                entry.facts["step"],
                entry.values["service"],
            )
        elif (nonce := self._last.get(document, "")) != "":
            self.came_of_it.add(nonce)
            self.jobs[nonce] = entry.values.get("job_id") or self.jobs.get(nonce, "")


def _differences(connection: sqlite3.Connection, told: _Told) -> Iterator[str]:
    for group in _groups(told.facts):
        sql = (
            "SELECT nonce, content, step, service, job_id FROM attempts WHERE nonce IN "
            f"({','.join('?' * len(group))})"
        )
        rows = {row[0]: row[1:] for row in connection.execute(sql, group)}
        for nonce in group:
            yield from _difference(nonce, rows.get(nonce), told)


def _difference(nonce: str, row: tuple[str, ...] | None, told: _Told) -> Iterator[str]:
    """A last line that nothing followed may stand for a commit that failed; nothing was sent for it
    then.
    """
    if row is None:
        if nonce in told.came_of_it:
            yield (
                f"the journal knows of submission {nonce}, and the ledger doesn't: it is an "
                "older one"
            )
    elif row[:3] != told.facts[nonce]:
        yield (
            f"submission {nonce} was of other bytes, another job or at another service, says "
            "the journal"
        )
    elif row[3] and told.jobs.get(nonce) and row[3] != told.jobs[nonce]:
        yield f"submission {nonce} became job {told.jobs[nonce]}, says the journal, not {row[3]}"


def _groups(nonces: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(nonces)
    while group := list(islice(remaining, GROUP)):
        yield group


def _unknown_states(connection: sqlite3.Connection) -> list[str]:
    known = ",".join(f"'{state}'" for state in State)
    rows = connection.execute(
        f"SELECT DISTINCT state FROM documents WHERE state NOT IN ({known})"
    ).fetchmany(SHOWN)
    return [f"there is no state {row[0]!r}" for row in rows]
