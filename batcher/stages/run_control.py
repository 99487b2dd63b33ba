"""How a run is stopped before its end, and why. Every stage may ask, and every stage may say so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from batcher.common.secrets import Secrets
from batcher.exit_codes import ExitCode, RunEnd, heavier
from batcher.reducto.error_rules import CONFIGURATION_ERRORS_IN_A_ROW, ErrorClass

# Seconds that the last duties of a run that was told to stop may take: somebody waits for its end.
PATIENCE_WHEN_STOPPED: Final = 3.0


@dataclass(slots=True)
class RunControl:
    """`stopped` ends new submissions; what is in flight is still brought home unless `abort`."""

    exit_code: ExitCode = ExitCode.SUCCESS
    reason: str = ""
    abort: bool = False
    home: bool = False  # what is out is waited for, however long it takes
    how: RunEnd = RunEnd.FINISHED  # what stopped it
    strict: bool = False  # whether a document that isn't saved is minded, whichever run left it so
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    tell: Callable[[str], None] = lambda words: None  # shows a warning to whoever watches the run
    # keeps what whoever mends batcher wants to know
    trace: Callable[[str], None] = lambda text: None
    # asks whoever watches the run; None: nobody does
    ask: Callable[[str], Awaitable[bool]] | None = None
    refused: str = ""  # what nobody agreed to, while the rest went on
    warnings: list[str] = field(default_factory=list)
    secrets: Secrets = field(default_factory=Secrets)  # nothing of them is told
    _told: set[str] = field(default_factory=set)
    _in_a_row: int = 0

    def stop(
        self,
        reason: str,
        exit_code: ExitCode,
        *,
        abort: bool = False,
        home: bool = False,
        how: RunEnd = RunEnd.FAILED,
    ) -> None:
        """The first reason stands, unless it was none; a later one may only make it more urgent."""
        already = self.stopped.is_set()
        if not already or self.exit_code == ExitCode.SUCCESS:
            self.reason = self.secrets.cut(reason)
            self.exit_code = exit_code
        self.how = heavier(self.how, how)
        self.home = home and (self.home or not already)
        self.abort = self.abort or abort
        self.stopped.set()

    def reach(self, limit: str) -> None:
        """A limit of the manifest's, in words: nothing more is sent, and what is out comes home."""
        self.stop(limit, ExitCode.RUN_AGAIN, home=True, how=RunEnd.LIMIT)

    def warn(self, words: str) -> None:
        """Something that nobody has to act on at once, and that somebody will want to know."""
        words = self.secrets.cut(words)
        self.warnings.append(words)
        self.tell(words)

    def warn_of_wait(self, what: str, until: datetime, why: str) -> None:
        """Each wait is told as it begins; for the morning the first of each kind is enough."""
        words = f"{what} until {until:%H:%M:%S}: {why}"
        if what in self._told:
            self.tell(self.secrets.cut(words))
            return
        self._told.add(what)
        self.warn(words)

    def finished(self) -> None:
        """Nothing was left to do after all."""
        self.reason = ""
        self.exit_code = ExitCode.SUCCESS
        self.how = RunEnd.FINISHED

    def count(self, kind: str | None) -> None:
        """Take in the class of an outcome: errors of configuration in a row would burn the whole
        batch the same way.
        """
        self._in_a_row = self._in_a_row + 1 if kind == ErrorClass.CONFIGURATION else 0
        if self._in_a_row >= CONFIGURATION_ERRORS_IN_A_ROW:
            self.stop(
                f"{self._in_a_row} documents in a row were refused for their configuration",
                ExitCode.USAGE,
            )
