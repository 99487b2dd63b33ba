"""What becomes of a submission whose answer was lost: nothing is paid for twice on a mere guess."""

from dataclasses import replace

import pytest

from batcher.core.absence import (
    ABSENCES_AT_MOST,
    ABSENCES_IN_BAD_TIMES,
    BAD_TIMES,
    FENCE,
    FENCES_IN_VAIN,
    LISTING,
    PATIENCE,
    REST_AT_MOST,
    RETENTION_MARGIN,
    WITHOUT_WITNESS,
    Action,
    AttemptFacts,
    Decision,
    FenceFacts,
    ListingLag,
    RunFacts,
    ScanFacts,
    answered_to_another,
    between_passes,
    conclusion,
    doubt,
    fence_again_in,
    first_decision,
    is_out_of_reach,
    next_pass_in,
    rest_after_failure,
)

SETTLE = 30.0
RETENTION = 3600.0
RUN = RunFacts(settle=SETTLE, span=SETTLE, retention=RETENTION, proven=frozenset({LISTING, FENCE}))
FENCED = AttemptFacts(age=60.0, fence=FenceFacts(settled_for=SETTLE))
UNFENCED = AttemptFacts(age=60.0)
CLEAN = ScanFacts()
LATE = 10 * PATIENCE

FAULTS = {
    "the listing broke off": (FENCED, replace(CLEAN, broken="status 500"), RUN),
    "its input is no upload": (replace(FENCED, has_upload=False), CLEAN, RUN),
    "the listing is not proven": (FENCED, CLEAN, replace(RUN, proven=frozenset({FENCE}))),
    "the fence is not proven": (FENCED, CLEAN, replace(RUN, proven=frozenset({LISTING}))),
    "a part of its job is shown": (FENCED, replace(CLEAN, part="job-7"), RUN),
    "a row can't be read": (FENCED, replace(CLEAN, unreadable=1), RUN),
    "a job of ours is missing": (FENCED, replace(CLEAN, missing="job-7"), RUN),
    "a job may be anybody's": (FENCED, replace(CLEAN, anonymous="job-7"), RUN),
    "the upload is never deleted": (
        replace(FENCED, fence=FenceFacts(settled_for=SETTLE, is_refused=True)),
        CLEAN,
        RUN,
    ),
    "the deletion failed": (
        replace(UNFENCED, fence=FenceFacts(failure="status 503")),
        CLEAN,
        RUN,
    ),
    "nothing is proven or shown": (
        FENCED,
        replace(CLEAN, shows_ours=False),
        replace(RUN, proven=frozenset({FENCE})),
    ),
    "the listing lags": (FENCED, replace(CLEAN, lags=True), RUN),
    "the listing shows nothing of ours": (FENCED, replace(CLEAN, shows_ours=False), RUN),
}


# --- the first decision ---------------------------------------------------------------------------


def test_a_job_that_is_shown_is_adopted_however_old_the_attempt() -> None:
    """It is ours and paid for; nothing speaks for leaving it."""
    old = replace(UNFENCED, age=RETENTION + 1.0)
    shown = ScanFacts(job_id="job-1", broken="status 500")
    assert first_decision(old, shown, RUN) == Decision(Action.ADOPT)


def test_a_job_that_is_another_document_s_is_held() -> None:
    """Two answers were mixed up: nobody knows what was paid for."""
    held = answered_to_another("job-1")
    assert held.action is Action.HOLD
    assert "job-1" in held.reason


@pytest.mark.parametrize(("early", "is_out"), [(RETENTION_MARGIN, False), (299.0, True)])
def test_near_the_end_of_the_retention_a_listing_proves_nothing(early: float, is_out: bool) -> None:
    """The service may have forgotten the job."""
    assert is_out_of_reach(RETENTION - early, RETENTION) is is_out
    decision = first_decision(replace(UNFENCED, age=RETENTION - early), CLEAN, RUN)
    assert decision is not None
    assert decision.action is (Action.HOLD if is_out else Action.FENCE)


