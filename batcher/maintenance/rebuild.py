"""Rebuilds a ledger from its journal: every attempt that was recorded, and its outcome.

Attempts of unknown outcome are left for the next run, which searches the service's job list for
them as after any crash. Nothing is sent here.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from batcher.adapters.clock import SteadyClock
from batcher.common.names import collision_key
from batcher.core import events
from batcher.core.lifecycle import VERDICTS, Impossible, State
from batcher.errors import AttemptOpen, LedgerError, LedgerForeign
from batcher.ledger import event_writes, intake
from batcher.ledger.claim import adopt, claim_of, outdated, read_claim
from batcher.ledger.connection import reader
from batcher.ledger.journal import (
    Journal,
    JournalEntry,
    claim_in,
    discontinuity,
    entries,
    journal_of,
    retold,
)
from batcher.ledger.ledger import healthy, lock, open_ledger
from batcher.ledger.queries.repair import RepairQueries
from batcher.ledger.queries.sharing import SharingQueries
from batcher.ledger.queries.tracking import TrackingQueries
from batcher.ledger.schema import is_there, refuse_unreadable, who_may_read


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was rebuilt: documents by state, and how many lines of the journal didn't fit.

    `set_aside` is where the damaged ledger was moved, or None if there was none.
    """

    documents: dict[str, int]
    skipped: int
    set_aside: str | None


def rebuild(ledger: Path, *, batch: str | None, output: Path) -> Rebuilt:
    """Rebuild the ledger from its journal; `output` is the directory of its results.

    `batch` is the name of the batch; with None the next run that uses the ledger sets it. Raises
    LedgerError where the ledger is healthy, or where there is no journal to rebuild it from.
    """
    with ExitStack() as stack:
        stack.callback(os.close, lock(ledger))
        if falls_short(ledger, output) and not (is_there(ledger) and _is_whole(ledger, output)):
            raise LedgerError(
                f"{journal_of(ledger)}: there is no journal of this ledger to rebuild from; "
                "`batcher rebuild MANIFEST` "
                "asks the service that the manifest names for its listing, `batcher run "
                "--start-over` starts over, and "
                "pays for everything again"
            )
        made, skipped = begin(ledger, batch=batch, output=output)
        return put_in_place(made, ledger, skipped, output=output)


def falls_short(ledger: Path, output: Path) -> bool:
    """Return whether more may have been sent than the journal records.

    That is so where it is lost, isn't the journal of the ledger beside it, or is older than the
    results in `output`.
    """
    if not is_there(journal_of(ledger)):
        return True
    try:
        if outdated(claim_in(journal_of(ledger)), output) is not None:
            return True
        if not is_there(ledger):
            return False
        refuse_unreadable(ledger)
        with closing(reader(ledger)) as connection:
            return discontinuity(connection, ledger) is not None
    except sqlite3.DatabaseError:
        return False
    except PermissionError as error:
        journal = journal_of(ledger)
        raise LedgerError(f"{journal}: {error.strerror}; {who_may_read(journal)}") from error


def begin(ledger: Path, *, batch: str | None, output: Path) -> tuple[Path, int]:
    """Create a new ledger beside the old one from the journal, if there is one.

    Where the journal isn't complete, what the old ledger records is used as well. Returns the path
    of the new ledger, and how many lines didn't fit. Raises LedgerError where the ledger is
    healthy and as new as the results in `output`.
    """
    if ledger.exists() and _is_whole(ledger, output):
        raise LedgerError(f"{ledger}: it is whole; there is nothing to rebuild")
    made = ledger.with_suffix(".rebuilding.db")
    for path in (*_parts(made), journal_of(made)):
        path.unlink(missing_ok=True)
    open_ledger(made, batch=batch, clock=SteadyClock(), inline=True).close()
    return made, _replay(made, _told(ledger, falls_short(ledger, output)))


