"""What the service's word about a job that is out means: an end, patience, or that it is really
gone.
"""

import random
from typing import Any, Final

import pytest

from batcher.core import events as e
from batcher.core.inflight import (
    LAG,
    LAPSES,
    MISSES,
    InFlightJob,
    absence,
    is_overdue,
    is_wanted_anew,
    outcome_event,
    unanswered,
    unread,
)
from batcher.core.retry_policy import Policy
from batcher.reducto.api_types import UPLOAD_RETENTION, ErrorDetail, JobAnswer, JobStatus

RNG: Final = random.Random(5)
ACCEPTED_AT: Final = 1_000_000.0
DEADLINE: Final = ACCEPTED_AT + 12 * 3600.0
IN_TIME: Final = ACCEPTED_AT + 3600.0
TEN_MINUTES: Final = 600.0  # past its deadline


def flight(**changes: Any) -> InFlightJob:
    """Job j of document 3, paid once."""
    healthy = InFlightJob(
        document=3,
        job_id="j",
        size=10,
        accepted_at=ACCEPTED_AT,
        deadline_at=DEADLINE,
        paid=1,
        fenced=False,
        output="a.json",
    )
    return healthy._replace(**changes)


def said(answer: JobAnswer, *, now: float = IN_TIME, **changes: Any) -> e.Event | None:
    return outcome_event(flight(**changes), answer, policy=Policy(), now=now, rng=RNG)


def failed(name: str, message: str = "why") -> JobAnswer:
    return JobAnswer(JobStatus.FAILED, error=ErrorDetail(name=name, message=message))


# --- still running --------------------------------------------------------------------------------

RUNNING: Final = (
    "Pending",
    "InProgress",
    "Completing",
    "Idle",
    "A_STATUS_OF_TOMORROW",
    "",
    "completed",
    "FAILED",
)


@pytest.mark.parametrize("status", RUNNING)
def test_a_job_runs_until_one_of_three_words_is_said(status: str) -> None:
    """Completed, Failed and Cancelled are ends; to take any other word for one would pay a second
    time.
    """
    assert said(JobAnswer(status)) is None
    assert (
        said(JobAnswer(status, error=ErrorDetail(name="TIMEOUT")), fenced=True, reads_job=True)
        is None
    )
    assert said(JobAnswer(status), now=DEADLINE + TEN_MINUTES - 1) is None


@pytest.mark.parametrize("status", RUNNING)
def test_still_running_long_after_its_time_is_stuck(status: str) -> None:
    """Ten minutes past its deadline somebody has to be told; nothing is paid again for it."""
    after = said(JobAnswer(status), now=DEADLINE + TEN_MINUTES)
    assert after == e.Stuck(3, f"still {status} past its deadline")


def test_overdue_is_told_by_the_deadline_alone() -> None:
    """To the second."""
    assert not is_overdue(flight(), DEADLINE + TEN_MINUTES - 0.1)
    assert is_overdue(flight(), DEADLINE + TEN_MINUTES)


@pytest.mark.parametrize("asked_at", [None, DEADLINE + 1000.0])
def test_a_job_that_is_being_cancelled_gets_a_minute_for_it(asked_at: float | None) -> None:
    """From the moment that the service was asked; before that it isn't stuck a second time."""
    recalled = {"recalled": True, "recalled_at": asked_at}
    assert said(JobAnswer("InProgress"), now=DEADLINE + 1059.0, **recalled) is None
    after = said(JobAnswer("InProgress"), now=DEADLINE + 1060.0, **recalled)
    told = e.Stuck(
        3, "still InProgress past its deadline, though the service was asked to cancel it"
    )
    assert after == (None if asked_at is None else told)


# --- ended ----------------------------------------------------------------------------------------


def test_a_cancelled_job_is_cancelled_whoever_did_it() -> None:
    """With the service's own words where it has some."""
    assert said(JobAnswer("Cancelled")) == e.Cancelled(3, "cancelled at the service")
    assert said(JobAnswer("Cancelled", reason="by hand")) == e.Cancelled(3, "by hand")
    named = JobAnswer(
        "Cancelled", reason="less", error=ErrorDetail(name="NOT_FOUND", message="more")
    )
    assert said(named, fenced=True) == e.Cancelled(3, "more")


def test_a_failed_job_follows_the_policy() -> None:
    """Its error's name, else its reason, is told; as often as it is worth it is sent again."""
    assert said(failed("DOCUMENT_CORRUPT")) == e.JobFailed(
        3, "DOCUMENT_CORRUPT: why", kind="document", error_name="DOCUMENT_CORRUPT"
    )
    assert said(JobAnswer("Failed", reason="broke"), paid=3) == e.JobFailed(
        3, "UNNAMED: broke", kind="transient"
    )
    assert said(failed("TIMEOUT", ""), paid=3) == e.JobFailed(
        3, "TIMEOUT", kind="transient", error_name="TIMEOUT"
    )
    again = said(failed("TIMEOUT"), paid=2)
    assert isinstance(again, e.JobToRepeat)
    assert again.error_name == "TIMEOUT"
    assert again.due_at >= IN_TIME
    assert isinstance(said(failed("TIMEOUT"), paid=3), e.JobFailed)


NO_INPUT: Final = ("NOT_FOUND", "INVALID_CONFIG")
NO_JOB: Final = (*NO_INPUT, "JOB_DELETED", "JOB_DELETION_IN_PROGRESS", "JOB_NOT_COMPLETE")