@pytest.mark.parametrize(
    ("attempt", "scan", "run"),
    [
        (FENCED, CLEAN, RUN),
        (replace(UNFENCED, has_upload=False), CLEAN, RUN),
        (UNFENCED, replace(CLEAN, part="job-7"), RUN),
        (UNFENCED, replace(CLEAN, broken="status 500"), RUN),
        (UNFENCED, CLEAN, replace(RUN, fences_in_vain=FENCES_IN_VAIN)),
        (replace(UNFENCED, fence=FenceFacts(failure="busy", again_in=0.1)), CLEAN, RUN),
    ],
    ids=["fenced", "no upload", "it arrived", "listing unread", "many failed", "failed just now"],
)
def test_an_upload_is_not_deleted_where(
    attempt: AttemptFacts, scan: ScanFacts, run: RunFacts
) -> None:
    """Each reason alone is enough."""
    assert first_decision(attempt, scan, run) is None


def test_a_deletion_that_failed_is_tried_again_when_its_time_has_come() -> None:
    """Not before, and at that very moment."""
    due = replace(UNFENCED, fence=FenceFacts(failure="busy", again_in=0.0))
    assert first_decision(due, CLEAN, RUN) == Decision(Action.FENCE)


# --- the conclusion -------------------------------------------------------------------------------


def test_absence_is_confirmed_once_the_fence_has_settled() -> None:
    """Not a moment earlier: a submission on its way may still make a job."""
    assert conclusion(FENCED, CLEAN, RUN) == Decision(Action.CONFIRM_ABSENT)
    early = replace(FENCED, fence=FenceFacts(settled_for=SETTLE - 0.1), waited=LATE)
    assert conclusion(early, CLEAN, RUN) == Decision(Action.WAIT)
    assert conclusion(FENCED, CLEAN, replace(RUN, span=2 * SETTLE)) == Decision(Action.WAIT)


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_absent_where(fault: str) -> None:
    """Each fault alone keeps an attempt from being paid for again: it waits, and then is held."""
    attempt, scan, run = FAULTS[fault]
    why = doubt(attempt, scan, run)
    assert why
    assert conclusion(attempt, scan, run) == Decision(Action.WAIT)
    if fault != "the listing shows nothing of ours":
        held = conclusion(replace(attempt, waited=LATE), scan, run)
        assert held == Decision(Action.HOLD, f"perhaps paid; {why}")


def test_what_is_in_doubt_is_said_in_words() -> None:
    """People read it where a document is held."""
    unproven = replace(RUN, proven=frozenset())
    assert doubt(FENCED, CLEAN, unproven) == "not proven: fence, listing"
    assert doubt(FENCED, replace(CLEAN, unreadable=2), RUN).startswith("2 rows of the listing")


def test_an_attempt_that_was_never_fenced_is_held_with_the_reason_of_the_failure() -> None:
    """The person who decides learns what the service said."""
    attempt = AttemptFacts(age=60.0, fence=FenceFacts(failure="busy", again_in=9.0), waited=LATE)
    held = Decision(Action.HOLD, "perhaps paid; its upload can't be deleted: busy")
    assert conclusion(attempt, CLEAN, RUN) == held


def test_a_listing_without_a_job_of_ours_is_believed_after_a_long_time_alone() -> None:
    """Where other jobs of this run are under way they will show whether the listing lags."""
    empty = replace(CLEAN, shows_ours=False)
    most = WITHOUT_WITNESS * SETTLE
    long = replace(FENCED, waited=most + 1.0, silent_for=most + 1.0)
    assert conclusion(long, empty, RUN).action is Action.CONFIRM_ABSENT
    assert conclusion(replace(long, silent_for=most), empty, RUN).action is Action.WAIT
    assert conclusion(long, empty, replace(RUN, under_way=1)).action is Action.WAIT


def test_a_listing_counts_as_empty_from_when_it_was_seen_to_be() -> None:
    """Before, it could perhaps not be read, and it may be a copy that is behind by now."""
    empty = replace(CLEAN, shows_ours=False)
    most = WITHOUT_WITNESS * SETTLE
    late = replace(FENCED, waited=LATE)
    assert conclusion(replace(late, silent_for=most), empty, RUN).action is Action.WAIT
    believed = conclusion(replace(late, silent_for=most + 0.1), empty, RUN)
    assert believed.action is Action.CONFIRM_ABSENT


