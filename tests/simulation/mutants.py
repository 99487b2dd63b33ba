"""Defects planted on purpose, by name: what the simulation must catch if its silence is to mean
anything.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from world import SimTwin, SimWriter

from batcher.cluster.file_tasks import Putting
from batcher.core import absence, events, inflight, reservations
from batcher.core.crossed_jobs import Crossed
from batcher.core.lifecycle import State
from batcher.core.summary import Audit
from batcher.errors import ServiceError
from batcher.ledger import intake, run_spend
from batcher.ledger.ledger import Ledger, Unknown
from batcher.ledger.queries import tracking
from batcher.ledger.queries.reporting import ReportingQueries
from batcher.ledger.queries.rows import Upstream
from batcher.ledger.queries.sending import SendingQueries
from batcher.ledger.queries.tracking import TrackingQueries
from batcher.outputs.result_store import Item
from batcher.reducto import api_types
from batcher.stages import fetcher, job_answers, scanner
from batcher.stages import job_list_scan as scan
from batcher.stages.auditor import Auditor
from batcher.stages.cleaner import Cleaner
from batcher.stages.crossed_answers import CrossedAnswers
from batcher.stages.job_answers import JobAnswers
from batcher.stages.job_list_audit import JobListAudit
from batcher.stages.job_list_scan import JobListScan
from batcher.stages.job_outcomes import JobOutcomes
from batcher.stages.recovery import Recovery, _Silence
from batcher.stages.run_control import RunControl
from batcher.stages.sender import Sender
from batcher.stages.sink import Sink
from batcher.stages.transfer import Transfer

Patch = tuple[Any, str, Any]


@contextmanager
def planted(name: str) -> Iterator[None]:
    """batcher with the defect `name`, for as long as the block lasts."""
    patches = MUTANTS[name]()
    healthy = [(owner, attribute, getattr(owner, attribute)) for owner, attribute, _ in patches]
    for owner, attribute, sick in patches:
        setattr(owner, attribute, sick)
    try:
        yield
    finally:
        for owner, attribute, before in healthy:
            setattr(owner, attribute, before)


def _repeats_the_post() -> list[Patch]:
    post = Sender._post

    async def again(self: Sender, due: Any, known_as: str, call: Any) -> events.Event:
        event = await post(self, due, known_as, call)
        return (
            await post(self, due, known_as, call) if isinstance(event, events.ReplyLost) else event
        )

    return [(Sender, "_post", again)]


def _has_one_address_put_to_twice() -> list[Patch]:
    """A second hand gets the address of one that was lost."""

    async def again(self: Transfer, hands: Any, source: Any, name: str, sha256: str) -> Any:
        announced = await self._client.announce(name=name)
        for _ in range(3):
            report = await hands.do(Putting(source, announced.presigned_url or "", sha256))
            if report.failure is None:
                return api_types.Upload(announced.file_id)
        return None

    return [(Transfer, "_by_hand", again)]


def _has_hands_post() -> list[Patch]:
    """An engine has a POST done again whose hand is lost: it may have been sent."""
    post = Sender._post

    async def by_engine(self: Sender, due: Any, input: Any, call: Any) -> events.Event:
        hands: Any = self._uploader._transfer._hands

        async def under_retries() -> str:
            if hands is not None and hands.mood().startswith("lost"):
                with suppress(ServiceError):
                    await call()
            job_id: str = await call()
            return job_id

        return await post(self, due, input, under_retries)

    return [(Sender, "_post", by_engine)]


def _takes_unknown_for_refused() -> list[Patch]:
    post = Sender._post

    async def sure(self: Sender, due: Any, known_as: str, call: Any) -> events.Event:
        event = await post(self, due, known_as, call)
        if isinstance(event, events.ReplyLost):
            return events.RefusedForNow(due.id, event.reason, due_at=0.0)
        return event

    return [(Sender, "_post", sure)]


def _forgets_what_was_being_sent() -> list[Patch]:
    async def forget(self: Ledger) -> None:
        for document in self.tracking.in_state(State.SENDING):
            await self.record(events.RefusedForNow(document, "forgotten", due_at=0.0))

    return [(Ledger, "interrupted", forget)]


def _adopts_nothing() -> list[Patch]:
    async def blind(self: Recovery, unknown: Any) -> JobListScan:
        scan = await look(self, unknown)
        scan.jobs.clear()
        return scan

    look = Recovery._look_through_listing
    return [(Recovery, "_look_through_listing", blind)]


def _fences_nothing() -> list[Patch]:
    is_judging = ContextVar("is_judging", default=False)  # several attempts are judged at a time

    async def judge(self: Recovery, attempt: Any, scan: JobListScan) -> None:
        token = is_judging.set(True)
        try:
            await healthy(self, attempt, scan)
        finally:
            is_judging.reset(token)

    async def kept(self: SimTwin, file_id: str) -> bool:
        return is_judging.get() or await delete(self, file_id)

    healthy = Recovery._judge
    delete = SimTwin.delete_upload
    return [(Recovery, "_judge", judge), (SimTwin, "delete_upload", kept)]


def _takes_a_job_for_an_upload() -> list[Patch]:
    """Deletes what can't be deleted, and believes in its absence."""
    return [(Unknown, "has_upload", property(lambda self: True))]