def _told(ledger: Path, lacks: bool) -> Iterator[JournalEntry]:
    """Yield the entries of the journal, after those of the old ledger if the journal `lacks` some.

    The two may have numbered documents differently, so the journal's numbers are made negative.
    """
    known = set[str]()
    if lacks and ledger.exists():
        with (
            suppress(sqlite3.DatabaseError, msgspec.MsgspecError),
            closing(reader(ledger)) as connection,
        ):
            for entry in retold(connection):
                known.add(entry.values.get("nonce", ""))
                yield entry
    current: dict[int, str] = {}
    for entry in entries(journal_of(ledger)) if journal_of(ledger).exists() else ():
        document = entry.values["document"]
        current[document] = (
            entry.values["nonce"] if entry.event == "Sending" else current.get(document, "")
        )
        if current[document] not in known:
            yield msgspec.structs.replace(entry, values={**entry.values, "document": -document})


def put_in_place(made: Path, ledger: Path, skipped: int, *, output: Path) -> Rebuilt:
    """Move the rebuilt ledger and its journal to where the old ones were.

    It takes over the claim on the results in `output`.
    """
    documents = _folded(made, output)
    aside = _set_aside(ledger)
    # In this order there is always a journal to rebuild from, wherever this is interrupted.
    journal_of(made).replace(journal_of(ledger))
    made.replace(ledger)
    return Rebuilt(documents, skipped, aside)


def _replay(made: Path, told: Iterable[JournalEntry]) -> int:
    """Return how many lines didn't fit. The new ledger gets its own journal, with its own ids."""
    with (
        closing(sqlite3.connect(made, isolation_level=None)) as connection,
        closing(Journal(journal_of(made))) as own,
    ):
        connection.execute("BEGIN IMMEDIATE")
        skipped = Replay(connection, own).all(told)
        own.sync(connection)
        connection.execute("COMMIT")
        return skipped


def _folded(made: Path, output: Path) -> dict[str, int]:
    """Return documents by state, after the last write; fold the WAL into the file."""
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        with suppress(LedgerForeign):  # a claim that can't be understood: the next run says so
            _take_over(connection, made, output)
        documents = RepairQueries(connection).current_by_state()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return documents


def _is_whole(ledger: Path, output: Path) -> bool:
    """Return whether the ledger is healthy and as new as the results. Raises LedgerError."""
    if not healthy(ledger):
        return False
    with closing(reader(ledger)) as connection:
        return outdated(claim_of(connection), output) is None


def _take_over(connection: sqlite3.Connection, made: Path, output: Path) -> None:
    claim = read_claim(output)
    if claim is None:
        return
    with closing(Journal(journal_of(made))) as own:
        connection.execute("BEGIN IMMEDIATE")
        adopt(connection, claim)
        own.note_claim(claim, time.time())
        own.sync(connection)
        connection.execute("COMMIT")


def _set_aside(ledger: Path) -> str | None:
    """Move the damaged ledger to another name, since something in it may still be readable.

    Its log is moved even where the ledger itself is gone already: SQLite would take it for that of
    the new one. It goes last, for without it the old ledger would look like a whole one that is
    older.
    """
    if not any(part.exists() for part in _parts(ledger)):
        return None
    names = (Path(f"{ledger}.damaged-{number}") for number in range(1, 10_000))
    damaged = next(name for name in names if not any(part.exists() for part in _parts(name)))
    for part, kept in zip(_parts(ledger), _parts(damaged), strict=True):
        if part.exists():
            part.replace(kept)
    return str(damaged)


def _parts(ledger: Path) -> list[Path]:
    return [Path(f"{ledger}{part}") for part in ("", "-wal", "-shm")]