@pytest.mark.parametrize("others", [1, BAD_TIMES, BAD_TIMES + 1])
def test_an_absence_too_many_gives_up(others: int) -> None:
    """Later where the submissions of many documents never arrive."""
    most = ABSENCES_IN_BAD_TIMES if others > BAD_TIMES else ABSENCES_AT_MOST
    run = replace(RUN, never_arrived=others)
    last = replace(FENCED, absences=most - 1)
    assert conclusion(replace(last, absences=most - 2), CLEAN, run).action is Action.CONFIRM_ABSENT
    assert conclusion(last, CLEAN, run).action is Action.GIVE_UP
    assert f"{most} times" in conclusion(last, CLEAN, run).reason


# --- when it is held ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "patience"),
    [
        ("the listing is not proven", 3 * SETTLE),
        ("its input is no upload", 3 * SETTLE),
        ("nothing is proven or shown", 3 * SETTLE),
        ("the listing lags", 3 * SETTLE),
        ("the deletion failed", 30 * SETTLE),
        ("the listing broke off", 30 * SETTLE),
        ("a row can't be read", 30 * SETTLE),
        ("a job of ours is missing", 30 * SETTLE),
    ],
)
def test_it_waits_longer_for_what_may_pass(fault: str, patience: float) -> None:
    """A service that fails may recover; a missing proof doesn't come by itself."""
    attempt, scan, run = FAULTS[fault]
    assert conclusion(replace(attempt, waited=patience), scan, run).action is Action.WAIT
    assert conclusion(replace(attempt, waited=patience + 0.1), scan, run).action is Action.HOLD


def test_patience_is_bounded_however_long_settle_is() -> None:
    """Half an hour for what may pass, unless the fence itself takes longer."""
    run = replace(RUN, settle=300.0, span=300.0)
    fence = FenceFacts(settled_for=300.0)
    attempt = replace(FENCED, fence=fence, waited=PATIENCE + 0.1)
    assert conclusion(attempt, replace(CLEAN, unreadable=1), run).action is Action.HOLD


def test_it_waits_for_twice_as_long_as_a_fence_needs() -> None:
    """The job list may be late by as much."""
    run = replace(RUN, span=50 * SETTLE)
    attempt = replace(FENCED, fence=FenceFacts(settled_for=50 * SETTLE))
    broken = replace(CLEAN, broken="status 500")
    late = replace(attempt, waited=100 * SETTLE + 0.1)
    assert conclusion(replace(attempt, waited=100 * SETTLE), broken, run).action is Action.WAIT
    assert conclusion(late, broken, run).action is Action.HOLD


@pytest.mark.parametrize(
    ("run", "waited", "action"),
    [
        (replace(RUN, under_way=1), LATE, Action.WAIT),
        (replace(RUN, to_submit=1), PATIENCE, Action.WAIT),
        (replace(RUN, under_way=1, to_submit=1), PATIENCE, Action.WAIT),
        (replace(RUN, to_submit=1), PATIENCE + 0.1, Action.HOLD),
        (replace(RUN, to_submit=1, submits=False), PATIENCE, Action.HOLD),
    ],
    ids=["under way", "to submit", "both", "waiting too long", "not ours"],
)
def test_it_is_held_only_when_nothing_else_can_bring_proof(
    run: RunFacts, waited: float, action: Action
) -> None:
    """What is to be submitted may be waiting for this attempt without a word."""
    lagging = replace(CLEAN, lags=True)
    assert conclusion(replace(FENCED, waited=waited), lagging, run).action is action


@pytest.mark.parametrize(("age", "action"), [(90.0, Action.WAIT), (90.1, Action.HOLD)])
def test_a_young_job_of_ours_may_yet_be_shown(age: float, action: Action) -> None:
    """It is the one that proves the listing."""
    attempt = replace(FENCED, waited=LATE, witness_age=age)
    assert conclusion(attempt, replace(CLEAN, lags=True), RUN).action is action


# --- when the next look is due --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("due_in", "seconds"),
    [([], 7.5), ([100.0], 7.5), ([5.0], 5.01), ([1.0], 3.0), ([-1.0], 7.5), ([0.0], 7.5)],
)
def test_the_next_pass_comes_when_a_fence_has_settled_or_may_be_tried_again(
    due_in: list[float], seconds: float
) -> None:
    """Within a tenth and a quarter of `settle`."""
    assert next_pass_in(SETTLE, due_in) == pytest.approx(seconds)


