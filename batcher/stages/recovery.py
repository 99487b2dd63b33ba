"""Finds out what became of submissions whose answer was lost, so that nothing is paid for twice.

It looks for them in the service's job list. A job that is found is adopted. If none is found, the
upload is deleted, and after `settle` seconds the list is read again; only then may the submission's
absence be confirmed. `core.absence` decides; this stage gathers the facts and carries the decisions
out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any, Final, NamedTuple

from batcher.core import absence, events
from batcher.core.absence import FENCES_IN_VAIN, LISTING, Action, Decision
from batcher.core.account import Account
from batcher.core.lifecycle import State
from batcher.errors import (
    AttemptOpen,
    BatcherError,
    Busy,
    Outdated,
    Refused,
    ServiceError,
    Unauthorised,
)
from batcher.exit_codes import ExitCode
from batcher.ledger.ledger import Transition, Unknown
from batcher.stages.boundary import Boundary
from batcher.stages.capability_checks import prove_fence
from batcher.stages.context import StageContext
from batcher.stages.job_list_scan import JobListReader, JobListScan
from batcher.stages.making import to_their_ends

UNDER_WAY: Final = (State.SENDING, State.WAITING, State.READY)
TO_SUBMIT: Final = (State.QUEUED, State.UPLOADED)
# Attempts judged side by side: an upload takes long to delete where calls fail. No more than may
# fail in a row, so that few are tried in vain.
AT_ONCE: Final = FENCES_IN_VAIN

Judge = Callable[[Unknown, JobListScan], Awaitable[object]]


class Recovery:
    def __init__(
        self,
        context: StageContext,
        *,
        account: Account,
        settle: float,
        submits: bool = True,
        endpoints: Mapping[str, str] | None = None,
    ) -> None:
        """`submits` says whether this run submits anything; `endpoints` are by job name."""
        self._ledger = context.ledger
        self._client = context.client
        self._rate_limits = context.rate_limits
        self._control = context.control
        self._account = account
        self._settle = settle
        self._clock = context.clock
        self._submits = submits
        self._endpoints = endpoints or {}
        self._boundary = Boundary(context.control, "looking for lost submissions")
        self._look = JobListReader(
            context, account=account, settle=settle, endpoints=self._endpoints
        )
        self._has_looked_for_held = asyncio.Event()
        # By nonce, in the event loop's time.
        self._looked_since: dict[str, float] = {}
        self._fence_seen: dict[str, float] = {}
        # Documents for which this run found that their submissions never arrived.
        self._never_arrived: set[int] = set()
        # Nonces of attempts whose uploads the service refuses to delete: they may still arrive.
        self._unfenced: set[str] = set()
        self._fence_fails: dict[str, _Failed] = {}
        self._fences_in_vain = 0  # in a row, in this pass
        self._lag = absence.ListingLag()
        self._silence = _Silence()
        self._known = _Known()
        # seconds to wait after a failure of the job list; longer with each failure in a row
        self._rest = 0.0
        self._has_lost = asyncio.Event()  # a reply was lost since the last pass began

    async def run(self) -> None:
        """Look for lost submissions for as long as the run lasts; one pass serves all of them."""
        self._ledger.listeners.append(self._hear)
        await self._look_for_held()
        while True:
            self._has_lost.clear()
            unknown = self._ledger.audit.unknown()
            if unknown and not self._boundary.has_stopped:
                began = _now()
                await self._pass(unknown, self._judge)
                await self._until_next_pass(took=_now() - began)
            else:
                await self._ledger.change()

    def outstanding(self) -> int:
        """Return 1 while attempts held by an earlier run haven't been looked for, else 0."""
        return 0 if self._has_looked_for_held.is_set() else 1

    def settled(self) -> Coroutine[Any, Any, object]:
        """See `stage.Awaited`."""
        return self._has_looked_for_held.wait()

    def _hear(self, change: Transition) -> None:
        if isinstance(change.event, events.ReplyLost):
            self._has_lost.set()

    async def _until_next_pass(self, *, took: float) -> None:
        """Wait until a pass may find out something new. `took` is how long the last one took.

        A reply that is lost meanwhile brings it forward, unless the job list couldn't be read.
        """
        if self._rest:
            await asyncio.sleep(self._rest)
            return
        least = absence.between_passes(self._settle, took)
        span = max(least, absence.next_pass_in(self._settle, self._due_in()))
        await asyncio.sleep(least)
        with suppress(TimeoutError):
            async with asyncio.timeout(span - least):
                await self._has_lost.wait()

    def _due_in(self) -> list[float]:
        """Return the seconds until each fence has settled, or may be tried again."""
        due_at: list[float] = []
        for attempt in self._ledger.audit.unknown():
            seen = self._fence_seen.get(attempt.nonce)
            failed = self._fence_fails.get(attempt.nonce)
            if seen is not None:
                due_at.append(seen + self._span)
            elif failed is not None:
                due_at.append(failed.again_at)
        return [moment - _now() for moment in due_at]

    @property
    def _span(self) -> float:
        return self._lag.span(self._settle)

    async def _look_for_held(self) -> None:
        """Look once in a run for attempts that an earlier run held: they may have turned up since.

        They are adopted if found; nothing else is decided about them.
        """
        held = [
            attempt
            for attempt in self._ledger.audit.unknown(State.HELD)
            if not absence.is_out_of_reach(self._age(attempt), self._account.retention)
        ]
        if held:
            await self._pass(held, self._adopt)
        self._has_looked_for_held.set()

    async def _pass(self, unknown: Sequence[Unknown], judge: Judge) -> None:
        """Read the job list and judge each attempt.

        An attempt that can't be judged, or a list that can't be read, doesn't keep the others from
        being judged.
        """
        self._fences_in_vain = 0
        try:
            await self._prove_fence()
            scan = await self._look_through_listing(unknown)
            self._known = self._known_of(scan)
            attempts = iter(unknown)
            _, error = await to_their_ends(
                self._judge_each(attempts, scan, judge) for _ in range(AT_ONCE)
            )
            if error is not None:
                raise error
        except Unauthorised as error:
            self._control.stop(str(error), ExitCode.SERVICE_FAILED, abort=True)

    async def _judge_each(
        self, attempts: Iterator[Unknown], scan: JobListScan, judge: Judge
    ) -> None:
        """Judge attempts until none is left, beside others that take from the same `attempts`."""
        for attempt in attempts:
            if self._boundary.has_stopped:
                return  # the error hits every attempt: the next run looks for the others
            await self._judge_alone(attempt, scan, judge)

    async def _judge_alone(self, attempt: Unknown, scan: JobListScan, judge: Judge) -> None:
        try:
            await judge(attempt, scan)
            self._boundary.passed()
        except BatcherError:
            raise
        except Exception as error:
            self._boundary.caught(error, about=self._ledger.tracking.source_of(attempt.id))
            if not self._boundary.has_stopped:
                words = f"perhaps paid; internal error: {type(error).__name__}: {error}"
                await self._ledger.record(events.Held(attempt.id, words))

    async def _prove_fence(self) -> None:
        """Check that the service deletes uploads.

        If it doesn't, no absence can ever be proven; jobs that its list shows are still adopted.
        """
        try:
            await prove_fence(self._ledger, self._client, self._account)
        except Unauthorised:
            raise
        except ServiceError:
            pass  # the next pass tries again; what the list shows counts without this proof

    async def _judge(self, attempt: Unknown, scan: JobListScan) -> None:
        seen = self._scan_facts(attempt, scan)
        facts = self._attempt_facts(attempt, scan)
        decision = absence.first_decision(facts, seen, self._run_facts(attempt))
        if decision is not None and decision.action is Action.FENCE:
            await self._fence(attempt)
            decision = None
        if decision is None:
            decision = self._conclusion(attempt, scan, seen)
        await self._carry_out(decision, attempt, scan)

    def _conclusion(self, attempt: Unknown, scan: JobListScan, seen: absence.ScanFacts) -> Decision:
        waited = self._waited(attempt, scan)
        facts = self._attempt_facts(attempt, scan, waited=waited)
        return absence.conclusion(facts, seen, self._run_facts(attempt))

    async def _carry_out(self, decision: Decision, attempt: Unknown, scan: JobListScan) -> None:
        match decision.action:
            case Action.ADOPT:
                if not await self._adopt(attempt, scan):
                    held = absence.answered_to_another(scan.jobs[attempt.id])
                    await self._ledger.record(events.Held(attempt.id, held.reason))
            case Action.CONFIRM_ABSENT:
                self._never_arrived.add(attempt.id)
                await self._ledger.record(events.ProvenAbsent(attempt.id))
            case Action.GIVE_UP:
                self._never_arrived.add(attempt.id)
                await self._ledger.record(events.GivenUp(attempt.id, decision.reason))
            case Action.HOLD:
                await self._ledger.record(events.Held(attempt.id, decision.reason))

    async def _adopt(self, attempt: Unknown, scan: JobListScan) -> bool:
        """Adopt the attempt's job if it was found; return False if another attempt holds it."""
        job_id = scan.jobs.get(attempt.id)
        if job_id is not None:
            deadline = attempt.sent_at + self._account.retention
            try:
                await self._ledger.record(events.Adopted(attempt.id, job_id, deadline))
            except Outdated:
                pass  # it was held, and has been edited since this pass began
            except AttemptOpen:
                return False
        return True

    # --- facts ------------------------------------------------------------------------------------

    def _known_of(self, scan: JobListScan) -> _Known:
        witness = self._ledger.audit.witness(
            self._account.service, self._account.key_fingerprint, since=0.0
        )
        return _Known(
            proven=self._ledger.audit.proven(self._account.service, self._account.key_fingerprint),
            missing=scan.lacking(self._settle),
            accepted_at=witness.accepted_at if witness else None,
        )

    def _attempt_facts(
        self, attempt: Unknown, scan: JobListScan, *, waited: float = 0.0
    ) -> absence.AttemptFacts:
        return absence.AttemptFacts(
            age=self._age(attempt),
            has_upload=attempt.has_upload,
            absences=attempt.absences,
            fence=self._fence_facts(attempt, scan),
            waited=waited,
            silent_for=self._silence.span(attempt.nonce),
            witness_age=self._witness_age(attempt),
        )

    def _age(self, attempt: Unknown) -> float:
        return self._clock() - attempt.sent_at

    def _fence_facts(self, attempt: Unknown, scan: JobListScan) -> absence.FenceFacts:
        seen = self._fence_seen.get(attempt.nonce)
        failed = self._fence_fails.get(attempt.nonce)
        return absence.FenceFacts(
            settled_for=None if seen is None else scan.begun_at - seen,
            is_refused=attempt.nonce in self._unfenced,
            failure=failed.why if failed else None,
            again_in=failed.again_at - _now() if failed else 0.0,
        )

    def _waited(self, attempt: Unknown, scan: JobListScan) -> float:
        """Return the seconds since the first pass that could have concluded something.

        Waiting for the deletion of the upload to settle doesn't count.
        """
        if attempt.nonce in self._fence_seen and not self._has_settled(attempt, scan):
            return 0.0
        return scan.begun_at - self._looked_since.setdefault(attempt.nonce, scan.begun_at)

    def _has_settled(self, attempt: Unknown, scan: JobListScan) -> bool:
        return self._fence_facts(attempt, scan).has_settled(self._span)

    def _witness_age(self, attempt: Unknown) -> float | None:
        """Return the seconds since the latest acceptance if it followed the upload's deletion."""
        accepted_at = self._known.accepted_at
        if accepted_at is None or accepted_at <= (attempt.fenced_at or 0.0):
            return None
        return self._clock() - accepted_at

    def _scan_facts(self, attempt: Unknown, scan: JobListScan) -> absence.ScanFacts:
        endpoint = self._endpoints.get(attempt.job, "")
        return absence.ScanFacts(
            job_id=scan.jobs.get(attempt.id),
            part=scan.parts.get(attempt.id),
            broken=scan.broken,
            unreadable=scan.unreadable,
            missing=self._known.missing,
            anonymous=scan.anybodys(endpoint, attempt.sent_at),
            lags=scan.lags_since(attempt.fenced_at or 0.0),
            shows_ours=scan.shown_to is not None,
        )

    def _run_facts(self, attempt: Unknown) -> absence.RunFacts:
        tally = self._ledger.tally
        return absence.RunFacts(
            settle=self._settle,
            span=self._span,
            retention=self._account.retention,
            proven=self._known.proven,
            never_arrived=len(self._never_arrived | {attempt.id}),
            fences_in_vain=self._fences_in_vain,
            under_way=sum(tally[state] for state in UNDER_WAY),
            to_submit=sum(tally[state] for state in TO_SUBMIT),
            submits=self._submits and not self._control.home,
        )

    # --- the fence: the deletion of an upload -----------------------------------------------------

    async def _fence(self, attempt: Unknown) -> None:
        """Delete the attempt's upload, so that a late submission can't start a job.

        The deletion is recorded before it is done, because a late job would otherwise seem to fail
        through the document's own fault. Deletions recorded by an earlier run are repeated: that
        run may have died in between.
        """
        if attempt.fenced_at is None:
            await self._ledger.record(events.Fenced(attempt.id, self._clock()))
        await self._rate_limits.whole.acquire()
        try:
            await self._client.delete_upload(str(attempt.file_id))
        except Unauthorised:
            raise
        except ServiceError as error:
            if not _is_final(error):
                self._fence_later(attempt, error)
                return
            self._unfenced.add(attempt.nonce)
        self._fences_in_vain = 0
        self._fence_fails.pop(attempt.nonce, None)
        self._fence_seen[attempt.nonce] = _now()
        await self._ledger.record(events.Fenced(attempt.id, self._clock()))

    def _fence_later(self, attempt: Unknown, error: ServiceError) -> None:
        self._fences_in_vain += 1
        failed = self._fence_fails.get(attempt.nonce)
        wait = absence.fence_again_in(
            failed.wait if failed else None,
            self._settle,
            came_too_soon=isinstance(error, Busy) and error.status == 429,
        )
        asked_for = error.retry_after if isinstance(error, Busy) else None
        again_at = _now() + max(wait, asked_for or 0.0)
        self._fence_fails[attempt.nonce] = _Failed(str(error), wait, again_at)

    # --- reading the job list ---------------------------------------------------------------------

    async def _look_through_listing(self, unknown: Sequence[Unknown]) -> JobListScan:
        scan = await self._look.through(unknown)
        if scan.broken:
            self._rest = absence.rest_after_failure(self._rest, self._settle)
            return scan
        self._rest = 0.0
        self._learn_lag(scan)
        shows_ours = scan.shown_to is not None or bool(scan.jobs)
        settled = {attempt.nonce for attempt in unknown if self._has_settled(attempt, scan)}
        self._silence.note(
            scan.begun_at, set() if shows_ours else settled, longest_gap=self._settle
        )
        if shows_ours:
            await self._ledger.prove(self._account.service, self._account.key_fingerprint, LISTING)
        return scan

    def _learn_lag(self, scan: JobListScan) -> None:
        ages = {job_id: scan.seen_at - accepted_at for job_id, accepted_at in scan.unshown.items()}
        self._lag.learn(ages, self._settle)


