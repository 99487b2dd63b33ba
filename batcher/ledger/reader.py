"""The ledger for other programs: its rows as typed values, also while a run writes them.

It can change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import msgspec

from batcher.core.lifecycle import State
from batcher.errors import LedgerError
from batcher.ledger.queries import Queries
from batcher.ledger.schema import readable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a source in one step.

    `output` is where its result is, or will be, in the output directory.
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


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submission.

    Moments in seconds since the epoch; `credits` as billed, `cost` as estimated before.
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
    """A line of a document's story; `detail` holds the event's own facts."""

    seq: int
    at: float
    document: int
    event: str
    state: State
    detail: dict[str, Any] | str | None


class LedgerReader(Queries):
    """Use as a context manager, or `close` it.

    Each method is one query, and shows one state of the ledger.
    """

    @classmethod
    def open(cls, path: str | PathLike[str], *, read_only: Literal[True] = True) -> Self:
        """The ledger of an output directory, or the file itself; only a run may write one.

        Raises LedgerError.
        """
        if not read_only:
            raise LedgerError("only a run writes a ledger; open it with read_only=True")
        place = Path(path)
        file = place / ".batcher" / "ledger.db" if place.is_dir() else place
        return cls(readable(file))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.reader.close()

    def documents(
        self, state: State | str | None = None, *, older: bool = False
    ) -> Iterator[Document]:
        """Those in `state`, or all, by source; with `older` also versions that newer ones stand in
        for.
        """
        where = "(? IS NULL OR state = ?) AND (current = 1 OR ?)"
        value = None if state is None else str(State(state))
        return self._rows(
            Document, f"documents WHERE {where} ORDER BY source, job, id", value, value, older
        )

    def attempts(self, document: int | None = None) -> Iterator[Attempt]:
        """Of one document, or all, in the order they were made."""
        return self._rows(
            Attempt,
            "attempts WHERE (? IS NULL OR document = ?) ORDER BY sent_at",
            document,
            document,
        )

    def events(self, document: int | None = None, *, after: int = 0) -> Iterator[Occurrence]:
        """Of one document, or all, from after number `after` on: whoever remembers the last one
        misses none.
        """
        where = "(? IS NULL OR document = ?) AND seq > ?"
        return self._rows(
            Occurrence, f"events WHERE {where} ORDER BY seq", document, document, after
        )

    def _rows(self, kind: type[T], rest: str, *values: object) -> Iterator[T]:
        names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        for row in self.reader.execute(f"SELECT {', '.join(names)} FROM {rest}", values):
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
