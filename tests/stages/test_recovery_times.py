"""When recovery looks, tries again, concludes and gives up: to the pass, in virtual time."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from contexts import context_of
from test_job_list_scan import Rows, accepted, lost, nonce_of, row, with_ledger
from virtual import unhurried

from batcher.core import events
from batcher.core.absence import FENCE, LISTING
from batcher.core.account import Account
from batcher.core.lifecycle import State
from batcher.errors import (
    BadReply,
    Busy,
    NotFound,
    Refused,
    ReplyLostError,
    ServiceError,
    Unauthorised,
)
from batcher.ledger.ledger import Ledger
from batcher.reducto import api_types
from batcher.stages.recovery import Recovery
from batcher.stages.run_control import RunControl

SETTLE = 60.0
HOUR = 3600.0
RETENTION = 12 * 3600.0
A_PASS = SETTLE / 4 + 1.0  # seconds from one to the next, at most


def now() -> float:
    return asyncio.get_running_loop().time()


class Service(Rows):
    """Keeps count of when it was asked for what, from its first moment; `fails` says with what a
    call fails.
    """

    def __init__(self, *rows: api_types.JobRow) -> None:
        super().__init__(list(rows))
        self.began = now()
        self.asked: dict[str, list[float]] = {"jobs": [], "delete": [], "job": [], "upload": []}
        self.fails: Callable[[str, str], ServiceError | None] = lambda call, what: None
        self.deleting_takes = 0.0

    def _note(self, call: str, what: str = "") -> None:
        self.asked[call].append(now() - self.began)
        if error := self.fails(call, what):
            raise error

    async def jobs(self, **more: Any) -> api_types.JobsPage:
        self._note("jobs")
        await asyncio.sleep(0.01)
        return await super().jobs(**more)

    async def upload(self, *content: Any, **more: Any) -> api_types.Upload:
        self._note("upload")
        return await super().upload(*content, **more)

    async def delete_upload(self, file_id: str) -> bool:
        self._note("delete", file_id)
        await asyncio.sleep(self.deleting_takes)
        return await super().delete_upload(file_id)

    async def job(self, job_id: str, **more: Any) -> tuple[api_types.JobAnswer, int]:
        self._note("job", job_id)
        return await super().job(job_id, **more)

    def gaps(self, call: str) -> list[float]:
        moments = self.asked[call]
        return [after - before for before, after in pairwise(moments)]


def recovery(
    ledger: Ledger, client: Service, control: RunControl | None = None, **more: Any
) -> Recovery:
    facts = {"settle": SETTLE, "endpoints": {"parse": "parse"}, **more}
    context = context_of(ledger, client, rate_limits=unhurried(), control=control or RunControl())
    return Recovery(context, account=Account("twin", "none", RETENTION), **facts)


async def goes_on(
    ledger: Ledger,
    client: Service,
    seconds: float,
    *,
    control: RunControl | None = None,
    **more: Any,
) -> list[tuple[float, State]]:
    """What becomes of document 1, and when, in so many seconds."""
    began = now()
    told = list[tuple[float, State]]()
    running = asyncio.create_task(recovery(ledger, client, control, **more).run())
    while now() < began + seconds:
        state = ledger.tracking.state_of(1)
        if state != State.UNKNOWN and (not told or told[-1][1] != state):
            told.append((now() - began, state))
        await ledger.change(within=1.0)
    running.cancel()
    return told


async def proven(ledger: Ledger, *proofs: str) -> None:
    for proof in proofs or (LISTING, FENCE):
        await ledger.prove("twin", "none", proof)


def reason(ledger: Ledger) -> str:
    return next(
        group.reason or "" for group in ledger.reporting.failures() if group.state == State.HELD
    )


def shown(*documents: int) -> list[api_types.JobRow]:
    return [row(f"job-{document}", nonce_of(document)) for document in documents]


def is_about(moment: float, wanted: float) -> bool:
    """At the first pass from then on."""
    return wanted <= moment <= wanted + A_PASS


# --- looks ----------------------------------------------------------------------------------------


def test_it_looks_every_quarter_of_settle() -> None:
    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        client = Service()
        await goes_on(ledger, client, 150.0)
        assert client.gaps("jobs") == pytest.approx([15.0] * 9, abs=0.1)

    with_ledger(work)


def test_a_listing_that_fails_is_asked_ever_more_seldom_and_then_as_often_as_before() -> None:
    """Twice as long from failure to failure, to five minutes; nothing is fenced off before it could
    be read.
    """

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        client = Service()
        client.fails = lambda call, what: (
            BadReply("GET /jobs", "500", status=500)
            if call == "jobs" and now() < heals_at
            else None
        )
        heals_at = now() + 1000.0
        await goes_on(ledger, client, 1120.0)
        failing = [7.5, 15.0, 30.0, 60.0, 120.0, 240.0, 300.0, 300.0]
        assert client.gaps("jobs")[:8] == pytest.approx(failing, abs=0.1)
        assert client.gaps("jobs")[8:] == pytest.approx([15.0] * 3, abs=0.1)
        assert client.asked["delete"][0] > 1000.0

    with_ledger(work)


def test_a_second_outage_is_met_like_the_first() -> None:
    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        client = Service()
        began = now()
        well = ((100.0, 125.0), (1e9, 1e9))
        client.fails = lambda call, what: (
            BadReply("GET /jobs", "500", status=500)
            if call == "jobs" and not any(first <= now() - began < last for first, last in well)
            else None
        )
        await goes_on(ledger, client, 280.0)
        assert client.gaps("jobs") == pytest.approx(
            [7.5, 15.0, 30.0, 60.0, 15.0, 7.5, 15.0, 30.0, 60.0], abs=0.1
        )

    with_ledger(work)


@pytest.mark.parametrize("call", ["jobs", "delete", "upload"])
def test_a_key_that_is_not_taken_stops_the_run_at_once(call: str) -> None:
    """Whichever call it is that says so; what is unknown stays so."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger, LISTING, *((FENCE,) if call != "upload" else ()))
        client = Service()
        control = RunControl()
        error = Unauthorised("any call", "no such key", status=401)
        client.fails = lambda asked, what: error if asked == call else None
        assert await goes_on(ledger, client, 1.0, control=control) == []
        assert (control.exit_code, control.abort, control.reason) == (4, True, str(error))

    with_ledger(work)


