"""Notices that an answer is about another document's job, and gives both documents their own.

Two answers to submissions that came back crosswise leave each document with the other's job. Where
more were mixed up, the job list shows whose job is whose (`stages.auditor`). It says nothing about
what becomes of the answer.
"""

from __future__ import annotations

from batcher.core import events
from batcher.core.duplicate_jobs import AttemptRef, nonces_in
from batcher.core.lifecycle import Impossible
from batcher.errors import AttemptOpen, ServiceError
from batcher.reducto.api_types import JobAnswer, JobStatus
from batcher.reducto.responses import is_about
from batcher.stages.context import StageContext
from batcher.stages.job_tracker import Watched
from batcher.stages.sink import ByteBudget


class CrossedAnswers:
    def __init__(self, context: StageContext, room: ByteBudget) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._jobs = context.jobs
        self._room = room
        # whether a job completed whose answer didn't say whose it is, or was given up because its
        # answers named another document
        self.met_doubt = False

    def named_instead(self, watched: Watched, answer: JobAnswer) -> AttemptRef | None:
        """Return the other document's attempt for which this job was submitted, or None.

        An answer that doesn't echo the request doesn't say whose it is.
        """
        nonces = nonces_in(answer.request())
        if not nonces:
            self.met_doubt |= answer.status == JobStatus.COMPLETED
            return None
        document = watched.flight.document
        return self._ledger.audit.named_instead(document, nonces)

    async def exchange(self, watched: Watched, named: AttemptRef, *, proof: bool) -> None:
        """Give both documents their own jobs, if the other document's job names this one.

        Answers about jobs may be mixed up as well, and then name each other's jobs, too. So one of
        the two has to prove which job it is about: `proof` says that this one's answer did.
        """
        flight = watched.flight
        other = self._jobs.get(named.document)
        if other is None or other.flight.job_id != named.job_id:
            return
        others_flight = other.flight
        others_job = others_flight.job_id
        try:
            answer, reserved = await self._client.job(others_job, room=self._room)
        except ServiceError:
            return
        self._room.give(reserved)
        back = self.named_instead(other, answer)
        if back is None or back.document != flight.document:
            return
        if not proof and not is_about(answer, others_job):
            return
        if watched.flight is not flight or other.flight is not others_flight:
            return
        try:
            await self._ledger.record(
                # No job may be held by two attempts, not even for a moment.
                events.JobExchanged(flight.document, ""),
                events.JobExchanged(named.document, flight.job_id),
                events.JobExchanged(flight.document, others_job),
            )
        except (Impossible, AttemptOpen):
            return
        self._jobs.exchange(flight.document, others_job)
        self._jobs.exchange(named.document, flight.job_id)
