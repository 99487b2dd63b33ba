"""Finds out what became of submissions whose answer was lost, before anything is paid a second time.

Look for it in the service's listing: found, it is adopted. Not found: fence it off by deleting its upload, let `settle`
pass, look again; only then is it proven absent and may be sent anew. Where the means can't be trusted, it is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from batcher.core import events
from batcher.core.lifecycle import State
from batcher.core.twins import marks_in
from batcher.core.wire import JobRow
from batcher.edges.client import Api
from batcher.edges.pace import Pace
from batcher.errors import AttemptOpen, Busy, Outdated, Refused, ServiceError, Unauthorised
from batcher.ledger.ledger import Ledger, Unknown
from batcher.stages.course import Course
from batcher.stages.proving import FENCE, LISTING, EndlessListing, prove_fence, rows

ABSENCES_AT_MOST: Final = 3
MARGIN: Final = 300.0  # seconds before the retention is over from which on a listing proves nothing
_NO_FENCE: Final = "an input that is no upload can't be fenced off, so its absence can't be proven"


@dataclass(slots=True)
class Sighting:
    """What one whole pass over the listing showed: jobs by unknown document, and our latest known job, if it did."""

    begun_at: float  # by the loop's time
    jobs: dict[int, str] = field(default_factory=dict)
    witnessed: bool = False  # whether it showed the latest job of ours
    to_show: dict[str, float] = field(default_factory=dict)  # when our jobs were accepted since the earliest fence
    shown_to: float = 0.0  # … and the latest of them that it showed
    broken: str = ""  # why it wasn't a whole pass


Judge = Callable[[Unknown, Sighting], Awaitable[object]]


class Recovery:
    def __init__(
        self,
        ledger: Ledger,
        client: Api,
        pace: Pace,
        course: Course,
        *,
        service: str,
        key_print: str,
        retention: float,
        settle: float,
        clock: Callable[[], float],
        submits: bool = True,
    ) -> None:
        """`submits`: whether the run it is a part of sends anything."""
        self._ledger = ledger
        self._client = client
        self._pace = pace
        self._course = course
        self._service = service
        self._key_print = key_print
        self._retention = retention
        self._settle = settle
        self._clock = clock
        self._submits = submits
        self.has_looked_for_held = False
        self._fence_seen: dict[str, float] = {}  # by nonce, in the loop's time
        self._unfenced: set[str] = set()  # by nonce: the service wouldn't delete their uploads, so they may yet arrive

    async def run(self) -> None:
        """For as long as the run lasts: one pass over the listing serves all that is unknown."""
        await self._look_for_held()
        while True:
            unknown = self._ledger.unknown()
            if unknown:
                await self._pass(unknown, self._judge)
                await asyncio.sleep(self._settle / 4)
            else:
                await self._ledger.change()

    async def _look_for_held(self) -> None:
        """Once in a run: what an earlier one held may have turned up since. It is adopted, and nothing else."""
        held = [attempt for attempt in self._ledger.unknown(State.HELD) if not self._is_out_of_reach(attempt)]
        if held:
            await self._pass(held, self._adopt)
        self.has_looked_for_held = True

    async def _pass(self, unknown: Sequence[Unknown], judge: Judge) -> None:
        try:
            await self._prove_fence()
            sighting = await self._look_through_listing(unknown)
            for attempt in unknown:
                await judge(attempt, sighting)
        except Unauthorised as error:
            self._course.stop(str(error), 4, at_once=True)
        except ServiceError as error:
            self._pace.list.hold(error)  # nothing is decided in an outage

    async def _prove_fence(self) -> None:
        """Where a service deletes no uploads nobody's absence is ever proven; what its listing shows is still ours."""
        try:
            await prove_fence(self._ledger, self._client, self._service, self._key_print)
        except Refused as error:
            if not _is_final(error):
                raise

    async def _judge(self, attempt: Unknown, sighting: Sighting) -> None:
        if attempt.id in sighting.jobs:
            if not await self._adopt(attempt, sighting):
                words = f"perhaps paid: its job {sighting.jobs[attempt.id]} was answered to another document"
                await self._ledger.record(events.Held(attempt.id, words))
        elif self._is_out_of_reach(attempt):
            await self._ledger.record(events.Held(attempt.id, "perhaps paid, and longer ago than the listing reaches"))
        elif not attempt.has_upload:
            if self._is_hopeless(attempt, sighting):
                await self._ledger.record(events.Held(attempt.id, f"perhaps paid; {_NO_FENCE}"))
        elif attempt.nonce not in self._fence_seen:
            await self._fence(attempt)
        elif self._has_settled(attempt, sighting) and self._may_conclude(attempt, sighting):
            await self._ledger.record(self._absent(attempt))
        elif self._is_hopeless(attempt, sighting):
            await self._ledger.record(events.Held(attempt.id, self._what_lacks(sighting)))

    async def _fence(self, attempt: Unknown) -> None:
        """Delete its upload: on record before, or a late job would seem to fail by the document's own fault.

        What an earlier run has on record is deleted once more: nobody knows whether that run still came to it.
        """
        if attempt.fenced_at is None:
            await self._ledger.record(events.Fenced(attempt.id, self._clock()))
        try:
            await self._client.delete_upload(str(attempt.file_id))
        except Refused as error:
            if not _is_final(error):
                raise
            self._unfenced.add(attempt.nonce)
        self._fence_seen[attempt.nonce] = asyncio.get_running_loop().time()
        await self._ledger.record(events.Fenced(attempt.id, self._clock()))

    async def _adopt(self, attempt: Unknown, sighting: Sighting) -> bool:
        """False where another attempt holds its job: somewhere on the way two answers were mixed up."""
        job_id = sighting.jobs.get(attempt.id)
        if job_id is not None:
            deadline = attempt.sent_at + self._retention
            try:
                await self._ledger.record(events.Adopted(attempt.id, job_id, deadline))
            except Outdated:
                pass  # it was held, and has been edited since the look began
            except AttemptOpen:
                return False
        return True

    def _is_out_of_reach(self, attempt: Unknown) -> bool:
        """The service may have forgotten the job since: that it doesn't list it says nothing any more."""
        return self._clock() - attempt.sent_at > self._retention - MARGIN

    def _has_settled(self, attempt: Unknown, sighting: Sighting) -> bool:
        """Whether the listing was begun `settle` after the fence, by the time of this run alone.

        The machine's clock may have been set between two runs, so a fence of an earlier one counts from our start.
        """
        return self._waited(attempt, sighting) >= self._settle

    def _waited(self, attempt: Unknown, sighting: Sighting) -> float:
        return sighting.begun_at - self._fence_seen.setdefault(attempt.nonce, sighting.begun_at)

    def _is_hopeless(self, attempt: Unknown, sighting: Sighting) -> bool:
        """Nothing else is left whose acceptance could still prove the listing."""
        tally = self._ledger.tally
        waiting = tally[State.UNKNOWN] + tally[State.DUPLICATE] + tally[State.FOLLOWING]  # these, for it or for nothing
        if self._course.home or not self._submits:  # what is left to send is another run's
            waiting += tally[State.QUEUED] + tally[State.UPLOADED]
        alone = self._ledger.open_documents == waiting
        return alone and self._waited(attempt, sighting) > 3 * self._settle and not self._may_yet_be_shown(attempt)

    def _may_yet_be_shown(self, attempt: Unknown) -> bool:
        """Whether the job by which the listing is to be proven is so young that the listing may still lag behind it."""
        witness = self._ledger.witness(self._service, self._key_print, since=attempt.fenced_at or 0.0)
        return witness is not None and self._clock() - witness.accepted_at <= 3 * self._settle

    def _what_lacks(self, sighting: Sighting) -> str:
        if sighting.broken:
            return f"perhaps paid; the listing can't be read to its end: {sighting.broken}"
        lacking = {LISTING, FENCE} - self._ledger.proven(self._service, self._key_print)
        return f"perhaps paid; not proven: {', '.join(sorted(lacking)) or 'absence'}"

    def _absent(self, attempt: Unknown) -> events.Event:
        if attempt.absences + 1 >= ABSENCES_AT_MOST:
            return events.GivenUp(attempt.id, f"proven absent {ABSENCES_AT_MOST} times: its submissions never arrive")
        return events.ProvenAbsent(attempt.id)

    def _may_conclude(self, attempt: Unknown, sighting: Sighting) -> bool:
        """An empty listing proves nothing unless the listing is known to show our jobs, those of just now included."""
        proven = self._ledger.proven(self._service, self._key_print)
        if not {LISTING, FENCE} <= proven or sighting.broken or attempt.nonce in self._unfenced:
            return False
        fenced_at = attempt.fenced_at or 0.0
        if not any(moment > fenced_at for moment in sighting.to_show.values()):
            return True
        return sighting.shown_to > fenced_at

    # --- looking ----------------------------------------------------------------------------------------------------

    async def _look_through_listing(self, unknown: Sequence[Unknown]) -> Sighting:
        sighting = Sighting(asyncio.get_running_loop().time())
        witness = self._ledger.witness(self._service, self._key_print, since=0.0)
        fences = [attempt.fenced_at for attempt in unknown if attempt.fenced_at is not None]
        young = self._ledger.accepted_since(self._service, self._key_print, min(fences)) if fences else {}
        sighting.to_show = {job_id: one.accepted_at for job_id, one in young.items()}
        try:
            async for row in rows(self._client, self._pace.list):
                for attempt in _named(row, unknown):
                    sighting.jobs.setdefault(attempt.id, row.job_id)
                if witness and row.job_id == witness.job_id and row.mentions(witness.nonce):
                    sighting.witnessed = True
                if one := young.get(row.job_id):
                    if row.mentions(one.nonce):
                        sighting.shown_to = max(sighting.shown_to, one.accepted_at)
                    elif marks_in(row)[0]:  # it names another attempt: two answers were mixed up on their way
                        sighting.to_show.pop(row.job_id, None)
        except EndlessListing as error:
            sighting.broken = error.message
        if sighting.witnessed or sighting.shown_to or sighting.jobs:
            await self._ledger.prove(self._service, self._key_print, LISTING)
        return sighting


def _is_final(error: Refused) -> bool:
    """Whether the same call would be refused at any other time and with any key."""
    return not isinstance(error, Busy | Unauthorised)


def _named(row: JobRow, unknown: Iterable[Unknown]) -> Iterable[Unknown]:
    return (a for a in unknown if row.mentions(a.nonce) or (a.has_upload and row.mentions(str(a.file_id))))
