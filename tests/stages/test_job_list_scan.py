"""What one pass over the listing says of jobs in doubt, and what of ours it leaves out."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from contexts import context_of
from virtual import run_virtually, unhurried

from batcher.adapters.rate_limits import RateLimiter, RateLimits
from batcher.core import events
from batcher.core.account import Account
from batcher.errors import BadReply, Busy, ServiceError, Unauthorised
from batcher.ledger.intake import Version
from batcher.ledger.ledger import Ledger, memory_ledger
from batcher.reducto import api_types
from batcher.reducto.fake_client import FakeClient, FakeService
from batcher.stages.job_list_scan import JobListReader, JobListScan

SETTLE = 60.0
HOUR = 3600.0
NOW = 1_800_000_000.0
MARGIN = 300.0
OFF = 600.0
AGAIN_AT_MOST = 1000
PAGE_AT_MOST = 600.0


def seen(**facts: Any) -> JobListScan:
    return JobListScan(0.0, NOW, **facts)


@pytest.mark.parametrize(
    ("ages", "lacking"),
    [
        ({}, None),
        ({"young": 59.9}, None),
        ({"settled": 60.0}, "settled"),
        ({"young": 59.9, "settled": 60.0, "old": 300.0}, "old"),
        ({"old": 300.0, "older": 301.0}, "older"),
        ({"right now": 0.0}, None),
        ({"still to come": -0.1}, "still to come"),
        ({"still to come": -0.1, "settled": 60.0}, "settled"),
    ],
)
def test_a_job_is_lacking_once_the_listing_has_had_its_time(
    ages: dict[str, float], lacking: str | None
) -> None:
    """The oldest one is named; one of the future was accepted before the clock was set back."""
    assert seen(unshown={job: NOW - age for job, age in ages.items()}).lacking(SETTLE) == lacking


@pytest.mark.parametrize(
    ("unshown", "shown_to", "lags"),
    [
        ([], None, False),
        ([99.0], None, False),
        ([100.0], None, False),
        ([101.0], None, True),
        ([101.0], 99.0, True),
        ([101.0], 100.0, True),
        ([99.0, 102.0], 101.0, False),
        ([], 99.0, False),
    ],
)
def test_a_listing_lags_where_it_shows_no_job_since_and_there_is_one(
    unshown: list[float], shown_to: float | None, lags: bool
) -> None:
    scan = seen(unshown={str(moment): moment for moment in unshown}, shown_to=shown_to)
    assert scan.lags_since(100.0) == lags


@pytest.mark.parametrize(
    ("mute", "endpoint", "job"),
    [
        ({}, "parse", None),
        ({"parse": (NOW, "p")}, "parse", "p"),
        ({"parse": (NOW, "p")}, "extract", None),
        ({"": (NOW, "untold")}, "extract", "untold"),
        ({"parse": (NOW, "p"), "extract": (NOW - 1.0, "e")}, "extract", "e"),
        ({"parse": (NOW, "p"), "extract": (NOW - 1.0, "e")}, "", "p"),
        ({"": (NOW + 1.0, "untold"), "parse": (NOW, "p")}, "parse", "untold"),
        ({"parse": (NOW - OFF, "p")}, "parse", "p"),
        ({"parse": (NOW - OFF - 1.0, "p")}, "parse", None),
    ],
)
def test_a_job_of_nobody_knows_what_may_be_one_sent_before_it_was_made(
    mute: dict[str, tuple[float, str]], endpoint: str, job: str | None
) -> None:
    """Of its type or of none that is told, and by a clock that may be ten minutes off."""
    assert seen(mute=mute).anybodys(endpoint, NOW) == job


# --- a pass ---------------------------------------------------------------------------------------


class Rows(FakeClient):
    """Shows the rows that it is told to show, each page `takes` seconds; `broken` after the first
    page.
    """

    def __init__(
        self, *pages: list[api_types.JobRow], takes: float = 0.0, broken: ServiceError | None = None
    ) -> None:
        super().__init__(FakeService(lambda: asyncio.get_running_loop().time()))
        self.told = pages or ([],)
        self.takes = takes
        self.broken = broken
        self.during: list[events.Event] = []
        self.ledger: Ledger | None = None

    async def jobs(self, *, cursor: str | None = None, **more: Any) -> api_types.JobsPage:
        await asyncio.sleep(self.takes)
        page = int(cursor or 0)
        if self.broken is not None and page:
            raise self.broken
        if self.ledger is not None:
            await self.ledger.record(*self.during)
        more_follows = page + 1 < len(self.told) or self.broken is not None
        return api_types.JobsPage(self.told[page], str(page + 1) if more_follows else None)


def row(job_id: str, nonce: str, **facts: Any) -> api_types.JobRow:
    return api_types.JobRow(job_id, "Completed", raw_config=f'{{"nonce": "{nonce}"}}', **facts)


def with_ledger(work: Any) -> None:
    async def begin() -> None:
        await work(
            memory_ledger(Path("absent.db"), batch="b", clock=asyncio.get_running_loop().time)
        )

    run_virtually(begin(), start=NOW)


async def accepted(
    ledger: Ledger, document: int, *, alive_for: float = 12 * HOUR, saved: bool = False
) -> str:
    await _admitted(ledger, document)
    sending = events.Sending(document, nonce_of(document), "twin", "none", 1.0)
    job_id = f"job-{document}"
    taken = events.Accepted(document, job_id, ledger.clock() + alive_for)
    await ledger.record(events.Uploaded(document, f"reducto://{document}.pdf"), sending, taken)
    if saved:
        ended = events.Ended(document, 1, 1.0)
        await ledger.record(ended, events.Saved(document, f"{document}.json", "hash", 1))
    return job_id


async def lost(ledger: Ledger, document: int, *, file_id: str = "") -> None:
    await _admitted(ledger, document)
    sending = events.Sending(document, nonce_of(document), "twin", "none", 1.0)
    uploaded = events.Uploaded(document, file_id or f"reducto://{document}.pdf")
    await ledger.record(uploaded, sending, events.ReplyLost(document, "reset"))


async def _admitted(ledger: Ledger, document: int, *, job: str = "parse") -> None:
    facts = {
        "folder": "/in",
        "job": job,
        "step": "s",
        "content": f"{document}",
        "size": 1,
        "mtime_ns": 0,
        "inode": 0,
    }
    await ledger.admit([Version(source=f"{document}.pdf", output=f"{document}.json", **facts)])


def nonce_of(document: int) -> str:
    return f"{document:024x}"


def look(
    ledger: Ledger, client: FakeClient, *, lane: RateLimiter | None = None, endpoints: Any = None
) -> Coroutine[Any, Any, JobListScan]:
    limits = unhurried() if lane is None else RateLimits(list=lane)
    told = {"parse": "parse"} if endpoints is None else endpoints
    looking = JobListReader(
        context_of(ledger, client, rate_limits=limits),
        account=Account("twin", "none", 43_200.0),
        settle=60.0,
        endpoints=told,
    )
    return looking.through(ledger.audit.unknown())


def test_what_it_shows_and_does_not_show_of_ours() -> None:
    """Shown up to the latest of those that it shows; what it doesn't show with the moment of its
    acceptance.
    """

    async def work(ledger: Ledger) -> None:
        moments = []
        for document in range(1, 5):
            moments.append(ledger.clock())
            await accepted(ledger, document)
            await asyncio.sleep(1.0)
        rows = [row(f"job-{document}", nonce_of(document)) for document in (3, 1, 2)]
        scan = await look(ledger, Rows(rows))
        assert scan.unshown == {"job-4": moments[3]}
        assert scan.shown_to == moments[2]
        assert (scan.begun_at, scan.seen_at) == (NOW + 4.0, NOW + 4.0)
        assert (scan.broken, scan.unreadable, scan.jobs) == ("", 0, {})

    with_ledger(work)


@pytest.mark.parametrize(("left", "is_due"), [(MARGIN, False), (MARGIN + 1.0, True)])
def test_what_is_about_to_expire_needs_not_be_shown(left: float, is_due: bool) -> None:
    """Five minutes before its time nobody can say whether it's still there."""

    async def work(ledger: Ledger) -> None:
        await accepted(ledger, 1, alive_for=left)
        assert ("job-1" in (await look(ledger, Rows())).unshown) == is_due

    with_ledger(work)