def _does_not_wait_to_settle() -> list[Patch]:
    async def hasty(self: Recovery, attempt: Any, scan: JobListScan) -> None:
        self._settle = -1.0
        await healthy(self, attempt, scan)

    healthy = Recovery._judge
    return [(Recovery, "_judge", hasty), (absence, "doubt", lambda *_: "")]


def _trusts_a_listing_that_has_forgotten() -> list[Patch]:
    return [(absence, "is_out_of_reach", lambda *_: False)]


def _says_saved_before_it_is() -> list[Patch]:
    async def early(self: Sink, group: Any) -> None:
        for result in group:
            saved = events.Saved(
                result.ended.document, result.output, _digest(result.body), len(result.body)
            )
            await self._ledger.record(result.ended, saved)
            self.room.give(result.reserved)
        await asyncio.to_thread(
            self._store.write_group, [Item(result.output, result.body) for result in group]
        )

    return [(Sink, "_write", early)]


def _expires_by_the_clock() -> list[Patch]:
    def impatient(out: inflight.InFlightJob, *_: Any, now: float, **__: Any) -> events.Event | None:
        return (
            events.Expired(out.document, "it took long") if now > out.accepted_at + 30.0 else None
        )

    return [(job_answers, "outcome_event", impatient)]


def _repeats_what_is_running() -> list[Patch]:
    def impatient(out: inflight.InFlightJob, *_: Any, **__: Any) -> events.Event | None:
        return events.JobToRepeat(out.document, "asked again", due_at=0.0)

    return [(job_answers, "outcome_event", impatient)]


def _submits_without_a_trace() -> list[Patch]:
    record = Ledger.record

    async def late(self: Sender, due: Any, named: Any, *before: events.Event) -> None:
        nonce = f"{self._rng.getrandbits(96):024x}"
        event = await self._post(due, named.input, self._call(due, named, nonce))
        job = self._templates[due.job]
        account = job.account
        sending = events.Sending(due.id, nonce, account.service, account.key_fingerprint, 1.0)
        await record(self._ledger, *before, sending)
        await record(self._ledger, event)

    return [(Sender, "_submit_in_turn", late)]


def _audits_nothing() -> list[Patch]:
    async def blind(self: Auditor) -> Audit:
        return Audit()

    return [(Auditor, "run", blind)]


def _deletes_what_it_fetches() -> list[Patch]:
    completed = JobAnswers._completed

    async def hasty(self: Any, watched: Any, *rest: Any) -> None:
        with suppress(ServiceError):
            await self._crossed._client.delete_job(watched.flight.job_id)
        await completed(self, watched, *rest)

    return [(JobAnswers, "_completed", hasty)]


