"""Shows a run's progress: a tqdm bar on a terminal, or a line from time to time elsewhere.

It only reads the ledger's tally.
"""

from __future__ import annotations

import sys
import time
from typing import Final, NoReturn, TextIO

from tqdm import tqdm

from batcher.core.lifecycle import IN_FLIGHT, OPEN, VERDICTS, State
from batcher.ledger.ledger import Ledger, Transition

NOW_AND_THEN: Final = 30.0  # seconds between two lines if there is no terminal
AT_ONCE: Final = 0.2  # seconds between two redraws of the bar while no document is done


def say(words: str) -> None:
    """Write a line to stderr, above the bar if there is one."""
    tqdm.write(words, file=sys.stderr)


class Progress:
    """Shows the progress of `ledger` from now on; `close` removes the bar."""

    def __init__(self, ledger: Ledger, *, stream: TextIO = sys.stderr) -> None:
        self._ledger = ledger
        self._stream = stream
        self._bar = (
            tqdm(unit="doc", file=stream, dynamic_ncols=True, leave=False)
            if stream.isatty()
            else None
        )
        self._said_at = time.monotonic()
        if self._bar is not None:
            self._bar.initial = self._bar.n = self._done()
        ledger.listeners.append(self._hear)

    def close(self) -> None:
        self._ledger.listeners.remove(self._hear)
        if self._bar is not None:
            self._bar.close()

    def _hear(self, change: Transition) -> None:
        if self._bar is None:
            self._say_now_and_then()
        elif change.before in OPEN and change.after not in OPEN:
            self._set(self._bar)
            self._bar.update()
        elif time.monotonic() - self._said_at > AT_ONCE:
            self._said_at = time.monotonic()
            self._set(self._bar)
            self._bar.refresh()

    def _set(self, bar: tqdm[NoReturn]) -> None:
        bar.total = self._done() + self._ledger.open_documents
        bar.set_postfix_str(self._words(), refresh=False)

    def _say_now_and_then(self) -> None:
        if time.monotonic() - self._said_at < NOW_AND_THEN:
            return
        self._said_at = time.monotonic()
        known = self._done() + self._ledger.open_documents
        self._stream.write(f"batcher: {self._done()} of {known} documents done, {self._words()}\n")
        self._stream.flush()

    def _done(self) -> int:
        tally = self._ledger.tally
        return tally[State.SAVED] + sum(tally[state] for state in VERDICTS)

    def _words(self) -> str:
        tally = self._ledger.tally
        failed = sum(tally[state] for state in VERDICTS)
        in_flight = sum(tally[state] for state in IN_FLIGHT)
        return f"{in_flight} in flight, {failed} failed" + (
            f", {unknown} unknown" if (unknown := tally[State.UNKNOWN]) else ""
        )
