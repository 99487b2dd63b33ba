"""How long a batch would take, and what could expire on the way."""

from pathlib import Path
from typing import Any

from batcher.core.forecast import forecast
from batcher.manifest.model import Manifest, Output, Service, Source
from batcher.reducto.job import Job

HOUR = 3600.0


def manifest(service: str = "local", **job: str) -> Manifest:
    return Manifest(
        batch="b",
        service=Service(name=service),
        sources=(Source(directory=Path("/in")),),
        jobs=(Job(**job),),  # type: ignore[arg-type]
        output=Output(directory=Path("/out")),
    )


def test_before_a_first_run_it_says_that_it_does_not_know() -> None:
    """And how to find out."""
    told = forecast(manifest(), 100, speed=None, took=None, nearest_deadline_in=None)
    assert told.seconds is None and "--sample" in told.basis


def test_it_goes_by_the_speed_of_late() -> None:
    """And by what the last job takes."""
    told = forecast(manifest(), 7200, speed=2.0, took=60.0, nearest_deadline_in=None)
    assert told.seconds == 3660 and "1 h 1 min" in told.basis


def test_jobs_that_take_longer_than_half_the_retention_are_a_risk() -> None:
    """And so is what is out already, and the batch lane."""
    assert (
        "8 h"
        in forecast(manifest(), 1, speed=1.0, took=8 * HOUR, nearest_deadline_in=None).risks[0]
    )
    assert (
        "40 min" in forecast(manifest(), 1, speed=1.0, took=1.0, nearest_deadline_in=2400).risks[0]
    )
    assert (
        "have passed their deadline"
        in forecast(manifest(), 1, speed=1.0, took=1.0, nearest_deadline_in=-5).risks[0]
    )
    lane = forecast(
        manifest(queue_priority="batch"), 1, speed=1.0, took=1.0, nearest_deadline_in=None
    )
    assert "batch lane" in lane.risks[0]


def test_results_that_are_to_persist_are_not_relied_on() -> None:
    """Whether the service keeps them nobody has seen: they come home as early as others."""
    job: Any = {"options": {"settings": {"persist_results": True}}}
    told = forecast(manifest(**job), 1, speed=1.0, took=1.0, nearest_deadline_in=None)
    assert "doesn't rely on it" in told.risks[0]


def test_the_service_choosing_the_model_is_worth_a_warning() -> None:
    """At the hosted one: its choice changes on a day that is known."""
    told = forecast(manifest("reducto"), 1, speed=None, took=None, nearest_deadline_in=None)
    assert "2026-12-07" in told.warnings[0]
    assert not forecast(manifest(), 1, speed=None, took=None, nearest_deadline_in=None).warnings
