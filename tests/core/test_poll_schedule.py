"""When to look: learned from jobs of the same size, within bounds."""

import random

from batcher.core.poll_schedule import LATEST, LATEST_FIRST, SOONEST, PollSchedule


def test_the_first_look_settles_near_the_service_time() -> None:
    """With jobs that take 30 s or so, most first looks find the job done and none comes a minute
    late.
    """
    rng = random.Random(3)
    looks = PollSchedule()
    hits = []
    for _ in range(600):
        span = looks.first_delay(50_000)
        done = span >= rng.gauss(30.0, 3.0)
        hits.append(done)
        looks.learn(50_000, span, done=done)
    assert 0.4 < sum(hits[200:]) / 400 < 0.95
    assert 20.0 < looks.first_delay(50_000) < 45.0


def test_looks_stay_within_bounds() -> None:
    """Neither a busy loop nor a forgotten job."""
    looks = PollSchedule()
    for _ in range(200):
        looks.learn(10, looks.first_delay(10), done=True)
        looks.learn(1 << 30, looks.first_delay(1 << 30), done=False)
    assert looks.first_delay(10) >= SOONEST
    assert looks.first_delay(1 << 30) <= LATEST_FIRST
    assert looks.next_delay(0.0) >= SOONEST
    assert looks.next_delay(1e6) <= LATEST


def test_a_new_size_starts_from_its_nearest_neighbour() -> None:
    """Knowing 100 KB jobs is worth something for 200 KB ones."""
    looks = PollSchedule()
    for _ in range(30):
        looks.learn(100_000, looks.first_delay(100_000), done=False)
    assert looks.first_delay(200_000) == looks.first_delay(100_000)


def test_a_wave_of_looks_teaches_no_more_than_one() -> None:
    """Sixteen jobs looked at together, all too soon, don't put the next look off for sixteen times
    the reason.
    """
    looks = PollSchedule()
    for _ in range(16):
        looks.learn(10, 60.0, done=False)
    assert looks.first_delay(10) <= 75.0
