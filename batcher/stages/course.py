"""How a run is stopped before its end, and why. Every stage may ask, and every stage may say so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from batcher.core.policy import CONFIGURATION_ERRORS_IN_A_ROW, Kind
from batcher.core.secrets import Secrets


@dataclass(slots=True)
class Course:
    """`stopped` ends new submissions; what is in flight is still brought home unless `at_once`."""

    exit_code: int = 0
    reason: str = ""
    at_once: bool = False
    home: bool = False  # what is out is waited for, however long it takes
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    tell: Callable[[str], None] = lambda words: None  # shows a warning to whoever watches the run
    trace: Callable[[str], None] = lambda text: None  # keeps what whoever mends batcher wants to know
    ask: Callable[[str], Awaitable[bool]] | None = None  # asks whoever watches the run; None: nobody does
    refused: str = ""  # what nobody agreed to, while the rest went on
    warnings: list[str] = field(default_factory=list)
    secrets: Secrets = field(default_factory=Secrets)  # nothing of them is told
    _in_a_row: int = 0

    def stop(self, reason: str, exit_code: int, *, at_once: bool = False, home: bool = False) -> None:
        """The first reason stands, unless it was none; a later one may only make it more urgent."""
        already = self.stopped.is_set()
        if not already or self.exit_code == 0:
            self.reason, self.exit_code = self.secrets.cut(reason), exit_code
        self.home = home and (self.home or not already)
        self.at_once = self.at_once or at_once
        self.stopped.set()

    def warn(self, words: str) -> None:
        """Something that nobody has to act on at once, and that somebody will want to know."""
        words = self.secrets.cut(words)
        self.warnings.append(words)
        self.tell(words)

    def finished(self) -> None:
        """Nothing was left to do after all."""
        self.reason, self.exit_code = "", 0

    def count(self, kind: str | None) -> None:
        """Take in the class of an outcome: errors of configuration in a row would burn the whole batch the same way."""
        self._in_a_row = self._in_a_row + 1 if kind == Kind.CONFIGURATION else 0
        if self._in_a_row >= CONFIGURATION_ERRORS_IN_A_ROW:
            self.stop(f"{self._in_a_row} documents in a row were refused for their configuration", 2)
