"""The ledger for other programs: its rows as typed values, also while a run writes them.

It can change nothing.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import msgspec

from batcher.core.lifecycle import State
from batcher.core.summary import FailureGroup
from batcher.errors import LedgerError
from batcher.ledger.queries.reporting import ReportingQueries
from batcher.ledger.queries.rows import StateCount
from batcher.ledger.queries.tracking import TrackingQueries
from batcher.ledger.schema import readable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a source in one step.

    `size` is in bytes; `output` is the path of its result, now or later, in the output directory.
    `current` is False for a version that a newer one stands in for. `not_served` says what the
    local service left out of its result, a sentence on each line.
    """

    id: int
    source: str
    job: str
    state: State
    current: bool
    size: int
    output: str
    output_sha256: str | None
    reason: str | None
    kind: str | None
    not_served: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submission of a document to the service.

    The fields that end in `_at` are in seconds since the epoch; `credits` is what the service
    billed, None until it says so, and `cost` what we estimated before, in credits.
    """

    document: int
    number: int
    outcome: str
    why: str | None
    service: str
    job_id: str | None
    sent_at: float
    accepted_at: float | None
    deadline_at: float | None
    ended_at: float | None
    pages: int | None
    credits: float | None
    cost: float


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event in the life of a document.

    `at` is in seconds since the epoch, `state` what the document came to, `detail` the facts of
    the event itself. `seq` counts the events of the whole batch.
    """

    seq: int
    at: float
    document: int
    event: str
    state: State
    detail: dict[str, Any] | str | None


@dataclass(frozen=True, slots=True)
class Cost:
    """An attempt that was paid, or may be; or a second job that an audit found.

    `credits` is what the service billed, None until it says so; `estimated_credits` is our own
    estimate. `outcome` is `twin` for a second job, which has no `attempt` number. `sent_at` is in
    UTC, as `2026-01-31 12:00:00`; for a second job it is when it was found.
    """

    source: str
    job: str
    attempt: int | None
    outcome: str
    job_id: str | None
    pages: int | None
    credits: float | None
    estimated_credits: float
    sent_at: str


class LedgerReader:
    """The record of a batch, read while it runs or afterwards. It can change nothing.

    Open it with `Ledger.open(path)`, and close it, or use it as a context manager:

        with Ledger.open("results/quickstart") as ledger:
            for document in ledger.documents(State.FAILED):
                print(document.source, document.reason)

    Each call shows the ledger as it is at that moment, while a run may go on writing. Every method
    raises sqlite3.Error if the file can't be read then.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take over a connection that can only read; `open` makes one."""
        self._connection = connection
        self._reporting = ReportingQueries(connection)

    @classmethod
    def open(cls, path: str | PathLike[str], *, read_only: Literal[True] = True) -> Self:
        """Open the ledger of an output directory, or the ledger file itself.

        Raises LedgerError if there is none, if it can't be read, or if another version of batcher
        wrote it; its subclasses say which. `read_only` must be True: only a run writes a ledger.
        """
        if not read_only:
            raise LedgerError("only a run writes a ledger; open it with read_only=True")
        place = Path(path)
        file = place / ".batcher" / "ledger.db" if place.is_dir() else place
        return cls(readable(file))

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file, whether the block ended well or not."""
        self.close()

    def close(self) -> None:
        """Close the file. Nothing can be asked afterwards."""
        self._connection.close()

    def documents(
        self, state: State | str | None = None, *, older: bool = False
    ) -> Iterator[Document]:
        """Yield the documents in `state`, or all of them, by source.

        With `older`, versions that newer ones stand in for are included. Raises ValueError if
        there is no such state.
        """
        where = "(? IS NULL OR state = ?) AND (current = 1 OR ?)"
        value = None if state is None else str(State(state))
        return self._rows(
            Document, f"documents WHERE {where} ORDER BY source, job, id", value, value, older
        )

    def attempts(self, document: int | None = None) -> Iterator[Attempt]:
        """Yield the attempts of one document (its `id`), or of all, in the order they were made."""
        return self._rows(
            Attempt,
            "attempts WHERE (? IS NULL OR document = ?) ORDER BY sent_at",
            document,
            document,
        )

    def events(self, document: int | None = None, *, after: int = 0) -> Iterator[Occurrence]:
        """Yield the events of one document (its `id`), or of all, in the order they happened.

        Only those with a `seq` over `after`: pass the last one you have seen, and you miss none.
        """
        where = "(? IS NULL OR document = ?) AND seq > ?"
        return self._rows(
            Occurrence, f"events WHERE {where} ORDER BY seq", document, document, after
        )

    def counts(self) -> Counter[State]:
        """Return the number of documents in each state, older versions included."""
        return TrackingQueries(self._connection).counts()

    def progress(self) -> list[StateCount]:
        """Return `(state, documents, bytes)` of the current documents, most documents first."""
        return self._reporting.progress()

    def failures(self) -> list[FailureGroup]:
        """Return the documents without a result in groups of one reason, largest group first.

        Each group has `state`, `kind`, `reason`, the number of `documents`, and one source as an
        `example`; `waits` is how many of them the next run tries again by itself.
        """
        return self._reporting.failures()

    def costs(self) -> Iterator[Cost]:
        """Yield a row for each attempt that was or may be paid, in the order they were sent."""
        return self._rows(Cost, "costs ORDER BY sent_at, source")

    def _rows(self, kind: type[T], rest: str, *values: object) -> Iterator[T]:
        names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        for row in self._connection.execute(f"SELECT {', '.join(names)} FROM {rest}", values):
            yield kind(**{name: _read(name, value) for name, value in zip(names, row, strict=True)})


def _read(name: str, value: Any) -> Any:
    match name:
        case "state":
            return State(value)
        case "current":
            return bool(value)
        case "detail" if value is not None and value[:1] == "{":
            return msgspec.json.decode(value)
        case _:
            return value
