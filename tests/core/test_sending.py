"""How much may be sent now, and what a limit or a refusal leads to."""

from dataclasses import replace

import pytest

from batcher.core.sending import (
    AfterBills,
    Freely,
    Hands,
    Mode,
    OneAtATime,
    Refusal,
    Unaffordable,
    after_fit,
    after_limit,
    after_refusal,
    is_closed,
    is_lapse,
    is_limit_reached,
    is_upload_given_up,
    near_limit,
    room,
    room_ahead,
)
from batcher.core.submission_quota import Allowance
from batcher.errors import Busy, Gone, NotFound, Refused, ServiceError, Unauthorised, Unreachable
from batcher.reducto.api_types import ErrorName
from batcher.reducto.inputs import InputKind

IDLE = Hands(mode=Freely(), in_hand=0, only_uploaded=0, lying=0, parked=0, in_flight=0, backlog=0)
UNLIMITED = Allowance(None)


# --- how near a limit is --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("in_flight", "mode"),
    [(0, OneAtATime()), (1, AfterBills(1)), (9, AfterBills(9)), (25, AfterBills(23))],
)
def test_near_a_limit_a_tenth_of_what_is_in_flight_comes_home_first(
    in_flight: int, mode: Mode
) -> None:
    """With nothing in flight there is no bill to wait for."""
    assert near_limit(in_flight) == mode


def test_what_fits_doubles_the_hands_until_no_limit_is_near() -> None:
    """From one at a time to the whole width."""
    mode = after_fit(AfterBills(3))
    assert mode == after_fit(OneAtATime()) == Freely(2)
    for _ in range(9):
        mode = after_fit(mode)
    assert mode == Freely(48)


@pytest.mark.parametrize(
    ("facts", "closed"),
    [
        (IDLE, False),
        (replace(IDLE, backlog=256), False),
        (replace(IDLE, backlog=257), True),
        (replace(IDLE, in_hand=9), False),
        (replace(IDLE, mode=OneAtATime()), False),
        (replace(IDLE, mode=OneAtATime(), in_flight=9), False),
        (replace(IDLE, mode=OneAtATime(), in_hand=1), True),
        (replace(IDLE, mode=AfterBills(5), in_flight=5), True),
        (replace(IDLE, mode=AfterBills(5), in_flight=4), False),
        (replace(IDLE, mode=AfterBills(5), in_flight=4, in_hand=1), True),
    ],
)
def test_nothing_is_sent_while(facts: Hands, closed: bool) -> None:
    """Results are waiting to be fetched, or a limit is near and its bills are awaited."""
    assert is_closed(facts) is closed


# --- how many may be sent -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "places", "on_trial", "number"),
    [
        (IDLE, 1000, False, 48),
        (IDLE, 7, False, 7),
        (IDLE, 0, False, 0),
        (replace(IDLE, parked=40), 1000, False, 8),
        (replace(IDLE, parked=48), 1000, False, 0),
        (replace(IDLE, in_hand=36), 1000, False, 12),
        (replace(IDLE, in_hand=37), 1000, False, 0),
        (replace(IDLE, in_hand=43), 3, False, 3),
        (replace(IDLE, mode=OneAtATime()), 1000, False, 1),
        (replace(IDLE, mode=AfterBills(5)), 1000, False, 1),
        (replace(IDLE, in_hand=1), 5, True, 0),
        (replace(IDLE, in_hand=1, only_uploaded=1), 5, True, 5),
    ],
)
def test_as_many_are_sent_as_hands_and_places_are_free(
    facts: Hands, places: int, on_trial: bool, number: int
) -> None:
    """While the service is on trial, a single submission shows how it fares."""
    assert room(facts, UNLIMITED, places=places, on_trial=on_trial) == number


def test_a_cap_on_the_number_is_kept_and_the_ledger_has_the_last_word() -> None:
    """Where it is reached one is tried all the same: a refused one may have given back its
    place.
    """
    allowance = Allowance(3)
    assert room(IDLE, allowance, places=1000, on_trial=False) == 3
    for document in range(3):
        allowance.promise(document)
    assert room(IDLE, allowance, places=1000, on_trial=False) == 1
    assert room(replace(IDLE, in_hand=3), allowance, places=1000, on_trial=False) == 0


