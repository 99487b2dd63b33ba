"""How documents enter the ledger: new ones, new versions of known ones, and copies that will not be paid for again."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Final, NamedTuple

from batcher.core.document import collision_key, with_tag
from batcher.core.events import Superseded
from batcher.core.lifecycle import OUT, PAYS_FOR_NOBODY, UNSENT, State
from batcher.ledger import effects
from batcher.ledger.queries import listed


@dataclass(frozen=True, slots=True)
class Version:
    """A source as the scanner found it. `replaces` is the document it stands in for from now on.

    `state` is queued, or the verdict that keeps it from ever being sent, with its `reason`. `upstream` is the job
    whose document of the same source comes before it; `options` and `metadata` are JSON, of this document alone.
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


class Asked(NamedTuple):
    """What a document that isn't sent yet asks for: job, hash of the step, its own options and its upstream's."""

    job: str
    step: str
    options: str | None
    upstream_options: str | None


@dataclass(slots=True)
class Moved:
    """Documents by the state they came to and left."""

    came: Counter[State] = field(default_factory=Counter)
    went: Counter[State] = field(default_factory=Counter)


_COLUMNS: Final = tuple(field.name for field in fields(Version) if field.name not in ("replaces", "upstream"))
_INSERT: Final = (
    f"INSERT INTO documents ({', '.join(_COLUMNS)}, output_key)"
    f" VALUES ({', '.join(f':{name}' for name in _COLUMNS)}, :output_key)"
)
_UNSENT: Final = (
    f"documents d LEFT JOIN documents u ON u.id = d.upstream WHERE d.current = 1 AND d.state IN ({listed(UNSENT)})"
)
_ASKED: Final = f"SELECT DISTINCT d.job, d.step, d.options, u.options FROM {_UNSENT}"
_UNASKED: Final = f"SELECT d.id FROM {_UNSENT} AND d.job = ? AND d.step = ? AND d.options IS ? AND u.options IS ?"
# What a document is now that it stands for itself.
_ITS_TURN: Final = (
    "iif(upstream IS NULL OR (SELECT u.state FROM documents u WHERE u.id = documents.upstream) = 'saved',"
    " 'queued', 'following')"
)


def admit(connection: sqlite3.Connection, batch: Sequence[Version], at: float) -> Moved:
    """Write `batch` inside the caller's transaction."""
    moved = Moved()
    for version in batch:
        if version.replaces is not None:
            _stand_down(connection, version.replaces, at, moved)
    last = connection.execute("SELECT coalesce(max(id), 0) FROM documents").fetchone()[0]
    rows = _rows(connection, batch)
    connection.executemany(_INSERT, rows)
    for job, upstream in {(version.job, version.upstream) for version in batch if version.upstream}:
        _follow(connection, last, job, upstream)
    _join_copies(connection, last)
    _log(connection, last, at)
    by_state = (
        "SELECT state, count(*) FROM documents WHERE id > ? GROUP BY +state"  # + lest all ids of a state are read
    )
    for state, number in connection.execute(by_state, (last,)):
        moved.came[State(state)] += number
    return moved


def retire(connection: sqlite3.Connection, asked_for: Callable[[Asked], bool], at: float) -> Moved:
    """What isn't sent yet and isn't asked for any more: its job has another name by now, or other options."""
    moved = Moved()
    for asked in [Asked._make(row) for row in connection.execute(_ASKED)]:
        if not asked_for(asked):
            for (document,) in connection.execute(_UNASKED, asked).fetchall():
                _stand_down(connection, document, at, moved)
    return moved


def _stand_down(connection: sqlite3.Connection, document: int, at: float, moved: Moved) -> None:
    """The older version makes way. Where a job is out for it, that is still brought to its end, and written nowhere."""
    sql = "SELECT state, output_sha256 FROM documents WHERE id = ?"
    state, result = connection.execute(sql, (document,)).fetchone()
    connection.execute("UPDATE documents SET current = 0 WHERE id = ?", (document,))
    if State(state) in OUT:
        return
    before, after = effects.apply(connection, Superseded(document), at)
    moved.went[before] += 1
    moved.came[after] += 1
    if result is None:  # else what it left on disk is good for its copies still
        _release_copies(connection, document, moved)


