"""How and why a run is stopped before its end. Any stage may ask for it or check it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from batcher.cluster.messages import Standing
from batcher.common.formatting import pluralize
from batcher.common.secrets import Secrets
from batcher.common.signals import Signal
from batcher.exit_codes import ExitCode, RunEnd, heavier
from batcher.reducto.error_rules import CONFIGURATION_ERRORS_IN_A_ROW, ErrorClass

if TYPE_CHECKING:
    from batcher.reducto.calls import Observer
    from batcher.stages.outlook import Outlook

# Seconds that a stopped run may spend on its last duties: somebody waits for its end.
PATIENCE_WHEN_STOPPED: Final = 3.0


@dataclass(slots=True)
class RunControl:
    """Whether, how and why a run stops, and how it reaches the people who watch it.

    `stopped` ends new submissions; results of jobs in flight are still fetched unless `abort` is
    set.
    """

    exit_code: ExitCode = ExitCode.SUCCESS
    reason: str = ""
    abort: bool = False
    home: bool = False  # jobs in flight are waited for, however long they take
    how: RunEnd = RunEnd.FINISHED  # what ended the run
    strict: bool = False  # whether unsaved documents count as a failure, also those of earlier runs
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    asked: Signal = field(default_factory=Signal)  # given each time somebody asks for the end
    tell: Callable[[str], None] = lambda words: None  # shows a warning to those who watch the run
    # keeps traces for developers
    trace: Callable[[str], None] = lambda text: None
    # asks those who watch the run; None if nobody does
    ask: Callable[[str], Awaitable[bool]] | None = None
    # called for each request to the service; None if nobody wants to know
    observe: Observer | None = None
    outlook: Outlook | None = None  # what the run expects, once it has begun
    refused: str = ""  # what nobody agreed to, while the rest of the run continued
    warnings: list[str] = field(default_factory=list)
    cluster: Standing | None = None  # how the cluster of the run is, if it has one
    secrets: Secrets = field(default_factory=Secrets)  # cut out of every message
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
        """Stop the run.

        The first reason stands unless its exit code was a success; later calls may only make it
        more urgent.
        """
        already = self.stopped.is_set()
        if not already or self.exit_code == ExitCode.SUCCESS:
            self.reason = self.secrets.cut(reason)
            self.exit_code = exit_code
        self.how = heavier(self.how, how)
        self.home = home and (self.home or not already)
        self.abort = self.abort or abort
        self.stopped.set()
        self.asked.give()

    async def until_aborted(self) -> None:
        """Return once results of jobs in flight aren't to be fetched any more."""
        while not self.abort:
            await self.asked.wait()

    async def until_impatient(self) -> None:
        """Return once jobs in flight aren't to be waited for any more."""
        while self.home and not self.abort:
            await self.asked.wait()

    def cluster_became(self, standing: Standing) -> None:
        """Note how the cluster is, and report hands that were lost, or can't be used."""
        before = self.cluster or Standing()
        self.cluster = standing
        lost = standing.lost_hands - before.lost_hands
        if lost > 0:
            self.tell(
                f"the cluster has lost {pluralize(lost, 'hand')}, and has {standing.hands} now; "
                "what they were at is done again"
            )
        for words in standing.refused:
            if words not in before.refused:
                self.warn(words)

    def reach(self, limit: str) -> None:
        """Stop submitting because of a limit of the manifest; jobs in flight are still fetched."""
        self.stop(limit, ExitCode.RUN_AGAIN, home=True, how=RunEnd.LIMIT)

    def warn(self, words: str) -> None:
        """Report something that needs no action at once but that somebody will want to know."""
        words = self.secrets.cut(words)
        self.warnings.append(words)
        self.tell(words)

    def warn_once(self, what: str, why: str) -> None:
        """Report something that may happen to many documents, with the reason of the first."""
        if what not in self._told:
            self._told.add(what)
            self.warn(f"{what}: {why}")

    def warn_of_wait(self, what: str, until: datetime, why: str) -> None:
        """Report a wait as it begins; only the first of each kind is kept for the run's summary."""
        words = f"{what} until {until:%H:%M:%S}: {why}"
        if what in self._told:
            self.tell(self.secrets.cut(words))
            return
        self._told.add(what)
        self.warn(words)

    def finished(self) -> None:
        """Note that nothing was left to do after all."""
        self.reason = ""
        self.exit_code = ExitCode.SUCCESS
        self.how = RunEnd.FINISHED

    def count(self, kind: str | None) -> None:
        """Count the class of an outcome, to stop the run after configuration errors in a row.

        They would make the whole batch fail in the same way.
        """
        self._in_a_row = self._in_a_row + 1 if kind == ErrorClass.CONFIGURATION else 0
        if self._in_a_row >= CONFIGURATION_ERRORS_IN_A_ROW:
            self.stop(
                f"{self._in_a_row} documents in a row were refused for their configuration",
                ExitCode.USAGE,
            )
