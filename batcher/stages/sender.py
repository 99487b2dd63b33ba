"""Brings one document to a job id: has it uploaded, records the attempt, sends the one POST and
records what came of it.

It never sends a POST twice, and doesn't choose the document. `core.sending` decides what a refusal
leads to, `core.retry_policy` what an error means, and `stages.recovery` finds out what became of a
submission whose answer was lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from batcher.core import events, sending
from batcher.core.concurrency_limit import ConcurrencyLimit
from batcher.core.lifecycle import State
from batcher.core.reasons import unnamed
from batcher.core.reservations import Reservation
from batcher.errors import (
    AttemptOpen,
    BadReply,
    BudgetSpent,
    Busy,
    Refused,
    ReplyLostError,
    SourceError,
    Unauthorised,
    Unreachable,
)
from batcher.exit_codes import ExitCode
from batcher.ledger.ledger import Due
from batcher.reducto.error_rules import ErrorClass
from batcher.reducto.inputs import Input, Upload, UpstreamJob
from batcher.stages.claims import Claims
from batcher.stages.context import StageContext
from batcher.stages.in_hand import InHand
from batcher.stages.input_resolver import Content, InputResolver, Named
from batcher.stages.job_template import SubmissionRules
from batcher.stages.key_check import is_of_one_document
from batcher.stages.selection import Selection
from batcher.stages.silence_monitor import SilenceMonitor
from batcher.stages.uploader import Uploader

_NOT_ACCEPTED = (events.RefusedForNow, events.Rejected, events.UploadLapsed)
Call = Callable[[], Awaitable[str]]


class Sender:
    def __init__(
        self,
        context: StageContext,
        inputs: InputResolver,
        concurrency: ConcurrencyLimit,
        rules: SubmissionRules,
        selection: Selection,
        in_hand: InHand,
    ) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._rate_limit = context.rate_limits.submit
        self._control = context.control
        self._clock = context.clock
        self._rng = context.rng
        self._inputs = inputs
        self._breaker = concurrency.breaker
        self._policy = rules.policy
        self._templates = rules.templates
        self._claims = Claims(context.ledger, rules.templates)
        self._selection = selection
        self._in_hand = in_hand
        self._silence = SilenceMonitor(context, rules.patience)
        self._uploader = Uploader(context, rules.policy, self._silence)
        self._lapsed: Counter[int] = Counter()  # uploads that turned out unknown, by document

    async def send(self, due: Due, content: Content) -> None:
        """Take a document as far as it goes now, and record it.

        Raises SourceError if it can't be read, BudgetSpent if it is too large for the rest of a
        limit, and AttemptOpen while a document with the same bytes and step is being sent: nothing
        was sent then. Outdated if it has changed or been settled meanwhile.
        """
        password = await self._inputs.password(due, content)
        if due.state is State.UPLOADED:
            await self._send_uploaded(due, content, password)
        else:
            await self._send_new(due, content, password)

    async def _send_uploaded(self, due: Due, content: Content, password: str | None) -> None:
        lapse = self._inputs.lapse(due)
        if lapse is not None:
            await self._ledger.record(events.UploadLapsed(due.id, lapse))
            return
        named = _named_again(due, content)
        await self._submit_in_turn(due, replace(named, password=password))

    async def _send_new(self, due: Due, content: Content, password: str | None) -> None:
        if self._selection.is_tight:
            chained = isinstance(content, Named) and isinstance(content.input, UpstreamJob)
            claim = await self._claims.of(due, chained=chained)
            await self._ledger.afford(claim)
        began = self._clock()
        if isinstance(content, Named):
            named: Named | None = content
        else:
            named = await self._uploader.upload(due, content)
        if named is None:
            return
        uploaded = events.Uploaded(due.id, named.input.known_as, began)
        if self._in_hand.is_ahead(due.id):
            await self._ledger.record(uploaded)
            return
        await self._submit_in_turn(due, replace(named, password=password), uploaded)

    # --- the submission: paid for, and sent once --------------------------------------------------

    async def _submit_in_turn(self, due: Due, named: Named, *before: events.Event) -> None:
        """Submit as soon as the rate limit allows, unless the run or the breaker stops it by then.

        `before` are events of the document that are recorded together with the attempt.
        """
        await self._rate_limit.acquire()
        if self._control.stopped.is_set():
            return
        if not self._breaker.admits(self._clock()):  # it opened while this document was in hand
            words = "the service fails nearly everything at the moment"
            again_at = self._breaker.open_until or 0.0
            postponed = events.Postponed(due.id, words, again_at, due.tries)
            await self._ledger.record(*before, postponed)
            return
        with self._in_hand.post():
            await self._submit(due, named, *before)

    async def _submit(self, due: Due, named: Named, *before: events.Event) -> None:
        nonce = f"{self._rng.getrandbits(96):024x}"
        chained = isinstance(named.input, UpstreamJob)
        claim = await self._claims.of(due, chained=chained)
        # built before the attempt is recorded: if this fails, nothing was sent
        call = self._call(due, named, nonce)
        attempt = self._attempt(due, nonce, claim)
        try:
            # from here on the ledger knows of the attempt, so it can be followed up after a crash
            await self._ledger.record(*before, attempt, claim=claim)
        except BudgetSpent as error:
            self._selection.hold_back(due, error)
            postponed = events.Postponed(due.id, str(error), self._clock(), due.tries)
            await self._ledger.record(*before, postponed)
            return
        self._selection.count(due, claim)
        event = await self._post(due, named.input, call)
        if isinstance(event, _NOT_ACCEPTED):
            self._selection.give_back()
        event = unnamed(event, named.input.known_as)
        await self._book(due, event)

    def _attempt(self, due: Due, nonce: str, claim: Reservation) -> events.Sending:
        account = self._templates[due.job].account
        return events.Sending(due.id, nonce, account.service, account.key_fingerprint, claim.cost)

    def _call(self, due: Due, named: Named, nonce: str) -> Call:
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

    async def _book(self, due: Due, event: events.Event) -> None:
        """Record the outcome of the POST.

        If the job it names belongs to another document, that answer was meant for somebody else,
        and the reply counts as lost.
        """
        try:
            await self._ledger.record(event)
        except AttemptOpen:
            assert isinstance(event, events.Accepted)
            reason = f"its answer names job {event.job_id}, which is another document's"
            lost = events.ReplyLost(due.id, reason)
            await self._ledger.record(lost)

    # --- what came of it --------------------------------------------------------------------------

    async def _post(self, due: Due, input: Input, call: Call) -> events.Event:
        """Send the one POST and return its outcome as an event.

        The result is kept from some moment between the request and its answer; the earlier one
        counts, since the machine may sleep in between.
        """
        account = self._templates[due.job].account
        deadline_at = self._clock() + account.retention
        try:
            job_id = await call()
        except Refused as error:
            is_own = await is_of_one_document(error, self._client)
            return self._refused(due, input, error, is_own=is_own)
        except Unreachable as error:
            return self._unreachable(due, error)
        except (ReplyLostError, BadReply) as error:
            self._breaker.answer_lost(self._clock())
            return events.ReplyLost(due.id, str(error))
        self._silence.answered()
        self._rate_limit.answered()
        self._breaker.answered(self._clock())
        return events.Accepted(due.id, job_id, deadline_at=deadline_at)

    def _unreachable(self, due: Due, error: Unreachable) -> events.Event:
        self._silence.failed(error)
        self._rate_limit.hold(error)
        span = self._policy.backoff.span(due.tries, self._rng)
        due_at = self._clock() + span
        return events.RefusedForNow(due.id, str(error), due_at=due_at)

    def _refused(self, due: Due, input: Input, error: Refused, *, is_own: bool) -> events.Event:
        if isinstance(error, Busy):
            self._rate_limit.hold(error)
        if sending.is_lapse(error, input.kind):
            self._lapsed[due.id] += 1
        lapses = self._lapsed[due.id]
        words = str(error)
        name = error.name
        match sending.after_refusal(error, input.kind, lapses=lapses, is_own=is_own):
            case sending.Refusal.STOP_RUN:
                abort = isinstance(error, Unauthorised)
                self._control.stop(words, ExitCode.SERVICE_FAILED, abort=abort)
                now = self._clock()
                return events.RefusedForNow(due.id, words, due_at=now, error_name=name)
            case sending.Refusal.NEW_UPLOAD:
                return events.UploadLapsed(due.id, words, error_name=name)
            case sending.Refusal.REJECT_DOCUMENT:
                kind = ErrorClass.DOCUMENT
                return events.Rejected(due.id, words, kind=kind, error_name=name)
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
        kind = event.kind if isinstance(event, events.Rejected) else None
        self._control.count(kind)
        return event


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