class Replay:
    """Applies the events of a lost ledger to a new one, in order."""

    def __init__(self, connection: sqlite3.Connection, journal: Journal) -> None:
        self._connection = connection
        self._journal = journal
        # the number of each document in the lost ledger, and its number here
        self._numbers: dict[int, int] = {}
        # by number here: its numbers there, of which the journal's are negative where both are told
        self._known_as: dict[int, set[int]] = defaultdict(set)

    def all(self, happened: Iterable[JournalEntry]) -> int:
        """Apply the entries, and return how many of them didn't fit."""
        return sum(not self._take_in(entry) for entry in happened)

    def _take_in(self, entry: JournalEntry) -> bool:
        """Apply an entry; one that doesn't fit leaves nothing behind."""
        old = entry.values["document"]
        try:
            with _all_or_nothing(self._connection):
                document = self._document_of(entry)
                if document is None:
                    return False
                event = entry.happened(document)
                self._apply(event, entry.at)
        except (Impossible, AttemptOpen, TypeError, AssertionError, sqlite3.IntegrityError):
            return False
        self._numbers[old] = document
        self._known_as[document].add(old)
        self._journal.note(self._connection, event, entry.at)
        return True

    def _document_of(self, entry: JournalEntry) -> int | None:
        """Return the entry's document, brought to the state in which its event can follow."""
        if not entry.facts:
            return self._numbers.get(entry.values["document"])
        document = self._document(entry)
        if entry.event == "Sending":
            self._bring_to_upload(document, entry)
        else:
            self._bring_to_copy(document, entry)
        return document

    def _apply(self, event: events.Event, at: float) -> None:
        if isinstance(event, events.Sending):
            # What replaced a document isn't told of where nothing was paid for it; but two open
            # submissions of the same bytes never were.
            other = SharingQueries(self._connection).who_has_sent(event.document)
            if other is not None and other != event.document:
                intake.stand_down(self._connection, other, at, intake.Moved())
        event_writes.apply(self._connection, event, at)
        if isinstance(event, events.Saved):
            self._connection.execute(
                "UPDATE documents SET output_key = ? WHERE id = ?",
                (collision_key(event.output), event.document),
            )

    def _document(self, entry: JournalEntry) -> int:
        """Return the document with the entry's facts: a known one, or a new version of its source.

        Where another document had its place before, that is the one that it replaces: its folder
        was renamed, of which the journal doesn't tell.
        """
        facts = entry.facts
        asked = RepairQueries(self._connection)
        row = asked.current_version(facts["source"], facts["job"], facts["folder"])
        row = row or asked.current_at(facts["source"], facts["job"], facts["output"])
        if row is not None and row[1:] == (facts["content"], facts["step"]):
            old = entry.values["document"]
            if all(old == known or (old < 0) != (known < 0) for known in self._known_as[row[0]]):
                return row[0]
        values = {name: value for name, value in facts.items() if name != "file_id"}
        version = intake.Version(**values, replaces=row and row[0])
        intake.admit(self._connection, [version], entry.at)
        return asked.last_document()

    def _bring_to_copy(self, document: int, entry: JournalEntry) -> None:
        """Make the document a copy, as it was when it got another's result."""
        if TrackingQueries(self._connection).state_of(document) is not State.DUPLICATE:
            asked = RepairQueries(self._connection)
            payer, *_ = next(asked.results_of_same_bytes(document), (None,))
            if payer is not None:
                event_writes.apply(self._connection, events.Rejoined(document, payer), entry.at)

    def _bring_to_upload(self, document: int, entry: JournalEntry) -> None:
        """Bring the document to the state in which this submission can follow.

        Uploads aren't in the journal, because they are free; their id is recorded with the
        submission.
        """
        state = TrackingQueries(self._connection).state_of(document)
        if state is State.STUCK:
            event_writes.apply(self._connection, events.Lost(document, "sent again"), entry.at)
        if state in VERDICTS | {
            State.SAVED
        }:  # a later step, or a copy: the event that requeued it isn't in the journal
            event_writes.apply(self._connection, events.Retried(document), entry.at)
        elif state is State.DUPLICATE:
            event_writes.apply(self._connection, events.Promoted(document), entry.at)
        elif state is State.FOLLOWING:
            event_writes.apply(self._connection, events.UpstreamSaved(document), entry.at)
        elif state is State.UPLOADED:
            event_writes.apply(
                self._connection, events.UploadLapsed(document, "a newer upload"), entry.at
            )
        event_writes.apply(
            self._connection, events.Uploaded(document, entry.facts["file_id"]), entry.at
        )


@contextmanager
def _all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    """Undo what the block has written where it raises."""
    connection.execute("SAVEPOINT entry")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK TO entry")
        raise
    finally:
        connection.execute("RELEASE entry")
