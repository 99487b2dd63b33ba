"""Which row of a job list is a second job of an attempt."""

from __future__ import annotations

import pytest

from batcher.core.duplicate_jobs import AttemptRef, counts_as_twin
from batcher.reducto.api_types import JobRow, JobStatus


@pytest.mark.parametrize(
    ("outcome", "own_job", "is_second"),
    [
        ("accepted", "job 1", True),
        ("saved", "job 1", True),
        ("void", None, True),
        ("open", None, False),
        # found by the search for lost submissions between two looks at the ledger
        ("accepted", "job 2", False),
    ],
)
def test_a_job_is_never_the_second_beside_itself(
    outcome: str, own_job: str | None, *, is_second: bool
) -> None:
    row = JobRow(job_id="job 2", status=JobStatus.COMPLETED, type="parse")
    attempt = AttemptRef(1, "a.txt", "parse", "nonce", own_job, outcome, None, 1.0)
    assert counts_as_twin(row, attempt, "parse") is is_second
