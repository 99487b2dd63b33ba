"""No more is out than the service ends in time, however fast it is, and enough to keep it busy."""

import asyncio
import random
from pathlib import Path
from typing import NamedTuple

import pytest
from capacity import Night, night
from house import House
from virtual import run_virtually

from batcher.core.completion_rate import CompletionRate
from batcher.core.fetch_rate import CEILING

SEEDS = range(5)
ENOUGH = 0.95  # of what the service could do


class Case(NamedTuple):
    """Some service, by its seed: `at`, a moment while documents are left, in seconds."""

    retention: float
    capacity: float
    at: float
    tells: bool
    sweeps: bool
    rng: random.Random


def case(seed: int) -> Case:
    rng = random.Random(seed)
    retention = rng.choice((20.0, 60.0, 300.0, 3_600.0, 43_200.0))
    # else no one job would be done in time
    capacity = max(10 ** rng.uniform(-2, 3), rng.uniform(10, 30) / retention)
    lasts = min(3_000 / capacity, 2 * retention)
    return Case(
        retention, capacity, rng.random() * lasts, rng.random() < 0.5, rng.random() < 0.5, rng
    )


# Of a slower service, or a shorter retention, not even a handful of jobs would be done in time.
STEADY = [
    (capacity, retention)
    for capacity in (0.01, 0.4, 7.0, 100.0, 1_000.0)
    for retention in (20.0, 600.0, 43_200.0)
    if capacity * retention >= 8
]


@pytest.mark.parametrize(("capacity", "retention"), STEADY)
@pytest.mark.parametrize("tells", [True, False])
def test_a_steady_service_is_kept_busy_and_nothing_expires(
    capacity: float, retention: float, tells: bool
) -> None:
    """From a hundredth of a job to a thousand jobs a second, whether or not results tell how long
    they took.
    """
    outcome = night(
        capacity, retention, 1, tells=tells, most=6_000 if tells and capacity > 100 else 1_500
    ).run()
    assert outcome.expired == 0
    assert outcome.use >= ENOUGH


@pytest.mark.parametrize("seed", SEEDS)
def test_a_service_that_pauses_for_less_than_half_the_retention_loses_nothing(seed: int) -> None:
    """And afterwards it is kept busy again."""
    retention, capacity, at, tells, sweeps, rng = case(seed)
    end = at + rng.uniform(0.1, 0.48) * retention
    outcome = night(
        capacity,
        retention,
        seed,
        speed=lambda now: 0.0 if at <= now < end else capacity,
        changes=(at, end),
        tells=tells,
        sweeps=sweeps,
    ).run()
    assert outcome.expired == 0
    assert outcome.use >= ENOUGH


@pytest.mark.parametrize("seed", SEEDS)
def test_we_may_be_away_for_less_than_half_the_retention(seed: int) -> None:
    """All that ended meanwhile is found at once, and isn't taken for a service that has become
    fast.
    """
    retention, capacity, at, tells, sweeps, rng = case(seed)
    end = at + rng.uniform(0.1, 0.48) * retention
    away = night(
        capacity, retention, seed, away=lambda now: at <= now < end, tells=tells, sweeps=sweeps
    )
    assert away.run().expired == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_service_may_become_much_slower_or_faster_at_once(seed: int) -> None:
    """Down to a quarter where results tell what was waiting, to a little over half where they
    don't; up to 50 times.
    """
    retention, capacity, at, tells, sweeps, rng = case(seed)
    capacity = max(capacity, 50 / retention)
    factor = rng.choice((0.25 if tells else 0.55, 2.0, 6.0, 50.0))
    outcome = night(
        capacity,
        retention,
        seed,
        speed=lambda now: capacity if now < at else capacity * factor,
        changes=(at,),
        tells=tells,
        sweeps=sweeps,
    ).run()
    assert outcome.expired == 0
    assert outcome.use >= ENOUGH


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25])
@pytest.mark.parametrize("retention", [20.0, 43_200.0])
def test_a_service_that_works_on_all_at_once_gets_ever_more(retention: float, share: float) -> None:
    """3,000 jobs that each take some share of the retention need a few rounds, not thousands."""
    latency = share * retention
    outcome = night(100 / latency, retention, 1, latency=latency).run()
    assert outcome.expired == 0
    assert outcome.took < 50 * latency
    assert outcome.most_out >= 300


def test_jobs_that_fail_at_once_are_no_sign_of_a_fast_service() -> None:
    """The first twenty of a folder are broken, and end as soon as they come; the others take 100 s
    each.
    """
    completion_rate = CompletionRate(43_200.0)
    completion_rate.look(0.0, 20)
    for number in range(20):
        completion_rate.learn(0.1 * number, age=0.1, since=0.1)
    assert completion_rate.bound() <= 162 + 20 * 16
    completion_rate.look(3_600.0, 20)
    assert completion_rate.bound() < 162


