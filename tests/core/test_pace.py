"""The rate and the time left, as people are told them: steady, and never before anything is
known.
"""

from __future__ import annotations

import pytest

from batcher.core.pace import Pace


def left(pace: Pace, now: float, ended: int, *, of: int, fetches: float | None = None) -> float:
    seconds = pace.seconds_left(now, ended, to_do=of - ended, to_fetch=100, fetches=fetches)
    assert seconds is not None
    return seconds


def test_nothing_is_promised_before_a_document_has_ended() -> None:
    """And nothing is left where nothing is to do."""
    pace = Pace()
    pace.learn(0.0, 5)
    assert pace.per_second(60.0, 5) is None
    assert pace.seconds_left(60.0, 5, to_do=9, to_fetch=9, fetches=100.0) is None
    assert pace.seconds_left(60.0, 5, to_do=0, to_fetch=0, fetches=None) == 0.0


def test_results_that_come_in_bursts_change_the_promise_little() -> None:
    """Ten a second on average, in bursts of 300 each half minute: the end moves by a tenth."""
    pace = Pace()
    ends = []
    for second in range(1200):
        ended = second // 30 * 300
        pace.learn(float(second), ended)
        if second > 600:
            ends.append(second + left(pace, float(second), ended, of=50_000))
    assert max(ends) / min(ends) < 1.1


def test_a_run_that_slows_down_is_believed_after_the_window() -> None:
    """What was fast an hour ago says nothing; few documents are counted over a longer time."""
    pace = Pace()
    for second in range(0, 3600, 5):
        pace.learn(float(second), second * 10)
    for second in range(3600, 7200, 5):
        pace.learn(float(second), 36_000 + (second - 3600) // 60)
    rate = pace.per_second(7200.0, 36_060)
    assert rate == pytest.approx(1 / 60, rel=0.1)


def test_no_result_is_promised_before_it_can_be_fetched() -> None:
    """A hundred jobs in flight, one fetched a second."""
    pace = Pace()
    pace.learn(0.0, 0)
    assert left(pace, 10.0, 1000, of=1100) == pytest.approx(1.0)
    assert left(pace, 10.0, 1000, of=1100, fetches=1.0) == pytest.approx(100.0)