class _Known(NamedTuple):
    """Facts that all attempts of one pass share, and that cost a query or a walk to find out."""

    proven: frozenset[str] = frozenset()
    missing: str | None = None  # a job of ours that the job list must show and doesn't
    accepted_at: float | None = None  # when the service last accepted a job of ours


class _Silence:
    """How long the job list has shown nothing of ours: an empty one may be a copy that is behind.

    It counts for each attempt from when its fence has settled, since an earlier pass may have come
    before its job could be shown. Only passes that read the list to its end are noted.
    """

    def __init__(self) -> None:
        self._spans: dict[str, float] = {}  # seconds, by nonce
        self._last_at = 0.0

    def note(self, begun_at: float, looked_for: Set[str], *, longest_gap: float) -> None:
        """Note the nonces that a pass looked for in vain; none if it found a job of ours.

        The time since the pass before counts up to `longest_gap` seconds: nobody knows what the
        list showed while it couldn't be read.
        """
        gap = min(begun_at - self._last_at, longest_gap)
        self._last_at = begun_at
        self._spans = {
            nonce: self._spans[nonce] + gap if nonce in self._spans else 0.0 for nonce in looked_for
        }

    def span(self, nonce: str) -> float:
        """Return the seconds up to the last pass that read the whole list."""
        return self._spans.get(nonce, 0.0)


class _Failed(NamedTuple):
    """Why a deletion failed, the seconds to wait, and when it is tried again in the loop's time."""

    why: str
    wait: float
    again_at: float


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_final(error: ServiceError) -> bool:
    """Return whether the same call would be refused at any other time and with any key."""
    return isinstance(error, Refused) and not isinstance(error, Busy | Unauthorised)