def _forgets_to_clean() -> list[Patch]:
    def silent(self: Cleaner, change: Any) -> None:
        """Hears nothing."""

    return [(Cleaner, "_hear", silent), (TrackingQueries, "uncleaned", lambda *_, **__: [])]


def _commits_without_sync() -> list[Patch]:
    return [(SimWriter, "synced", False)]


def _believes_the_first_404() -> list[Patch]:
    def credulous(out: inflight.InFlightJob, said: str, **_: Any) -> events.Event:
        return events.Lost(out.document, said)

    return [(fetcher, "absence", credulous)]


def _reads_one_page_of_the_listing() -> list[Patch]:
    async def first_page(client: Any, lane: Any) -> AsyncIterator[Any]:
        await lane.acquire()
        yield await client.jobs()

    return [(scan, "pages", first_page)]


def _believes_any_listing() -> list[Patch]:
    return [
        (JobListScan, "lacking", lambda *_: None),
        (JobListScan, "lags_since", lambda *_: False),
    ]


def _takes_any_one_job_for_proof() -> list[Patch]:
    lacking = JobListScan.lacking

    def credulous(self: JobListScan, settle: float) -> str | None:
        return lacking(self, settle) if self.shown_to is None else None

    return [(JobListScan, "lacking", credulous)]


def _counts_what_nobody_read_as_empty() -> list[Patch]:
    """Before a job could be shown, and while the listing could not be read."""
    healthy = _Silence.note

    def all_of_it(self: _Silence, begun_at: float, looked_for: Any, **_: Any) -> None:
        healthy(self, begun_at, looked_for, longest_gap=math.inf)

    return [(_Silence, "note", all_of_it), (Recovery, "_has_settled", lambda *_: True)]


def _exchanges_what_an_ended_attempt_holds() -> list[Patch]:
    return [
        (Crossed, "matters", property(lambda _: True)),
        (Auditor, "_is_latest", lambda *_: True),
    ]


def _takes_what_was_saved_for_deleted() -> list[Patch]:
    """Any job whose result was on disk before, whatever batcher asked the service to delete."""
    began = "a.deletion_started_at IS NOT NULL"
    return [(tracking, "_FLIGHT", tracking._FLIGHT.replace(began, "d.state = 'ready'"))]


def _ignores_the_budget() -> list[Patch]:
    async def generous(self: Ledger, budget: Any) -> None:
        pass

    return [(Ledger, "keep_to", generous)]


def _reserves_a_page_for_everything() -> list[Patch]:
    def one_page(
        claim: reservations.Reservation, taught: reservations.Lessons
    ) -> reservations.Fear:
        return reservations.Fear(1.0, claim.page, 1.0, claim.page)

    return [(reservations, "_of_guessed", one_page)]


def _waits_for_no_bill() -> list[Patch]:
    """Neither for a probe's, nor for what is out near a cap."""
    return [(run_spend, "awaited", lambda *_: None)]


def _pays_for_copies() -> list[Patch]:
    return [(intake, "_join_copies", lambda connection, last: None)]


def _takes_any_result_for_its_own() -> list[Patch]:
    def trusting(body: bytes, job_id: str, *more: Any) -> Any:
        return healthy(body, json.loads(bytes(body))["job_id"], *more)

    healthy = job_answers.read_head
    return [(job_answers, "read_head", trusting)]


def _lets_old_versions_overwrite() -> list[Patch]:
    def everywhere(self: TrackingQueries, documents: Sequence[int]) -> dict[int, str]:
        marks = ",".join(map(str, documents))
        return dict(
            self._connection.execute(f"SELECT id, output FROM documents WHERE id IN ({marks})")
        )

    return [(TrackingQueries, "places_of", everywhere)]


