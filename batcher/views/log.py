"""Writes a run as lines of JSON, one per committed change, for systems that collect logs.

It only reads the ledger.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from batcher.ledger.ledger import Ledger, Transition


class LineStream(Protocol):
    """What lines are written to, such as a text stream."""

    def write(self, text: str, /) -> Any: ...

    def flush(self) -> Any: ...


class Log:
    """Follows `ledger` from now on, until `close`."""

    def __init__(self, ledger: Ledger, *, stream: LineStream = sys.stderr) -> None:
        self._ledger = ledger
        self._stream = stream
        ledger.listeners.append(self._hear)

    def close(self) -> None:
        self._ledger.listeners.remove(self._hear)

    def _hear(self, change: Transition) -> None:
        told = {
            "source": self._ledger.tracking.source_of(change.event.document),
            "from": change.before,
            "state": change.after,
        }
        write_line(
            self._stream,
            type(change.event).__name__,
            {**told, **msgspec.structs.asdict(change.event)},
        )


def write_line(stream: LineStream, event: str, values: Mapping[str, Any]) -> None:
    """Write one line; `at` is in UTC. Nonces and fingerprints of keys stay in the ledger."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    told = {name: value for name, value in values.items() if name not in ("nonce", "key_print")}
    stream.write(msgspec.json.encode({"at": at, "event": event, **told}).decode() + "\n")
    stream.flush()