@pytest.mark.parametrize("name", [*NO_JOB, "DOCUMENT_CORRUPT", "TIMEOUT", "AUTH_ERROR", ""])
def test_a_job_that_ends_for_want_of_its_input_counts_as_none(name: str) -> None:
    """Where its upload was deleted, or the job that it reads may be gone: that is no fault of the
    document.
    """
    fenced, reading, healthy = (
        said(failed(name), **way) for way in ({"fenced": True}, {"reads_job": True}, {})
    )
    voided = e.JobVoided(3, f"{name}: why", error_name=name)
    assert (fenced == voided) is (name in NO_INPUT)
    assert (reading == voided) is (name in NO_JOB)
    assert not isinstance(healthy, e.JobVoided)


# --- gone -----------------------------------------------------------------------------------------


def gone(*, now: float = IN_TIME, **changes: Any) -> e.Event | None:
    surely = {"misses": 3, "others_answer": True, "deleted": False}
    return absence(flight(), "404", **{**surely, **changes}, now=now)


def test_a_job_is_lost_when_three_404s_agree_and_others_are_known() -> None:
    """Each of it is needed: a service that has forgotten all jobs, or lags behind itself, has lost
    none.
    """
    assert gone() == e.Lost(3, "404")
    assert gone(misses=4) == e.Lost(3, "404")
    assert gone(misses=2) is None
    assert gone(others_answer=False) is None
    assert gone(misses=100, others_answer=False) is None
    assert gone(now=ACCEPTED_AT + 59.9) is None
    assert gone(now=ACCEPTED_AT + 60.0) == e.Lost(3, "404")
    assert (MISSES, LAG) == (3, 60.0)


def test_past_its_deadline_a_missing_job_has_expired() -> None:
    """At the first 404, and whoever else is known: that is when the service deletes results."""
    assert gone(now=DEADLINE, misses=1, others_answer=False) == e.Expired(3, "404")
    assert gone(now=DEADLINE, deleted=True) == e.Expired(3, "404")
    assert gone(now=DEADLINE - 0.1, misses=1) is None


def test_a_job_that_was_deleted_on_request_is_lost_at_once() -> None:
    """The service's word for it, or our own memory, needs no second look."""
    at_once = gone(misses=1, others_answer=False, deleted=True, now=ACCEPTED_AT)
    assert at_once == e.Lost(3, "404; it was deleted at the service")


# --- wanted anew ----------------------------------------------------------------------------------

ENDS: Final = (
    e.Cancelled(3, "x"),
    e.JobFailed(3, "x", "document"),
    e.Expired(3, "x"),
    e.Lost(3, "x"),
)
GOES_ON: Final = (
    e.Ended(3, 1, 1.0),
    e.Saved(3, "a.json", "00", 1),
    e.Stuck(3, "x"),
    e.JobToRepeat(3, "x", 0.0),
    e.JobVoided(3, "x"),
)


@pytest.mark.parametrize("event", [*ENDS, *GOES_ON], ids=lambda event: type(event).__name__)
def test_a_recalled_job_that_brought_nothing_is_sent_again(event: e.Event) -> None:
    """As a person wanted; not where it brought a result after all, is sent again anyway, or nobody
    asked for it.
    """
    assert is_wanted_anew(flight(recalled=True), event) is (event in ENDS)
    assert not is_wanted_anew(flight(), event)


# --- no result, no answer -------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "span"), [(2, 1e6), (3, 119.9), (0, 0.0)])
def test_a_result_that_can_not_be_read_is_asked_for_again(asked: int, span: float) -> None:
    """Three times and for two minutes, both of them."""
    assert unread(flight(), "odd", asked=asked, span=span) is None
    assert unread(flight(recalled=True), "odd", asked=asked, span=span) is None


def test_a_result_that_can_never_be_read_is_a_verdict_and_no_second_payment() -> None:
    """Lost, and so sent anew, only where a person has asked for that already."""
    assert unread(flight(), "odd", asked=3, span=120.0) == e.Stuck(3, "completed, but odd")
    assert unread(flight(recalled=True), "odd", asked=3, span=120.0) == e.Lost(
        3, "completed, but odd"
    )


@pytest.mark.parametrize(
    ("asked", "span", "alone", "late", "words"),
    [
        (2, 1e6, 2, 1e6, ""),
        (3, 119.9, 3, 1e6, ""),
        (3, 120.0, 3, 600.0, "no answer about its job, and its time is up: odd"),
        (3, 120.0, 0, 600.0, "no answer about its job, and its time is up: odd"),
        (3, 120.0, 3, 599.9, ""),
        (3, 899.9, 3, 0.0, ""),
        (3, 900.0, 3, 0.0, "no answer about its job, though others get theirs: odd"),
        (50, 25_200.0, 2, 0.0, ""),
        (3, 900.0, 0, 0.0, ""),
        (3, 1e6, 0, 0.0, ""),
    ],
)
def test_an_outage_is_waited_out_till_its_time_is_up(
    asked: int, span: float, alone: int, late: float, words: str
) -> None:
    """What fails for this job alone is its own trouble after a quarter of an hour; what all suffer
    is not.
    """
    event = unanswered(flight(), "odd", asked=asked, span=span, alone=alone, now=DEADLINE + late)
    assert event == (e.Stuck(3, words) if words else None)


def test_an_upload_lapses_well_before_the_service_deletes_it() -> None:
    """A submission that waits its turn must still find its input: four hours are left to it."""
    assert UPLOAD_RETENTION == 24 * 3600.0
    assert LAPSES == 20 * 3600.0


def test_a_flight_is_healthy_unless_said_otherwise() -> None:
    """Of a new job nothing is fenced, read, recalled or saved before."""
    assert flight()[-4:] == (False, False, None, False)
