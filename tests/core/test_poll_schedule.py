"""When to look: learned from jobs of the same size, within bounds."""

import random

from batcher.core.poll_schedule import LATEST, LATEST_FIRST, SOONEST, PollSchedule


def test_the_first_look_settles_near_the_service_time() -> None:
    """With jobs that take 30 s or so, most first looks find the job done and none comes a minute
    late.
    """
    rng = random.Random(3)
    schedule = PollSchedule()
    hits = []
    for _ in range(600):
        span = schedule.first_delay(50_000)
        done = span >= rng.gauss(30.0, 3.0)
        hits.append(done)
        schedule.learn(50_000, span, done=done)
    assert 0.4 < sum(hits[200:]) / 400 < 0.95
    assert 20.0 < schedule.first_delay(50_000) < 45.0


def test_looks_stay_within_bounds() -> None:
    """Neither a busy loop nor a forgotten job."""
    schedule = PollSchedule()
    for _ in range(200):
        schedule.learn(10, schedule.first_delay(10), done=True)
        schedule.learn(1 << 30, schedule.first_delay(1 << 30), done=False)
    assert schedule.first_delay(10) >= SOONEST
    assert schedule.first_delay(1 << 30) <= LATEST_FIRST
    assert schedule.next_delay(0.0) >= SOONEST
    assert schedule.next_delay(1e6) <= LATEST


def test_a_new_size_starts_from_its_nearest_neighbour() -> None:
    """Knowing 100 KB jobs is worth something for 200 KB ones."""
    schedule = PollSchedule()
    for _ in range(30):
        schedule.learn(100_000, schedule.first_delay(100_000), done=False)
    assert schedule.first_delay(200_000) == schedule.first_delay(100_000)


def test_a_wave_of_looks_teaches_no_more_than_one() -> None:
    """Sixteen jobs looked at together, all too soon, don't put the next look off for sixteen times
    the reason.
    """
    schedule = PollSchedule()
    for _ in range(16):
        schedule.learn(10, 60.0, done=False)
    assert schedule.first_delay(10) <= 75.0
