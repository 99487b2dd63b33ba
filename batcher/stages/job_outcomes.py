"""Records how a job ended, or has it asked for again later, after a request for it.

What an answer means is decided by `core.inflight`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from batcher.core import events
from batcher.core.inflight import is_wanted_anew
from batcher.core.reasons import unnamed
from batcher.core.retry_policy import Backoff
from batcher.stages.context import StageContext
from batcher.stages.job_tracker import Watched


class JobOutcomes:
    def __init__(self, context: StageContext, backoff: Backoff) -> None:
        self._ledger = context.ledger
        self._control = context.control
        self._jobs = context.jobs
        self._rng = context.rng
        self._backoff = backoff

    async def settle(self, event: events.Event, *after: events.Event) -> None:
        """Record the end of a job, with what follows from it, and ask for it no more."""
        watched = self._jobs.forget(event.document)
        told = unnamed(event, watched.flight.job_id)
        await self._ledger.record(told, *after)
        kind = getattr(event, "kind", None)
        self._control.count(kind)

    async def settle_as_wanted(self, watched: Watched, event: events.Event) -> None:
        """Record the end of a job, with what somebody requested while it was in flight."""
        after = self._afterwards(watched, event)
        await self.settle(event, *after)

    def ask_later(self, watched: Watched, *, within: float = math.inf) -> None:
        """Count a failure, and ask for the job again after a back-off of at most `within`."""
        watched.failures += 1
        watched.failed_at = asyncio.get_running_loop().time()
        span = self._backoff.span(watched.failures, self._rng)
        document = watched.flight.document
        self._jobs.look_in(document, min(span, within))

    def _afterwards(self, watched: Watched, event: events.Event) -> Sequence[events.Event]:
        """Return what somebody requested earlier, to be recorded with the end it waited for."""
        if not is_wanted_anew(watched.flight, event):
            return ()
        document = event.document
        upstream = self._ledger.sending.upstream_of(document)
        if upstream is None:
            return (events.Retried(document),)
        return (events.Follows(document),)
