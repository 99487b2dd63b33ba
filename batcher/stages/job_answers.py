"""Carries out what the service's answer about a job leads to: its result goes to the sink, its
verdict to the ledger, and a job that still runs is asked for later.

`core.inflight` decides what an answer means. The fetcher asks, and sees to requests without one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from batcher.core import events
from batcher.core.chain import merged
from batcher.core.concurrency_limit import ConcurrencyLimit
from batcher.core.inflight import PATIENCE, outcome_event, unread
from batcher.core.poll_schedule import PollSchedule
from batcher.core.retry_policy import Policy
from batcher.errors import BadReply, Busy, OutputError, Refused, ServiceError
from batcher.outputs.result_store import Streamed
from batcher.reducto.api_types import JobAnswer, JobStatus
from batcher.reducto.job import Job
from batcher.reducto.links_within import Link, links_within
from batcher.reducto.rate_card import Prices, billed
from batcher.reducto.responses import Head, is_about, read_head
from batcher.reducto.result_links import Asked, asked
from batcher.reducto.results import Buffer
from batcher.stages.context import StageContext
from batcher.stages.crossed_answers import CrossedAnswers
from batcher.stages.job_outcomes import JobOutcomes
from batcher.stages.job_tracker import Watched
from batcher.stages.linked_results import LinkedResults
from batcher.stages.sink import FetchedResult, Loan, Sink

LOOK_AT_RECALLED: Final = 2.0  # seconds between two checks of a job that is being cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRules:
    """What the manifest says about results.

    `prices` give their cost, `steps` the options of their jobs, and `policy` when a failed job is
    tried again.
    """

    prices: Prices
    steps: Sequence[Job]
    policy: Policy


class JobAnswers:
    def __init__(
        self,
        context: StageContext,
        schedule: PollSchedule,
        sink: Sink,
        concurrency: ConcurrencyLimit,
        rules: ResultRules,
        outcomes: JobOutcomes,
    ) -> None:
        self._ledger = context.ledger
        self._control = context.control
        self._jobs = context.jobs
        self._clock = context.clock
        self._rng = context.rng
        self._schedule = schedule
        self._sink = sink
        self._concurrency = concurrency
        self._rules = rules
        self._outcomes = outcomes
        self._crossed = CrossedAnswers(context, sink.room)
        self._links = LinkedResults(context.client, sink)

    @property
    def met_doubt(self) -> bool:
        """See `CrossedAnswers`."""
        return self._crossed.met_doubt

    async def take(self, watched: Watched, answer: JobAnswer, loan: Loan) -> None:
        """Take in an answer; its bytes are on `loan` until the sink has them."""
        if await self._is_another_s(watched, answer, loan):
            return
        if answer.status == JobStatus.COMPLETED:
            await self._completed(watched, answer, loan)
            return
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
            kind = self._rules.policy.rule(answer.error.name).kind
            self._concurrency.breaker.note(kind, self._clock())
        await self._outcomes.settle_as_wanted(watched, event)

    async def _is_another_s(self, watched: Watched, answer: JobAnswer, loan: Loan) -> bool:
        """Return whether the answer shows that this job was submitted for another document.

        If two submissions got each other's answers, the documents exchange their jobs. Otherwise a
        result is asked for again, and any other answer is believed.
        """
        named = self._crossed.named_instead(watched, answer)
        if named is None:
            return False
        flight = watched.flight
        proof = is_about(answer, flight.job_id)
        loan.give_back()
        await self._crossed.exchange(watched, named, proof=proof)
        if watched.flight is not flight:  # exchanged, or called back by a person meanwhile
            self._jobs.look_in(flight.document, 0.0)
            return True
        if answer.status != JobStatus.COMPLETED:
            return False
        await self._unread(watched, f"its answer is about a job of {named.source}")
        self._crossed.met_doubt |= self._jobs.get(flight.document) is not watched
        return True

    def _still_running(self, watched: Watched) -> None:
        watched.looked(self._schedule, done=False)
        watched.asked_at = _now()
        span = self._schedule.next_delay(watched.age)
        if watched.flight.recalled:
            span = min(span, LOOK_AT_RECALLED)
        self._jobs.look_in(watched.flight.document, span)

    def _learn(self, watched: Watched, work: float | None) -> None:
        """Tell the completion rate that one more job ended between its last check and now."""
        since = _now() - watched.running_at
        self._concurrency.completion_rate.learn(
            self._clock(), age=watched.age, since=since, work=work
        )

    # --- a result ---------------------------------------------------------------------------------

    async def _completed(self, watched: Watched, answer: JobAnswer, loan: Loan) -> None:
        if watched.unread == 0:
            watched.looked(self._schedule, done=True)
        self._concurrency.breaker.note(None, self._clock())
        if answer.result is None:
            await self._unread(watched, "without a result")
            return
        body = memoryview(answer.result)
        flight = watched.flight
        try:
            head = read_head(body, flight.job_id, lambda: self._was_asked(flight.document))
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

    def _was_asked(self, document: int) -> Asked:
        """Return what the document's job asked for, which tells extracts from links.

        It is unknown for a step that is no longer in the manifest.
        """
        name, options = self._ledger.sending.asked_by(document)
        own = json.loads(options or "{}")
        for step in self._rules.steps:
            if step.name == name:
                return asked(step.endpoint, merged(step.options, own))
        return Asked()

    async def _follow(self, watched: Watched, head: Head, body: Buffer) -> None:
        """Fetch what a result links to."""
        try:
            output = watched.flight.output
            streamed = await self._links.stream(output, head, body)
        except OutputError as error:
            await self._refused_by_disk(watched, error)
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
            whole = Link(*head.link_at, head.url, head.response_type)
            links = sorted([whole, *links], key=lambda link: link.start)
        try:
            streamed = await self._links.stream_whole(output, body, links)
        except OutputError as error:
            await self._refused_by_disk(watched, error)
            return
        except ServiceError as error:
            await self._incomplete(watched, head, body, error)
            return
        if streamed is not None:
            self._put(watched, head, b"", 0, streamed)

    async def _incomplete(
        self, watched: Watched, head: Head, body: Buffer, error: ServiceError
    ) -> None:
        """Handle a link inside a result that can't be fetched: what it links to isn't vital."""
        if self._may_pass(watched, error):
            self._outcomes.ask_later(watched)
            return
        if head.url is not None:
            await self._follow(watched, head, body)
            return
        self._control.warn(
            f"{watched.flight.output}: what it links to can't be had, so the links stand in it: "
            f"{error.message}"
        )
        self._put(watched, head, body, 0)

    async def _unlinked(self, watched: Watched, error: ServiceError) -> None:
        """Handle a link that can't be fetched: ask the job for a fresh one.

        A definite refusal that is repeated again and again ends the job. An outage of the result
        storage ends when the results expire.
        """
        if self._may_pass(watched, error):
            self._outcomes.ask_later(watched)
        else:
            await self._unread(watched, f"what its result links to can't be had: {error.message}")

    def _may_pass(self, watched: Watched, error: ServiceError) -> bool:
        """Return whether a link that can't be fetched now may be later."""
        return not _is_definite(error) and self._clock() < watched.flight.deadline_at

    async def _refused_by_disk(self, watched: Watched, error: OutputError) -> None:
        self._control.warn(str(error))
        stuck = events.Stuck(watched.flight.document, str(error))
        await self._outcomes.settle(stuck)

    async def _unread(self, watched: Watched, why: str) -> None:
        """Handle a completed job whose result isn't available yet."""
        now = _now()
        if watched.unread == 0:
            watched.unread_since = now
        watched.unread += 1
        span = now - watched.unread_since
        event = unread(watched.flight, why, asked=watched.unread, span=span)
        if event is None:
            left = max(0.0, PATIENCE - span)
            self._outcomes.ask_later(watched, within=left + 1.0)
            return
        self._learn(watched, None)
        await self._outcomes.settle_as_wanted(watched, event)

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
        cost = billed(head.usage, self._rules.prices)
        ended = events.Ended(document, head.pages, cost, head.duration)
        output = watched.flight.output
        result = FetchedResult(ended, output, body, reserved, streamed, head.not_served)
        self._sink.put(result)


def _is_definite(error: ServiceError) -> bool:
    return isinstance(error, BadReply | Refused) and not isinstance(error, Busy)


def _now() -> float:
    return asyncio.get_running_loop().time()