@pytest.mark.parametrize(("retention", "most"), [(20.0, 2), (3_600.0, 13), (43_200.0, 162)])
def test_the_first_that_are_sent_are_as_many_as_the_slowest_service_ends(
    retention: float, most: int
) -> None:
    """Before anything has ended nothing is known: a hundredth of a job a second, for three eighths
    of the retention.
    """
    completion_rate = CompletionRate(retention)
    completion_rate.look(0.0, 1)
    assert completion_rate.bound() == most


def test_a_service_that_ends_nothing_any_more_is_sent_nothing_any_more() -> None:
    """Its rate of late falls, and so does what may be out; idle hours say nothing."""
    completion_rate = CompletionRate(3_600.0)
    completion_rate.look(0.0, 1)
    for second in range(1_800):
        completion_rate.look(float(second), 1)
        completion_rate.learn(float(second), age=1.0, since=1.0)
    busy = completion_rate.bound()
    completion_rate.look(1_800.0, 0)
    completion_rate.look(9_000.0, 1)
    assert completion_rate.bound() == pytest.approx(busy, rel=0.01)
    completion_rate.look(12_000.0, 1)
    assert completion_rate.bound() == 2


class Unaware(CompletionRate):
    """Planted: what may be out depends on how fast we fetch, and on nothing else."""

    def bound(self) -> int:
        return CEILING


class Constant(CompletionRate):
    """Planted: so many are sent at the start, however soon results are deleted."""

    def bound(self) -> int:
        return max(2_000, super().bound())


@pytest.mark.parametrize("planted", [Unaware, Constant])
@pytest.mark.parametrize(("capacity", "retention"), [(0.01, 43_200.0), (7.0, 20.0)])
def test_a_bound_that_knows_nothing_of_the_service_would_be_noticed(
    planted: type[CompletionRate], capacity: float, retention: float
) -> None:
    """Each of the two defects lets results expire where the real bound loses none."""

    def tried(completion_rate: CompletionRate | None) -> Night:
        return night(capacity, retention, 1, completion_rate=completion_rate)

    assert tried(None).run().expired == 0
    assert tried(planted(retention)).run().expired > 0


class Deaf(CompletionRate):
    """Planted: nothing is learnt of what ends."""

    def learn(self, *_: object, **__: object) -> None:
        pass


class Hopeful(CompletionRate):
    """Planted: what may be out never becomes less, however slow the service has become."""

    best = 0

    def bound(self) -> int:
        self.best = max(self.best, super().bound())
        return self.best


@pytest.mark.parametrize(("capacity", "retention"), [(7.0, 600.0), (100.0, 20.0)])
def test_a_bound_that_learns_nothing_would_be_noticed(capacity: float, retention: float) -> None:
    """It leaves a fast service idle."""
    assert night(capacity, retention, 1).run().use >= ENOUGH
    assert night(capacity, retention, 1, completion_rate=Deaf(retention)).run().use < ENOUGH


@pytest.mark.parametrize("retention", [60.0, 3_600.0])
def test_a_bound_that_ignores_a_slow_down_would_be_noticed(retention: float) -> None:
    """Results expire once the service has become slower, and slower again, where the real bound
    loses none.
    """
    capacity = 900 / retention
    changes = (0.7 * retention, 1.5 * retention)

    def speed(now: float) -> float:
        return capacity * 0.55 ** sum(now >= change for change in changes)

    def tried(completion_rate: CompletionRate | None) -> Night:
        return night(
            capacity,
            retention,
            1,
            speed=speed,
            changes=changes,
            tells=False,
            completion_rate=completion_rate,
        )

    assert tried(None).run().expired == 0
    assert tried(Hopeful(retention)).run().expired > 0


@pytest.mark.parametrize(("capacity", "retention"), [(7.0, 20.0), (0.5, 60.0)])
def test_the_stages_send_no_more_than_a_small_service_ends_in_time(
    tmp_path: Path, capacity: float, retention: float
) -> None:
    """240 documents at 7 a second, kept for 20 s: 104 of them expired once."""
    number = int(min(240, 3 * capacity * retention))
    house = House(tmp_path)
    house.service.capacity = capacity
    house.retention = house.service.retention = retention
    house.service.work = lambda job: (0.0, None)
    house.put(**{f"letter-{number}": f"letter {number}" for number in range(number)})
    tally, took = run_virtually(_timed(house))
    assert tally == {"saved": number}
    assert house.paid() == number
    assert took <= number / capacity / 0.95 + 2.0


async def _timed(house: House) -> tuple[dict[str, int], float]:
    began = asyncio.get_running_loop().time()
    return await house.run(), asyncio.get_running_loop().time() - began