def test_a_spare_upload_that_fails_keeps_no_job_from_being_adopted() -> None:
    """The proof of the fence is for what isn't found."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger, LISTING)
        client = Service(row("x", nonce_of(1)))
        client.fails = lambda call, what: (
            Busy("POST /upload", "later", status=503) if call == "upload" else None
        )
        assert [state for _, state in await goes_on(ledger, client, 1.0)] == [State.WAITING]

    with_ledger(work)


@pytest.mark.parametrize(
    ("rows", "is_proven"), [((), False), (shown(2), True), ([row("x", nonce_of(1))], True)]
)
def test_a_listing_is_proven_by_any_job_of_ours_that_it_shows(
    rows: Sequence[api_types.JobRow], is_proven: bool
) -> None:
    """One that we knew, or one that is found again."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await accepted(ledger, 2)
        await goes_on(ledger, Service(*rows), 1.0)
        assert (LISTING in ledger.audit.proven("twin", "none")) == is_proven

    with_ledger(work)


def test_a_reply_lost_between_two_passes_is_looked_for_a_tenth_of_settle_after_the_last() -> None:
    """And not only a quarter after it: each absence takes its `settle` besides."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        client = Service()
        running = asyncio.create_task(recovery(ledger, client).run())
        await asyncio.sleep(2.0)
        await lost(ledger, 2)
        await asyncio.sleep(18.0)
        running.cancel()
        assert client.asked["jobs"] == pytest.approx([0.0, 6.0], abs=0.1)
        assert client.asked["delete"] == pytest.approx([0.0, 6.0], abs=0.1)

    with_ledger(work)


def test_a_deletion_that_came_too_soon_is_tried_again_as_soon_as_it_may_be() -> None:
    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        client = Service()
        error = Busy("DELETE", "too fast", status=429)
        client.fails = lambda call, what: (
            error if call == "delete" and len(client.asked["delete"]) == 1 else None
        )
        await goes_on(ledger, client, 14.0)
        assert client.gaps("delete") == pytest.approx([SETTLE / 8], abs=0.1)

    with_ledger(work)


def test_an_upload_that_takes_long_to_delete_holds_up_no_other() -> None:
    async def work(ledger: Ledger) -> None:
        for document in (1, 2, 3):
            await lost(ledger, document)
        await proven(ledger)
        client = Service()
        client.deleting_takes = 10.0
        await goes_on(ledger, client, 5.0)
        assert len(client.asked["delete"]) == 3

    with_ledger(work)


# --- what was held --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "is_looked_for"), [(RETENTION - 301.0, True), (RETENTION - 299.0, False)]
)
def test_what_an_earlier_run_held_is_looked_for_once_within_the_listing_s_reach(
    age: float, is_looked_for: bool
) -> None:
    """Where it isn't found it stays held."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await ledger.record(events.Held(1, "perhaps paid"))
        await proven(ledger)
        await asyncio.sleep(age)
        client = Service()
        looking = recovery(ledger, client)
        assert looking.outstanding() == 1
        running = asyncio.create_task(looking.run())
        await asyncio.wait_for(looking.settled(), 100.0)
        assert len(client.asked["jobs"]) == is_looked_for
        assert not looking.outstanding() and ledger.tracking.state_of(1) == State.HELD
        running.cancel()

    with_ledger(work)