def test_passes_leave_time_between_them_and_more_where_they_take_long() -> None:
    """A tenth of `settle` at least, and never more than a quarter."""
    assert between_passes(80.0, took=1.0) == 8.0
    assert between_passes(80.0, took=12.0) == 12.0
    assert between_passes(80.0, took=100.0) == 20.0


def test_a_listing_that_cannot_be_read_rests_longer_each_time() -> None:
    """Up to five minutes."""
    assert rest_after_failure(0.0, 80.0) == 10.0
    assert rest_after_failure(10.0, 80.0) == 20.0
    assert rest_after_failure(200.0, 80.0) == REST_AT_MOST


def test_a_deletion_that_failed_rests_longer_each_time() -> None:
    """But for the one that only came too soon."""
    assert fence_again_in(None, 80.0, came_too_soon=False) == 20.0
    assert fence_again_in(20.0, 80.0, came_too_soon=False) == 40.0
    assert fence_again_in(200.0, 80.0, came_too_soon=False) == REST_AT_MOST
    assert fence_again_in(200.0, 80.0, came_too_soon=True) == 10.0


def test_a_listing_is_as_late_as_its_latest_job_was() -> None:
    """A fence then has twice that time to settle; what never comes up counts for nothing."""
    lag = ListingLag()
    lag.learn({"job-1": SETTLE, "job-2": SETTLE - 1.0, "job-3": 2 * PATIENCE}, SETTLE)
    assert lag.span(SETTLE) == SETTLE
    lag.learn({"job-1": 45.0}, SETTLE)
    assert lag.span(SETTLE) == SETTLE
    lag.learn({}, SETTLE)
    assert lag.seconds == 45.0
    assert lag.span(SETTLE) == 90.0
    assert ListingLag(seconds=PATIENCE).span(SETTLE) == PATIENCE


def test_a_job_is_late_from_settle_to_half_an_hour() -> None:
    """A younger one may just not be listed yet, an older one never comes up."""
    lag = ListingLag()
    lag.learn({"job-1": SETTLE}, SETTLE)
    lag.learn({}, SETTLE)
    assert lag.seconds == SETTLE
    lag.learn({"job-2": PATIENCE}, SETTLE)
    lag.learn({}, SETTLE)
    assert lag.seconds == PATIENCE


def test_a_list_that_was_never_late_needs_no_more_than_settle() -> None:
    """Whatever was looked at."""
    lag = ListingLag()
    lag.learn({}, SETTLE)
    assert lag.seconds == 0.0


# --- in figures -----------------------------------------------------------------------------------


def test_the_figures_of_the_rules() -> None:
    """The READMEs tell some of them, and campaigns were run with all: a change is to be meant."""
    assert (ABSENCES_AT_MOST, ABSENCES_IN_BAD_TIMES, BAD_TIMES) == (3, 6, 3)
    assert (FENCES_IN_VAIN, WITHOUT_WITNESS) == (3, 10)
    assert (PATIENCE, RETENTION_MARGIN, REST_AT_MOST) == (1800.0, 300.0, 300.0)


def test_of_an_attempt_nothing_is_known_but_its_age() -> None:
    """It was never absent, never fenced, and nobody has waited for it."""
    fresh = AttemptFacts(age=1.0)
    assert (fresh.has_upload, fresh.absences, fresh.waited, fresh.witness_age) == (True, 0, 0, None)
    assert (fresh.fence.settled_for, fresh.fence.failure, fresh.fence.again_in) == (None, None, 0)
    assert not fresh.fence.is_refused and not fresh.fence.is_up


def test_of_a_run_it_is_known_that_it_submits() -> None:
    """One document's submission never arrived, and nothing else is known of it."""
    run = RunFacts(settle=1.0, span=1.0, retention=1.0)
    assert (run.never_arrived, run.fences_in_vain, run.under_way, run.to_submit) == (1, 0, 0, 0)
    assert run.submits and not run.proven


def test_a_short_settle_makes_for_a_short_wait() -> None:
    """Tests and local services have a tenth of a second."""
    run = replace(RUN, settle=0.1, span=0.1, proven=frozenset({FENCE}))
    assert conclusion(replace(FENCED, waited=0.31), CLEAN, run).action is Action.HOLD