def _forgets_what_superseded_documents_left() -> list[Patch]:
    sql = (
        "UPDATE documents SET state = iif(upstream IS NULL, 'queued', 'following'), payer = NULL"
        " WHERE id > ? AND state = 'duplicate'"
        " AND (SELECT p.state FROM documents p WHERE p.id = documents.payer) = 'superseded'"
    )

    def join(connection: Any, last: int) -> None:
        healthy(connection, last)
        connection.execute(sql, (last,))

    healthy = intake._join_copies
    return [(intake, "_join_copies", join)]


def _sends_what_nobody_asks_for() -> list[Patch]:
    async def begin(self: Ledger) -> None:
        pass

    return [(Ledger, "begin_scan", begin)]


def _takes_a_name_in_another_folder_for_the_same() -> list[Patch]:
    def known(self: SendingQueries, names: Any, job: str, *, folder: str, others: Any = ()) -> Any:
        found = healthy(self, names, job, folder=folder, others=others)
        return {name: one._replace(folder=folder) for name, one in found.items()}

    healthy = SendingQueries.known
    return [(SendingQueries, "known", known)]


def _pays_again_for_what_has_no_result_yet() -> list[Patch]:
    async def repeat(self: Any, watched: Any, why: str) -> None:
        event = events.JobToRepeat(watched.flight.document, why, due_at=self._clock())
        await self._outcomes.settle(event)

    return [(JobAnswers, "_unread", repeat)]


def _holds_without_a_look() -> list[Patch]:
    def hopeless(self: Recovery, *facts: Any) -> absence.Decision:
        is_all = self._ledger.open_documents == self._ledger.tally[State.UNKNOWN]
        patient = absence.is_hopeless
        absence.is_hopeless = lambda *_: is_all
        try:
            return healthy(self, *facts)
        finally:
            absence.is_hopeless = patient

    healthy = Recovery._conclusion
    return [(Recovery, "_conclusion", hopeless)]


def _reads_another_document_s_job() -> list[Patch]:
    sql = (
        "SELECT a.job_id, a.service, a.key_print, a.deadline_at FROM attempts a JOIN documents d "
        "ON d.id = a.document"
        " WHERE a.outcome = 'saved' AND a.cleaned_at IS NULL AND d.upstream IS NULL ORDER BY "
        "a.deadline_at DESC LIMIT 1"
    )

    def latest(self: SendingQueries, upstream: int) -> Upstream | None:
        row = self._connection.execute(sql).fetchone()
        return row and Upstream(*row)

    return [(SendingQueries, "upstream_job", latest)]


def _pays_again_for_the_step_before() -> list[Patch]:
    afterwards = JobOutcomes._afterwards

    def from_the_start(self: Any, watched: Any, event: events.Event) -> Sequence[events.Event]:
        upstream = self._ledger.sending.upstream_of(event.document)
        sql = "SELECT state FROM documents WHERE id = ?"
        whole = (
            upstream and self._ledger.reader.execute(sql, (upstream,)).fetchone()[0] == State.SAVED
        )
        again = (
            (events.Retried(upstream),)
            if whole and isinstance(event, events.JobFailed | events.JobToRepeat)
            else ()
        )
        return (*afterwards(self, watched, event), *again)

    return [(JobOutcomes, "_afterwards", from_the_start)]


def _writes_down_what_is_quoted() -> list[Patch]:
    return [(Ledger, "_discreet", lambda self, event: event)]


def _tells_what_is_quoted() -> list[Patch]:
    def plain(self: RunControl, what: str, until: datetime, why: str) -> None:
        self.tell(f"{what} until {until:%H:%M:%S}: {why}")

    return [(RunControl, "warn_of_wait", plain)]


def _asks_nobody_whose_job_it_has() -> list[Patch]:
    return [(JobListAudit, "_crossed", lambda *_: None)]