def test_what_an_earlier_run_held_is_adopted_where_it_is_found() -> None:
    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await ledger.record(events.Held(1, "perhaps paid"))
        told = await goes_on(ledger, Service(row("x", nonce_of(1))), 5.0)
        assert [state for _, state in told] == [State.HELD, State.WAITING]

    with_ledger(work)


@pytest.mark.parametrize(
    ("age", "is_held"), [(RETENTION - 302.0, False), (RETENTION - 299.0, True)]
)
def test_what_was_sent_longer_ago_than_the_listing_reaches_is_held_at_once(
    age: float, is_held: bool
) -> None:
    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        await asyncio.sleep(age)
        told = await goes_on(ledger, Service(), 0.5)
        assert [state for _, state in told] == ([State.HELD] if is_held else [])
        if is_held:
            assert reason(ledger) == "perhaps paid, and longer ago than the listing reaches"

    with_ledger(work)


def test_a_job_that_another_document_holds_is_adopted_by_nobody() -> None:
    """Two answers were mixed up: it is held in words that say so."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await accepted(ledger, 2)
        await proven(ledger)
        told = await goes_on(ledger, Service(row("job-2", nonce_of(1))), 0.5)
        assert [state for _, state in told] == [State.HELD]
        assert reason(ledger) == "perhaps paid: its job job-2 was answered to another document"

    with_ledger(work)


# --- when it is absent ----------------------------------------------------------------------------


def test_absence_is_concluded_one_settle_after_the_fence() -> None:
    """Where the listing shows what it must."""

    async def work(ledger: Ledger) -> None:
        await accepted(ledger, 1, alive_for=1.0)  # of no matter to the listing
        await lost(ledger, 2)
        await accepted(ledger, 3)
        await proven(ledger)
        began = now()
        running = asyncio.create_task(recovery(ledger, Service(*shown(3))).run())
        while ledger.tracking.state_of(2) == State.UNKNOWN:
            await ledger.change(within=1.0)
        running.cancel()
        assert ledger.tracking.state_of(2) == State.QUEUED
        assert is_about(now() - began, 60.0)

    with_ledger(work)


async def _sent(ledger: Ledger) -> None:
    await lost(ledger, 2)
    await ledger.record(events.ProvenAbsent(2))


async def _uploaded(ledger: Ledger) -> None:
    await _sent(ledger)
    await ledger.record(events.Uploaded(2, "reducto://again.pdf"))


async def _sending(ledger: Ledger) -> None:
    await _uploaded(ledger)
    await ledger.record(events.Sending(2, nonce_of(9), "twin", "none", 1.0))


async def _waiting(ledger: Ledger) -> None:
    await accepted(ledger, 2, alive_for=1.0)


async def _ready(ledger: Ledger) -> None:
    await accepted(ledger, 2, alive_for=1.0)
    await ledger.record(events.Ended(2, 1, 1.0))


async def _nobody(ledger: Ledger) -> None:
    pass


@pytest.mark.parametrize(
    ("company", "more", "at"),
    [
        (_nobody, {}, 11 * SETTLE),
        (_sent, {}, SETTLE + 1800.0),
        (_uploaded, {}, SETTLE + 1800.0),
        (_sent, {"submits": False}, 11 * SETTLE),
        (_sent, {"home": True}, 11 * SETTLE),
        (_waiting, {}, None),
        (_waiting, {"submits": False}, None),
        (_ready, {}, None),
        (_sending, {}, None),
    ],
)
def test_where_no_job_of_ours_is_shown_time_decides_once_no_company_is_left(
    company: Callable[[Ledger], Any], more: dict[str, bool], at: float | None
) -> None:
    """What is out or on its way may still prove the listing; what is to be sent may be waiting for
    this one.
    """

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await company(ledger)
        await proven(ledger)
        control = RunControl(home=more.pop("home", False))
        told = await goes_on(ledger, Service(), 2 * HOUR, control=control, **more)
        assert [state for _, state in told] == ([] if at is None else [State.QUEUED])
        assert at is None or is_about(told[0][0], at)

    more = dict(more)
    with_ledger(work)


class Hidden(Service):
    """Doesn't show its rows for the first so many seconds."""

    span = 0.0

    async def jobs(self, **more: Any) -> api_types.JobsPage:
        page = await super().jobs(**more)
        return page if now() >= self.began + self.span else api_types.JobsPage([])


