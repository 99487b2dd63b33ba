"""A ledger made anew from its journal: every attempt that was ever put on record, and what became
of it.

What it leaves open, the next run looks for in the service's listing, as after any crash. Nothing is
sent here.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from batcher.adapters.clock import SteadyClock
from batcher.core import events
from batcher.core.lifecycle import VERDICTS, Impossible, State
from batcher.errors import AttemptOpen, LedgerError
from batcher.ledger import event_writes, intake
from batcher.ledger.connection import reader
from batcher.ledger.journal import Journal, JournalEntry, discontinuity, entries, journal_of, retold
from batcher.ledger.ledger import healthy, lock, open_ledger
from batcher.ledger.queries.repair import RepairQueries
from batcher.ledger.queries.tracking import TrackingQueries
from batcher.ledger.schema import is_there, refuse_unreadable, who_may_read


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Documents by state, lines of the journal that fit nowhere, and where a damaged ledger was
    put.
    """

    documents: dict[str, int]
    skipped: int
    set_aside: str | None


def rebuild(ledger: Path, *, batch: str | None) -> Rebuilt:
    """`batch`: None where nobody says; the first run that goes on with it does.

    Raises LedgerError where the ledger is healthy, or where there is no journal to rebuild it
    from.
    """
    with ExitStack() as stack:
        stack.callback(os.close, lock(ledger))
        if falls_short(ledger) and not (is_there(ledger) and healthy(ledger)):
            raise LedgerError(
                f"{journal_of(ledger)}: there is no journal of this ledger to rebuild from; "
                "`batcher rebuild MANIFEST` "
                "asks the service that the manifest names for its listing, `batcher run "
                "--start-over` begins anew, and "
                "pays for everything again"
            )
        made, skipped = begin(ledger, batch=batch)
        return put_in_place(made, ledger, skipped)


def falls_short(ledger: Path) -> bool:
    """Whether more may have been sent than the journal tells: it is lost, or isn't the one of the
    ledger beside it.
    """
    if not is_there(journal_of(ledger)):
        return True
    if not is_there(ledger):
        return False
    refuse_unreadable(ledger)
    try:
        with closing(reader(ledger)) as connection:
            return discontinuity(connection, ledger) is not None
    except sqlite3.DatabaseError:
        return False
    except PermissionError as error:
        journal = journal_of(ledger)
        raise LedgerError(f"{journal}: {error.strerror}; {who_may_read(journal)}") from error


def begin(ledger: Path, *, batch: str | None) -> tuple[Path, int]:
    """A new ledger beside it with what the journal tells, if there is one, and how many lines of
    that fit nowhere.

    Where that falls short, with what the ledger itself remembers as well.

    Raises LedgerError where there is nothing to rebuild.
    """
    if ledger.exists() and healthy(ledger):
        raise LedgerError(f"{ledger}: it is whole; there is nothing to rebuild")
    made = ledger.with_suffix(".rebuilding.db")
    for path in (*_parts(made), journal_of(made)):
        path.unlink(missing_ok=True)
    open_ledger(made, batch=batch, clock=SteadyClock(), inline=True).close()
    return made, _replay(made, _told(ledger))


def _told(ledger: Path) -> Iterator[JournalEntry]:
    """By the journal; before that, where it falls short, by the ledger, which may have numbered
    documents apart.
    """
    known = set[str]()
    if falls_short(ledger) and ledger.exists():
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


def put_in_place(made: Path, ledger: Path, skipped: int) -> Rebuilt:
    documents = _folded(made)
    aside = _set_aside(ledger)
    # In this order: whatever stops us in between, there is a journal from which it can be done
    # again.
    journal_of(made).replace(journal_of(ledger))
    made.replace(ledger)
    return Rebuilt(documents, skipped, aside)


def _replay(made: Path, told: Iterable[JournalEntry]) -> int:
    """How many lines fit nowhere. The new ledger's own journal tells the same with its ids."""
    with (
        closing(sqlite3.connect(made, isolation_level=None)) as connection,
        closing(Journal(journal_of(made))) as own,
    ):
        connection.execute("BEGIN IMMEDIATE")
        skipped = Replay(connection, own).all(told)
        own.sync(connection)
        connection.execute("COMMIT")
        return skipped


def _folded(made: Path) -> dict[str, int]:
    """Documents by state, and all of it in one file."""
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        documents = RepairQueries(connection).current_by_state()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return documents


def _set_aside(ledger: Path) -> str | None:
    """The damaged one is kept: somebody may still read something in it."""
    if not ledger.exists():
        return None
    number = next(n for n in range(1, 10_000) if not Path(f"{ledger}.damaged-{n}").exists())
    damaged = Path(f"{ledger}.damaged-{number}")
    for part, kept in zip(_parts(ledger), _parts(damaged), strict=True):
        if part.exists():
            part.replace(kept)
    return str(damaged)


def _parts(ledger: Path) -> list[Path]:
    return [Path(f"{ledger}{part}") for part in ("", "-wal", "-shm")]


class Replay:
    """Events of a lost ledger, told to a new one in their order."""

    def __init__(self, connection: sqlite3.Connection, journal: Journal) -> None:
        self._connection = connection
        self._journal = journal
        self._numbers: dict[
            int, int
        ] = {}  # what the lost ledger called a document, and what this one does

    def all(self, happened: Iterable[JournalEntry]) -> int:
        """How many of them made no sense here."""
        return sum(not self._take_in(entry) for entry in happened)

    def _take_in(self, entry: JournalEntry) -> bool:
        old = entry.values["document"]
        try:
            if entry.facts:
                self._numbers[old] = self._document(entry.facts, entry.at)
                self._bring_to_upload(self._numbers[old], entry)
            elif old not in self._numbers:
                return False
            event = entry.happened(self._numbers[old])
            event_writes.apply(self._connection, event, entry.at)
            self._journal.note(self._connection, event, entry.at)
        except (Impossible, AttemptOpen, TypeError):
            return False
        return True

    def _document(self, facts: dict[str, Any], at: float) -> int:
        """The document with these facts: the known one, or a new version of its source."""
        asked = RepairQueries(self._connection)
        row = asked.current_version(facts["source"], facts["job"], facts["folder"])
        if row is not None and row[1:] == (facts["content"], facts["step"]):
            return row[0]
        values = {name: value for name, value in facts.items() if name != "file_id"}
        intake.admit(self._connection, [intake.Version(**values, replaces=row and row[0])], at)
        return asked.last_document()

    def _bring_to_upload(self, document: int, entry: JournalEntry) -> None:
        """Uploads aren't in the journal: they are free, and their id stands with the submission."""
        state = TrackingQueries(self._connection).state_of(document)
        if state is State.STUCK:
            event_writes.apply(self._connection, events.Lost(document, "sent again"), entry.at)
        if state in VERDICTS | {
            State.SAVED
        }:  # a later step, or a copy: what put it back isn't in the journal
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