def _release_copies(connection: sqlite3.Connection, payer: int, moved: Moved) -> None:
    """Copies that wait for a payer that is no more: the first of them pays, the others wait for it."""
    heir = connection.execute(
        "SELECT min(id) FROM documents WHERE payer = ? AND state = 'duplicate'", (payer,)
    ).fetchone()[0]
    if heir is not None:
        connection.execute("UPDATE documents SET payer = ? WHERE payer = ? AND state = 'duplicate'", (heir, payer))
        connection.execute(f"UPDATE documents SET payer = NULL, state = {_ITS_TURN} WHERE id = ?", (heir,))
        (state,) = connection.execute("SELECT state FROM documents WHERE id = ?", (heir,)).fetchone()
        moved.went[State.DUPLICATE] += 1
        moved.came[State(state)] += 1


def _rows(connection: sqlite3.Connection, batch: Sequence[Version]) -> list[dict[str, object]]:
    taken: set[str] = set()
    rows = []
    for version in batch:
        row: dict[str, object] = {name: getattr(version, name) for name in _COLUMNS}
        row["output"] = _free_output(connection, version, taken)
        row["output_key"] = collision_key(str(row["output"]))
        taken.add(str(row["output_key"]))
        rows.append(row)
    return rows


def _free_output(connection: sqlite3.Connection, version: Version, taken: set[str]) -> str:
    """The planned name, or where another document has it (in other letters, perhaps) one with a tag of the source."""
    key = collision_key(version.output)
    sql = "SELECT 1 FROM documents WHERE output_key = ? AND current = 1"
    if key not in taken and connection.execute(sql, (key,)).fetchone() is None:
        return version.output
    return with_tag(version.output, sha256(version.source.encode()).hexdigest()[:8])


def _follow(connection: sqlite3.Connection, last: int, job: str, upstream: str) -> None:
    connection.execute(
        "UPDATE documents SET upstream = (SELECT u.id FROM documents u"
        " WHERE u.source = documents.source AND u.folder = documents.folder AND u.job = ? AND u.current = 1)"
        " WHERE id > ? AND job = ?",
        (upstream, last, job),
    )
    connection.execute(
        f"UPDATE documents SET state = {_ITS_TURN} WHERE id > ? AND job = ? AND state = 'queued'", (last, job)
    )


def _join_copies(connection: sqlite3.Connection, last: int) -> None:
    """To the document that pays for the same bytes and step, to a copy that has its result, to a job that is out.

    Else to whom another copy waits for: where that one is no more, the copy is about to pay, and for its like as well.
    """
    same = "documents p WHERE p.content = documents.content AND p.step = documents.step AND p.id < documents.id"
    pays = f"p.current = 1 AND p.payer IS NULL AND p.state NOT IN ({listed(PAYS_FOR_NOBODY)})"
    # Each ends with the first that is met: to sort all of the same bytes for each takes the square of their number.
    payer = (
        f"coalesce((SELECT p.id FROM {same} AND (({pays}) OR p.current = 1 AND p.state = 'saved'"
        f" OR p.state IN ({listed(OUT)})) ORDER BY p.id LIMIT 1),"
        f" (SELECT p.payer FROM {same} AND p.current = 1 AND p.state = 'duplicate' ORDER BY p.id LIMIT 1))"
    )
    connection.execute(
        f"UPDATE documents SET state = 'duplicate', payer = ({payer})"
        f" WHERE id > ? AND state IN ('queued', 'following') AND ({payer}) IS NOT NULL",
        (last,),
    )


def _log(connection: sqlite3.Connection, last: int, at: float) -> None:
    connection.execute(
        "INSERT INTO events (at, document, event, state, detail)"
        " SELECT ?, id, 'Found', state, reason FROM documents WHERE id > ? ORDER BY id",
        (at, last),
    )
