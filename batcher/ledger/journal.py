"""A second memory of what was paid for: a line of JSON for each step of an attempt, synced before its commit.

`batcher rebuild` makes a lost or damaged ledger anew from it. It is only ever appended to. A line whose commit failed
after all does no harm: it stands for an attempt of unknown fate, which is looked for before anything is sent.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from batcher.core import events as e

KEPT: Final = (
    *(e.Sending, e.Accepted, e.RefusedForNow, e.Rejected, e.ReplyLost, e.Fenced, e.Adopted, e.ProvenAbsent),
    *(e.GivenUp, e.Held, e.Ended, e.Saved, e.JobFailed, e.JobToRepeat, e.JobVoided, e.Expired, e.Lost, e.Stuck),
    *(e.Cancelled, e.Retried, e.TakenUp, e.Recalled, e.FileMissed, e.Cleaned),
)
KINDS: Final = {kind.__name__: kind for kind in KEPT}
FACTS: Final = ("source", "folder", "job", "step", "content", "size", "mtime_ns", "inode", "output", "file_id")
RARE: Final = ("upstream", "options", "metadata", "place")  # only where there are any
_FACTS: Final = (
    f"SELECT {', '.join(FACTS)}, (SELECT u.job FROM documents u WHERE u.id = documents.upstream), options, metadata,"
    " place"
    " FROM documents WHERE id = ?"
)


class Entry(msgspec.Struct, omit_defaults=True):
    """One event as it was, and with a submission the `facts` of its document."""

    at: float
    event: str
    values: dict[str, Any]
    facts: dict[str, Any] = {}

    def happened(self, document: int) -> e.Event:
        """The event, of a document that has another number by now."""
        event: e.Event = KINDS[self.event](**{**self.values, "document": document})
        return event


class Journal:
    """`note` within a transaction, `sync` before its commit, `begin` before each."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lines: list[bytes] = []
        self._end_torn_line(path)

    def begin(self) -> None:
        self._lines.clear()

    def note(self, connection: sqlite3.Connection, event: e.Event, at: float) -> None:
        if not isinstance(event, KEPT):
            return
        entry: dict[str, Any] = {"at": at, "event": type(event).__name__, "values": event}
        if isinstance(event, e.Sending):
            row = connection.execute(_FACTS, (event.document,)).fetchone()
            facts = zip((*FACTS, *RARE), row, strict=True)
            entry["facts"] = {name: value for name, value in facts if name in FACTS or value}
        self._lines.append(msgspec.json.encode(entry) + b"\n")  # an `Entry`, without a copy of each event made first

    def sync(self) -> None:
        """What was noted is durable when this returns. Raises OSError."""
        if not self._lines:
            return
        rest = memoryview(b"".join(self._lines))
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        os.fsync(self._fd)

    def close(self) -> None:
        os.close(self._fd)

    def _end_torn_line(self, path: Path) -> None:
        """What a crash cut off must not swallow the line after it."""
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
                os.write(self._fd, b"\n")


def journal_of(ledger: Path) -> Path:
    return ledger.with_suffix(".journal.jsonl")


def set_aside(ledger: Path) -> None:
    """Its ledger is begun anew, without what it tells."""
    journal = journal_of(ledger)
    if journal.exists():
        number = next(n for n in range(1, 10_000) if not ledger.with_suffix(f".journal-{n}.jsonl").exists())
        journal.replace(ledger.with_suffix(f".journal-{number}.jsonl"))


def entries(path: Path, *, tail: int | None = None) -> Iterator[Entry]:
    """Every line that is whole, in order; with `tail`, of the last so many bytes."""
    decoder = msgspec.json.Decoder(Entry)
    with path.open("rb") as file:
        if tail is not None and file.seek(0, os.SEEK_END) > tail:
            file.seek(-tail, os.SEEK_END)
            file.readline()  # cut off at its beginning
        elif tail is not None:
            file.seek(0)
        for line in file:
            try:
                entry = decoder.decode(line)
            except msgspec.MsgspecError:
                continue  # torn by a crash or a power cut
            if entry.event in KINDS:
                yield entry