@pytest.mark.parametrize(
    ("span", "at"), [(20.0, 60.0), (200.0, 2 * 195.0), (400.0, 2 * 390.0), (1300.0, 1800.0)]
)
def test_a_listing_that_was_seen_behind_is_given_twice_as_long(span: float, at: float) -> None:
    """Up to half an hour, and never less than `settle`."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await accepted(ledger, 2)
        await proven(ledger)
        client = Hidden(*shown(2))
        client.span = span
        ((moment, state),) = await goes_on(ledger, client, HOUR)
        assert state == State.QUEUED and at - 15.0 <= moment <= at + 2 * A_PASS

    with_ledger(work)


# --- when it is given up --------------------------------------------------------------------------


async def _saved(ledger: Ledger, document: int) -> None:
    await accepted(ledger, document, saved=True)


@pytest.mark.parametrize(("settle", "at"), [(10.0, 310.0), (60.0, 1860.0), (120.0, 1920.0)])
def test_what_may_pass_is_waited_for_thirty_times_settle_and_half_an_hour_at_most(
    settle: float, at: float
) -> None:
    """Once the fence has had its `settle`: a job of ours isn't shown, and it is named in the
    end.
    """

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await _saved(ledger, 2)
        await proven(ledger)
        ((moment, state),) = await goes_on(ledger, Service(), HOUR, settle=settle)
        assert state == State.HELD and at <= moment <= at + settle / 4 + 1.0
        assert (
            reason(ledger)
            == "perhaps paid; the listing doesn't show job job-2, which the service accepted before"
        )

    with_ledger(work)


@pytest.mark.parametrize("settle", [10.0, 60.0, 120.0])
def test_what_will_not_pass_is_held_after_three_times_settle(settle: float) -> None:
    """The same: whether a deletion is one can't be proven here."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger, LISTING)
        client = Service()
        client.fails = lambda call, what: (
            ReplyLostError("POST /upload", "reset") if call == "upload" else None
        )
        ((moment, state),) = await goes_on(ledger, client, HOUR, settle=settle)
        assert state == State.HELD and 4 * settle <= moment <= 4 * settle + settle / 4 + 1.0
        assert reason(ledger) == "perhaps paid; not proven: fence"

    with_ledger(work)


