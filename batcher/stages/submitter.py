"""Submits documents: uploads each, records the attempt, sends one POST and records the job id.

It never sends a POST twice. `core.sending` decides how much may be sent and what a refusal leads
to, `core.retry_policy` decides what an error means, and `stages.recovery` finds out what became of
a submission whose answer was lost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from batcher.adapters.rate_limits import WORTH_A_WORD
from batcher.common.signals import Signal
from batcher.core import events, sending
from batcher.core.concurrency_limit import ConcurrencyLimit
from batcher.core.lifecycle import TO_SUBMIT, State
from batcher.core.reasons import unnamed
from batcher.core.submission_quota import Allowance
from batcher.errors import (
    AttemptOpen,
    BadReply,
    BatcherError,
    BudgetSpent,
    Busy,
    Outdated,
    Refused,
    ReplyLostError,
    ServiceError,
    SourceError,
    Unauthorised,
    Unreachable,
)
from batcher.exit_codes import ExitCode
from batcher.ledger.ledger import Due
from batcher.reducto.error_rules import ErrorClass
from batcher.reducto.inputs import Input, Upload, UpstreamJob
from batcher.sources.object_store import Fetched
from batcher.stages.boundary import INTERNAL, Boundary
from batcher.stages.claims import Claims
from batcher.stages.context import StageContext
from batcher.stages.input_resolver import (
    Content,
    InputResolver,
    Named,
    is_file,
    source_verdict,
)
from batcher.stages.job_template import SubmissionRules
from batcher.stages.kept_room import KeptRoom

IDLE = 15.0  # seconds between two checks for due documents when nothing changes
_NOT_ACCEPTED = (events.RefusedForNow, events.Rejected, events.UploadLapsed)
Call = Callable[[], Awaitable[str]]


class Submitter:
    def __init__(
        self,
        context: StageContext,
        inputs: InputResolver,
        concurrency: ConcurrencyLimit,
        rules: SubmissionRules,
    ) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._rate_limits = context.rate_limits
        self._control = context.control
        self._jobs = context.jobs
        self._clock = context.clock
        self._rng = context.rng
        self._inputs = inputs
        self._concurrency = concurrency
        self._templates = rules.templates
        self._claims = Claims(self._ledger, rules.templates)
        self._least_cost = rules.least_cost
        self._patience = rules.patience
        self._allowance = Allowance(rules.most)
        self._policy = rules.policy
        self._in_hand: set[int] = set()
        self._settled = Signal()  # given when nothing is in hand, or no POST awaits its answer
        self._posting = 0  # how many of those have sent their POST or are about to
        self._ahead: set[int] = set()  # which of those are only being uploaded for now
        # why each of these documents doesn't fit into the rest of a limit
        self._too_large: dict[int, str] = {}
        self._mode: sending.Mode = sending.Freely()
        # documents that wait for the bill of another one of their type, and which one that is
        self._parked: dict[int, int] = {}
        self._kept_room = KeptRoom(self._ledger)
        self._lapsed: Counter[int] = Counter()
        self._boundary = Boundary(context.control, "submitting")
        self._rest_told_until = 0.0
        self._silent_since: float | None = None  # the first failure since the service last answered

    async def run(self) -> None:
        """Submit until `control` is stopped, then finish the documents in hand."""
        # results of jobs from earlier runs are fetched before anything new is sent
        await self._jobs.caught_up.wait()
        self._ledger.listeners.append(self._kept_room.hear)
        async with asyncio.TaskGroup() as group:
            while not self._control.stopped.is_set():
                self._unpark()
                if self._kept_room.limit and not self._kept_room:
                    self._control.reach(self._kept_room.limit)
                    break
                due, ahead = self._due()
                self._ahead.update(document.id for document in ahead)
                for document in due:
                    self._allowance.promise(document.id)
                due += ahead
                self._in_hand.update(document.id for document in due)
                for document, content in await self._contents(due):
                    group.create_task(self._bring(document, content))
                await self._pause(refill=bool(due))

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
            self._let_go(due[0])
            return []

    def _let_go(self, due: Due) -> None:
        self._in_hand.discard(due.id)
        self._ahead.discard(due.id)
        self._allowance.withdraw(due.id)
        if not self._in_hand:
            self._settled.give()

    def outstanding(self) -> int:
        """Return how many documents are in hand, from reading them to the recorded answer."""
        return len(self._in_hand)

    def settled(self) -> Coroutine[Any, Any, object]:
        """See `stage.Awaited`."""
        return self._settled.wait()

    @property
    def has_sent_its_number(self) -> bool:
        """Whether the run has submitted as many documents as its limit allows."""
        return self._allowance.used_up

    @property
    def posting(self) -> int:
        """Submissions waiting for their answers; cancelling one would leave its outcome unknown."""
        return self._posting

    def stop_if_nothing_fits(self) -> None:
        """Stop the run when every document still to be sent is too large for the rest of a limit.

        Call it only once the scan is complete: more documents may be found before.
        """
        tally = self._ledger.tally
        if tally[State.FOLLOWING] and (
            self._ledger.in_flight or tally[State.SENDING] or tally[State.UNKNOWN]
        ):
            return  # the steps that follow those jobs may fit
        if not self._too_large or self._in_hand or self._kept_room:
            return
        # the other documents were replaced by newer versions, which may fit
        left = self._ledger.sending.to_submit(list(self._too_large))
        self._too_large = {
            document: why for document, why in self._too_large.items() if document in left
        }
        if self._too_large and tally[State.QUEUED] + tally[State.UPLOADED] <= len(self._too_large):
            self._control.reach(list(self._too_large.values())[-1])

    def _unpark(self) -> None:
        """Release parked documents whose probe has been billed or won't be billed any more."""
        if self._parked:
            awaited = self._ledger.sending.on_their_way(set(self._parked.values()))
            self._parked = {
                document: probe for document, probe in self._parked.items() if probe in awaited
            }

    async def _leave_for_another_run(self, due: Due, error: BudgetSpent) -> None:
        """Postpone a document that is too large for the rest of a limit.

        Smaller documents may still fit, but finding out means opening each file, so the search ends
        once too many have been passed over.
        """
        self._too_large[due.id] = str(error)
        await self._kept_room.free(due.id)
        await self._ledger.record(events.Postponed(due.id, str(error), self._clock(), due.tries))
        if not isinstance(self._mode, sending.Freely) or self._parked:
            return  # documents that wait for bills may still fit
        passed_over = len(self._too_large)
        if not sending.is_limit_reached(
            cost=error.cost, least=self._least_cost, passed_over=passed_over
        ):
            return
        if self._kept_room:
            self._kept_room.limit = str(error)
        else:
            self._control.reach(str(error))

    def _due(self) -> tuple[list[Due], list[Due]]:
        """Return the documents to submit now, and those to only upload so that they are ready."""
        hands = self._hands()
        room = self._room(hands)
        ahead = sending.room_ahead(hands, self._allowance, room=room)
        if room + ahead == 0:
            return [], []
        lying = self._ledger.tally[State.UPLOADED] if ahead else 0
        taken = {*self._in_hand, *self._too_large, *self._parked}
        rows = self._kept_room.due(self._clock(), len(taken) + room + ahead + lying)
        free = [row for row in rows if row.id not in taken]
        return free[:room], [row for row in free[room:] if row.state is State.QUEUED][:ahead]

    def _hands(self) -> sending.Hands:
        return sending.Hands(
            mode=self._mode,
            in_hand=len(self._in_hand),
            only_uploaded=len(self._ahead),
            lying=self._ledger.tally[State.UPLOADED],
            parked=len(self._parked),
            in_flight=self._ledger.in_flight,
            backlog=self._jobs.backlog,
        )

    def _room(self, hands: sending.Hands) -> int:
        """Return how many more documents may be submitted now."""
        if sending.is_closed(hands):
            return 0
        places = self._concurrency.left(self._clock(), hands.in_flight + hands.being_sent)
        on_trial = self._concurrency.breaker.open_until is not None
        return sending.room(hands, self._allowance, places=places, on_trial=on_trial)

    async def _pause(self, *, refill: bool) -> None:
        if refill:
            await asyncio.sleep(0)
            return
        now = self._clock()
        # documents that are due already are in hand, or wait for a change
        next_at = self._ledger.sending.next_due_at(after=now, scan=self._ledger.scan)
        self._tell_of_rest(now, next_at)
        await self._ledger.change(within=IDLE if next_at is None else min(IDLE, next_at - now))

    def _tell_of_rest(self, now: float, next_at: float | None) -> None:
        """Warn when nothing is sent for more than a minute although documents are waiting.

        It says nothing where a rate limiter has already reported the wait.
        """
        tally = self._ledger.tally
        rests_until = self._concurrency.breaker.open_until or 0.0
        is_told = (
            max(self._rate_limits.submit.held_for, self._rate_limits.upload.held_for) > WORTH_A_WORD
        )
        if (
            is_told
            or self._in_hand
            or tally[State.QUEUED] + tally[State.UPLOADED] <= len(self._too_large)
        ):
            return
        until = max(rests_until, 0.0 if self._ledger.in_flight else next_at or 0.0)
        if until - max(now, self._rest_told_until) <= WORTH_A_WORD:
            return
        self._rest_told_until = until
        why = (
            "the service itself fails"
            if until == rests_until
            else "it failed of late, and is tried again then"
        )
        self._control.warn_of_wait(
            "what is still to be sent waits", datetime.fromtimestamp(until), why
        )

    async def _bring(self, due: Due, content: Content) -> None:
        try:
            await self._step(due, content)
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
            self._let_go(due)

    async def _give_up(self, due: Due, error: Exception) -> None:
        """Record an unexpected error: as a rejection if nothing was sent, else as a lost reply.

        A document whose reply was lost has perhaps been paid for.
        """
        reason = self._boundary.caught(error, about=due.source)
        try:
            state = self._ledger.tracking.state_of(due.id)
            if state in TO_SUBMIT:
                await self._ledger.record(events.Rejected(due.id, reason, kind=INTERNAL))
            elif state is State.SENDING:
                await self._ledger.record(events.ReplyLost(due.id, reason))
        except Exception as another:
            self._boundary.stop(self._boundary.caught(another, about=due.source))

    async def _stand_back(self, due: Due, error: AttemptOpen) -> None:
        """Wait for another document with the same bytes and step whose submission is in flight.

        The outcome of that one is shared with this one.
        """
        other = self._ledger.sharing.who_has_sent(due.id)
        if other is not None and other != due.id:
            await self._ledger.record(events.Rejoined(due.id, other))
            return
        again_at = self._clock() + self._policy.backoff.most  # the other attempt has just ended
        await self._ledger.record(events.Postponed(due.id, str(error), again_at, due.tries))

    async def _step(self, due: Due, content: Content) -> None:
        password = await self._inputs.password(due, content)
        if due.state is State.UPLOADED:
            lapse = self._inputs.lapse(due)
            if lapse is not None:
                await self._ledger.record(events.UploadLapsed(due.id, lapse))
                return
            await self._send(due, replace(_named_again(due, content), password=password))
            return
        if self._allowance.exceeded or self._too_large:
            chained = isinstance(content, Named) and isinstance(content.input, UpstreamJob)
            await self._ledger.afford(
                await self._claims.of(due, chained=chained)
            )  # before the upload
        began = self._clock()
        named = content if isinstance(content, Named) else await self._upload(due, content)
        if named is None:
            return
        uploaded = events.Uploaded(due.id, named.input.known_as, began)
        if due.id in self._ahead:
            await self._ledger.record(uploaded)
        else:
            await self._send(due, replace(named, password=password), uploaded)

    # --- the upload: free, and repeated until it succeeds -----------------------------------------

    async def _upload(
        self, due: Due, content: bytes | Path | Fetched | SourceError
    ) -> Named | None:
        if isinstance(content, SourceError):
            raise content
        if isinstance(content, Fetched):
            try:
                return await self._upload(due, content.path)
            finally:
                content.path.unlink(missing_ok=True)
        # the hash of an object in a store isn't known before it is fetched
        sha256 = due.content.partition(".")[0] if is_file(due) else None
        await self._rate_limits.upload.acquire()
        if self._control.stopped.is_set():
            return None
        try:
            # an id from a listing doesn't show the file's type, so the name is taken from the place
            name = (due.place or due.source).rpartition("/")[2]
            upload = await self._client.upload(content, name=name, sha256=sha256)
        except Unauthorised as error:
            self._control.stop(str(error), ExitCode.SERVICE_FAILED, abort=True)
            return None
        except ServiceError as error:
            self._rate_limits.upload.hold(error)
            await self._put_off(due, error)
            return None
        self._rate_limits.upload.answered()
        self._silent_since = None
        return Named(Upload(upload.file_id))

    async def _put_off(self, due: Due, error: ServiceError) -> None:
        """Postpone an upload for as long as the service asks.

        The document is rejected only where the error may be its own fault.
        """
        if sending.is_upload_given_up(error, due.tries):
            kind = self._policy.kind_of(error) if isinstance(error, Refused) else "transient"
            name = error.name if isinstance(error, Refused) else ""
            await self._ledger.record(
                events.Rejected(due.id, str(error), kind=kind, error_name=name)
            )
            self._control.count(kind)
            return
        self._watch_silence(error)
        span = self._policy.patience_with(error, due.tries, self._rng)
        await self._ledger.record(
            events.Postponed(due.id, str(error), self._clock() + span, due.tries + 1)
        )

    # --- the submission: paid for, and sent once --------------------------------------------------

    async def _send(self, due: Due, named: Named, *before: events.Event) -> None:
        await self._rate_limits.submit.acquire()
        if self._control.stopped.is_set():
            return
        breaker = self._concurrency.breaker
        if not breaker.admits(self._clock()):  # the breaker opened while this document was in hand
            words = "the service fails nearly everything at the moment"
            await self._ledger.record(
                *before, events.Postponed(due.id, words, breaker.open_until or 0.0, due.tries)
            )
            return
        self._posting += 1
        try:
            await self._submit(due, named, *before)
        finally:
            self._posting -= 1
            if not self._posting:
                self._settled.give()

    async def _submit(self, due: Due, named: Named, *before: events.Event) -> None:
        nonce = f"{self._rng.getrandbits(96):024x}"
        job = self._templates[due.job]
        claim = await self._claims.of(due, chained=isinstance(named.input, UpstreamJob))
        call = self._call(due, named, nonce)
        account = job.account
        attempt = events.Sending(
            due.id, nonce, account.service, account.key_fingerprint, claim.cost
        )
        try:
            # from here on the ledger knows of the attempt, so it can be followed up after a crash
            await self._ledger.record(*before, attempt, claim=claim)
        except BudgetSpent as error:
            await self._not_affordable(due, error, *before)
            return
        self._kept_room.keep((step.document for step in claim.later), after=due.id)
        self._allowance.use(due.id)
        self._mode = sending.after_fit(self._mode)
        event = await self._post(due, named.input, call)
        if isinstance(event, _NOT_ACCEPTED):
            self._allowance.give_back()
        await self._book(due, unnamed(event, named.input.known_as))

    async def _not_affordable(self, due: Due, error: BudgetSpent, *before: events.Event) -> None:
        """Put it off until jobs in flight are billed; raise BudgetSpent if that can't help."""
        match sending.after_limit(may_fit=error.may_fit, probe=error.probe):
            case sending.Unaffordable.LEAVE:
                raise error
            case sending.Unaffordable.PARK:
                assert error.probe is not None
                self._parked[due.id] = error.probe
            case sending.Unaffordable.WAIT_FOR_BILLS:
                self._mode = sending.near_limit(self._ledger.in_flight)
                self._kept_room.wait(may_shrink=isinstance(self._mode, sending.OneAtATime))
        await self._ledger.record(
            *before, events.Postponed(due.id, str(error), self._clock(), due.tries)
        )

    async def _book(self, due: Due, event: events.Event) -> None:
        """Record the outcome of the POST.

        If the job it names belongs to another document, that answer was meant for somebody else,
        and the reply counts as lost.
        """
        try:
            await self._ledger.record(event)
        except AttemptOpen:
            assert isinstance(event, events.Accepted)
            lost = events.ReplyLost(
                due.id, f"its answer names job {event.job_id}, which is another document's"
            )
            await self._ledger.record(lost)

    def _call(self, due: Due, named: Named, nonce: str) -> Call:
        """Build the request before the attempt is recorded: if this fails, nothing was sent."""
        template = self._templates[due.job]
        shown = template.token_for(nonce)
        if shown is not None:
            self._ledger.secrets.keep_for_now([shown])
        source = named.input.source
        return partial(
            self._client.run_job,
            template.endpoint,
            source if isinstance(source, str) else list(source),
            template.options_for(due, named.password),
            metadata=template.metadata_for(due, nonce),
            priority=template.priority,
            webhook=template.webhook,
        )

    async def _post(self, due: Due, input: Input, call: Call) -> events.Event:
        """Send the one POST and return its outcome as an event.

        The result is kept from some moment between the request and its answer; the earlier one
        counts, since the machine may sleep in between.
        """
        deadline_at = self._clock() + self._templates[due.job].account.retention
        try:
            job_id = await call()
        except Refused as error:
            return self._refused(due, input, error)
        except Unreachable as error:
            self._watch_silence(error)
            self._rate_limits.submit.hold(error)
            span = self._policy.backoff.span(due.tries, self._rng)
            return events.RefusedForNow(due.id, str(error), due_at=self._clock() + span)
        except (ReplyLostError, BadReply) as error:
            self._concurrency.breaker.answer_lost(self._clock())
            return events.ReplyLost(due.id, str(error))
        self._silent_since = None
        self._rate_limits.submit.answered()
        self._concurrency.breaker.answered(self._clock())
        return events.Accepted(due.id, job_id, deadline_at=deadline_at)

    def _refused(self, due: Due, input: Input, error: Refused) -> events.Event:
        if isinstance(error, Busy):
            self._rate_limits.submit.hold(error)
        if sending.is_lapse(error, input.kind):
            self._lapsed[due.id] += 1
        words = str(error)
        name = error.name
        match sending.after_refusal(error, input.kind, lapses=self._lapsed[due.id]):
            case sending.Refusal.STOP_RUN:
                abort = isinstance(error, Unauthorised)
                self._control.stop(words, ExitCode.SERVICE_FAILED, abort=abort)
                return events.RefusedForNow(due.id, words, due_at=self._clock(), error_name=name)
            case sending.Refusal.NEW_UPLOAD:
                return events.UploadLapsed(due.id, words, error_name=name)
            case sending.Refusal.REJECT_DOCUMENT:
                return events.Rejected(due.id, words, kind=ErrorClass.DOCUMENT, error_name=name)
            case sending.Refusal.REJECT_CONFIGURATION:
                kind = ErrorClass.CONFIGURATION
                self._control.count(kind)
                return events.Rejected(due.id, words, kind=kind, error_name=name)
            case sending.Refusal.AS_POLICY_SAYS:
                return self._by_policy(due, error)

    def _by_policy(self, due: Due, error: Refused) -> events.Event:
        event = self._policy.after_refusal(
            due.id, error, tries=due.tries, now=self._clock(), rng=self._rng
        )
        self._control.count(event.kind if isinstance(event, events.Rejected) else None)
        return event

    def _watch_silence(self, error: ServiceError) -> None:
        """Stop the run when the service has been silent for longer than the patience of its jobs.

        With jobs in flight an outage is waited out, however long it takes.
        """
        if isinstance(error, Refused):
            self._silent_since = None  # a refusal is an answer
        if not isinstance(error, Unreachable) or self._ledger.in_flight:
            return
        if self._silent_since is None:
            self._silent_since = self._clock()
        silent = self._clock() - self._silent_since
        if silent > self._patience:
            self._control.stop(
                f"no answer from the service for {silent:.0f} s: {error}", ExitCode.SERVICE_FAILED
            )


def _named_again(due: Due, content: Content) -> Named:
    """Return the input that an earlier attempt prepared.

    Raises SourceError if its address is no longer available.
    """
    if isinstance(content, Named):
        return content
    known = due.input
    if isinstance(content, SourceError) and not isinstance(known, Upload | UpstreamJob):
        raise content
    assert known is not None, f"document {due.id} is uploaded, and nothing says as what"
    return Named(known)
