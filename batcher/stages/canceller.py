"""Asks the service to cancel jobs: all in flight, some, or those that somebody wants sent again.

The fetcher then finds out from the job itself what became of it.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from batcher.adapters.rate_limits import RateLimits
from batcher.errors import BadReply, Busy, Refused, ServiceError
from batcher.ledger.ledger import Ledger
from batcher.reducto.client import Api
from batcher.stages.job_tracker import JobTracker

# of one job, when answered by a server error; after that its own status decides
TRIES: Final = 10


class Recall:
    """The cancelling that every run does: of jobs whose documents are to be sent again."""

    def __init__(self, canceller: Canceller) -> None:
        self._canceller = canceller

    async def run(self) -> None:
        """Cancel those jobs, and return once each was requested."""
        await self._canceller.recall()

    def outstanding(self) -> int:
        """Return how many of those jobs must still be cancelled."""
        return len(self._canceller.recalled())


class Canceller:
    """Cancels jobs: those of the documents `only`, or of all if that is None."""

    def __init__(
        self,
        ledger: Ledger,
        client: Api,
        rate_limits: RateLimits,
        jobs: JobTracker,
        *,
        only: frozenset[int] | None = None,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._rate_limits = rate_limits
        self._jobs = jobs
        self._only = only
        self._asked: set[int] = set()
        self._failures: Counter[int] = Counter()

    async def run(self) -> None:
        """Cancel jobs for as long as the run lasts, including those that are adopted later."""
        await self._jobs.caught_up.wait()
        while True:
            for document in self._chosen():
                await self._cancel(document)
            await self._ledger.change(within=1.0)

    def outstanding(self) -> int:
        """Return how many jobs in flight must still be cancelled."""
        return len(self._chosen())

    async def recall(self) -> None:
        """Cancel the jobs that somebody wants sent again; return once each was requested."""
        await self._jobs.caught_up.wait()
        while recalled := self.recalled():
            for document in recalled:
                await self._cancel(document)

    def recalled(self) -> list[int]:
        """Return the documents whose jobs somebody wants cancelled, if not requested yet."""
        return [document for document in self._left() if self._is_recalled(document)]

    def _chosen(self) -> list[int]:
        if self._only is None:
            return self._left()
        return [document for document in self._left() if document in self._only]

    def _left(self) -> list[int]:
        return [document for document in self._jobs.documents() if document not in self._asked]

    def _is_recalled(self, document: int) -> bool:
        watched = self._jobs.get(document)
        return watched is not None and watched.flight.recalled

    async def _cancel(self, document: int) -> None:
        watched = self._jobs.get(document)
        if watched is None:
            return
        # not the rate limiter of submissions, which need not wait for this
        await self._rate_limits.clean.acquire()
        try:
            await self._client.cancel(watched.flight.job_id)
        except ServiceError as error:
            if isinstance(error, Busy) or not isinstance(error, Refused):
                self._rate_limits.clean.hold(error)
                self._failures[document] += isinstance(error, BadReply)
                if self._failures[document] < TRIES:
                    return  # requested again in the next round
        self._asked.add(document)
        watched.flight = watched.flight._replace(recalled_at=self._ledger.clock())
        if self._jobs.get(document) is not None:
            self._jobs.fetch(document)