def test_a_deletion_that_failed_once_and_worked_is_waited_for_no_longer() -> None:
    """Nothing of the service's trouble is left to pass."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger, LISTING)
        client = Service()

        def fails(call: str, what: str) -> ServiceError | None:
            is_first = call == "delete" and len(client.asked["delete"]) == 1
            return ReplyLostError(call, "reset") if call == "upload" or is_first else None

        client.fails = fails
        ((moment, state),) = await goes_on(ledger, client, HOUR)
        assert state == State.HELD and moment < 6 * SETTLE

    with_ledger(work)


def test_both_proofs_that_lack_are_named() -> None:
    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        client = Service()
        client.fails = lambda call, what: (
            ReplyLostError("POST /upload", "reset") if call == "upload" else None
        )
        ((_, state),) = await goes_on(ledger, client, HOUR)
        assert state == State.HELD and reason(ledger) == "perhaps paid; not proven: fence, listing"

    with_ledger(work)


def test_a_young_job_that_may_still_be_shown_is_waited_for_before_anything_is_held() -> None:
    """For three times `settle` from its acceptance."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await _saved(ledger, 2)
        await proven(ledger)
        asyncio.get_running_loop().call_later(
            1720.0, lambda: young.append(asyncio.ensure_future(_saved(ledger, 3)))
        )
        ((moment, state),) = await goes_on(ledger, Service(), HOUR)
        assert state == State.HELD and is_about(moment, 1900.0)

    young: list[asyncio.Future[None]] = []
    with_ledger(work)


def test_an_input_that_is_no_upload_is_held_with_that_reason_and_nothing_is_deleted() -> None:
    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1, file_id="https://example.com/a.pdf")
        await proven(ledger)
        client = Service()
        ((moment, state),) = await goes_on(ledger, client, HOUR)
        assert state == State.HELD and is_about(moment, 180.0)
        assert "no upload can't be fenced off" in reason(ledger) and client.asked["delete"] == []

    with_ledger(work)


ODD_LISTINGS = {
    "job x, a part of its job": [row("x", nonce_of(1), type="Extract")],
    "doesn't say what job x is of": [api_types.JobRow("x", "Completed")],
}


@pytest.mark.parametrize("words", ODD_LISTINGS)
def test_what_the_listing_shows_too_little_of_is_named_after_half_an_hour(words: str) -> None:
    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        ((moment, state),) = await goes_on(ledger, Service(*ODD_LISTINGS[words]), HOUR)
        assert state == State.HELD and 1800.0 <= moment <= 1860.0 + A_PASS
        assert words in reason(ledger)

    with_ledger(work)


# --- the fence ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [BadReply("DELETE", "500", status=500), Busy("DELETE", "later", status=503)]
)
def test_an_upload_that_can_not_be_deleted_is_tried_ever_more_seldom_and_then_held(
    error: ServiceError,
) -> None:
    """Twice as long from failure to failure, to five minutes, for half an hour; then with the
    service's words.
    """

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        client = Service()
        client.fails = lambda call, what: error if call == "delete" else None
        ((moment, state),) = await goes_on(ledger, client, HOUR)
        waits = [15.0, 30.0, 60.0, 120.0, 240.0, 300.0, 300.0]
        assert all(
            wait <= gap <= wait + A_PASS
            for wait, gap in zip(waits, client.gaps("delete"), strict=False)
        )
        assert len(client.gaps("delete")) >= len(waits)
        assert state == State.HELD and is_about(moment, 1800.0)
        assert reason(ledger) == f"perhaps paid; its upload can't be deleted: {error}"

    with_ledger(work)


def test_a_deletion_is_left_alone_for_as_long_as_the_service_wants() -> None:
    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        client = Service()
        error = Busy("DELETE", "later", status=503, retry_after=200.0)
        client.fails = lambda call, what: error if call == "delete" else None
        await goes_on(ledger, client, 250.0)
        assert is_about(client.gaps("delete")[0], 200.0)

    with_ledger(work)