@pytest.mark.parametrize(("left", "is_due"), [(MARGIN + 10.0, False), (MARGIN + 11.0, True)])
def test_what_comes_to_its_time_while_the_listing_is_read_needs_not_be_shown(
    left: float, is_due: bool
) -> None:
    async def work(ledger: Ledger) -> None:
        await accepted(ledger, 1, alive_for=left)
        assert ("job-1" in (await look(ledger, Rows(takes=10.0))).unshown) == is_due

    with_ledger(work)


def test_what_is_deleted_while_the_listing_is_read_needs_not_be_shown() -> None:
    async def work(ledger: Ledger) -> None:
        await accepted(ledger, 1, saved=True)
        await accepted(ledger, 2, saved=True)
        await accepted(ledger, 3)
        client = Rows()
        client.ledger, client.during = ledger, [events.Cleaned(1, "job-1")]
        scan = await look(ledger, client)
        assert scan.unshown.keys() == {"job-2", "job-3"}

    with_ledger(work)


def test_of_many_jobs_not_shown_the_first_thousand_are_asked_for_again() -> None:
    """The others stay as they are: one statement is as long as it may be."""

    async def work(ledger: Ledger) -> None:
        number = AGAIN_AT_MOST + 2
        for document in range(1, number + 1):
            await accepted(ledger, document, saved=True)
        client = Rows()
        client.ledger = ledger
        client.during = [
            events.Cleaned(document, f"job-{document}") for document in range(1, number + 1)
        ]
        scan = await look(ledger, client)
        assert len(scan.unshown) == 2

    with_ledger(work)


