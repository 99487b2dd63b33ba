"""Asks for jobs that are ready, and passes results to the sink and verdicts to the ledger.

`core.inflight` decides what an answer means. This stage doesn't poll for ended jobs and writes no
files.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from batcher.core import events
from batcher.core.chain import merged
from batcher.core.concurrency_limit import ConcurrencyLimit
from batcher.core.duplicate_jobs import AttemptRef, nonces_in
from batcher.core.inflight import (
    LAG,
    PATIENCE,
    SILENCE,
    absence,
    is_wanted_anew,
    outcome_event,
    unanswered,
    unread,
)
from batcher.core.lifecycle import IN_FLIGHT, Impossible
from batcher.core.poll_schedule import PollSchedule
from batcher.core.reasons import unnamed
from batcher.core.retry_policy import Policy
from batcher.errors import (
    AttemptOpen,
    BadReply,
    BatcherError,
    Busy,
    Gone,
    NotFound,
    Outdated,
    OutputError,
    Refused,
    ServiceError,
    Unauthorised,
)
from batcher.exit_codes import ExitCode
from batcher.outputs.result_store import Streamed, concerns_one, trouble
from batcher.reducto.api_types import JobAnswer, JobStatus
from batcher.reducto.job import Job
from batcher.reducto.links_within import Link, links_within
from batcher.reducto.rate_card import Prices, billed
from batcher.reducto.responses import Head, around, is_about, read_head
from batcher.reducto.result_links import Asked, asked
from batcher.reducto.results import Buffer
from batcher.stages import splicing
from batcher.stages.boundary import Boundary
from batcher.stages.context import StageContext
from batcher.stages.job_tracker import Watched
from batcher.stages.sink import FetchedResult, Loan, Sink

WIDTH: Final = 16  # answers in progress at once
AGAIN_AFTER_404: Final = 60.0  # seconds between requests for a job after its first 404
# a run that is about to end waits at most this many seconds for its turn
LONGEST_LAST_WAIT: Final = 5.0
LOOK_AT_RECALLED: Final = 2.0  # seconds between two checks of a job that is being cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRules:
    """What the manifest says about results.

    `prices` give their cost, `steps` the options of their jobs, and `policy` when a failed job is
    tried again. `deletes` says whether the batch's jobs are deleted at the service once their
    results are saved.
    """

    prices: Prices
    steps: Sequence[Job]
    policy: Policy
    deletes: bool


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
        self._rng = context.rng
        self._schedule = schedule
        self._sink = sink
        self._concurrency = concurrency
        self._rules = rules
        self._boundary = Boundary(context.control, "fetching", abort=True)
        self._asking = 0
        # one task at a time acquires a turn: otherwise turns would be hoarded and then used all at
        # once
        self._choosing = asyncio.Lock()
        # when the service last knew a job; a 404 is judged against it
        self._answered_at = float("-inf")
        # whether a job completed whose answer didn't say whose it is
        self.met_silence = False

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
            answer, reserved = await self._client.job(job_id, room=self._sink.room)
        except Unauthorised as error:
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
            self._concurrency.drain.learn(self._answered_at - began)
            watched.misses = watched.silences = 0
            loan = Loan(self._sink.room, reserved)
            try:
                # exchanged meanwhile: the answer is another document's
                if watched.flight.job_id != job_id:
                    self._jobs.look_in(watched.flight.document, 0.0)
                elif not await self._is_another_s(watched, answer, loan):
                    await self._answered(watched, answer, loan)
            finally:
                loan.give_back()

    async def _is_another_s(self, watched: Watched, answer: JobAnswer, loan: Loan) -> bool:
        """Return whether the answer shows that this job was submitted for another document.

        If two submissions got each other's answers, the documents exchange their jobs. Otherwise a
        result is asked for again, and any other answer is believed. An answer that doesn't echo the
        request doesn't say whose it is.
        """
        named = self._named_instead(watched, answer)
        if named is None:
            return False
        flight = watched.flight
        proof = is_about(answer, flight.job_id)
        loan.give_back()
        await self._exchange(watched, named, proof=proof)
        if watched.flight is not flight:  # exchanged, or called back by a person meanwhile
            self._jobs.look_in(flight.document, 0.0)
            return True
        if answer.status != JobStatus.COMPLETED:
            return False
        await self._unread(watched, f"its answer is about a job of {named.source}")
        return True

    def _named_instead(self, watched: Watched, answer: JobAnswer) -> AttemptRef | None:
        nonces = nonces_in(answer.request())
        if not nonces:
            self.met_silence |= answer.status == JobStatus.COMPLETED
            return None
        return self._ledger.audit.named_instead(watched.flight.document, nonces)

    async def _exchange(self, watched: Watched, named: AttemptRef, *, proof: bool) -> None:
        """Give both documents their own jobs, if the other document's job names this one.

        Answers about jobs may be mixed up as well, and then name each other's jobs, too. So one of
        the two has to prove which job it is about: `proof` says that this one's answer did.
        """
        flight = watched.flight
        other = self._jobs.get(named.document)
        if other is None or other.flight.job_id != named.job_id:
            return
        others_flight = other.flight
        try:
            answer, reserved = await self._client.job(others_flight.job_id, room=self._sink.room)
        except ServiceError:
            return
        self._sink.room.give(reserved)
        back = self._named_instead(other, answer)
        if back is None or back.document != flight.document:
            return
        if not (proof or is_about(answer, others_flight.job_id)):
            return
        if watched.flight is not flight or other.flight is not others_flight:
            return
        try:
            await self._ledger.record(
                # No job may be held by two attempts, not even for a moment.
                events.JobExchanged(flight.document, ""),
                events.JobExchanged(named.document, flight.job_id),
                events.JobExchanged(flight.document, others_flight.job_id),
            )
        except (Impossible, AttemptOpen, Outdated):
            return
        self._jobs.exchange(flight.document, others_flight.job_id)
        self._jobs.exchange(named.document, flight.job_id)

    async def _unanswered(self, watched: Watched, error: ServiceError) -> None:
        """Handle a request that got no usable answer.

        The rate limiter backs off if the service is unwell. This job waits in any case, so that it
        delays no other.
        """
        now = _now()
        last_at = watched.failed_at
        if watched.silences == 0:
            watched.silent_since = now
        watched.silences += 1
        is_alone = not _is_too_fast(error) and await self._are_others_answered(
            watched, since=last_at
        )
        watched.alone = watched.alone + 1 if is_alone else 0
        event = unanswered(
            watched.flight,
            str(error),
            asked=watched.silences,
            span=now - watched.silent_since,
            alone=watched.alone,
            now=self._clock(),
        )
        if event is not None:
            await self._settle(event)
            return
        self._ask_later(
            watched, within=self._rules.policy.backoff.first if _is_too_fast(error) else math.inf
        )
        if watched.silences > 1 and self._answered_at > last_at and not _is_too_fast(error):
            # other jobs were answered meanwhile, so there is no reason for them to wait
            self._leave_alone(watched, error)
        elif not (isinstance(error, BadReply) and error.status == 200):
            self._rate_limits.fetch.hold(error, most=self._jobs.patience_with(error, self._clock()))

    async def _are_others_answered(self, watched: Watched, *, since: float) -> bool:
        """Return whether the service answers for other jobs.

        If no other job is being asked for, one is asked for to find out.
        """
        if self._answered_at > since:
            return watched.silences > 1
        return _now() - watched.silent_since >= SILENCE and await self._is_another_known(
            watched.flight.job_id
        )

    def _leave_alone(self, watched: Watched, error: ServiceError) -> None:
        """Delay this job alone for as long as the service asks."""
        if isinstance(error, Busy) and error.retry_after is not None:
            most = self._jobs.patience_with(error, self._clock())
            self._jobs.look_in(watched.flight.document, min(error.retry_after, most))

    def _ask_later(self, watched: Watched, *, within: float = math.inf) -> None:
        watched.failures += 1
        watched.failed_at = _now()
        span = self._rules.policy.backoff.span(watched.failures, self._rng)
        self._jobs.look_in(watched.flight.document, min(span, within))

    async def _answered(self, watched: Watched, answer: JobAnswer, loan: Loan) -> None:
        if answer.status == JobStatus.COMPLETED:
            await self._completed(watched, answer, loan)
            return
        loan.give_back()
        watched.failures = 0
        event = outcome_event(
            watched.flight, answer, policy=self._rules.policy, now=self._clock(), rng=self._rng
        )
        if event is None:
            self._still_running(watched)
            return
        if answer.ended and answer.status != JobStatus.CANCELLED:
            self._learn(watched, None)
        if answer.error is not None:
            self._concurrency.breaker.note(
                self._rules.policy.rule(answer.error.name).kind, self._clock()
            )
        await self._settle(event, *self._afterwards(watched, event))

    def _still_running(self, watched: Watched) -> None:
        watched.looked(self._schedule, done=False)
        watched.asked_at = _now()
        span = self._schedule.next_delay(watched.age)
        self._jobs.look_in(
            watched.flight.document,
            min(span, LOOK_AT_RECALLED) if watched.flight.recalled else span,
        )

    async def _completed(self, watched: Watched, answer: JobAnswer, loan: Loan) -> None:
        if watched.unread == 0:
            watched.looked(self._schedule, done=True)
        self._concurrency.breaker.note(None, self._clock())
        if answer.result is None:
            await self._unread(watched, "without a result")
            return
        body = memoryview(answer.result)
        try:
            head = read_head(
                body, watched.flight.job_id, lambda: self._was_asked(watched.flight.document)
            )
        except BadReply as error:
            await self._unread(watched, f"its result can't be read: {error.message}")
            return
        within = links_within(body, head.response_type)
        if head.url is None and not within:
            self._put(watched, head, body, loan.handed_on())
            return
        loan.give_back()
        if within:
            await self._complete(watched, head, body, within)
        else:
            await self._follow(watched, head, body)

    async def _follow(self, watched: Watched, head: Head, body: Buffer) -> None:
        """Fetch what a result links to."""
        try:
            streamed = await self._stream(watched.flight.output, head, body)
        except OutputError as error:
            self._control.warn(str(error))
            await self._settle(events.Stuck(watched.flight.document, str(error)))
            return
        except ServiceError as error:
            await self._unlinked(watched, error)
            return
        if streamed is not None:
            self._put(watched, head, b"", 0, streamed)

    async def _complete(
        self, watched: Watched, head: Head, body: Buffer, links: Sequence[Link]
    ) -> None:
        """Fetch everything that a result links to, also links deeper inside it.

        Links that can't be fetched stay in the result as they came.
        """
        output = watched.flight.output
        if head.url is not None:
            links = [Link(*head.link_at, head.url, head.response_type), *links]
            links.sort(key=lambda link: link.start)
        try:
            streamed = await splicing.stream(self._client, self._sink, output, body, links)
        except OutputError as error:
            self._control.warn(str(error))
            await self._settle(events.Stuck(watched.flight.document, str(error)))
        except ServiceError as error:
            if not _is_definite(error) and self._clock() < watched.flight.deadline_at:
                self._ask_later(watched)
                return
            if head.url is not None:
                await self._follow(watched, head, body)
                return
            self._control.warn(
                f"{output}: what it links to can't be had, so the links stand in it: "
                f"{error.message}"
            )
            self._put(watched, head, body, 0)
        else:
            if streamed is not None:
                self._put(watched, head, b"", 0, streamed)

    async def _unlinked(self, watched: Watched, error: ServiceError) -> None:
        """Handle a link that can't be fetched: ask the job for a fresh one.

        A definite refusal that is repeated again and again ends the job. An outage of the result
        storage ends when the results expire.
        """
        if _is_definite(error) or self._clock() >= watched.flight.deadline_at:
            await self._unread(watched, f"what its result links to can't be had: {error.message}")
        else:
            self._ask_later(watched)

    async def _unread(self, watched: Watched, why: str) -> None:
        """Handle a completed job whose result isn't available yet."""
        if watched.unread == 0:
            watched.unread_since = _now()
        watched.unread += 1
        span = _now() - watched.unread_since
        event = unread(watched.flight, why, asked=watched.unread, span=span)
        if event is None:
            self._ask_later(watched, within=max(0.0, PATIENCE - span) + 1.0)
        else:
            self._learn(watched, None)
            await self._settle(event, *self._afterwards(watched, event))

    def _put(
        self,
        watched: Watched,
        head: Head,
        body: Buffer,
        reserved: int,
        streamed: Streamed | None = None,
    ) -> None:
        """Hand a result to the sink, which is responsible for it from here on."""
        document = watched.flight.document
        self._learn(watched, head.duration)
        self._jobs.forget(document)
        ended = events.Ended(
            document, head.pages, billed(head.usage, self._rules.prices), head.duration
        )
        self._sink.put(
            FetchedResult(ended, watched.flight.output, body, reserved, streamed, head.not_served)
        )

    def _learn(self, watched: Watched, work: float | None) -> None:
        """Tell the completion rate that one more job ended between its last check and now."""
        since = _now() - watched.running_at
        self._concurrency.completion_rate.learn(
            self._clock(), age=watched.age, since=since, work=work
        )

    def _was_asked(self, document: int) -> Asked:
        """Return what the document's job asked for, which tells extracts from links.

        It is unknown for a step that is no longer in the manifest.
        """
        name, options = self._ledger.sending.asked_by(document)
        job = next((job for job in self._rules.steps if job.name == name), None)
        return (
            Asked()
            if job is None
            else asked(job.endpoint, merged(job.options, json.loads(options or "{}")))
        )

    async def _stream(self, output: str, head: Head, body: Buffer) -> Streamed | None:
        """Stream a linked result to disk in place of its link.

        Return None if the disk fails, which ends the run. Raises ServiceError, and OutputError if
        the disk refuses only this result.
        """
        part = await self._sink.new_part()
        if part is None:
            return None
        try:
            digest, size = await self._client.download(
                str(head.url), part, around=lambda first: around(body, head, first)
            )
        except OSError as error:
            if concerns_one(error):
                await asyncio.to_thread(part.unlink, missing_ok=True)
                raise trouble(output, error) from error
            self._sink.refuse(output, error)
            return None
        except ServiceError:
            # the next try starts from scratch
            await asyncio.to_thread(part.unlink, missing_ok=True)
            raise
        return Streamed(output, part, digest, size)

    async def _missing(self, watched: Watched, error: NotFound | Gone) -> None:
        flight = watched.flight
        now = self._clock()
        # before that a 404 says nothing: a job may not be known to the service yet
        watched.misses = watched.misses + 1 if now - flight.accepted_at >= LAG else 1
        if watched.misses == 1:
            watched.missed_at = _now()
        others = self._answered_at > watched.missed_at or await self._is_another_known(
            flight.job_id
        )
        deleted = isinstance(error, Gone) or (flight.was_saved and self._rules.deletes)
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
            await self._settle(event, *self._afterwards(watched, event))
            return
        lagging = self._schedule.next_delay(watched.age)
        self._jobs.look_in(flight.document, lagging if watched.misses == 1 else AGAIN_AFTER_404)

    async def _is_another_known(self, job_id: str) -> bool:
        """Return whether the service answers for another job of ours that it must know.

        If it doesn't, it has forgotten all of them, not only this one.
        """
        other = self._ledger.sending.another_job(job_id, alive_at=self._clock())
        if other is None:
            return False
        try:
            _, reserved = await self._client.job(other, room=self._sink.room)
        except ServiceError:
            return False
        self._sink.room.give(reserved)
        return True

    def _afterwards(self, watched: Watched, event: events.Event) -> Sequence[events.Event]:
        """Return what somebody requested earlier, to be recorded with the end it waited for."""
        if not is_wanted_anew(watched.flight, event):
            return ()
        follows = self._ledger.sending.upstream_of(event.document) is not None
        return (events.Follows(event.document) if follows else events.Retried(event.document),)

    async def _settle(self, event: events.Event, *after: events.Event) -> None:
        watched = self._jobs.get(event.document)
        told = event if watched is None else unnamed(event, watched.flight.job_id)
        self._jobs.forget(event.document)
        await self._ledger.record(told, *after)
        self._control.count(getattr(event, "kind", None))


def _is_definite(error: ServiceError) -> bool:
    return isinstance(error, BadReply | Refused) and not isinstance(error, Busy)


def _is_too_fast(error: ServiceError) -> bool:
    return isinstance(error, Busy) and error.is_too_fast


def _now() -> float:
    return asyncio.get_running_loop().time()
