"""Finds out what became of submissions whose answer was lost, before anything is paid a second
time.

Look for it in the service's listing: found, it is adopted. Not found: fence it off by deleting its
upload, let `settle` pass, look again; only then is it proven absent and may be sent anew, and only
by a listing that shows all it must show of ours. Where the means can't be trusted, it is held, in
bounded time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

from batcher.adapters.rate_limits import RateLimits
from batcher.common.formatting import pluralize
from batcher.core import events
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
from batcher.ledger.ledger import Ledger, Unknown
from batcher.reducto.client import Api
from batcher.stages.boundary import Boundary
from batcher.stages.capability_checks import FENCE, LISTING, prove_fence
from batcher.stages.job_list_scan import MARGIN, JobListReader, JobListScan
from batcher.stages.run_control import RunControl

ABSENCES_AT_MOST: Final = 3
# where so many others' submissions never arrive either, it's no fault of this one's
ABSENCES_IN_BAD_TIMES: Final = 6
BAD_TIMES: Final = 3
# seconds at most, with nothing else to do, for a listing that can't be relied on
PATIENCE: Final = 1800.0
# times `settle`: nothing would show that such a listing lags, so it has longer than any other
WITHOUT_WITNESS: Final = 10
REST_AT_MOST: Final = 300.0  # seconds between two looks at a listing that can't be read
# in a row, in one pass: whoever waits for the others' sake waits for the next one
FENCES_IN_VAIN: Final = 3
SLACK: Final = 0.01  # seconds
_NO_FENCE: Final = "an input that is no upload can't be fenced off, so its absence can't be proven"

Judge = Callable[[Unknown, JobListScan], Awaitable[object]]


class Recovery:
    def __init__(
        self,
        ledger: Ledger,
        client: Api,
        rate_limits: RateLimits,
        control: RunControl,
        *,
        service: str,
        key_print: str,
        retention: float,
        settle: float,
        clock: Callable[[], float],
        submits: bool = True,
        endpoints: Mapping[str, str] | None = None,
    ) -> None:
        """`submits`: whether the run it is a part of sends anything. `endpoints` by job name."""
        self._ledger = ledger
        self._client = client
        self._rate_limits = rate_limits
        self._control = control
        self._service = service
        self._key_print = key_print
        self._retention = retention
        self._settle = settle
        self._clock = clock
        self._submits = submits
        self._endpoints = endpoints or {}
        self._boundary = Boundary(control, "looking for lost submissions")
        self._look = JobListReader(
            ledger,
            client,
            rate_limits.list,
            service=service,
            key_print=key_print,
            endpoints=self._endpoints,
            clock=clock,
        )
        self.has_looked_for_held = False
        self._looked_since: dict[
            str, float
        ] = {}  # by nonce, in the loop's time, as all that follows
        self._fence_seen: dict[str, float] = {}
        # documents whose submissions never arrived, in this run
        self._never_arrived: set[int] = set()
        # the service wouldn't delete their uploads, so they may yet arrive
        self._unfenced: set[str] = set()
        self._fence_fails: dict[str, _Failed] = {}
        self._fences_in_vain = 0  # in a row, in this pass
        self._late: dict[
            str, float
        ] = {}  # jobs of ours that weren't shown, and how old they were by then
        self._lag = 0.0  # the most by which the listing was seen to be behind
        self._rest = 0.0  # seconds, longer from one failure of the listing to the next

    async def run(self) -> None:
        """For as long as the run lasts: one pass over the listing serves all that is unknown."""
        await self._look_for_held()
        while True:
            unknown = self._ledger.audit.unknown()
            if unknown and not self._boundary.has_stopped:
                await self._pass(unknown, self._judge)
                await asyncio.sleep(max(self._next_in(), self._rest))
            else:
                await self._ledger.change()

    def _next_in(self) -> float:
        """Seconds to the next pass: it comes as soon as it may prove the absence of one that is
        fenced.
        """
        fenced = [self._fence_seen.get(attempt.nonce) for attempt in self._ledger.audit.unknown()]
        settled_in = [seen + self._span - _now() for seen in fenced if seen is not None]
        in_time = [span + SLACK for span in settled_in if span > 0]
        return min(self._settle / 4, max(self._settle / 10, min(in_time, default=math.inf)))

    async def _look_for_held(self) -> None:
        """Once in a run: what an earlier one held may have turned up since.

        It is adopted, and nothing else.
        """
        held = [
            attempt
            for attempt in self._ledger.audit.unknown(State.HELD)
            if not self._is_out_of_reach(attempt)
        ]
        if held:
            await self._pass(held, self._adopt)
        self.has_looked_for_held = True

    async def _pass(self, unknown: Sequence[Unknown], judge: Judge) -> None:
        """What can't be judged keeps no other from being judged, nor does a listing that can't be
        read.
        """
        self._fences_in_vain = 0
        try:
            await self._prove_fence()
            scan = await self._look_through_listing(unknown)
            for attempt in unknown:
                if self._boundary.has_stopped:
                    return  # it befalls all: the next run looks for the others
                await self._judge_alone(attempt, scan, judge)
        except Unauthorised as error:
            self._control.stop(str(error), 4, abort=True)

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
        """Where a service deletes no uploads nobody's absence is ever proven; what its listing
        shows is still ours.
        """
        try:
            await prove_fence(self._ledger, self._client, self._service, self._key_print)
        except Unauthorised:
            raise
        except ServiceError:
            pass  # the next pass tries again; what the listing shows counts without it

    async def _judge(self, attempt: Unknown, scan: JobListScan) -> None:
        if attempt.id in scan.jobs:
            if not await self._adopt(attempt, scan):
                words = (
                    f"perhaps paid: its job {scan.jobs[attempt.id]} was answered to "
                    "another document"
                )
                await self._ledger.record(events.Held(attempt.id, words))
            return
        if self._is_out_of_reach(attempt):
            await self._ledger.record(
                events.Held(attempt.id, "perhaps paid, and longer ago than the listing reaches")
            )
            return
        if self._is_to_be_fenced(attempt, scan):
            await self._fence(attempt)
        if self._has_settled(attempt, scan) and self._may_conclude(attempt, scan):
            await self._ledger.record(self._absent(attempt))
        elif self._is_hopeless(attempt, scan):
            await self._ledger.record(events.Held(attempt.id, self._what_lacks(attempt, scan)))

    def _absent(self, attempt: Unknown) -> events.Event:
        self._never_arrived.add(attempt.id)
        most = ABSENCES_IN_BAD_TIMES if len(self._never_arrived) > BAD_TIMES else ABSENCES_AT_MOST
        if attempt.absences + 1 >= most:
            return events.GivenUp(
                attempt.id, f"proven absent {most} times: its submissions never arrive"
            )
        return events.ProvenAbsent(attempt.id)

    async def _adopt(self, attempt: Unknown, scan: JobListScan) -> bool:
        """False where another attempt holds its job: somewhere on the way two answers were mixed
        up.
        """
        job_id = scan.jobs.get(attempt.id)
        if job_id is not None:
            deadline = attempt.sent_at + self._retention
            try:
                await self._ledger.record(events.Adopted(attempt.id, job_id, deadline))
            except Outdated:
                pass  # it was held, and has been edited since the look began
            except AttemptOpen:
                return False
        return True

    # --- the fence --------------------------------------------------------------------------------

    def _is_to_be_fenced(self, attempt: Unknown, scan: JobListScan) -> bool:
        """Not where a part of its job shows that it has arrived, nor before the listing could be
        looked through.
        """
        is_due = attempt.has_upload and attempt.nonce not in self._fence_seen
        return is_due and attempt.id not in scan.parts and not scan.broken

    async def _fence(self, attempt: Unknown) -> None:
        """Delete its upload: on record before, or a late job would seem to fail by the document's
        own fault.

        What an earlier run has on record is deleted once more: nobody knows whether that run still
        came to it.
        """
        failed = self._fence_fails.get(attempt.nonce)
        if self._fences_in_vain >= FENCES_IN_VAIN or (failed and _now() < failed.again_at):
            return
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
        wait = min(REST_AT_MOST, 2 * failed.wait if failed else self._settle / 4)
        asked_for = error.retry_after if isinstance(error, Busy) else None
        if isinstance(error, Busy) and error.status == 429:
            wait = self._settle / 8  # it only came too soon
        self._fence_fails[attempt.nonce] = _Failed(
            str(error), wait, _now() + max(wait, asked_for or 0.0)
        )

    # --- what may be concluded --------------------------------------------------------------------

    def _is_out_of_reach(self, attempt: Unknown) -> bool:
        """The service may have forgotten the job since: that it doesn't list it says nothing any
        more.
        """
        return self._clock() - attempt.sent_at > self._retention - MARGIN

    def _has_settled(self, attempt: Unknown, scan: JobListScan) -> bool:
        """Whether the listing was begun long enough after the fence, by the time of this run alone.

        The machine's clock may have been set between two runs, so a fence of an earlier one counts
        from our start.
        """
        fenced = self._fence_seen.get(attempt.nonce)
        return fenced is not None and scan.begun_at - fenced >= self._span

    @property
    def _span(self) -> float:
        """`settle`, or longer where the listing was seen to be further behind."""
        return max(self._settle, min(2 * self._lag, PATIENCE))

    def _may_conclude(self, attempt: Unknown, scan: JobListScan) -> bool:
        """Absence is proven by what must be there, those jobs of ours included that were accepted
        just now.
        """
        return not self._doubt(attempt, scan)

    def _doubt(self, attempt: Unknown, scan: JobListScan) -> str:
        """Why this pass can't tell that its submission never arrived; empty where it can."""
        return self._deficiency(attempt, scan) or self._too_early(attempt, scan)

    def _deficiency(self, attempt: Unknown, scan: JobListScan) -> str:
        """What is missing that time alone doesn't bring."""
        not_proven = {LISTING, FENCE} - self._ledger.audit.proven(self._service, self._key_print)
        if scan.broken or not_proven or not attempt.has_upload:
            return self._what_is_missing(attempt, scan, not_proven)
        return self._shaky(attempt, scan) or self._not_fenced(attempt)

    def _not_fenced(self, attempt: Unknown) -> str:
        if attempt.nonce in self._fence_seen and attempt.nonce not in self._unfenced:
            return ""
        failed = self._fence_fails.get(attempt.nonce)
        return f"its upload can't be deleted{f': {failed.why}' if failed else ''}"

    def _what_is_missing(self, attempt: Unknown, scan: JobListScan, not_proven: set[str]) -> str:
        if scan.broken:
            return f"the listing can't be read to its end: {scan.broken}"
        if not attempt.has_upload:
            return _NO_FENCE
        return f"not proven: {', '.join(sorted(not_proven))}"

    def _shaky(self, attempt: Unknown, scan: JobListScan) -> str:
        """What the listing shows too little of."""
        if part := scan.parts.get(attempt.id):
            return f"the listing shows job {part}, a part of its job, and not the job itself"
        if scan.unreadable:
            return (
                f"{pluralize(scan.unreadable, 'row')} of the listing can't be read, and may be "
                "its job's"
            )
        if job_id := scan.lacking(self._settle):
            return f"the listing doesn't show job {job_id}, which the service accepted before"
        if job_id := scan.anybodys(self._endpoints.get(attempt.job, ""), attempt.sent_at):
            return f"the listing doesn't say what job {job_id} is of, so it may be its job"
        return ""

    def _too_early(self, attempt: Unknown, scan: JobListScan) -> str:
        """What more there may be to see in a little while."""
        if scan.lags_since(attempt.fenced_at or 0.0):
            return "the listing shows no job that the service accepted since its upload was deleted"
        waited = self._waited(attempt, scan)
        if scan.shown_to is None and not (
            waited > self._without_witness and self._is_alone(waited)
        ):
            return "the listing shows no job of ours"
        return ""

    @property
    def _without_witness(self) -> float:
        """Seconds after which a listing is believed that has no job of ours to show and none that
        it must show.
        """
        return WITHOUT_WITNESS * self._settle

    def _waited(self, attempt: Unknown, scan: JobListScan) -> float:
        """Since this run first looked for it."""
        return scan.begun_at - self._looked_since.setdefault(attempt.nonce, scan.begun_at)

    # --- what is given up on ----------------------------------------------------------------------

    def _is_hopeless(self, attempt: Unknown, scan: JobListScan) -> bool:
        """Nothing else is left whose acceptance could still prove the listing, and it has had its
        time.
        """
        if attempt.nonce in self._fence_seen and not self._has_settled(attempt, scan):
            return False
        waited = self._waited(attempt, scan)
        is_enough = waited > self._patience(attempt, scan) and self._is_alone(waited)
        return is_enough and not self._may_yet_be_shown(attempt)

    def _patience(self, attempt: Unknown, scan: JobListScan) -> float:
        """Longer where the service may come to itself."""
        may_pass = scan.broken or attempt.nonce in self._fence_fails or self._shaky(attempt, scan)
        only_a_witness = scan.shown_to is None and not self._deficiency(attempt, scan)
        least = self._without_witness if only_a_witness else 3 * self._settle
        return max(least, 2 * self._span, min(30 * self._settle, PATIENCE) if may_pass else 0.0)

    def _is_alone(self, waited: float) -> bool:
        """What is left waits for these, or for nothing; what is to be sent may be waiting for them
        without a word.
        """
        tally = self._ledger.tally
        company = tally[State.SENDING] + tally[State.WAITING] + tally[State.READY]
        # else what is left to send is another run's
        sends = self._submits and not self._control.home
        if sends and waited <= PATIENCE:
            company += tally[State.QUEUED] + tally[State.UPLOADED]
        return company == 0

    def _may_yet_be_shown(self, attempt: Unknown) -> bool:
        """Whether the job by which the listing is to be proven is so young that the listing may
        still lag behind it.
        """
        witness = self._ledger.audit.witness(
            self._service, self._key_print, since=attempt.fenced_at or 0.0
        )
        return witness is not None and self._clock() - witness.accepted_at <= 3 * self._settle

    def _what_lacks(self, attempt: Unknown, scan: JobListScan) -> str:
        return f"perhaps paid; {self._doubt(attempt, scan) or 'not proven: absence'}"

    # --- looking ----------------------------------------------------------------------------------

    async def _look_through_listing(self, unknown: Sequence[Unknown]) -> JobListScan:
        scan = await self._look.through(unknown)
        if scan.broken:
            self._rest = min(REST_AT_MOST, 2 * self._rest or self._settle / 8)
            return scan
        self._rest = 0.0
        self._learn_lag(scan)
        if scan.shown_to is not None or scan.jobs:
            await self._ledger.prove(self._service, self._key_print, LISTING)
        return scan

    def _learn_lag(self, scan: JobListScan) -> None:
        """By how much the listing is behind is seen by what it shows in the end."""
        shown = [
            age
            for job_id, age in self._late.items()
            if job_id not in scan.unshown and age <= PATIENCE
        ]
        self._lag = max(self._lag, *shown, 0.0)
        ages = {job_id: scan.seen_at - accepted_at for job_id, accepted_at in scan.unshown.items()}
        self._late = {job_id: age for job_id, age in ages.items() if age >= self._settle}


class _Failed(NamedTuple):
    """Why; how long was waited; and when it is tried again, in the loop's time."""

    why: str
    wait: float
    again_at: float


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_final(error: ServiceError) -> bool:
    """Whether the same call would be refused at any other time and with any key."""
    return isinstance(error, Refused) and not isinstance(error, Busy | Unauthorised)
