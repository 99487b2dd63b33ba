"""Requests made up from the API's description: never a 5xx, no status or shape that it and the
overlay don't know.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from specification import overlaid

ROOT = Path(__file__).parents[2]
CASES = int(os.environ.get("MADE_UP_CASES", "3"))  # of each endpoint
COVERAGE = "MADE_UP_CASES" in os.environ  # each value at its bounds and beyond: 300 of each
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

SUBMISSIONS = {f"/{name}_async" for name in ("parse", "extract", "split", "pipeline", "classify")}

api = schemathesis.openapi.from_dict(overlaid())
api.config.phases.coverage.enabled = COVERAGE


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of its own, as `batcher serve` starts it."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "batcher",
            "serve",
            "--workers",
            "1",
            "--data-dir",
            str(tmp_path_factory.mktemp("s")),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "REDUCTO_API_KEY": "secret"},
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        assert process.wait(10) == 0, "it ends in good order whatever it was asked"


@api.parametrize()
@settings(
    max_examples=CASES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_an_endpoint_keeps_to_the_description(case: schemathesis.Case, address: str) -> None:
    """Whatever fits its request's schema, and much that doesn't.

    Whatever a submission says within its schema, it becomes a job: what is wrong with it is found
    at work.
    """
    response = case.call_and_validate(
        base_url=address, headers={"Authorization": "Bearer secret"}, checks=CHECKS
    )
    if case.path in SUBMISSIONS and _fits(case):
        assert response.status_code == 200, response.text


def _fits(case: schemathesis.Case) -> bool:
    return (
        case.meta is not None and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE
    )
