"""Asks for jobs that are ready, and sees to requests that get no answer, or a 404.

`stages.job_answers` takes in what is answered, and `core.inflight` decides what it means. This
stage doesn't poll for ended jobs and writes no files.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, Final

from batcher.core import events
from batcher.core.concurrency_limit import ConcurrencyLimit
from batcher.core.inflight import (
    LAG,
    SILENCE,
    absence,
    unanswered,
)
from batcher.core.lifecycle import IN_FLIGHT
from batcher.core.poll_schedule import PollSchedule
from batcher.errors import (
    BadReply,
    BatcherError,
    Busy,
    Gone,
    NotFound,
    ServiceError,
    Unauthorised,
)
from batcher.exit_codes import ExitCode
from batcher.stages.boundary import Boundary
from batcher.stages.context import StageContext
from batcher.stages.job_answers import JobAnswers, ResultRules
from batcher.stages.job_outcomes import JobOutcomes
from batcher.stages.job_tracker import Watched
from batcher.stages.key_check import is_of_one_document
from batcher.stages.sink import Loan, Sink

WIDTH: Final = 16  # answers in progress at once
AGAIN_AFTER_404: Final = 60.0  # seconds between requests for a job after its first 404
# a run that is about to end waits at most this many seconds for its turn
LONGEST_LAST_WAIT: Final = 5.0


class Fetcher:
    def __init__(
        self,
        context: StageContext,
        schedule: PollSchedule,
        sink: Sink,
        concurrency: ConcurrencyLimit,
        rules: ResultRules,
    ) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._rate_limits = context.rate_limits
        self._control = context.control
        self._jobs = context.jobs
        self._clock = context.clock
        self._schedule = schedule
        self._room = sink.room
        self._drain = concurrency.drain
        self._back_off_first = rules.policy.backoff.first
        self._outcomes = JobOutcomes(context, rules.policy.backoff)
        self._answers = JobAnswers(context, schedule, sink, concurrency, rules, self._outcomes)
        self._boundary = Boundary(context.control, "fetching", abort=True)
        self._asking = 0
        # one task at a time acquires a turn: otherwise turns would be hoarded and then used all at
        # once
        self._choosing = asyncio.Lock()
        # when the service last knew a job; a 404 is judged against it
        self._answered_at = float("-inf")

    @property
    def met_doubt(self) -> bool:
        """See `CrossedAnswers`."""
        return self._answers.met_doubt

    def outstanding(self) -> int:
        """Return how many jobs are being asked for or will be soon.

        Jobs that have to wait long for their turn don't count.
        """
        waits_long = self._rate_limits.fetch.held_for >= LONGEST_LAST_WAIT
        return self._asking + (0 if waits_long else self._jobs.backlog)

    def settled(self) -> Coroutine[Any, Any, object]:
        """See `stage.Awaited`."""
        return self._jobs.progressed.wait()

    async def run(self) -> None:
        """Fetch for as long as the run lasts."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WIDTH):
                group.create_task(self._fetch_for_ever())

    async def _fetch_for_ever(self) -> None:
        while True:
            async with self._choosing:
                await self._jobs.until_fetchable()
                # acquired before choosing, so that after an outage the nearest deadline goes first
                await self._rate_limits.fetch.acquire()
                watched = await self._jobs.next_to_fetch()
            self._asking += 1
            try:
                await self._ask(watched)
                self._boundary.passed()
            except BatcherError:
                raise
            except Exception as error:
                await self._give_up(watched.flight.document, error)
            finally:
                self._asking -= 1
                self._jobs.progressed.give()

    async def _give_up(self, document: int, error: Exception) -> None:
        """Record an unexpected error of one document as stuck.

        Its job is paid for, so it stays on record until somebody decides what to do.
        """
        reason = self._boundary.caught(error, about=self._ledger.tracking.source_of(document))
        if self._control.abort:
            return  # the error hits every document: give up none of them; the next run asks again
        try:
            if self._jobs.get(document) is not None:
                self._jobs.forget(document)
            if self._ledger.tracking.state_of(document) in IN_FLIGHT:
                await self._ledger.record(events.Stuck(document, reason))
        except Exception as another:
            self._boundary.stop(
                self._boundary.caught(another, about=self._ledger.tracking.source_of(document))
            )

    async def _ask(self, watched: Watched) -> None:
        job_id = watched.flight.job_id
        try:
            began = _now()
            answer, reserved = await self._client.job(job_id, room=self._room)
        except Unauthorised as error:
            if await is_of_one_document(error, self._client):
                await self._unanswered(watched, error)
            else:
                self._control.stop(str(error), ExitCode.SERVICE_FAILED, abort=True)
        except (NotFound, Gone) as error:
            self._rate_limits.fetch.answered()
            watched.silences = 0
            await self._missing(watched, error)
        except ServiceError as error:
            await self._unanswered(watched, error)
        else:
            self._rate_limits.fetch.answered()
            self._answered_at = _now()
            self._drain.learn(self._answered_at - began)
            watched.misses = 0
            watched.silences = 0
            loan = Loan(self._room, reserved)
            try:
                # Else it was exchanged meanwhile: the answer is another document's, and the one
                # about its own job is on its way.
                if watched.flight.job_id == job_id:
                    await self._answers.take(watched, answer, loan)
            finally:
                loan.give_back()

    # --- no answer --------------------------------------------------------------------------------

    async def _unanswered(self, watched: Watched, error: ServiceError) -> None:
        """Handle a request that got no usable answer.

        The rate limiter backs off if the service is unwell. This job waits in any case, so that it
        delays no other.
        """
        now = _now()
        last_at = watched.failed_at
        is_too_fast = isinstance(error, Busy) and error.is_too_fast
        if watched.silences == 0:
            watched.silent_since = now
        watched.silences += 1
        if not is_too_fast and await self._are_others_answered(watched, since=last_at):
            watched.alone += 1
        else:
            watched.alone = 0
        event = unanswered(
            watched.flight,
            str(error),
            asked=watched.silences,
            span=now - watched.silent_since,
            alone=watched.alone,
            now=self._clock(),
        )
        if event is not None:
            await self._outcomes.settle(event)
            return
        within = self._back_off_first if is_too_fast else math.inf
        self._outcomes.ask_later(watched, within=within)
        if watched.silences > 1 and self._answered_at > last_at and not is_too_fast:
            # other jobs were answered meanwhile, so there is no reason for them to wait
            self._leave_alone(watched, error)
        elif not isinstance(error, BadReply) or error.status != 200:
            patience = self._jobs.patience_with(error, self._clock())
            self._rate_limits.fetch.hold(error, most=patience)

    async def _are_others_answered(self, watched: Watched, *, since: float) -> bool:
        """Return whether the service answers for other jobs.

        If no other job is being asked for, one is asked for to find out.
        """
        if self._answered_at > since:
            return watched.silences > 1
        if _now() - watched.silent_since < SILENCE:
            return False
        return await self._is_another_known(watched.flight.job_id)

    def _leave_alone(self, watched: Watched, error: ServiceError) -> None:
        """Delay this job alone for as long as the service asks."""
        if isinstance(error, Busy) and error.retry_after is not None:
            most = self._jobs.patience_with(error, self._clock())
            self._jobs.look_in(watched.flight.document, min(error.retry_after, most))

    async def _missing(self, watched: Watched, error: NotFound | Gone) -> None:
        flight = watched.flight
        now = self._clock()
        if now - flight.accepted_at < LAG:
            watched.misses = 0  # they say nothing: a job may not be known to the service yet
        watched.misses += 1
        if watched.misses == 1:
            watched.missed_at = _now()
        others = self._answered_at > watched.missed_at
        if not others:
            others = await self._is_another_known(flight.job_id)
        deleted = isinstance(error, Gone) or flight.deletion_began
        event = absence(
            flight,
            str(error),
            error_name=error.name,
            misses=watched.misses,
            others_answer=others,
            deleted=deleted,
            now=now,
        )
        if event is not None:
            await self._outcomes.settle_as_wanted(watched, event)
            return
        span = AGAIN_AFTER_404
        if watched.misses == 1:
            span = self._schedule.next_delay(watched.age)
        self._jobs.look_in(flight.document, span)

    async def _is_another_known(self, job_id: str) -> bool:
        """Return whether the service answers for another job of ours that it must know.

        If it doesn't, it has forgotten all of them, not only this one.
        """
        other = self._ledger.sending.another_job(job_id, alive_at=self._clock())
        if other is None:
            return False
        try:
            _, reserved = await self._client.job(other, room=self._room)
        except ServiceError:
            return False
        self._room.give(reserved)
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
