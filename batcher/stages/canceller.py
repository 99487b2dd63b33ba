"""Asks the service to cancel jobs: every one that is out, or those that a person wants sent again.

What becomes of each, the fetcher hears from the job itself.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from batcher.adapters.rate_limits import RateLimits
from batcher.errors import BadReply, Busy, Refused, ServiceError
from batcher.ledger.ledger import Ledger
from batcher.reducto.client import Api
from batcher.stages.job_tracker import JobTracker

# of one job that are answered by a server error; then what the job itself says has to do
TRIES: Final = 10


class Recall:
    """The part of cancelling that every run does: what a person wants cancelled before it is sent
    again.
    """

    def __init__(self, canceller: Canceller) -> None:
        self._canceller = canceller

    async def run(self) -> None:
        """Return when all of them have been asked for."""
        await self._canceller.recall()

    def outstanding(self) -> int:
        """Jobs that were not asked to be cancelled yet."""
        return len(self._canceller.recalled())


class Canceller:
    def __init__(
        self, ledger: Ledger, client: Api, rate_limits: RateLimits, jobs: JobTracker
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._rate_limits = rate_limits
        self._jobs = jobs
        self._asked: set[int] = set()
        self._failures: Counter[int] = Counter()

    async def run(self) -> None:
        """For as long as the run lasts: jobs that are adopted later are cancelled too."""
        await self._jobs.caught_up.wait()
        while True:
            for document in self._left():
                await self._cancel(document)
            await self._ledger.change(within=1.0)

    def outstanding(self) -> int:
        """Jobs that are out and were not asked to be cancelled yet."""
        return len(self._left())

    async def recall(self) -> None:
        """Returns when all have been asked for that a person wants cancelled before they are sent
        again.
        """
        await self._jobs.caught_up.wait()
        while recalled := self.recalled():
            for document in recalled:
                await self._cancel(document)

    def recalled(self) -> list[int]:
        """The documents whose jobs a person wants cancelled, and that were not asked for yet."""
        return [document for document in self._left() if self._is_recalled(document)]

    def _left(self) -> list[int]:
        return [document for document in self._jobs.documents() if document not in self._asked]

    def _is_recalled(self, document: int) -> bool:
        watched = self._jobs.get(document)
        return watched is not None and watched.flight.recalled

    async def _cancel(self, document: int) -> None:
        watched = self._jobs.get(document)
        if watched is None:
            return
        await (
            self._rate_limits.clean.acquire()
        )  # not the lane of submissions, which need not wait for this
        try:
            await self._client.cancel(watched.flight.job_id)
        except ServiceError as error:
            if isinstance(error, Busy) or not isinstance(error, Refused):
                self._rate_limits.clean.hold(error)
                self._failures[document] += isinstance(error, BadReply)
                if self._failures[document] < TRIES:
                    return  # asked again with the next look around
        self._asked.add(document)
        watched.flight = watched.flight._replace(recalled_at=self._ledger.clock())
        if self._jobs.get(document) is not None:
            self._jobs.fetch(document)
