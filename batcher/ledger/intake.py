"""How documents enter the ledger: new ones, new versions, and copies that aren't paid for again.

Bytes and step decide what is paid for: a job that was paid for once serves every document with the
same bytes and step, whatever its name.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from itertools import count, islice, tee
from typing import Final

from batcher.common.names import collision_key, with_tag
from batcher.core.events import Superseded
from batcher.core.lifecycle import OUT, PAYS_FOR_NOBODY, UNSENT, State
from batcher.ledger import event_writes
from batcher.ledger.queries.fragments import COUNTS_STILL, has_result, listed
from batcher.ledger.queries.repair import RepairQueries


@dataclass(frozen=True, slots=True)
class Version:
    """A source as the scanner found it. `replaces` is the id of the version that it supersedes.

    `state` is queued, or a verdict for a document that is never sent, with its `reason`. `upstream`
    is the name of the job whose document of the same source comes before this one. `options` and
    `metadata` are JSON, and apply to this document alone.
    """

    source: str
    folder: str
    job: str
    step: str
    content: str | None
    size: int
    mtime_ns: int
    inode: int
    output: str
    state: State = State.QUEUED
    reason: str | None = None
    replaces: int | None = None
    upstream: str | None = None
    options: str | None = None
    metadata: str | None = None
    place: str | None = None


@dataclass(slots=True)
class Moved:
    """How many documents entered and left each state, and how many were withdrawn."""

    came: Counter[State] = field(default_factory=Counter)
    went: Counter[State] = field(default_factory=Counter)
    withdrawn: int = 0


_COLUMNS: Final = tuple(
    field.name for field in fields(Version) if field.name not in ("replaces", "upstream")
)
_INSERT: Final = (
    f"INSERT INTO documents ({', '.join(_COLUMNS)}, output_key, scan)"
    f" VALUES ({', '.join(f':{name}' for name in _COLUMNS)}, :output_key, :scan)"
)
_UNASKED: Final = (
    "SELECT id FROM documents WHERE current = 1 AND scan <> ? AND state IN "
    f"({listed(UNSENT)}) ORDER BY id LIMIT ?"
)
# The state of a document that is no longer a copy.
_ITS_TURN: Final = (
    "iif(upstream IS NULL OR (SELECT u.state FROM documents u WHERE u.id = documents.upstream) = "
    "'saved',"
    " 'queued', 'following')"
)


def admit(
    connection: sqlite3.Connection, batch: Sequence[Version], at: float, *, scan: int = 0
) -> Moved:
    """Write `batch` inside the caller's transaction, and return which states changed.

    `scan` is the number of the scan that found it.
    """
    moved = Moved()
    batch = [_made_room(connection, version, at, moved) for version in batch]
    last = connection.execute("SELECT coalesce(max(id), 0) FROM documents").fetchone()[0]
    rows = _rows(connection, batch, scan)
    connection.executemany(_INSERT, rows)
    for job, upstream in {(version.job, version.upstream) for version in batch if version.upstream}:
        _follow(connection, last, job, upstream)
    _join_copies(connection, last)
    _log(connection, last, at)
    # the + keeps SQLite from reading all ids of a state in the index
    by_state = "SELECT state, count(*) FROM documents WHERE id > ? GROUP BY +state"
    for state, number in connection.execute(by_state, (last,)):
        moved.came[State(state)] += number
    return moved


def withdraw(connection: sqlite3.Connection, at: float, *, scan: int, limit: int) -> Moved:
    """Withdraw up to `limit` unsent documents that scan number `scan` didn't find.

    That scan must have seen everything.
    """
    moved = Moved()
    for (document,) in connection.execute(_UNASKED, (scan, limit)).fetchall():
        before, after = event_writes.withdraw(connection, document, at)
        moved.went[before] += 1
        moved.came[after] += 1
        moved.withdrawn += 1
        _release_copies(connection, document, moved)
    return moved


def _made_room(
    connection: sqlite3.Connection, version: Version, at: float, moved: Moved
) -> Version:
    """Make what the version replaces no longer current, and return the version.

    Another version may have taken that one's place since it was looked up: then it replaces what
    stands in its own place now, if anything does.
    """
    if version.replaces is not None and not _is_current(connection, version.replaces):
        own = RepairQueries(connection).current_version(version.source, version.job, version.folder)
        version = replace(version, replaces=own and own[0])
    if version.replaces is not None:
        stand_down(connection, version.replaces, at, moved)
    return version


def _is_current(connection: sqlite3.Connection, document: int) -> bool:
    sql = "SELECT current FROM documents WHERE id = ?"
    return bool(connection.execute(sql, (document,)).fetchone()[0])


def stand_down(connection: sqlite3.Connection, document: int, at: float, moved: Moved) -> None:
    """Make the older version no longer current.

    A job in flight for it is still followed to its end; without one it is superseded at once.
    """
    (state,) = connection.execute(
        "SELECT state FROM documents WHERE id = ?", (document,)
    ).fetchone()
    connection.execute("UPDATE documents SET current = 0 WHERE id = ?", (document,))
    if State(state) in OUT:
        return
    before, after = event_writes.apply(connection, Superseded(document), at)
    moved.went[before] += 1
    moved.came[after] += 1
    # in any other state its outcome also holds for its copies
    if before in UNSENT | PAYS_FOR_NOBODY:
        _release_copies(connection, document, moved)


def _release_copies(connection: sqlite3.Connection, payer: int, moved: Moved) -> None:
    """Make the first copy that waits for `payer` pay itself, and the others wait for that one."""
    heir = connection.execute(
        "SELECT min(id) FROM documents WHERE payer = ? AND state = 'duplicate'", (payer,)
    ).fetchone()[0]
    if heir is not None:
        connection.execute(
            "UPDATE documents SET payer = ? WHERE payer = ? AND state = 'duplicate'", (heir, payer)
        )
        connection.execute(
            f"UPDATE documents SET payer = NULL, state = {_ITS_TURN} WHERE id = ?", (heir,)
        )
        (state,) = connection.execute(
            "SELECT state FROM documents WHERE id = ?", (heir,)
        ).fetchone()
        moved.went[State.DUPLICATE] += 1
        moved.came[State(state)] += 1


def _rows(
    connection: sqlite3.Connection, batch: Sequence[Version], scan: int
) -> list[dict[str, object]]:
    names = _Names(connection)
    rows = []
    for version in batch:
        row: dict[str, object] = {name: getattr(version, name) for name in _COLUMNS}
        row["output"], row["output_key"] = names.give(version)
        row["scan"] = scan
        rows.append(row)
    return rows


class _Names:
    """Gives each new document a path for its result that no other document has or will get.

    This holds whatever the names of the sources are.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._taken = set[str]()  # keys given out in this batch, which are in no row yet
        self._folders = set[str]()  # keys of folders in these paths that look like results

    def give(self, version: Version) -> tuple[str, str]:
        """Return the path of the result and its collision key.

        A document that replaces another keeps that one's path, even if the planned one is free by
        now.
        """
        own = self._own(version)
        planned = self._beside_results(version.output)
        names, first = tee(_possible_names(planned, version))
        if own is not None and own in islice(first, _NAMES_OF_OWN) and self._is_free(own):
            return self._took(own)
        for output in names:
            if self._is_free(output) and not self._was_anothers(output, version):
                return self._took(output)
        raise AssertionError("possible names have no end")

    def _took(self, output: str) -> tuple[str, str]:
        key = collision_key(output)
        self._taken.add(key)
        self._folders.update(collision_key(folder) for folder in _folders_like_results(output))
        return output, key

    def _own(self, version: Version) -> str | None:
        sql = "SELECT output FROM documents WHERE id = ?"
        row = (
            None
            if version.replaces is None
            else self._connection.execute(sql, (version.replaces,)).fetchone()
        )
        return row and str(row[0])

    def _is_free(self, output: str) -> bool:
        """Return whether it is neither another document's result nor a folder that holds one."""
        key = collision_key(output)
        below = (
            "SELECT 1 FROM documents WHERE current = 1 AND output_key > ? AND output_key < ? "
            "LIMIT 1"
        )
        return not (
            self._is_taken(key)
            or key in self._folders
            or self._connection.execute(below, (f"{key}/", f"{key}0")).fetchone()  # "0" follows "/"
        )

    def _is_taken(self, key: str) -> bool:
        sql = "SELECT 1 FROM documents WHERE current = 1 AND output_key = ?"
        return key in self._taken or self._connection.execute(sql, (key,)).fetchone() is not None

    def _was_anothers(self, output: str, version: Version) -> bool:
        """Return whether a result may lie there of an older version of a different source."""
        sql = (
            "SELECT 1 FROM documents WHERE output = ? AND output_sha256 IS NOT NULL"
            " AND NOT (source = ? AND job = ? AND folder = ?) LIMIT 1"
        )
        values = (output, version.source, version.job, version.folder)
        return self._connection.execute(sql, values).fetchone() is not None

    def _beside_results(self, output: str) -> str:
        """Return the path, with new names for folders that are named like another's result."""
        for folder in _folders_like_results(output):
            if self._is_taken(collision_key(folder)):
                tagged = with_tag(folder, _tag(folder))
                return self._beside_results(tagged + output.removeprefix(folder))
        return output


