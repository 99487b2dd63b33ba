"""The ledger: the SQLite file that remembers every document, attempt and event, and the only queue
there is.

It writes what `core.lifecycle` decided and answers what is due. It starts nothing, calls nobody and
has no opinion.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from batcher.common.group_writer import Work
from batcher.common.secrets import Secrets
from batcher.core.budget import Budget, Overrun
from batcher.core.duplicate_jobs import DuplicateJob
from batcher.core.events import Cancelled, Event, ReplyLost
from batcher.core.lifecycle import IN_FLIGHT, OPEN, UNSENT, State
from batcher.core.reservations import Reservation
from batcher.errors import LedgerDamaged, LedgerError, LedgerForeign, OutputError
from batcher.ledger import event_writes, intake, integrity, run_spend, schema
from batcher.ledger.connection import reader
from batcher.ledger.journal import Journal, journal_of, mark
from batcher.ledger.lock import lock
from batcher.ledger.queries.audit import AuditQueries
from batcher.ledger.queries.notes import noted
from batcher.ledger.queries.repair import RepairQueries
from batcher.ledger.queries.reporting import ReportingQueries
from batcher.ledger.queries.rows import Copy, Due, Unknown
from batcher.ledger.queries.sending import SendingQueries
from batcher.ledger.queries.sharing import SharingQueries
from batcher.ledger.queries.tracking import TrackingQueries
from batcher.ledger.writer import InlineWriter, Writer, group_writer

__all__ = ["Copy", "Due", "Ledger", "Transition", "Unknown", "groups", "lock"]

Clock = Callable[[], float]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Transition:
    """A committed event, with the states on both sides of it."""

    event: Event
    before: State
    after: State


class Seen(NamedTuple):
    """What of a document may change though its bytes are the same."""

    mtime_ns: int
    inode: int
    size: int
    folder: str
    place: str | None
    metadata: str | None
    id: int


WRITTEN_TOGETHER: Final = 500  # in one transaction: nobody waits long for it
_CONFIRM: Final = "UPDATE documents SET scan = ? WHERE id IN (SELECT value FROM json_each(?))"
_TOUCH: Final = (
    "UPDATE documents SET mtime_ns = ?, inode = ?, size = ?, folder = ?, place = ?, "
    "metadata = ?, scan = ? WHERE id = ?"
)


class Ledger:
    """Writes what happened, and holds the groups of questions it can be asked: `sending`,
    `tracking`, `sharing`, `audit`, `repair` and `reporting`.

    `tally` counts documents by state as of the last commit; `listeners` hear of every committed
    change.

    Nothing of `secrets` is ever written down here, and no listener hears of it.
    """

    def __init__(
        self,
        writer: Writer,
        reader: sqlite3.Connection,
        *,
        clock: Clock,
        journal: Journal | None = None,
    ) -> None:
        self.reader = reader
        self.sending = SendingQueries(reader)
        self.tracking = TrackingQueries(reader)
        self.sharing = SharingQueries(reader)
        self.audit = AuditQueries(reader)
        self.repair = RepairQueries(reader)
        self.reporting = ReportingQueries(reader)
        self._journal = journal
        self.clock = clock
        self.tally: Counter[State] = self.tracking.counts()
        self.listeners: list[Callable[[Transition], None]] = []
        self._writer = writer
        self._budget: Budget | None = None
        self._called_off = ""
        self.scan = 0
        self._has_scanned = False
        self.secrets = Secrets()
        self._changed = asyncio.Event()

    # --- writing ----------------------------------------------------------------------------------

    async def record(self, *events: Event, claim: Reservation | None = None) -> None:
        """Write all of `events`, in this order and in one transaction; returns when that is
        durable.

        `claim` is what a submission among them may cost, where limits are to be kept.
        """
        at = self.clock()
        told = [self._discreet(event) for event in events]
        steps = await self._writer.do(
            lambda c: [self._apply(c, event, at, claim) for event in told]
        )
        for event, (before, after) in zip(told, steps, strict=True):
            self._publish(Transition(event, before, after))

    def _discreet(self, event: Event) -> Event:
        """The reasons of events are foreign words, and here every one of them passes on its way to
        whoever reads it.
        """
        for name in ("reason", "error_name"):
            words = getattr(event, name, None)
            cut = self.secrets.cut(words) if words else words
            if cut != words:
                event = msgspec.structs.replace(event, **{name: cut})
        return event

    def _apply(
        self,
        connection: sqlite3.Connection,
        event: Event,
        at: float,
        claim: Reservation | None = None,
    ) -> tuple[State, State]:
        scan = self.scan if self._has_scanned else None
        before, after = event_writes.apply(
            connection, event, at, budget=self._budget, scan=scan, claim=claim
        )
        if self._journal is not None:
            self._journal.note(connection, event, at)
        if self._called_off and after in UNSENT:
            _, after = self._apply(connection, Cancelled(event.document, self._called_off), at)
        return before, after

    async def admit(self, batch: Sequence[intake.Version]) -> None:
        """Take in new documents and new versions of known ones, and join copies to the document
        that pays for them.
        """
        told = [
            replace(one, reason=self.secrets.cut(one.reason)) if one.reason else one
            for one in batch
        ]
        moved = await self._writer.do(lambda c: intake.admit(c, told, self.clock(), scan=self.scan))
        self._take_over(moved)
        self._wake()

    async def touch(self, seen: Sequence[Seen]) -> None:
        """Note where documents are by now, and what else is said of them, whose bytes are the same
        as before.
        """
        rows = [(*one[:-1], self.scan, one.id) for one in seen]
        await self._writer.do(lambda c: c.executemany(_TOUCH, rows))

    # --- what is asked for ------------------------------------------------------------------------

    async def begin_scan(self) -> None:
        """From now on only what is admitted or confirmed is sent: an earlier run may have queued
        other things.
        """
        self.scan = int(self.noted("scan") or 0) + 1
        self._has_scanned = False
        await self.note("scan", str(self.scan))

    async def confirm(self, documents: Sequence[int]) -> None:
        """This scan has found them as they were: they may be sent, or sent again."""
        await self._writer.do(lambda c: c.execute(_CONFIRM, (self.scan, json.dumps(documents))))
        self._wake()

    async def end_scan(self) -> int:
        """It has seen everything: what it didn't find isn't sent, now or later in this run.

        How many were withdrawn.
        """
        self._has_scanned = True
        total = 0
        while True:
            moved = await self._writer.do(
                lambda c: intake.withdraw(c, self.clock(), scan=self.scan, limit=WRITTEN_TOGETHER)
            )
            self._take_over(moved)
            total += moved.withdrawn
            if not moved.withdrawn:
                self._wake()
                return total

    def _take_over(self, moved: intake.Moved) -> None:
        self.tally.update(moved.came)
        self.tally.subtract(moved.went)

    # --- the rest of what is on record ------------------------------------------------------------

    async def prove(self, service: str, key_print: str, proof: str) -> None:
        at = self.clock()
        await self._writer.do(
            lambda c: c.execute(
                "INSERT OR REPLACE INTO proofs VALUES (?, ?, ?, ?)",
                (service, key_print, proof, at),
            )
        )

    async def write(self, work: Work[T]) -> T:
        """`work` in a transaction, for what no event touches; its value, once that is durable."""
        value: T = await self._writer.do(work)
        self._wake()
        return value

    async def note_twin(self, twin: DuplicateJob) -> bool:
        """Put it on record, without a change to its document. False where it was there already."""
        values = {
            **twin.attempt._asdict(),
            "job_id": twin.job_id,
            "status": self.secrets.cut(twin.status),
            "at": self.clock(),
        }
        return await self._writer.do(lambda c: event_writes.note_twin(c, values))

    async def audited(self, last: int, *, sent_before: float) -> None:
        """Attempts up to `last`, so far as they were sent early enough, needn't be held against the
        listing again.
        """
        sql = (
            "INSERT OR REPLACE INTO meta SELECT 'audited_to', max(rowid) FROM attempts WHERE "
            "rowid <= ? AND sent_at < ?"
            " HAVING max(rowid) IS NOT NULL"
        )
        await self._writer.do(lambda c: c.execute(sql, (last, sent_before)))

    def noted(self, key: str) -> str | None:
        """What the batch as a whole has on record under `key`."""
        return noted(self.reader, key)

    def last_step(self, job: str) -> str | None:
        """What the batch's `job` asked for last; None where that isn't on record."""
        return self.noted(f"step of {job}")

    async def note_step(self, job: str, step: str) -> None:
        """What the batch's `job` asks for from now on."""
        await self.note(f"step of {job}", step)

    async def note(self, key: str, value: str | None) -> None:
        """For `noted` to find; None: nothing any more."""
        if value is None:
            await self.write(lambda c: c.execute("DELETE FROM meta WHERE key = ?", (key,)))
        else:
            await self.write(
                lambda c: c.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
            )

    async def interrupted(self) -> None:
        """At the start of a run: whatever was being sent when the last one ended has an unknown
        fate.
        """
        for document in self.tracking.in_state(State.SENDING):
            await self.record(ReplyLost(document, "interrupted before the answer was on record"))

    async def begin_run(self, *, version: str, service: str, manifest: str) -> int:
        """`manifest`, as JSON, is what the batch's output directory alone will stand for from now
        on.
        """
        at = self.clock()
        sql = "INSERT INTO runs (started_at, version, service) VALUES (?, ?, ?)"

        def begin(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('manifest', ?)", (manifest,))
            return int(connection.execute(sql, (at, version, service)).lastrowid or 0)

        return await self._writer.do(begin)

    async def keep_to(self, budget: Budget) -> None:
        """From now on a submission that would pass a limit raises BudgetSpent, and isn't on
        record.
        """
        await self._writer.do(run_spend.open_purse)
        self._budget = budget

    async def afford(self, claim: Reservation) -> None:
        """Ahead of a submission: raises BudgetSpent where it would pass a limit whatever bills are
        still to come.
        """
        budget = self._budget
        if budget is not None:
            await self._writer.do(lambda c: event_writes.afford(budget, c, claim))

    async def overruns(self) -> list[Overrun]:
        """The caps that this run has passed, and by which document."""
        budget = self._budget
        if budget is None:
            return []
        return await self._writer.do(
            lambda c: budget.overruns(run_spend.spend(c), run_spend.last_surprise(c))
        )

    async def call_off(self, reason: str) -> None:
        """Cancel what isn't sent yet and, in the transaction that brings it there, what comes back
        to the queue.
        """
        self._called_off = reason
        for state in sorted(UNSENT):
            await self.record(
                *(Cancelled(document, reason) for document in self.tracking.in_state(state))
            )

    async def end_run(self, run: int, *, exit_code: int, summary: str) -> None:
        values = (self.clock(), exit_code, summary, run)
        sql = "UPDATE runs SET ended_at = ?, exit_code = ?, summary = ? WHERE id = ?"
        await self._writer.do(lambda c: c.execute(sql, values))

    # --- waiting ----------------------------------------------------------------------------------

    @property
    def open_documents(self) -> int:
        return sum(self.tally[state] for state in OPEN)

    @property
    def in_flight(self) -> int:
        return sum(self.tally[state] for state in IN_FLIGHT)

    async def change(self, *, within: float | None = None) -> None:
        """Returns with the next committed change, or after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _publish(self, change: Transition) -> None:
        self.tally[change.before] -= 1
        self.tally[change.after] += 1
        for listener in self.listeners:
            listener(change)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()  # everyone who waits goes on …
        self._changed = asyncio.Event()  # … and the next one waits for what comes next

    def close(self) -> None:
        # first, so that the writer's end is the last one and folds the WAL into the file
        self.reader.close()
        self._writer.close()


def groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """`items` in portions of at most `WRITTEN_TOGETHER`: one commit serves many."""
    for start in range(0, len(items), WRITTEN_TOGETHER):
        yield items[start : start + WRITTEN_TOGETHER]


# --- opening --------------------------------------------------------------------------------------


def open_ledger(path: Path, *, batch: str | None, clock: Clock, inline: bool = False) -> Ledger:
    """The ledger at `path`, made or migrated if need be; of `batch`, or of whichever. The caller
    holds its `lock`.

    Raises LedgerForeign, LedgerNewer, LedgerDamaged, OutputError.
    """
    connection = _ready(path, batch)
    if inline:
        return Ledger(InlineWriter(connection), reader(path), clock=clock)
    return _with_journal(path, connection, clock)


def open_existing(path: Path, *, clock: Clock) -> Ledger:
    """The ledger at `path`, whichever batch it belongs to.

    The caller holds its `lock`. Raises LedgerError.
    """
    with schema.reading_any(path):
        pass  # there is one, and something in it
    return _with_journal(path, _ready(path, None), clock)


def _with_journal(path: Path, connection: sqlite3.Connection, clock: Clock) -> Ledger:
    try:
        journal = Journal(journal_of(path))
    except OSError as error:
        connection.close()
        raise _refused(journal_of(path), error) from error
    return Ledger(
        group_writer(connection, shadow=journal), reader(path), clock=clock, journal=journal
    )


def healthy(path: Path) -> bool:
    """Whether the file is a ledger that agrees with itself and with its journal. Reads all of both.

    Raises LedgerError where nobody can tell: it may not be read, its disk fails, another program
    holds it, it is no ledger of batcher's or a newer one's. Only what is read, and is wrong, is
    damage.
    """
    schema.refuse_unreadable(path)
    try:
        with closing(reader(path)) as connection:
            if not _is_ledger(connection, path):
                return False
            return not integrity.whole(connection, path)
    except sqlite3.DatabaseError as error:
        if code_of(error) in _NOT_OF_ITS_BYTES:
            words = (
                f"{path}: {error}; it was left as it is. See who holds it and whether its "
                "disk is well, and try again"
            )
            raise LedgerError(words) from error
        return False
    except OSError as error:
        raise LedgerError(
            f"{error.filename or path}: {error.strerror}; nothing was changed"
        ) from error


def _is_ledger(connection: sqlite3.Connection, path: Path) -> bool:
    """Raises LedgerForeign of another program's, LedgerNewer, LedgerOlder."""
    try:
        schema.refuse_foreign(connection, path)
    except LedgerForeign:
        if schema.has_our_tables(connection):
            return False  # it is ours, and the mark that said so is damaged
        raise
    if not schema.is_filled(connection):
        return False
    schema.refuse_older(connection, path)
    return True


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary code."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _ready(path: Path, batch: str | None) -> sqlite3.Connection:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if schema.is_there(path):
            schema.refuse_unreadable(path)
        connection = _connect(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise _refused(path, error) from error
    try:
        _check(connection, path)
        _back_up(connection, path)
        _migrate(connection)
        if batch is not None:
            _claim(connection, path, batch)
        _believe(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        if code_of(error) in _OF_THE_DISK:
            raise _refused(path, error) from error
        raise LedgerDamaged(
            f"{path}: {error}; nothing is submitted. `batcher rebuild` makes a new one"
        ) from error
    except OSError as error:
        connection.close()
        raise _refused(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


# Primary codes of SQLite that say nothing about what is in the file.
_OF_THE_DISK: Final = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
)

_NOT_OF_ITS_BYTES: Final = _OF_THE_DISK | {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_INTERRUPT,
}


def _refused(path: Path, error: OSError | sqlite3.Error) -> OutputError:
    return OutputError(
        f"{path}: {schema.said_of(error)}; make sure of its disk and run again: nothing was "
        "submitted"
    )


def _believe(connection: sqlite3.Connection, path: Path) -> None:
    """Its open rows, and the last that its journal tells: what a run is about to act on."""
    found = integrity.contradictions(connection) or integrity.disagreements(connection, path)
    if found:
        raise LedgerDamaged(
            f"{path}: {'; '.join(found)}. Nothing is submitted on its word. `batcher rebuild` "
            "makes it anew from its "
            "journal, `batcher verify` says all that is wrong"
        )
    mark(connection, path)


def memory_ledger(path: Path, *, batch: str, clock: Clock) -> Ledger:
    """A copy in memory of the ledger at `path`, or an empty one: to try things on, forgotten when
    closed.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if path.exists():
        original = reader(path)
        original.backup(connection)
        original.close()
    _check(connection, path)
    _migrate(connection)
    _claim(connection, path, batch)
    return Ledger(InlineWriter(connection), connection, clock=clock)


_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    # with NORMAL a power cut takes back commits that a paid submission relied on
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)


def _connect(path: Path) -> sqlite3.Connection:
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    return sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises what is wrong with the file, before the first write to it."""
    schema.refuse_foreign(connection, path)
    for statement in _PRAGMAS:
        connection.execute(statement)


def _back_up(connection: sqlite3.Connection, path: Path) -> None:
    """A copy of an older ledger as it is, before the first migration touches it."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    kept = path.with_suffix(f".v{version}.db")
    if not 0 < version < schema.VERSION or kept.exists():
        return
    unfinished = Path(f"{kept}.part")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(unfinished)) as copy:
        connection.backup(copy)
    unfinished.replace(kept)


def _migrate(connection: sqlite3.Connection) -> None:
    # costs a quarter of a second to import, and only a run needs it
    from sqlite_utils import (
        Database,
    )

    from batcher.ledger.migrations import migrations

    if connection.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION:
        return
    migrations.apply(Database(connection, execute_plugins=False))
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")


def _claim(connection: sqlite3.Connection, path: Path, batch: str) -> None:
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('batch', ?)", (batch,))
    (owner,) = connection.execute("SELECT value FROM meta WHERE key = 'batch'").fetchone()
    if owner != batch:
        raise LedgerForeign(
            f'{path}: this output belongs to batch "{owner}", not "{batch}"; '
            f'name another output directory, or set batch = "{owner}" to go on with it'
        )
