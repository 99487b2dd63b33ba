"""The breaker: where nearly all fails of late it rests, lets one document try, and goes on."""

import random

from batcher.core.breaker import AT_LEAST, FIRST_REST, IN_A_ROW, WINDOW, Breaker
from batcher.reducto.error_rules import ErrorClass


def tripped() -> Breaker:
    breaker = Breaker()
    for _ in range(AT_LEAST):
        breaker.note(ErrorClass.PROVIDER, 100.0)
    return breaker


def test_only_failures_of_the_provider_count() -> None:
    """A hundred documents that can't be read say nothing about the service."""
    breaker = Breaker()
    for _ in range(100):
        breaker.note(ErrorClass.DOCUMENT, 0.0)
        breaker.note(ErrorClass.TRANSIENT, 0.0)
    assert breaker.room(0.0) is None


def test_failures_by_chance_are_no_outage_however_many_come_in_a_row() -> None:
    """Of ten thousand submissions, fifty a second, half lose their answers: nothing rests."""
    rng = random.Random(1)
    breaker = Breaker()
    in_a_row = longest = 0
    for number in range(10_000):
        now = number / 50
        if rng.random() < 0.5:
            in_a_row += 1
            breaker.answer_lost(now)
        else:
            in_a_row = 0
            breaker.answered(now)
        longest = max(longest, in_a_row)
        assert breaker.room(now) is None
    assert longest > 2 * IN_A_ROW


def test_where_little_is_sent_nothing_but_failures_for_a_while_is_an_outage() -> None:
    """One answer in half a minute, all of them failures, never makes twenty in ten seconds."""
    breaker = Breaker()
    for number in range(IN_A_ROW):
        assert breaker.room(30.0 * number) is None
        breaker.answer_lost(30.0 * number)
    assert breaker.room(30.0 * (IN_A_ROW - 1)) == 0


def test_a_few_that_fail_at_once_are_no_outage_yet() -> None:
    """A handful in one moment may have met the same hiccup."""
    breaker = Breaker()
    for _ in range(IN_A_ROW):
        breaker.answer_lost(100.0)
    assert breaker.room(100.0) is None
    breaker.answer_lost(100.0 + WINDOW)
    assert breaker.room(100.0 + WINDOW) == 0


def test_it_opens_rests_and_lets_one_through() -> None:
    """And no second one before that has had its time."""
    breaker = tripped()
    assert breaker.room(100.0) == 0 and not breaker.admits(100.0)
    assert breaker.room(100.0 + FIRST_REST) == 1
    assert breaker.admits(100.0 + FIRST_REST)
    assert breaker.room(100.0 + FIRST_REST) == 0
    assert not breaker.admits(100.0 + FIRST_REST)


def test_submissions_and_jobs_are_judged_apart() -> None:
    """Each job fails and each submission is accepted: half of all that is heard of is good news,
    and it is down.
    """
    breaker = Breaker()
    for _ in range(AT_LEAST):
        breaker.answered(100.0)
        breaker.note(ErrorClass.PROVIDER, 100.0)
    assert breaker.room(100.0) == 0
    breaker.answered(101.0)
    assert breaker.room(101.0) == 0


def test_an_answer_to_the_one_that_tries_closes_it() -> None:
    breaker = Breaker()
    for _ in range(AT_LEAST):
        breaker.answer_lost(100.0)
    assert breaker.admits(100.0 + FIRST_REST)
    breaker.answered(101.0 + FIRST_REST)
    assert breaker.room(101.0 + FIRST_REST) is None


def test_each_one_that_tries_in_vain_makes_the_rest_twice_as_long() -> None:
    """And a job that completes ends it all."""
    breaker = tripped()
    now = 100.0
    for rest in (FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST):
        assert breaker.room(now + rest - 1) == 0
        now += rest
        assert breaker.admits(now)
        breaker.note(ErrorClass.PROVIDER, now)
    breaker.note(None, now)
    assert breaker.room(now) is None


def test_one_of_many_that_was_out_before_and_did_well_ends_no_rest() -> None:
    """Nineteen in twenty failed, a moment ago."""
    breaker = tripped()
    breaker.note(None, 101.0)
    assert breaker.room(101.0) == 0


def test_failures_of_one_wave_trip_it_once() -> None:
    """Those that were out when it opened don't make the rest longer."""
    breaker = tripped()
    for _ in range(50):
        breaker.note(ErrorClass.PROVIDER, 101.0)
    assert breaker.open_until == 100.0 + FIRST_REST