_NAMES_OF_OWN: Final = 3  # how many of the possible names a document can have been given before


def _possible_names(planned: str, version: Version) -> Iterator[str]:
    """Yield the planned name, then names with tags, without end.

    The first tag is of the source, the second of the source, its folder and job; more are numbered.
    """
    yield planned
    yield with_tag(planned, _tag(version.source))
    whole = f"{version.folder}\0{version.source}\0{version.job}"
    yield with_tag(planned, _tag(whole))
    for number in count(2):
        yield with_tag(planned, _tag(f"{whole}\0{number}"))


def _tag(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def _folders_like_results(output: str) -> list[str]:
    """Return the folders in the path whose names end as results' do, outermost first."""
    parts = output.split("/")[:-1]
    ways = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    return [way for way in ways if way.casefold().endswith(".json")]


def _follow(connection: sqlite3.Connection, last: int, job: str, upstream: str) -> None:
    connection.execute(
        "UPDATE documents SET upstream = (SELECT u.id FROM documents u"
        " WHERE u.source = documents.source AND u.folder = documents.folder AND u.job = ? AND "
        "u.current = 1)"
        " WHERE id > ? AND job = ?",
        (upstream, last, job),
    )
    connection.execute(
        f"UPDATE documents SET state = {_ITS_TURN} WHERE id > ? AND job = ? AND state = 'queued'",
        (last, job),
    )


def _join_copies(connection: sqlite3.Connection, last: int) -> None:
    """Make each new document a copy where another one has, or may get, its result.

    The first that applies is its payer. First comes a document with the same bytes and step that
    pays for itself, a copy that has the result, or one with a job in flight. Next comes the payer
    that another copy waits for: where that one is gone, the copy is about to pay, and for the
    others as well. Last comes a superseded document that has left a result, or a verdict that may
    have cost something.
    """
    same = (
        "documents p WHERE p.content = documents.content AND p.step = documents.step AND p.id "
        "< documents.id"
    )
    pays = f"p.current = 1 AND p.payer IS NULL AND p.state NOT IN ({listed(PAYS_FOR_NOBODY)})"
    # Each subquery stops at the first match: sorting all documents with the same bytes, for each of
    # them, would take the square of their number.
    payer = (
        f"coalesce((SELECT p.id FROM {same} AND (({pays}) OR p.current = 1 AND p.state = 'saved'"
        f" OR p.state IN ({listed(OUT)})) ORDER BY p.id LIMIT 1),"
        f" (SELECT p.payer FROM {same} AND p.current = 1 AND p.state = 'duplicate' ORDER BY p.id "
        "LIMIT 1),"
        f" (SELECT p.id FROM {same} AND p.state = 'superseded' AND {has_result('p')}"
        f" ORDER BY p.id DESC LIMIT 1),"
        f" (SELECT p.id FROM {same} AND p.state = 'superseded' AND {COUNTS_STILL} ORDER BY p.id "
        "DESC LIMIT 1))"
    )
    sought = (
        f"SELECT id, {payer} FROM documents WHERE id > ? AND state IN ('queued', "
        "'following') ORDER BY id"
    )
    payers: dict[int, int] = {}
    for document, found in connection.execute(sought, (last,)).fetchall():
        if found is not None:
            # the document found may itself have become a copy in this loop
            payers[document] = payers.get(found, found)
    connection.executemany(
        "UPDATE documents SET payer = ?, state = 'duplicate' WHERE id = ?",
        [(payer, document) for document, payer in payers.items()],
    )


def _log(connection: sqlite3.Connection, last: int, at: float) -> None:
    connection.execute(
        "INSERT INTO events (at, document, event, state, detail)"
        " SELECT ?, id, 'Found', state, reason FROM documents WHERE id > ? ORDER BY id",
        (at, last),
    )
