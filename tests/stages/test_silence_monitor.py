"""A service that doesn't answer for longer than a run is patient ends it, unless jobs are in
flight.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from contexts import context_of
from test_job_list_scan import accepted

from batcher.errors import Refused, Unreachable
from batcher.exit_codes import ExitCode
from batcher.ledger.ledger import Ledger, memory_ledger
from batcher.stages.run_control import RunControl
from batcher.stages.silence_monitor import SilenceMonitor

PATIENCE = 60.0
NO_ANSWER = Unreachable("POST /upload", "connection refused")
A_REFUSAL = Refused("POST /upload", "too many", status=429)


class Bench:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.ledger: Ledger = memory_ledger(Path("none.db"), batch="b", clock=lambda: self.now)
        self.control = RunControl()
        context = context_of(self.ledger, None, control=self.control)
        self.monitor = SilenceMonitor(context, PATIENCE)

    def fail_for(self, seconds: float) -> None:
        """Calls fail now and after so many seconds."""
        self.monitor.failed(NO_ANSWER)
        self.now += seconds
        self.monitor.failed(NO_ANSWER)

    @property
    def is_stopped(self) -> bool:
        return self.control.stopped.is_set()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.ledger.close()


def test_a_silence_that_lasts_longer_than_the_patience_stops_the_run(bench: Bench) -> None:
    bench.fail_for(PATIENCE + 1)
    assert bench.is_stopped
    assert bench.control.exit_code == ExitCode.SERVICE_FAILED
    assert bench.control.reason.startswith("no answer from the service for 61 s: ")


def test_a_shorter_silence_does_not(bench: Bench) -> None:
    bench.fail_for(PATIENCE)
    assert not bench.is_stopped


def test_an_answer_begins_the_count_anew(bench: Bench) -> None:
    bench.fail_for(PATIENCE)
    bench.monitor.answered()
    bench.fail_for(PATIENCE)
    assert not bench.is_stopped


def test_a_refusal_is_an_answer(bench: Bench) -> None:
    bench.fail_for(PATIENCE)
    bench.monitor.failed(A_REFUSAL)
    bench.fail_for(PATIENCE)
    assert not bench.is_stopped


async def test_with_jobs_in_flight_an_outage_is_waited_out(bench: Bench) -> None:
    await accepted(bench.ledger, 1)
    bench.fail_for(100 * PATIENCE)
    assert not bench.is_stopped