@pytest.mark.parametrize(
    ("facts", "taken", "number"),
    [
        (IDLE, 0, 48),
        (IDLE, 36, 12),
        (IDLE, 37, 0),
        (replace(IDLE, lying=28), 0, 20),
        (replace(IDLE, parked=10), 0, 38),
        (replace(IDLE, in_hand=10), 0, 38),
        (replace(IDLE, in_hand=10, only_uploaded=8, lying=20), 0, 20),
        (replace(IDLE, lying=48), 0, 0),
        (replace(IDLE, mode=OneAtATime()), 0, 0),
        (replace(IDLE, backlog=257), 0, 0),
    ],
)
def test_uploads_run_ahead_of_the_places(facts: Hands, taken: int, number: int) -> None:
    """Up to a number that lies uploaded, and never near a limit."""
    assert room_ahead(facts, UNLIMITED, room=taken) == number


def test_no_more_is_uploaded_than_a_cap_lets_be_sent() -> None:
    """An upload that is never sent was for nothing."""
    assert room_ahead(IDLE, Allowance(30), room=10) == 20


# --- limits and refusals --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("may_fit", "probe", "outcome"),
    [
        (False, None, Unaffordable.LEAVE),
        (True, None, Unaffordable.WAIT_FOR_BILLS),
        (True, 7, Unaffordable.PARK),
        (False, 7, Unaffordable.PARK),
    ],
)
def test_what_does_not_fit(may_fit: bool, probe: int | None, outcome: Unaffordable) -> None:
    """What waits for a probe holds up no other type."""
    assert after_limit(may_fit=may_fit, probe=probe) is outcome


@pytest.mark.parametrize(
    ("cost", "passed_over", "reached"),
    [(2.0, 99, False), (1.0, 1, True), (2.0, 100, True)],
)
def test_a_limit_is_reached_where_nothing_smaller_is_worth_a_look(
    cost: float, passed_over: int, reached: bool
) -> None:
    """The smallest document doesn't fit, or too many were tried."""
    assert is_limit_reached(cost=cost, least=1.0, passed_over=passed_over) is reached


def refused(kind: type[Refused], status: int, name: str = "") -> Refused:
    return kind("POST /parse", "no", status=status, name=name)


@pytest.mark.parametrize(
    ("error", "kind", "lapses", "outcome"),
    [
        (refused(Unauthorised, 401), InputKind.UPLOAD, 0, Refusal.STOP_RUN),
        (refused(Refused, 402), InputKind.UPLOAD, 0, Refusal.STOP_RUN),
        (refused(Busy, 429), InputKind.UPLOAD, 0, Refusal.AS_POLICY_SAYS),
        (refused(NotFound, 404), InputKind.JOB, 0, Refusal.NEW_UPLOAD),
        (refused(Gone, 410), InputKind.JOB, 0, Refusal.NEW_UPLOAD),
        (refused(Refused, 400, ErrorName.JOB_DELETED), InputKind.JOB, 0, Refusal.NEW_UPLOAD),
        (refused(Refused, 422), InputKind.JOB, 0, Refusal.AS_POLICY_SAYS),
        (refused(NotFound, 404), InputKind.ADDRESS, 0, Refusal.REJECT_DOCUMENT),
        (refused(Refused, 422), InputKind.ADDRESS, 0, Refusal.AS_POLICY_SAYS),
        (refused(NotFound, 404), InputKind.UPLOAD, 4, Refusal.AS_POLICY_SAYS),
        (refused(NotFound, 404), InputKind.UPLOAD, 5, Refusal.REJECT_CONFIGURATION),
        (refused(Refused, 422), InputKind.UPLOAD, 5, Refusal.AS_POLICY_SAYS),
    ],
)
def test_what_a_refusal_leads_to(
    error: Refused, kind: InputKind, lapses: int, outcome: Refusal
) -> None:
    """It depends on what was sent: an upload, a job, or an address."""
    assert after_refusal(error, kind, lapses=lapses) is outcome


def test_only_an_upload_lapses() -> None:
    """Neither a job nor an address was uploaded by us."""
    lost = refused(NotFound, 404)
    assert is_lapse(lost, InputKind.UPLOAD)
    assert not is_lapse(lost, InputKind.JOB)
    assert not is_lapse(lost, InputKind.ADDRESS)
    assert not is_lapse(refused(Refused, 422), InputKind.UPLOAD)


@pytest.mark.parametrize(
    ("error", "tries", "given_up"),
    [
        (refused(Refused, 415), 0, True),
        (refused(Busy, 503), 99, False),
        (Unreachable("POST /upload", "down"), 99, False),
        (ServiceError("POST /upload", "odd"), 6, False),
        (ServiceError("POST /upload", "odd"), 7, True),
    ],
)
def test_an_upload_is_given_up_where_the_fault_may_be_the_document_s(
    error: ServiceError, tries: int, given_up: bool
) -> None:
    """A service that is busy or away is waited for."""
    assert is_upload_given_up(error, tries) is given_up
