"""Asks for the jobs that are to be fetched, and passes each result to the sink and each verdict to the ledger.

What an answer means is `core.flight`'s. It looks for nothing by itself and writes no file.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

from batcher.core import events
from batcher.core.cost import billed
from batcher.core.flight import LAG, absence, is_wanted_anew, verdict
from batcher.core.headroom import Headroom
from batcher.core.looks import Looks
from batcher.core.manifest import Prices
from batcher.core.policy import Policy
from batcher.core.replies import Head, around, read_head
from batcher.core.results import Buffer
from batcher.core.wire import JobAnswer, JobStatus
from batcher.edges.client import Api
from batcher.edges.pace import Pace
from batcher.edges.store import Streamed
from batcher.errors import BadReply, Gone, NotFound, ServiceError, Unauthorised
from batcher.ledger.ledger import Ledger
from batcher.stages.course import Course
from batcher.stages.sink import Result, Sink
from batcher.stages.watchlist import Watched, Watchlist

WIDTH: Final = 16  # answers at once
AGAIN_AFTER_404: Final = 60.0  # seconds
LOOK_AT_RECALLED: Final = 2.0  # seconds between two looks at a job that is being cancelled


class Fetcher:
    """`deletes`: whether jobs of the batch are deleted at the service once their result is saved."""

    def __init__(
        self,
        ledger: Ledger,
        client: Api,
        pace: Pace,
        course: Course,
        jobs: Watchlist,
        looks: Looks,
        sink: Sink,
        headroom: Headroom,
        prices: Prices,
        *,
        policy: Policy,
        deletes: bool,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._deletes = deletes
        self._ledger = ledger
        self._client = client
        self._pace = pace
        self._course = course
        self._jobs = jobs
        self._looks = looks
        self._sink = sink
        self._headroom = headroom
        self._prices = prices
        self._policy = policy
        self._clock = clock
        self._rng = rng
        self._asking = 0
        self._answered_at = float("-inf")  # when the service last knew a job: what a 404 is held against

    @property
    def busy(self) -> bool:
        """Whether something is still to be fetched, or on its way."""
        return self._jobs.backlog > 0 or self._asking > 0

    async def run(self) -> None:
        """For as long as the run lasts."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WIDTH):
                group.create_task(self._fetch_for_ever())

    async def _fetch_for_ever(self) -> None:
        while True:
            await self._pace.fetch.turn()  # before the choice: after an outage the nearest deadline goes first
            watched = await self._jobs.next_to_fetch()
            self._asking += 1
            try:
                await self._ask(watched)
            finally:
                self._asking -= 1

    async def _ask(self, watched: Watched) -> None:
        try:
            began = _now()
            answer, reserved = await self._client.job(watched.flight.job_id, room=self._sink.room)
        except Unauthorised as error:
            self._course.stop(str(error), 4, at_once=True)
        except (NotFound, Gone) as error:
            self._pace.fetch.answered()
            await self._missing(watched, error)
        except ServiceError as error:
            self._ask_later(watched, error)
        else:
            self._pace.fetch.answered()
            self._answered_at = _now()
            self._headroom.drain.learn(self._answered_at - began)
            watched.misses = 0
            await self._answered(watched, answer, reserved)

    def _ask_later(self, watched: Watched, error: ServiceError) -> None:
        """The lane waits where the service is unwell; this job waits in any case, so that it holds up no other."""
        if not (isinstance(error, BadReply) and error.status == 200):
            self._pace.fetch.hold(error)
        self._jobs.look_in(watched.flight.document, self._policy.backoff.span(watched.failures + 1, self._rng))
        watched.failures += 1

    async def _answered(self, watched: Watched, answer: JobAnswer, reserved: int) -> None:
        if answer.status == JobStatus.COMPLETED and answer.result is not None:
            await self._completed(watched, memoryview(answer.result), reserved)
            return
        self._sink.room.give(reserved)
        event = verdict(watched.flight, answer, policy=self._policy, now=self._clock(), rng=self._rng)
        if event is None:
            self._still_running(watched)
            return
        if answer.ended and answer.status != JobStatus.CANCELLED:
            self._learn(watched, None)
        if answer.error is not None:
            self._headroom.breaker.note(self._policy.rule(answer.error.name).kind, self._clock())
        await self._settle(event, *self._afterwards(watched, event))

    def _still_running(self, watched: Watched) -> None:
        watched.looked(self._looks, done=False)
        watched.asked_at = _now()
        span = self._looks.next_in(watched.age)
        self._jobs.look_in(watched.flight.document, min(span, LOOK_AT_RECALLED) if watched.flight.recalled else span)

    async def _completed(self, watched: Watched, body: Buffer, reserved: int) -> None:
        document = watched.flight.document
        watched.looked(self._looks, done=True)
        self._headroom.breaker.note(None, self._clock())
        streamed: Streamed | None = None
        try:
            head = read_head(body, watched.flight.job_id)
            if head.url is not None:
                self._sink.room.give(reserved)
                reserved = 0
                streamed = await self._stream(watched.flight.output, head, body)
                if streamed is None:
                    return
                body = b""
        except ServiceError as error:
            self._sink.room.give(reserved)
            self._ask_later(watched, error)
            return
        self._learn(watched, head.duration)
        self._jobs.forget(document)
        ended = events.Ended(document, head.pages, billed(head.usage, self._prices), head.duration)
        self._sink.put(Result(ended, watched.flight.output, body, reserved, streamed))

    def _learn(self, watched: Watched, work: float | None) -> None:
        """How fast the service is: one more has ended, between the last look that found it running and now."""
        since = _now() - watched.running_at
        self._headroom.outflow.learn(self._clock(), age=watched.age, since=since, work=work)

    async def _stream(self, output: str, head: Head, body: Buffer) -> Streamed | None:
        """What the result links to, on disk in the link's place. None where the disk refuses; raises ServiceError."""
        part = await self._sink.new_part()
        if part is None:
            return None
        try:
            digest, size = await self._client.download(
                str(head.url), part, around=lambda first: around(body, head, first)
            )
        except OSError as error:
            self._sink.refuse(output, error)
            return None
        except ServiceError:
            await asyncio.to_thread(part.unlink, missing_ok=True)  # the next try begins anew
            raise
        return Streamed(output, part, digest, size)

    async def _missing(self, watched: Watched, error: NotFound | Gone) -> None:
        flight, now = watched.flight, self._clock()
        watched.misses = watched.misses + 1 if now - flight.accepted_at >= LAG else 1  # before that it says nothing
        if watched.misses == 1:
            watched.missed_at = _now()
        others = self._answered_at > watched.missed_at or await self._is_another_known(flight.job_id)
        deleted = isinstance(error, Gone) or (flight.was_saved and self._deletes)
        event = absence(flight, str(error), misses=watched.misses, others_answer=others, deleted=deleted, now=now)
        if event is not None:
            await self._settle(event, *self._afterwards(watched, event))
            return
        lagging = self._looks.next_in(watched.age)
        self._jobs.look_in(flight.document, lagging if watched.misses == 1 else AGAIN_AFTER_404)

    async def _is_another_known(self, job_id: str) -> bool:
        """Whether the service answers for another job of ours that it must know: else it has forgotten them all."""
        other = self._ledger.another_job(job_id, alive_at=self._clock())
        if other is None:
            return False
        try:
            _, reserved = await self._client.job(other, room=self._sink.room)
        except ServiceError:
            return False
        self._sink.room.give(reserved)
        return True

    def _afterwards(self, watched: Watched, event: events.Event) -> Sequence[events.Event]:
        """What a person had asked for stands on record together with the end it waited for."""
        if not is_wanted_anew(watched.flight, event):
            return ()
        follows = self._ledger.upstream_of(event.document) is not None
        return (events.Follows(event.document) if follows else events.Retried(event.document),)

    async def _settle(self, event: events.Event, *after: events.Event) -> None:
        self._jobs.forget(event.document)
        await self._ledger.record(event, *after)
        self._course.count(getattr(event, "kind", None))


def _now() -> float:
    return asyncio.get_running_loop().time()
