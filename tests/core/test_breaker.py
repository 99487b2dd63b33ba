"""The breaker: five failures of the provider in a row, a rest, one document, and on."""

from batcher.core.breaker import FIRST_REST, TRIPS_AT, Breaker
from batcher.core.policy import Kind


def tripped() -> Breaker:
    breaker = Breaker()
    for _ in range(TRIPS_AT):
        breaker.note(Kind.PROVIDER, 100.0)
    return breaker


def test_only_failures_of_the_provider_count() -> None:
    """A hundred documents that can't be read say nothing about the service."""
    breaker = Breaker()
    for _ in range(100):
        breaker.note(Kind.DOCUMENT, 0.0)
        breaker.note(Kind.TRANSIENT, 0.0)
    assert breaker.room(0.0) is None


def test_it_opens_rests_and_lets_one_through() -> None:
    """And no second one before that has had its time."""
    breaker = tripped()
    assert breaker.room(100.0) == 0
    assert breaker.room(100.0 + FIRST_REST) == 1
    breaker.sent(100.0 + FIRST_REST)
    assert breaker.room(100.0 + FIRST_REST) == 0


def test_lost_answers_are_in_a_row_only_while_none_comes() -> None:
    """Jobs may take hours: an accepted submission tells as much as one that has ended."""
    breaker = Breaker()
    for _ in range(TRIPS_AT):
        breaker.answer_lost(100.0)
        breaker.answered()
    assert breaker.room(100.0) is None
    for _ in range(TRIPS_AT):
        breaker.answer_lost(100.0)
    assert breaker.room(100.0) == 0
    breaker.answered()
    assert breaker.room(100.0) is None


def test_an_accepted_submission_excuses_no_job_that_failed() -> None:
    breaker = tripped()
    breaker.answered()
    assert breaker.room(100.0) == 0


def test_a_success_closes_it_and_a_failure_makes_the_rest_longer() -> None:
    """Twice as long each time."""
    breaker = tripped()
    now = 100.0 + FIRST_REST
    breaker.note(Kind.PROVIDER, now)
    assert breaker.room(now + FIRST_REST) == 0
    assert breaker.room(now + 2 * FIRST_REST) == 1
    breaker.note(None, now + 2 * FIRST_REST)
    assert breaker.room(now) is None


def test_failures_of_one_wave_trip_it_once() -> None:
    """Those that were out when it opened don't make the rest longer."""
    breaker = tripped()
    for _ in range(50):
        breaker.note(Kind.PROVIDER, 101.0)
    assert breaker.open_until == 100.0 + FIRST_REST
