"""Submits what is due, for as long as the run lasts, and waits while nothing is.

`Selection` says which documents can be taken up, and `Sender` brings each to a job id. Here stands
what becomes of those that can't be sent, and when the run stops for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any, Final

from batcher.adapters.rate_limits import WORTH_A_WORD
from batcher.core import events
from batcher.core.concurrency_limit import ConcurrencyLimit
from batcher.core.lifecycle import TO_SUBMIT, State
from batcher.errors import AttemptOpen, BatcherError, BudgetSpent, Outdated, SourceError
from batcher.ledger.ledger import Due
from batcher.stages.boundary import INTERNAL, Boundary
from batcher.stages.context import StageContext
from batcher.stages.in_hand import InHand
from batcher.stages.input_resolver import Content, InputResolver, source_verdict
from batcher.stages.job_template import SubmissionRules
from batcher.stages.selection import Selection
from batcher.stages.sender import Sender

IDLE: Final = 15.0  # seconds between two checks for due documents when nothing changes


class Submitter:
    def __init__(
        self,
        context: StageContext,
        inputs: InputResolver,
        concurrency: ConcurrencyLimit,
        rules: SubmissionRules,
    ) -> None:
        self._ledger = context.ledger
        self._rate_limits = context.rate_limits
        self._control = context.control
        self._jobs = context.jobs
        self._clock = context.clock
        self._inputs = inputs
        self._breaker = concurrency.breaker
        self._longest_back_off = rules.policy.backoff.most
        self._in_hand = InHand()
        self._selection = Selection(context, concurrency, rules, self._in_hand)
        self._sender = Sender(context, inputs, concurrency, rules, self._selection, self._in_hand)
        self._boundary = Boundary(context.control, "submitting")
        self._rest_told_until = 0.0

    async def run(self) -> None:
        """Submit until `control` is stopped, then finish the documents in hand."""
        # results of jobs from earlier runs are fetched before anything new is sent
        await self._jobs.caught_up.wait()
        self._selection.follow_ledger()
        async with asyncio.TaskGroup() as group:
            while not self._control.stopped.is_set():
                limit = self._selection.limit_reached()
                if limit is not None:
                    self._control.reach(limit)
                    break
                due = self._selection.take_up()
                for document, content in await self._contents(due):
                    group.create_task(self._bring(document, content))
                await self._pause(refill=bool(due))

    def outstanding(self) -> int:
        """Return how many documents are in hand, from reading them to the recorded answer."""
        return len(self._in_hand)

    def settled(self) -> Coroutine[Any, Any, object]:
        """See `stage.Awaited`."""
        return self._in_hand.settled.wait()

    @property
    def has_sent_its_number(self) -> bool:
        """Whether the run has submitted as many documents as its limit allows."""
        return self._selection.has_sent_its_number

    @property
    def posting(self) -> int:
        """Submissions waiting for their answers; cancelling one would leave its outcome unknown."""
        return self._in_hand.posting

    def stop_if_nothing_fits(self) -> None:
        """Stop the run when every document still to be sent is too large for the rest of a limit.

        Call it only once the scan is complete: more documents may be found before.
        """
        limit = self._selection.nothing_fits()
        if limit is not None:
            self._control.reach(limit)

    # --- the wait for more to do ------------------------------------------------------------------

    async def _pause(self, *, refill: bool) -> None:
        if refill:
            await asyncio.sleep(0)
            return
        now = self._clock()
        # documents that are due already are in hand, or wait for a change
        scan = self._ledger.scan
        next_at = self._ledger.sending.next_due_at(after=now, scan=scan)
        self._tell_of_rest(now, next_at)
        within = IDLE
        if next_at is not None:
            within = min(IDLE, next_at - now)
        await self._ledger.change(within=within)

    def _tell_of_rest(self, now: float, next_at: float | None) -> None:
        """Warn when nothing is sent for more than a minute although documents are waiting."""
        if self._is_wait_told() or self._in_hand or not self._selection.has_more:
            return
        rests_until = self._breaker.open_until or 0.0
        due_at = 0.0 if self._ledger.in_flight else next_at or 0.0
        until = max(rests_until, due_at)
        if until - max(now, self._rest_told_until) <= WORTH_A_WORD:
            return
        self._rest_told_until = until
        why = "it failed of late, and is tried again then"
        if until == rests_until:
            why = "the service itself fails"
        self._control.warn_of_wait(
            "what is still to be sent waits", datetime.fromtimestamp(until), why
        )

    def _is_wait_told(self) -> bool:
        """Return whether a rate limiter has already reported the wait."""
        limits = self._rate_limits
        return max(limits.submit.held_for, limits.upload.held_for) > WORTH_A_WORD

    # --- one document -----------------------------------------------------------------------------

    async def _contents(self, due: Sequence[Due]) -> Sequence[tuple[Due, Content]]:
        """Read the documents together, or one by one where that raises an unexpected error."""
        try:
            return await self._inputs.of(due)
        except BatcherError:
            raise
        except Exception as error:
            if len(due) > 1:
                return [pair for document in due for pair in await self._contents([document])]
            await self._give_up(due[0], error)
            self._selection.let_go(due[0])
            return []

    async def _bring(self, due: Due, content: Content) -> None:
        try:
            await self._sender.send(due, content)
        except SourceError as error:
            await self._ledger.record(source_verdict(due, error))
        except BudgetSpent as error:
            await self._leave_for_another_run(due, error)
        except Outdated:
            return  # edited while it was in hand: its newer version becomes due by itself
        except AttemptOpen as error:
            await self._stand_back(due, error)
        except BatcherError:
            raise
        except Exception as error:
            await self._give_up(due, error)
        else:
            self._boundary.passed()
        finally:
            self._selection.let_go(due)

    async def _leave_for_another_run(self, due: Due, error: BudgetSpent) -> None:
        """Postpone a document that is too large for the rest of a limit, and stop if all are."""
        limit = await self._selection.pass_over(due, error)
        if limit is not None:
            self._control.reach(limit)

    async def _stand_back(self, due: Due, error: AttemptOpen) -> None:
        """Wait for another document with the same bytes and step whose submission is in flight.

        The outcome of that one is shared with this one.
        """
        other = self._ledger.sharing.who_has_sent(due.id)
        if other is not None and other != due.id:
            await self._ledger.record(events.Rejoined(due.id, other))
            return
        again_at = self._clock() + self._longest_back_off  # the other attempt has just ended
        postponed = events.Postponed(due.id, str(error), again_at, due.tries)
        await self._ledger.record(postponed)

    async def _give_up(self, due: Due, error: Exception) -> None:
        """Record an unexpected error: as a rejection if nothing was sent, else as a lost reply.

        A document whose reply was lost has perhaps been paid for.
        """
        reason = self._boundary.caught(error, about=due.source)
        try:
            state = self._ledger.tracking.state_of(due.id)
            if state in TO_SUBMIT:
                rejected = events.Rejected(due.id, reason, kind=INTERNAL)
                await self._ledger.record(rejected)
            elif state is State.SENDING:
                await self._ledger.record(events.ReplyLost(due.id, reason))
        except Exception as another:
            self._boundary.stop(self._boundary.caught(another, about=due.source))
