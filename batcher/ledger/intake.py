"""How documents enter the ledger: new ones, new versions of known ones, and copies that will not be
paid for again.

Bytes and step decide who pays: whatever was paid for once serves everybody who asks for the same,
under any name.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from itertools import count, islice, tee
from typing import Final

from batcher.common.names import collision_key, with_tag
from batcher.core.events import Superseded
from batcher.core.lifecycle import OUT, PAYS_FOR_NOBODY, UNSENT, State
from batcher.ledger import event_writes
from batcher.ledger.queries.fragments import COUNTS_STILL, listed


@dataclass(frozen=True, slots=True)
class Version:
    """A source as the scanner found it. `replaces` is the document it stands in for from now on.

    `state` is queued, or the verdict that keeps it from ever being sent, with its `reason`.
    `upstream` is the job whose document of the same source comes before it; `options` and
    `metadata` are JSON, of this document alone.
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
    """Documents by the state they came to and left."""

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
# What a document is now that it stands for itself.
_ITS_TURN: Final = (
    "iif(upstream IS NULL OR (SELECT u.state FROM documents u WHERE u.id = documents.upstream) = "
    "'saved',"
    " 'queued', 'following')"
)


def admit(
    connection: sqlite3.Connection, batch: Sequence[Version], at: float, *, scan: int = 0
) -> Moved:
    """Write `batch` inside the caller's transaction.

    `scan` is the number of the scan that found it.
    """
    moved = Moved()
    for version in batch:
        if version.replaces is not None:
            _stand_down(connection, version.replaces, at, moved)
    last = connection.execute("SELECT coalesce(max(id), 0) FROM documents").fetchone()[0]
    rows = _rows(connection, batch, scan)
    connection.executemany(_INSERT, rows)
    for job, upstream in {(version.job, version.upstream) for version in batch if version.upstream}:
        _follow(connection, last, job, upstream)
    _join_copies(connection, last)
    _log(connection, last, at)
    # + lest all ids of a state are read
    by_state = "SELECT state, count(*) FROM documents WHERE id > ? GROUP BY +state"
    for state, number in connection.execute(by_state, (last,)):
        moved.came[State(state)] += number
    return moved


def withdraw(connection: sqlite3.Connection, at: float, *, scan: int, limit: int) -> Moved:
    """Up to `limit` documents that aren't sent yet and that this scan, which has seen everything,
    didn't find.
    """
    moved = Moved()
    for (document,) in connection.execute(_UNASKED, (scan, limit)).fetchall():
        before, after = event_writes.withdraw(connection, document, at)
        moved.went[before] += 1
        moved.came[after] += 1
        moved.withdrawn += 1
        _release_copies(connection, document, moved)
    return moved


def _stand_down(connection: sqlite3.Connection, document: int, at: float, moved: Moved) -> None:
    """The older version makes way. Where a job is out for it, that is still brought to its end."""
    (state,) = connection.execute(
        "SELECT state FROM documents WHERE id = ?", (document,)
    ).fetchone()
    connection.execute("UPDATE documents SET current = 0 WHERE id = ?", (document,))
    if State(state) in OUT:
        return
    before, after = event_writes.apply(connection, Superseded(document), at)
    moved.went[before] += 1
    moved.came[after] += 1
    if before in UNSENT | PAYS_FOR_NOBODY:  # else what it came to is its copies' too
        _release_copies(connection, document, moved)


def _release_copies(connection: sqlite3.Connection, payer: int, moved: Moved) -> None:
    """Copies that wait for a payer that is no more: the first of them pays, the others wait for
    it.
    """
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
    """Gives each new document the place of its result: nobody else's, now or ever, whatever the
    names.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._taken = set[str]()  # keys given away just now, which no row has yet
        self._folders = set[str]()  # keys of folders on their way that look like results

    def give(self, version: Version) -> tuple[str, str]:
        """(output, its key).

        What the document replaces keeps its name, though the planned one may be free by now.
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
        """Neither another's result nor a folder that holds another's."""
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
        """Whether a result lies there of a document that is no longer current, and was of another
        source.
        """
        sql = (
            "SELECT 1 FROM documents WHERE output = ? AND output_sha256 IS NOT NULL"
            " AND NOT (source = ? AND job = ? AND folder = ?) LIMIT 1"
        )
        values = (output, version.source, version.job, version.folder)
        return self._connection.execute(sql, values).fetchone() is not None

    def _beside_results(self, output: str) -> str:
        """The same place, but in no folder that has the name of another's result."""
        for folder in _folders_like_results(output):
            if self._is_taken(collision_key(folder)):
                tagged = with_tag(folder, _tag(folder))
                return self._beside_results(tagged + output.removeprefix(folder))
        return output


_NAMES_OF_OWN: Final = 3  # of the possible names, those that a document can have been given before


def _possible_names(planned: str, version: Version) -> Iterator[str]:
    """The planned name, then with a tag of the source, of the source and its folder, and
    numbered.
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
    """The folders on its way that end as a result does, the outermost first."""
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
    """To the document that pays for the same bytes and step, to a copy that has its result, to a
    job that is out.

    Else to whom another copy waits for: where that one is no more, the copy is about to pay, and
    for its like as well. Else to one that was superseded and has left a result, or a verdict that
    may have cost something.
    """
    same = (
        "documents p WHERE p.content = documents.content AND p.step = documents.step AND p.id "
        "< documents.id"
    )
    pays = f"p.current = 1 AND p.payer IS NULL AND p.state NOT IN ({listed(PAYS_FOR_NOBODY)})"
    # Each ends with the first that is met: to sort all of the same bytes for each takes the square
    # of their number.
    payer = (
        f"coalesce((SELECT p.id FROM {same} AND (({pays}) OR p.current = 1 AND p.state = 'saved'"
        f" OR p.state IN ({listed(OUT)})) ORDER BY p.id LIMIT 1),"
        f" (SELECT p.payer FROM {same} AND p.current = 1 AND p.state = 'duplicate' ORDER BY p.id "
        "LIMIT 1),"
        f" (SELECT p.id FROM {same} AND p.state = 'superseded' AND p.output_sha256 IS NOT NULL"
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
            # the one found may just have become a copy itself
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