ODD = {
    "its nonce": (row("job-1", nonce_of(1)), False),
    "its upload": (api_types.JobRow("job-1", "Completed", source="reducto://1.pdf"), False),
    "nothing": (api_types.JobRow("job-1", "Completed"), True),
    "another's upload": (api_types.JobRow("job-1", "Completed", source="reducto://2.pdf"), True),
    "a nonce of nobody's": (row("job-1", "f" * 24), True),
}


@pytest.mark.parametrize("name", ODD)
def test_a_job_of_ours_counts_as_shown_only_with_what_we_sent(name: str) -> None:
    """A listing that has lost the requests tells nothing of those it doesn't show."""
    told, is_lacking = ODD[name]

    async def work(ledger: Ledger) -> None:
        await accepted(ledger, 1)
        scan = await look(ledger, Rows([told]))
        assert ("job-1" in scan.unshown) == is_lacking
        assert (scan.shown_to is None) == is_lacking

    with_ledger(work)


def test_a_job_that_names_another_attempt_is_neither_lacking_nor_a_proof() -> None:
    """It was mixed up on its way: it will never be shown as what we take it for."""

    async def work(ledger: Ledger) -> None:
        await accepted(ledger, 1)
        await accepted(ledger, 2)
        scan = await look(ledger, Rows([row("job-1", nonce_of(2), source="reducto://1.pdf")]))
        assert scan.unshown.keys() == {"job-2"}
        assert scan.shown_to is None

    with_ledger(work)


def test_what_was_cleaned_is_no_proof_though_it_is_shown() -> None:
    async def work(ledger: Ledger) -> None:
        await accepted(ledger, 1, saved=True)
        await ledger.record(events.Cleaned(1, "job-1"))
        scan = await look(ledger, Rows([row("job-1", nonce_of(1))]))
        assert (scan.shown_to, scan.unshown) == (None, {})

    with_ledger(work)


# --- whose it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "jobs", "parts"),
    [
        (row("x", nonce_of(1)), {1: "x"}, {}),
        (row("x", nonce_of(1), type="PARSE"), {1: "x"}, {}),
        (row("x", nonce_of(1), type="Extract"), {}, {1: "x"}),
        (api_types.JobRow("x", "Completed", source="reducto://1.pdf"), {1: "x"}, {}),
        (row("x", nonce_of(2), source="reducto://1.pdf"), {2: "x"}, {}),
        (row("x", "f" * 24, source="reducto://1.pdf"), {1: "x"}, {}),
        (row("x", nonce_of(3), source="reducto://1.pdf"), {}, {}),
        (api_types.JobRow("job-3", "Completed", source="reducto://1.pdf"), {1: "job-3"}, {}),
    ],
)
def test_a_row_is_of_the_attempt_it_names(
    told: api_types.JobRow, jobs: dict[int, str], parts: dict[int, str]
) -> None:
    """By its nonce; by its upload where it names no other attempt of ours; and a part is no job."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        await lost(ledger, 2)
        await accepted(ledger, 3)
        scan = await look(ledger, Rows([told]))
        assert (scan.jobs, scan.parts) == (jobs, parts)

    with_ledger(work)


def test_the_job_that_an_attempt_holds_is_not_adopted_for_another_of_the_same_upload() -> None:
    async def work(ledger: Ledger) -> None:
        await accepted(ledger, 1)
        await _admitted(ledger, 2, job="extract")
        sending = events.Sending(2, nonce_of(2), "twin", "none", 1.0)
        await ledger.record(
            events.Uploaded(2, "reducto://1.pdf"), sending, events.ReplyLost(2, "reset")
        )
        held = api_types.JobRow("job-1", "Completed", source="reducto://1.pdf")
        assert (await look(ledger, Rows([held]), endpoints={})).jobs == {}
        other = api_types.JobRow("job-9", "Completed", source="reducto://1.pdf")
        assert (await look(ledger, Rows([held, other]), endpoints={})).jobs == {2: "job-9"}

    with_ledger(work)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("better", "worse", "endpoints"),
    [
        ({"type": "Parse"}, {}, {"parse": "parse"}),
        ({"type": "Pipeline"}, {"type": "Parse"}, {}),
        ({"type": "pipeline", "status": "Failed"}, {"type": "Parse"}, {}),
        ({"status": "InProgress"}, {"status": "Failed"}, {"parse": "parse"}),
        ({"status": "Completed"}, {"status": "Cancelled"}, {"parse": "parse"}),
        ({"type": "Parse", "status": "Failed"}, {}, {"parse": "parse"}),
    ],
)
def test_of_several_rows_of_one_attempt_the_best_is_adopted(
    better: dict[str, str], worse: dict[str, str], endpoints: dict[str, str], turned: bool
) -> None:
    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        rows = []
        for job_id, facts in (("better", better), ("worse", worse)):
            made = row(job_id, nonce_of(1), type=facts.get("type", ""))
            made.status = facts.get("status", "Completed")
            rows.append(made)
        scan = await look(ledger, Rows(rows[::-1] if turned else rows), endpoints=endpoints)
        assert scan.jobs == {1: "better"}

    with_ledger(work)


def test_of_several_rows_as_good_the_first_is_adopted() -> None:
    """The newest stands above."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        rows = [row("newest", nonce_of(1)), row("oldest", nonce_of(1))]
        assert (await look(ledger, Rows(rows))).jobs == {1: "newest"}

    with_ledger(work)