def _believes_whatever_is_answered() -> list[Patch]:
    return [(CrossedAnswers, "named_instead", lambda *_: None)]


def _takes_up_what_fails_for_ever() -> list[Patch]:
    passing = ReportingQueries.passing

    def for_ever(
        self: ReportingQueries, *, runs: int | None = None, **more: Any
    ) -> list[tuple[int, int]]:
        return passing(self, runs=1_000, **more)

    return [(ReportingQueries, "passing", for_ever)]


def _takes_up_nothing() -> list[Patch]:
    async def nothing(*_: Any, **more: Any) -> int:
        return 0

    return [(scanner, "take_up", nothing)]


def _pays_again_for_what_cannot_be_read() -> list[Patch]:
    """Once its patience is over, and by itself."""

    def repeat(out: inflight.InFlightJob, why: str, **more: Any) -> events.Event | None:
        event = inflight.unread(out, why, **more)
        return event and events.JobToRepeat(out.document, why, due_at=0.0)

    return [(job_answers, "unread", repeat)]


def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()


MUTANTS: Final[dict[str, Callable[[], list[Patch]]]] = {
    "repeats the POST": _repeats_the_post,
    "takes unknown for refused": _takes_unknown_for_refused,
    "forgets what was being sent": _forgets_what_was_being_sent,
    "adopts nothing": _adopts_nothing,
    "fences nothing": _fences_nothing,
    "takes a job for an upload": _takes_a_job_for_an_upload,
    "does not wait to settle": _does_not_wait_to_settle,
    "trusts a listing that has forgotten": _trusts_a_listing_that_has_forgotten,
    "says saved before it is": _says_saved_before_it_is,
    "expires by the clock": _expires_by_the_clock,
    "repeats what is still running": _repeats_what_is_running,
    "submits without a trace": _submits_without_a_trace,
    "audits nothing": _audits_nothing,
    "deletes what it fetches": _deletes_what_it_fetches,
    "forgets to clean": _forgets_to_clean,
    "commits without sync": _commits_without_sync,
    "puts twice at one address": _has_one_address_put_to_twice,
    "posts under an engine's retries": _has_hands_post,
    "believes the first 404": _believes_the_first_404,
    "reads one page of the listing": _reads_one_page_of_the_listing,
    "believes any listing": _believes_any_listing,
    "takes any one job for proof of the listing": _takes_any_one_job_for_proof,
    "counts what nobody read as an empty listing": _counts_what_nobody_read_as_empty,
    "exchanges what an ended attempt holds": _exchanges_what_an_ended_attempt_holds,
    "takes what was saved for deleted": _takes_what_was_saved_for_deleted,
    "ignores the budget": _ignores_the_budget,
    "reserves a page for everything": _reserves_a_page_for_everything,
    "waits for no bill": _waits_for_no_bill,
    "pays for copies": _pays_for_copies,
    "takes any result for its own": _takes_any_result_for_its_own,
    "lets old versions overwrite": _lets_old_versions_overwrite,
    "forgets what superseded documents left": _forgets_what_superseded_documents_left,
    "sends what nobody asks for": _sends_what_nobody_asks_for,
    "takes a name in another folder for the same": _takes_a_name_in_another_folder_for_the_same,
    "pays again for what has no result yet": _pays_again_for_what_has_no_result_yet,
    "holds without a look": _holds_without_a_look,
    "reads another document's job": _reads_another_document_s_job,
    "writes down what is quoted": _writes_down_what_is_quoted,
    "tells what is quoted": _tells_what_is_quoted,
    "asks nobody whose job it has": _asks_nobody_whose_job_it_has,
    "believes an answer about another's job": _believes_whatever_is_answered,
    "takes up for ever what fails": _takes_up_what_fails_for_ever,
    "takes up nothing that failed": _takes_up_nothing,
    "pays again for what can't be read": _pays_again_for_what_cannot_be_read,
    "pays again for the step before": _pays_again_for_the_step_before,
}