def test_an_upload_that_is_refused_for_good_is_tried_once_and_no_fence() -> None:
    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        client = Service()
        client.fails = lambda call, what: (
            Refused("DELETE", "no", status=405) if call == "delete" else None
        )
        ((moment, state),) = await goes_on(ledger, client, HOUR)
        assert len(client.asked["delete"]) == 1
        assert state == State.HELD and is_about(moment, 4 * SETTLE)
        assert reason(ledger) == "perhaps paid; its upload can't be deleted"

    with_ledger(work)


@pytest.mark.parametrize(
    ("fine", "tried"),
    [("", "12345"), ("3", "12345"), ("1", "12345"), ("12345678", "12345678")],
)
def test_after_three_deletions_in_vain_in_a_row_a_pass_tries_no_more(fine: str, tried: str) -> None:
    """Those that are under way then come to their ends. The others are judged meanwhile, and the
    next pass begins anew.
    """

    async def work(ledger: Ledger) -> None:
        for document in range(1, 9):
            await lost(ledger, document)
        await proven(ledger)
        client = Service()
        names = list[str]()

        def fails(call: str, what: str) -> ServiceError | None:
            if call != "delete":
                return None
            names.append(what.removeprefix("reducto://")[0])
            return None if names[-1] in fine else BadReply("DELETE", "500", status=500)

        client.fails = fails
        await goes_on(ledger, client, 5.0)
        assert "".join(names) == tried
        assert not set(fine) & set(names[len(tried) :])

    with_ledger(work)


def test_in_the_next_pass_the_others_are_tried() -> None:
    async def work(ledger: Ledger) -> None:
        for document in range(1, 9):
            await lost(ledger, document)
        await proven(ledger)
        client = Service()
        names = set[str]()

        def fails(call: str, what: str) -> ServiceError | None:
            names.add(what)
            return BadReply("DELETE", "500", status=500) if call == "delete" else None

        client.fails = fails
        await goes_on(ledger, client, 200.0)
        assert len(names - {""}) == 8

    with_ledger(work)


def test_a_deletion_is_on_record_with_the_moment_at_which_it_was_done() -> None:
    """What a job reads after it, it can't have read."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        began = now()
        client = Service()
        client.deleting_takes = 10.0
        running = asyncio.create_task(recovery(ledger, client).run())
        await asyncio.sleep(5.0)
        (before,) = ledger.audit.unknown()
        await asyncio.sleep(8.0)
        (after,) = ledger.audit.unknown()
        running.cancel()
        assert before.fenced_at == pytest.approx(began, abs=0.1)
        assert after.fenced_at == pytest.approx(began + 10.0, abs=0.1)

    with_ledger(work)


def test_what_an_earlier_run_had_on_record_is_deleted_once_more() -> None:
    """Nobody knows whether it still came to it."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await proven(ledger)
        await ledger.record(events.Fenced(1, now()))
        client = Service()
        client.service.uploads["reducto://1.pdf"] = b"x"
        await goes_on(ledger, client, 40.0)
        assert client.service.uploads == {} and len(client.asked["delete"]) == 1

    with_ledger(work)


# --- what we had deleted --------------------------------------------------------------------------


@pytest.mark.parametrize(("deletion_started", "told"), [(True, [State.QUEUED]), (False, [])])
def test_only_what_we_began_to_delete_needs_not_be_shown(
    deletion_started: bool, told: list[State]
) -> None:
    """No "not found" excuses a job that we never had deleted: an answer may be wrong, and the
    listing has holes.
    """

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await _saved(ledger, 2)
        await _saved(ledger, 3)
        if deletion_started:
            await ledger.record(events.DeletionStarted(2, "job-2"))
        await asyncio.sleep(2 * SETTLE)
        await proven(ledger)
        client = Service(*shown(3))
        client.fails = lambda call, what: (
            NotFound("GET /job", "no", status=404) if call == "job" else None
        )
        assert [state for _, state in await goes_on(ledger, client, 100.0)] == told

    with_ledger(work)
