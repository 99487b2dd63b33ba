"""Checks whether a ledger can be trusted, by comparing its tables with each other and its journal.

SQLite notices a torn page but misses most flipped bits. Two records that were written separately
show what matters: an attempt that one of them has and the other hasn't. This module only reads, and
repairs nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from batcher.core.lifecycle import State
from batcher.ledger.journal import JournalEntry, discontinuity, entries, journal_of

# bytes of the journal that are read at the start of a run: the last few thousand submissions
TAIL: Final = 2 << 20
SHOWN: Final = 3
GROUP: Final = 500

# Each query selects rows that contradict another. Only open attempts and documents are read, so
# that starting a run takes no time.
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
    """Return a few of the contradictions between the ledger's tables, in words.

    Only the rows of open documents and attempts are read.
    """
    found = [_unknown_states(connection)]
    for words, sql in _RULES.items():
        rows = connection.execute(f"{sql} LIMIT {SHOWN}").fetchall()
        found.append([words.format(*row) for row in rows])
    return [words for group in found for words in group]


def disagreements(
    connection: sqlite3.Connection, ledger: Path, *, tail: int | None = TAIL
) -> list[str]:
    """Return a few of the differences between ledger and journal, in words.

    Only the last `tail` bytes of the journal are read; None reads all of it. A ledger that never
    had a journal is accepted.
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
    """Return everything that is wrong with the ledger, as far as it shows without the service.

    This reads all of the ledger and of its journal.
    """
    said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
    damage = [] if said == ["ok"] else said
    return [*damage, *contradictions(connection), *disagreements(connection, ledger, tail=None)]


class _Told:
    """What the journal records about each submission, by nonce: its facts and its outcome."""

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
    """Yield how a row of the ledger differs from what the journal says of it.

    A submission that is the last line of its document may stand for a commit that failed. Nothing
    was sent for it in that case, so a missing row is no difference.
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
