"""Stops a run whose service doesn't answer uploads and submissions for too long.

With jobs in flight an outage is waited out, however long it takes: their results are paid for.
"""

from __future__ import annotations

from batcher.errors import Refused, ServiceError, Unreachable
from batcher.exit_codes import ExitCode
from batcher.stages.context import StageContext


class SilenceMonitor:
    """`patience` is for how many seconds the service may be silent."""

    def __init__(self, context: StageContext, patience: float) -> None:
        self._ledger = context.ledger
        self._control = context.control
        self._clock = context.clock
        self._patience = patience
        self._since: float | None = None  # the first failure since the service last answered

    def answered(self) -> None:
        self._since = None

    def failed(self, error: ServiceError) -> None:
        """Take in a call that failed, and stop the run if the silence lasts too long."""
        if isinstance(error, Refused):
            self._since = None  # a refusal is an answer
        if not isinstance(error, Unreachable) or self._ledger.in_flight:
            return
        now = self._clock()
        if self._since is None:
            self._since = now
        silent = now - self._since
        if silent > self._patience:
            words = f"no answer from the service for {silent:.0f} s: {error}"
            self._control.stop(words, ExitCode.SERVICE_FAILED)
