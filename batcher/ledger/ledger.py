"""The ledger: the SQLite file that records every document, attempt and event.

It is also the only queue. It writes what `core.lifecycle` has decided and returns what is due. It
makes no decisions of its own, starts nothing, and calls no service.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from batcher.common.group_writer import GroupWriter, Work
from batcher.common.secrets import Secrets
from batcher.common.signals import Signal
from batcher.core.budget import Budget, Overrun
from batcher.core.duplicate_jobs import DuplicateJob
from batcher.core.events import Cancelled, Event, ReplyLost
from batcher.core.lifecycle import IN_FLIGHT, OPEN, UNSENT, State
from batcher.core.reservations import Reservation
from batcher.errors import LedgerDamaged, LedgerError, LedgerForeign, OutputError
from batcher.ledger import event_writes, intake, integrity, run_spend, schema
from batcher.ledger.claim import Claim, advance, claim_of
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
    """What may change about a document while its bytes stay the same."""

    mtime_ns: int
    inode: int
    size: int
    folder: str
    place: str | None
    metadata: str | None
    id: int


# rows in one transaction: few enough that other writers don't wait long
WRITTEN_TOGETHER: Final = 500
_CONFIRM: Final = "UPDATE documents SET scan = ? WHERE id IN (SELECT value FROM json_each(?))"
_TOUCH: Final = (
    "UPDATE documents SET mtime_ns = ?, inode = ?, size = ?, folder = ?, place = ?, "
    "metadata = ?, scan = ? WHERE id = ?"
)
# What was made of a document shows its metadata and path, of which an address in a listing ("row:")
# has none. What has become outdated keeps its record, by which its file may be replaced; no result
# has an empty hash. The mirror has the Markdown, too.
_SHOWN: Final = "iif({0} LIKE 'row:%', NULL, {0})"
_OUTDATE: Final = (
    "UPDATE derived SET result_sha256 = '' WHERE document = (SELECT d.id FROM documents d"
    " WHERE d.id = :id AND (d.metadata IS NOT :metadata OR"
    f" {_SHOWN.format('d.place')} IS NOT {_SHOWN.format(':place')}))"
    " AND (format IN ('markdown', 'jsonl', 'parquet') OR (format = 'mirror' AND EXISTS"
    " (SELECT 1 FROM derived m WHERE m.document = :id AND m.format = 'markdown')))"
)


class Ledger:
    """Writes events, and gives access to the queries about them.

    The queries come in the groups `sending`, `tracking`, `sharing`, `audit`, `repair` and
    `reporting`. `tally` counts documents by state as of the last commit. Each of `listeners` is
    called with every committed transition.

    No value in `secrets` is ever written to the file or passed to a listener.
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
        self._called_off = ""  # the reason
        self._called_off_only: frozenset[int] | None = None
        self.scan = 0
        self._has_scanned = False
        self.outdated = 0  # records of what was made that `touch` has found outdated
        self.secrets = Secrets()
        self._changed = Signal()

    # --- writing ----------------------------------------------------------------------------------

    async def record(self, *events: Event, claim: Reservation | None = None) -> None:
        """Write `events` in this order in one transaction; return when they are durable.

        `claim` is what a submission among them may cost; it is used where spending limits are set.
        Raises BudgetSpent where a submission would exceed a limit, and Impossible, AttemptOpen or
        Outdated where an event doesn't fit the state of its document.
        """
        at = self.clock()
        told = [self._discreet(event) for event in events]
        steps = await self._writer.do(
            lambda c: [self._apply(c, event, at, claim) for event in told]
        )
        for event, (before, after) in zip(told, steps, strict=True):
            self._publish(Transition(event, before, after))

    def _discreet(self, event: Event) -> Event:
        """Remove secrets from the reason and the error name of an event.

        These are texts from other programs, and all of them pass through here before anybody reads
        them.
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
        if self._called_off and after in UNSENT and self._is_meant(event.document):
            _, after = self._apply(connection, Cancelled(event.document, self._called_off), at)
        return before, after

    def _is_meant(self, document: int) -> bool:
        only = self._called_off_only
        return only is None or document in only

    async def admit(self, batch: Sequence[intake.Version]) -> None:
        """Add new documents and new versions of known ones.

        Documents with the same bytes and step as another become its copies; only that one is paid
        for.
        """
        told = [
            replace(one, reason=self.secrets.cut(one.reason)) if one.reason else one
            for one in batch
        ]
        moved = await self._writer.do(lambda c: intake.admit(c, told, self.clock(), scan=self.scan))
        self._take_over(moved)
        self._wake()

    async def touch(self, seen: Sequence[Seen]) -> None:
        """Update the location and metadata of documents whose bytes are unchanged.

        What was made of a document whose metadata or path differs is to be made again.
        """
        rows = [(*one[:-1], self.scan, one.id) for one in seen]

        def update(connection: sqlite3.Connection) -> int:
            outdated = connection.executemany(_OUTDATE, [one._asdict() for one in seen]).rowcount
            connection.executemany(_TOUCH, rows)
            return outdated

        self.outdated += await self._writer.do(update)

    # --- what is asked for ------------------------------------------------------------------------

    async def begin_scan(self) -> None:
        """Start a new scan: from now on only documents that it admits or confirms are sent.

        Otherwise documents that an earlier run has queued would be sent, wanted or not.
        """
        self.scan = int(self.noted("scan") or 0) + 1
        self._has_scanned = False
        await self.note("scan", str(self.scan))

    async def confirm(self, documents: Sequence[int]) -> None:
        """Record that this scan found `documents` unchanged: they may be sent, or sent again."""
        await self._writer.do(lambda c: c.execute(_CONFIRM, (self.scan, json.dumps(documents))))
        self._wake()

    async def end_scan(self) -> int:
        """End a scan that has seen everything, and withdraw what it didn't find.

        Documents that it didn't find are not sent later in this run either. Returns how many unsent
        ones were withdrawn.
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
        """Record that `proof` was shown for this service and API key, by fingerprint."""
        at = self.clock()
        await self._writer.do(
            lambda c: c.execute(
                "INSERT OR REPLACE INTO proofs VALUES (?, ?, ?, ?)",
                (service, key_print, proof, at),
            )
        )

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction, and return its value once that is durable.

        This is for changes that no event describes.
        """
        value: T = await self._writer.do(work)
        self._wake()
        return value

    async def note_twin(self, twin: DuplicateJob) -> bool:
        """Record a duplicate job. Its document doesn't change.

        Returns False if the job is on record already.
        """
        values = {
            **twin.attempt._asdict(),
            "job_id": twin.job_id,
            "status": self.secrets.cut(twin.status),
            "at": self.clock(),
        }
        return await self._writer.do(lambda c: event_writes.note_twin(c, values))

    async def audited(self, last: int, *, sent_before: float) -> None:
        """Record that attempts up to row `last` that were sent before `sent_before` are settled.

        They aren't compared with the job list again.
        """
        sql = (
            "INSERT OR REPLACE INTO meta SELECT 'audited_to', max(rowid) FROM attempts WHERE "
            "rowid <= ? AND sent_at < ?"
            " HAVING max(rowid) IS NOT NULL"
        )
        await self._writer.do(lambda c: c.execute(sql, (last, sent_before)))

    def noted(self, key: str) -> str | None:
        """Return the value that the batch has on record under `key`, or None."""
        return noted(self.reader, key)

    def last_step(self, job: str) -> str | None:
        """Return the hash of the step that `job` last ran with, or None if that isn't on record."""
        return self.noted(f"step of {job}")

    async def note_step(self, job: str, step: str) -> None:
        """Record `step` as the hash of the step that `job` runs with from now on."""
        await self.note(f"step of {job}", step)

    async def note(self, key: str, value: str | None) -> None:
        """Record `value` under `key` for `noted`. None removes the record."""
        if value is None:
            await self.write(lambda c: c.execute("DELETE FROM meta WHERE key = ?", (key,)))
        else:
            await self.write(
                lambda c: c.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
            )

    async def interrupted(self) -> None:
        """Mark submissions that were under way when the last run ended as of unknown outcome.

        Call it at the start of a run.
        """
        for document in self.tracking.in_state(State.SENDING):
            await self.record(ReplyLost(document, "interrupted before the answer was on record"))

    async def begin_run(self, *, version: str, service: str, manifest: str) -> int:
        """Record the start of a run, and return its number.

        `manifest` is JSON. It stands for the batch where only the output directory is given.
        """
        at = self.clock()
        sql = "INSERT INTO runs (started_at, version, service) VALUES (?, ?, ?)"

        def begin(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('manifest', ?)", (manifest,))
            self._advance(connection, at)
            return int(connection.execute(sql, (at, version, service)).lastrowid or 0)

        return await self._writer.do(begin)

    async def keep_to(self, budget: Budget) -> None:
        """Apply `budget` to this run.

        From now on a submission that would exceed a limit raises BudgetSpent and isn't recorded.
        """
        await self._writer.do(run_spend.open_purse)
        self._budget = budget

    async def afford(self, claim: Reservation) -> None:
        """Raise BudgetSpent where a submission would exceed a limit whatever the pending bills are.

        Call it before the work for the submission begins.
        """
        budget = self._budget
        if budget is not None:
            await self._writer.do(lambda c: event_writes.afford(budget, c, claim))

    async def free_room(self, document: int) -> None:
        """Keep no room below the limits any more for a later step that isn't sent in this run."""
        await self._writer.do(lambda c: run_spend.free(c, document))

    async def overruns(self) -> list[Overrun]:
        """Return the limits that this run has exceeded, each with the document that did it."""
        budget = self._budget
        if budget is None:
            return []
        return await self._writer.do(
            lambda c: budget.overruns(run_spend.spend(c), run_spend.last_surprise(c))
        )

    async def call_off(self, reason: str, *, only: frozenset[int] | None = None) -> None:
        """Cancel everything that isn't sent yet, or those of it that are among `only`.

        A document that returns to the queue later is cancelled in the same transaction.
        """
        self._called_off = reason
        self._called_off_only = only
        for state in sorted(UNSENT):
            unsent = filter(self._is_meant, self.tracking.in_state(state))
            await self.record(*(Cancelled(document, reason) for document in unsent))

    async def end_run(self, run: int, *, exit_code: int, summary: str) -> None:
        """Record the end of a run; `summary` is JSON."""
        at = self.clock()
        values = (at, exit_code, summary, run)
        sql = "UPDATE runs SET ended_at = ?, exit_code = ?, summary = ? WHERE id = ?"

        def end(connection: sqlite3.Connection) -> None:
            connection.execute(sql, values)
            self._advance(connection, at)

        await self._writer.do(end)

    def _advance(self, connection: sqlite3.Connection, at: float) -> None:
        claim = advance(connection)
        if self._journal is not None:
            self._journal.note_claim(claim, at)

    @property
    def claim(self) -> Claim | None:
        """What the ledger claims beside the results; it moves when a run begins and ends."""
        return claim_of(self.reader)

    # --- waiting ----------------------------------------------------------------------------------

    @property
    def open_documents(self) -> int:
        """How many documents haven't come to an end yet."""
        return sum(self.tally[state] for state in OPEN)

    @property
    def in_flight(self) -> int:
        """How many documents have a job at the service whose result isn't saved yet."""
        return sum(self.tally[state] for state in IN_FLIGHT)

    def change(self, *, within: float | None = None) -> Coroutine[Any, Any, None]:
        """Return what waits for the next committed change, counted from this call.

        It ends after `within` seconds at the latest.
        """
        return self._changed.wait(within=within)

    def _publish(self, change: Transition) -> None:
        self.tally[change.before] -= 1
        self.tally[change.after] += 1
        for listener in self.listeners:
            listener(change)
        self._wake()

    def _wake(self) -> None:
        self._changed.give()

    def time_commits(self, observe: Callable[[float], None]) -> None:
        """Have `observe` called with the seconds of each commit, by the thread that made it."""
        if isinstance(self._writer, GroupWriter):
            self._writer.observe = observe

    def close(self) -> None:
        # The reader first: the connection that closes last folds the WAL into the file, and that
        # has to be the writer.
        """Close both connections. Nothing can be read or written afterwards."""
        self.reader.close()
        self._writer.close()


def groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield `items` in groups of at most `WRITTEN_TOGETHER`, each for one commit."""
    for start in range(0, len(items), WRITTEN_TOGETHER):
        yield items[start : start + WRITTEN_TOGETHER]


# --- opening --------------------------------------------------------------------------------------


def open_ledger(path: Path, *, batch: str | None, clock: Clock, inline: bool = False) -> Ledger:
    """Open the ledger at `path`, and create or migrate it if necessary.

    `batch` is the batch that it must belong to; None accepts any. With `inline` it is written
    without a thread and without a journal. The caller must hold its `lock`.

    Raises LedgerForeign, LedgerNewer, LedgerDamaged, OutputError.
    """
    connection = _ready(path, batch)
    if inline:
        return Ledger(InlineWriter(connection), reader(path), clock=clock)
    return _with_journal(path, connection, clock)


def open_existing(path: Path, *, clock: Clock) -> Ledger:
    """Open the ledger at `path`, whichever batch it belongs to.

    The caller must hold its `lock`. Raises LedgerError.
    """
    with schema.reading_any(path):
        pass  # raises LedgerError where there is no ledger, or an empty one
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
    """Return whether the file is a ledger that is consistent in itself and with its journal.

    This reads all of both. Only content that was read and is wrong counts as damage. Raises
    LedgerError where that can't be decided: the file may not be read, its disk fails, another
    program holds it, or it is a ledger of another program or of a newer version.
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
    """Return whether the file is a ledger of this version with something in it.

    Raises LedgerForeign for another program's file, LedgerNewer, LedgerOlder.
    """
    try:
        schema.refuse_foreign(connection, path)
    except LedgerForeign:
        if schema.has_our_tables(connection):
            return False  # the file is ours, and its application id is damaged
        raise
    if not schema.is_filled(connection):
        return False
    schema.refuse_older(connection, path)
    return True


def code_of(error: sqlite3.Error) -> int:
    """Return the primary result code of SQLite, or 0 if the error has none."""
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
            f"{path}: {error}; nothing is submitted. `batcher rebuild MANIFEST` makes a new one"
        ) from error
    except OSError as error:
        connection.close()
        raise _refused(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


# Primary result codes of SQLite that say nothing about the content of the file.
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
    """Check open attempts and the end of the journal: what a run is about to rely on."""
    found = integrity.contradictions(connection) or integrity.disagreements(connection, path)
    if found:
        raise LedgerDamaged(
            f"{path}: {'; '.join(found)}. Nothing is submitted on its word. `batcher rebuild "
            "MANIFEST` rebuilds it from its journal, `batcher verify MANIFEST` says all that is "
            "wrong"
        )
    mark(connection, path)


def memory_ledger(path: Path, *, batch: str, clock: Clock) -> Ledger:
    """Return a copy in memory of the ledger at `path`, or an empty one if there is none.

    It serves for trial runs; nothing of it is kept. Raises LedgerError.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        if schema.is_there(path):
            with schema.reading_as_it_is(path) as original:
                original.backup(connection)
        with schema.translated(path):
            _check(connection, path)
            _migrate(connection)
            _claim(connection, path, batch)
    except LedgerError:
        connection.close()
        raise
    return Ledger(InlineWriter(connection), connection, clock=clock)


_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    # With NORMAL a power cut undoes commits that a paid submission relied on.
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
    """Refuse the file if it isn't our ledger, before the first write to it."""
    schema.refuse_foreign(connection, path)
    for statement in _PRAGMAS:
        connection.execute(statement)


def _back_up(connection: sqlite3.Connection, path: Path) -> None:
    """Copy an older ledger as it is, before the first migration changes it."""
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
    if connection.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION:
        return
    # Importing these takes time, and only a new or an older ledger needs them.
    from batcher.ledger.migrations import migrations
    from batcher.ledger.sqlite_tools import Database

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
