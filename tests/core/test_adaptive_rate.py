"""The rate that a lane learns: near the limit where there is one, and not brought down by
chance.
"""

import random

from batcher.core.adaptive_rate import SLOWEST, AdaptiveRate


def test_refusals_by_chance_do_not_bring_it_to_a_standstill() -> None:
    """One call in twenty is refused whatever the pace, for five minutes: it still goes at a tenth
    of where it began.
    """
    rng = random.Random(1)
    rate = AdaptiveRate()
    now = 0.0
    while now < 300.0:
        now += 1 / min(rate.now or 200.0, 200.0)
        if rng.random() < 0.05:
            rate.refused(now)
        else:
            rate.answered(now)
    assert rate.now is not None and rate.now > 20.0


def test_a_limit_that_was_raised_is_found_again() -> None:
    """Slowly near the old one, and faster the longer nothing is refused."""
    rate = AdaptiveRate()
    now = 0.0
    limit = 20.0
    tokens = 20.0
    while now < 120.0:
        span = 1 / min(rate.now or 500.0, 500.0)
        now, limit = now + span, 20.0 if now < 60.0 else 100.0
        tokens = min(limit, tokens + span * limit)
        if tokens >= 1.0:
            tokens -= 1.0
            rate.answered(now)
        else:
            rate.refused(now)
        if 30.0 < now < 60.0:
            assert rate.now is not None and 15.0 < rate.now < 25.0
    assert rate.now is not None and rate.now > 75.0


def test_it_stays_within_bounds() -> None:
    """Never above what a person allows, and never at a stop."""
    rate = AdaptiveRate(10.0, ceiling=10.0)
    for number in range(100):
        rate.answered(number / 10)
    assert rate.now == 10.0
    for number in range(300):
        rate.refused(20.0 + number / 10)
    assert rate.now == SLOWEST


def test_refusals_by_chance_are_no_limit() -> None:
    """Eight of some fifty calls in one second, where one in twenty is refused at any pace: it
    happens every now and then, and would hold the pace down for good.
    """
    rate = AdaptiveRate()
    rate.refused(0.0)
    for call in range(58):
        at = 10.0 + call / 60
        if call % 7 == 6:
            rate.refused(at)
        else:
            rate.answered(at)
    before = rate.now
    rate.answered(11.0)
    assert before is not None and rate.now is not None
    assert rate.now > before + 0.5, "it grows as fast as where no limit was met"
