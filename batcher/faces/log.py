"""A run as lines of JSON, one for each committed change: for machines that collect logs. It only reads.

What nobody foresaw leaves its trace there, or else in a file beside the ledger: on a terminal it would say nothing.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec

from batcher.ledger.ledger import Change, Ledger


class Log:
    """Follow `ledger` from now on, until `close`."""

    def __init__(self, ledger: Ledger, *, stream: TextIO = sys.stderr) -> None:
        self._ledger = ledger
        self._stream = stream
        ledger.listeners.append(self._hear)

    def close(self) -> None:
        self._ledger.listeners.remove(self._hear)

    def _hear(self, change: Change) -> None:
        told = {"source": self._ledger.source_of(change.event.document), "from": change.before, "state": change.after}
        write_line(self._stream, type(change.event).__name__, {**told, **msgspec.structs.asdict(change.event)})


def write_line(stream: TextIO, event: str, values: Mapping[str, Any]) -> None:
    """One line; `at` in UTC. Nonces and fingerprints of keys stay in the ledger."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    told = {name: value for name, value in values.items() if name not in ("nonce", "key_print")}
    stream.write(msgspec.json.encode({"at": at, "event": event, **told}).decode() + "\n")
    stream.flush()


@contextmanager
def traces(path: Path, *, log_json: bool) -> Iterator[None]:
    """What the program's own parts log, while this lasts: as lines of JSON on stderr, or else in a file at `path`."""
    logger, handler = logging.getLogger("batcher"), _Lines() if log_json else _OwnFile(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    handler.setLevel(logging.WARNING)
    passed_on, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = passed_on


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        write_line(sys.stderr, "Logged", {"level": record.levelname.lower(), "words": self.format(record)})


class _OwnFile(logging.Handler):
    """Made when there is something to write, and for its owner alone: a trace may quote what a document says."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "a", encoding="utf-8", errors="replace") as file:
                file.write(self.format(record) + "\n")
        except OSError:
            self.handleError(record)
