"""Of all that bounds what may be out, the narrowest holds."""

from pathlib import Path

import pytest

from batcher.core.completion_rate import CompletionRate
from batcher.core.concurrency_limit import ConcurrencyLimit
from batcher.core.fetch_rate import CEILING, Drain
from batcher.manifest.model import Manifest, Output, Service
from batcher.reducto.job import Job
from batcher.runs.wiring import concurrency_of


def quick(retention: float) -> CompletionRate:
    """What is known of a service that ended a thousand jobs within a second each."""
    completion_rate = CompletionRate(retention)
    completion_rate.look(0.0, 1)
    for number in range(1_000):
        completion_rate.learn(1.0 + number / 1_000, age=1.0, since=0.1, work=1.0)
    return completion_rate


def test_as_many_may_be_out_as_half_the_retention_brings_home() -> None:
    """A ceiling for memory, and below it what the fetches take."""
    drain = Drain(width=16)
    assert drain.bound(43_200.0) == CEILING
    drain.learn(60.0)
    assert drain.bound(43_200.0) == int(16 / 60 * 21_600)


def test_a_slow_way_home_is_narrower_than_a_quick_service() -> None:
    drain = Drain(width=16, span=60.0)
    assert ConcurrencyLimit(drain, quick(43_200.0)).left(2.0, 0) == int(16 / 60 * 21_600)


def test_a_slow_service_is_narrower_than_a_quick_way_home() -> None:
    assert ConcurrencyLimit(Drain(width=16, span=0.01), CompletionRate(43_200.0)).left(0.0, 0) < 200


@pytest.mark.parametrize("exempt", [True, False])
def test_a_manifest_s_own_bound_holds_in_any_lane(exempt: bool) -> None:
    concurrency = ConcurrencyLimit(Drain(width=16), quick(43_200.0), most=7, exempt=exempt)
    assert concurrency.left(2.0, 3) == 4


@pytest.mark.parametrize("lanes", [("batch",), ("batch", "auto")])
def test_the_batch_lane_is_bounded_by_no_time(lanes: tuple[str, ...]) -> None:
    """Its jobs end when they end; those of another step aren't held up behind them."""
    jobs = tuple(
        Job(name=f"step{number}", queue_priority=lane) for number, lane in enumerate(lanes)
    )
    manifest = Manifest(
        batch="b", service=Service(name=""), sources=(), jobs=jobs, output=Output(directory=Path())
    )
    assert concurrency_of(manifest).left(0.0, 0) == CEILING
