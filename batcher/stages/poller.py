"""Watches every job that is out and hands each ended one on: to the sink, or as a verdict to the ledger.

Two levels: a sweep of the listing tells the state of hundreds in one request; a handful is asked one by one. What has
ended is fetched earliest deadline first. It writes no file and starts no job.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from batcher.core import events
from batcher.core.looks import Looks
from batcher.core.policy import WANTS_INPUT, Policy
from batcher.core.wire import ENDED, JOBS_PAGE_LIMIT, JobAnswer, JobStatus, ResultHead
from batcher.edges.client import ReductoClient
from batcher.edges.ledger import Change, Flight, Ledger
from batcher.edges.pace import Pace
from batcher.errors import BadReply, Busy, Gone, NotFound, ServiceError, Unauthorised
from batcher.stages.course import Course
from batcher.stages.sink import Result, Sink

FETCHERS: Final = 16
LAG: Final = 60.0  # seconds after acceptance in which a 404 only means that the service hasn't caught up with itself
MISSES: Final = 3  # 404s in a row, a minute apart and more, before a job that isn't due to expire counts as gone
STUCK_AFTER: Final = 600.0  # seconds past its deadline that a job still running is given


@dataclass(slots=True)
class Watched:
    flight: Flight
    looks: int = 0
    misses: int = 0


class Poller:
    def __init__(
        self,
        ledger: Ledger,
        client: ReductoClient,
        pace: Pace,
        course: Course,
        sink: Sink,
        *,
        policy: Policy,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._pace = pace
        self._course = course
        self._sink = sink
        self._policy = policy
        self._clock = clock
        self._rng = rng
        self._looks = Looks()
        self._watched: dict[int, Watched] = {}
        self._agenda: list[tuple[float, int]] = []  # (when to look, document)
        self._ended: list[tuple[float, int]] = []  # (deadline, document)
        self._asking = 0
        self._fetchable = asyncio.Event()
        self._news = asyncio.Event()
        self._sweep_pages = 1  # what the last sweep took: the account's listing may hold other people's jobs

    async def run(self) -> None:
        """For as long as the run lasts."""
        self._ledger.listeners.append(self._hear)
        for flight in self._ledger.flights():
            self._watch(flight, look_at=self._clock())
        async with asyncio.TaskGroup() as group:
            for _ in range(FETCHERS):
                group.create_task(self._fetch_for_ever())
            while True:
                await self._look_around()
                await self._rest()

    async def last_look(self) -> None:
        """One sweep over all that is out, whenever it was due: for a run that is about to stop."""
        for document in self._watched:
            heapq.heappush(self._agenda, (0.0, document))
        self._news.set()

    @property
    def busy(self) -> bool:
        """Whether something that has ended is still to be fetched, or on its way."""
        return bool(self._ended) or self._asking > 0

    # --- what is out ------------------------------------------------------------------------------------------------

    def _hear(self, change: Change) -> None:
        if isinstance(change.event, events.Accepted | events.Adopted):
            flight = self._ledger.flight(change.event.document)
            self._watch(flight, look_at=self._clock() + self._looks.first_in(flight.size))

    def _watch(self, flight: Flight, *, look_at: float) -> None:
        self._watched[flight.id] = Watched(flight)
        self._look_later(flight.id, look_at)

    def _look_later(self, document: int, moment: float) -> None:
        heapq.heappush(self._agenda, (moment, document))
        self._news.set()

    async def _rest(self) -> None:
        span = None if not self._agenda else max(0.0, self._agenda[0][0] - self._clock())
        self._news.clear()
        try:
            async with asyncio.timeout(span):
                await self._news.wait()
        except TimeoutError:
            pass

    # --- looking ----------------------------------------------------------------------------------------------------

    async def _look_around(self) -> None:
        due = self._take_due()
        if not due:
            return
        if len(due) > max(FETCHERS, self._sweep_pages):
            await self._sweep(due)
        else:
            for document in due:  # the look and the fetch are one request
                self._fetch(document)

    def _take_due(self) -> list[int]:
        now = self._clock()
        due: dict[int, None] = {}
        while self._agenda and self._agenda[0][0] <= now:
            document = heapq.heappop(self._agenda)[1]
            if document in self._watched:
                due[document] = None
        return list(due)

    async def _sweep(self, due: list[int]) -> None:
        """Ask the listing about all that is out, as far down as it takes to have seen what is due."""
        by_job = {watched.flight.job_id: document for document, watched in self._watched.items()}
        unseen = {self._watched[document].flight.job_id for document in due}
        pages, cursor, seen_cursors = 0, None, set[str]()
        try:
            while unseen and (pages == 0 or cursor):
                await self._pace.list.turn()
                page = await self._client.jobs(cursor=cursor, limit=JOBS_PAGE_LIMIT, exclude_configs=True)
                pages += 1
                for row in page.jobs:
                    unseen.discard(row.job_id)
                    document = by_job.get(row.job_id)
                    if document is not None and row.status in ENDED:
                        self._note_first_look(document, done=True)
                        self._fetch(document)
                cursor = page.next_cursor
                if cursor in seen_cursors:
                    break  # a listing that repeats itself never ends
                seen_cursors.add(cursor or "")
        except Unauthorised as error:
            self._course.stop(str(error), 4, at_once=True)
        except ServiceError as error:
            self._pace.list.pause(getattr(error, "retry_after", None) or 1.0)
        self._sweep_pages = max(1, pages)
        gone = {by_job[job_id] for job_id in unseen}
        for document in due:
            if document in gone:
                self._fetch(document)  # the listing doesn't show it: ask for it by name
            elif document in self._watched and not self._is_to_be_fetched(document):
                self._still_running(document)

    def _is_to_be_fetched(self, document: int) -> bool:
        return any(document == ended for _, ended in self._ended)

    def _note_first_look(self, document: int, *, done: bool) -> None:
        watched = self._watched[document]
        if watched.looks == 0:
            self._looks.learn(watched.flight.size, done=done)
        watched.looks += 1

    def _still_running(self, document: int) -> None:
        self._note_first_look(document, done=False)
        age = self._clock() - self._watched[document].flight.accepted_at
        self._look_later(document, self._clock() + self._looks.next_in(age))

    # --- fetching ---------------------------------------------------------------------------------------------------

    def _fetch(self, document: int) -> None:
        heapq.heappush(self._ended, (self._watched[document].flight.deadline_at, document))
        self._fetchable.set()

    async def _fetch_for_ever(self) -> None:
        while True:
            while not self._ended:
                self._fetchable.clear()
                await self._fetchable.wait()
            _, document = heapq.heappop(self._ended)
            if document in self._watched:
                self._asking += 1
                try:
                    await self._ask(document)
                finally:
                    self._asking -= 1

    async def _ask(self, document: int) -> None:
        flight = self._watched[document].flight
        await self._pace.fetch.turn()
        try:
            answer, reserved = await self._client.job(flight.job_id, room=self._sink.room)
        except Unauthorised as error:
            self._course.stop(str(error), 4, at_once=True)
        except (NotFound, Gone) as error:
            await self._missing(document, error)
        except ServiceError as error:
            self._ask_later(document, error)
        else:
            self._watched[document].misses = 0
            await self._answered(document, answer, reserved)

    def _ask_later(self, document: int, error: ServiceError) -> None:
        span = self._policy.backoff.span(2, self._rng)
        if isinstance(error, Busy):
            self._pace.fetch.slower()
            span = error.retry_after or span
            self._pace.fetch.pause(span)
        self._look_later(document, self._clock() + span)

    async def _answered(self, document: int, answer: JobAnswer, reserved: int) -> None:
        if answer.status == JobStatus.COMPLETED and answer.result is not None:
            await self._completed(document, answer, reserved)
            return
        self._sink.room.give(reserved)
        if answer.ended:
            await self._settle(self._verdict(document, answer))
        elif self._clock() > self._watched[document].flight.deadline_at + STUCK_AFTER:
            await self._settle(events.Stuck(document, f"still {answer.status} past its deadline"))
        else:
            self._still_running(document)

    async def _completed(self, document: int, answer: JobAnswer, reserved: int) -> None:
        watched = self._watched[document]
        self._note_first_look(document, done=True)
        assert answer.result is not None
        body = bytes(answer.result)
        try:
            head = msgspec.json.decode(body, type=ResultHead)
            if head.url is not None:
                inner = await self._client.download(head.url)
                body = _in_place(body, head, inner)
        except (msgspec.MsgspecError, ServiceError) as error:
            self._sink.room.give(reserved)
            self._ask_later(document, error if isinstance(error, ServiceError) else _unreadable(error))
            return
        if head.job_id is not None and head.job_id != watched.flight.job_id:
            self._sink.room.give(reserved)
            self._ask_later(document, _unreadable(f"the result names job {head.job_id}"))
            return
        del self._watched[document]
        if not watched.flight.current:
            self._sink.room.give(reserved)
            await self._ledger.record(events.Superseded(document))
            return
        ended = events.Ended(document, head.usage.num_pages, head.usage.credits)
        self._sink.put(Result(ended, watched.flight.output, body, reserved))

    def _verdict(self, document: int, answer: JobAnswer) -> events.Event:
        flight = self._watched[document].flight
        name = answer.error.name if answer.error else ""
        said = (answer.error.message if answer.error else "") or answer.reason or ""
        if not flight.current:
            return events.Superseded(document)
        if answer.status == JobStatus.CANCELLED:
            return events.Cancelled(document, said or "cancelled at the service")
        if flight.fenced and name in WANTS_INPUT:
            return events.JobVoided(document, f"{name}: {said}")
        return self._policy.after_failure(document, name, said, paid=flight.paid, now=self._clock(), rng=self._rng)

    async def _missing(self, document: int, error: NotFound | Gone) -> None:
        watched = self._watched[document]
        now, flight = self._clock(), watched.flight
        watched.misses += 1
        if now >= flight.deadline_at:
            await self._settle(events.Expired(document, str(error)))
        elif now - flight.accepted_at < LAG:
            self._look_later(document, now + self._looks.next_in(now - flight.accepted_at))
        elif watched.misses >= MISSES:
            await self._settle(events.Lost(document, str(error)))
        else:
            self._look_later(document, now + LAG)

    async def _settle(self, event: events.Event) -> None:
        del self._watched[event.document]
        await self._ledger.record(event)
        self._course.count(getattr(event, "kind", None))


def _in_place(body: bytes, head: ResultHead, inner: bytes) -> bytes:
    """The result with what stood at its URL put in the place of the link."""
    msgspec.json.decode(inner, type=msgspec.Raw)  # whole and valid JSON, or MsgspecError
    if inner.lstrip()[:1] == b"[" and head.response_type == "parse":
        inner = b'{"type":"full","chunks":' + inner + b"}"  # some answers at the URL are the bare list of chunks
    link = bytes(head.result)
    before, _, after = body.partition(link)
    return before + inner + after


def _unreadable(error: object) -> BadReply:
    return BadReply("GET /job", f"a result that can't be read: {error}", status=200)