def test_rows_that_say_nothing_are_noted_by_type_with_the_latest_of_each() -> None:
    """Not those that are ours, of whose requests the listing has only lost the echo."""

    async def work(ledger: Ledger) -> None:
        await accepted(ledger, 1)

        def mute(job_id: str, made_at: float | None, kind: str) -> api_types.JobRow:
            told = (
                "some day" if made_at is None else datetime.fromtimestamp(made_at, UTC).isoformat()
            )
            return api_types.JobRow(job_id, "Completed", told, kind)

        rows = [
            mute("a", NOW, "Parse"),
            mute("b", NOW + 1.0, "parse"),
            mute("c", NOW - 1.0, "PARSE"),
            mute("d", NOW, "Extract"),
            mute("e", None, ""),
            mute("job-1", NOW + 9.0, "Extract"),
            row("f", "f" * 24, type="Extract", created_at="2099-01-01"),
        ]
        scan = await look(ledger, Rows(rows))
        assert scan.mute == {
            "parse": (NOW + 1.0, "b"),
            "extract": (NOW, "d"),
            "": (float("inf"), "e"),
        }

    with_ledger(work)


# --- a listing that fails -------------------------------------------------------------------------


def test_a_listing_that_breaks_off_still_shows_what_it_showed() -> None:
    """And says why; the lane waits for as long as the service wants."""

    async def work(ledger: Ledger) -> None:
        await lost(ledger, 1)
        lane = unhurried().list
        error = Busy("GET /jobs", "later", status=503, retry_after=100.0)
        scan = await look(ledger, Rows([row("x", nonce_of(1))], broken=error), lane=lane)
        assert scan.jobs == {1: "x"}
        assert scan.broken == str(error)
        assert lane.held_for == 100.0

    with_ledger(work)


def test_a_listing_that_goes_in_circles_is_no_whole_pass_and_holds_no_lane() -> None:
    async def work(ledger: Ledger) -> None:
        class Circles(Rows):
            async def jobs(self, **more: Any) -> api_types.JobsPage:
                return api_types.JobsPage([], "again")

        lane = unhurried().list
        scan = await look(ledger, Circles(), lane=lane)
        assert "the same cursor again" in scan.broken and "GET" not in scan.broken
        assert lane.held_for == 0.0

    with_ledger(work)


@pytest.mark.parametrize(
    ("takes", "broken"), [(PAGE_AT_MOST - 1.0, ""), (PAGE_AT_MOST + 1.0, "within 10 minutes")]
)
def test_a_page_has_ten_minutes(takes: float, broken: str) -> None:
    """Each of them, and its turn in the lane is part of it."""

    async def work(ledger: Ledger) -> None:
        scan = await look(ledger, Rows([], [], takes=takes))
        assert scan.broken == broken or (broken and broken in scan.broken)

    with_ledger(work)


def test_rows_that_can_not_be_read_are_counted_over_all_pages() -> None:
    async def work(ledger: Ledger) -> None:
        class Unreadable(Rows):
            async def jobs(self, **more: Any) -> api_types.JobsPage:
                page = await super().jobs(**more)
                page.unreadable = 2
                return page

        assert (await look(ledger, Unreadable([], []))).unreadable == 4

    with_ledger(work)


def test_a_key_that_is_no_longer_taken_is_no_matter_of_the_listing() -> None:
    async def work(ledger: Ledger) -> None:
        with pytest.raises(Unauthorised):
            await look(ledger, Rows([], broken=Unauthorised("GET /jobs", "no", status=401)))
        assert (
            await look(ledger, Rows([], broken=BadReply("GET /jobs", "odd", status=500)))
        ).broken

    with_ledger(work)
