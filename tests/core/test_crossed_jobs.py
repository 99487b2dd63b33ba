"""Who gets which job back after answers to submissions were mixed up."""

import random

import pytest

from batcher.core.crossed_jobs import Crossed, OwnJob, exchanges, stranded
from batcher.core.duplicate_jobs import AttemptRef


def attempt(number: int, job_id: str | None) -> AttemptRef:
    return AttemptRef(
        number, f"{number}.txt", "parse", f"nonce-{number}", job_id, "saved", None, 1.0
    )


def told(jobs: dict[int, str | None]) -> dict[str, Crossed]:
    """Return what is crossed if attempts hold these jobs; job n is that of attempt n."""
    attempts = {number: attempt(number, job_id) for number, job_id in jobs.items()}
    return {
        job_id: Crossed(attempts[number], attempts[int(job_id)])
        for number, job_id in jobs.items()
        if job_id is not None and job_id != str(number)
    }


@pytest.mark.parametrize("seed", range(200))
def test_whatever_was_mixed_up_each_takes_its_own_job_when_that_is_free(seed: int) -> None:
    """Of any permutation, with some answers lost and some jobs shown to nobody."""
    rng = random.Random(seed)
    numbers = range(rng.randint(2, 9))
    mixed: list[str | None] = [str(number) for number in numbers]
    rng.shuffle(mixed)
    lost = {number for number in numbers if rng.random() < 0.2}
    jobs = {number: None if number in lost else mixed[number] for number in numbers}
    crossed = told(jobs)
    held = {job_id for job_id in jobs.values() if job_id is not None}
    misled = {one.holder.document for one in crossed.values()}
    unclaimed = {
        f"nonce-{number}": str(number)
        for number in misled
        if str(number) not in held and rng.random() < 0.7
    }
    done = exchanges(crossed, unclaimed)
    for exchange in done:
        if exchange.is_ring:
            jobs[exchange.own_jobs[-1].attempt.document] = None
        for one in exchange.own_jobs:
            assert one.job_id == str(one.attempt.document)
            assert one.job_id not in jobs.values(), "it is held by another"
            jobs[one.attempt.document] = one.job_id
    mended = [one.document for exchange in done for one in exchange.attempts]
    assert len(mended) == len(set(mended))
    left = {one.holder.document for one in stranded(crossed, done).values()}
    assert left == misled - set(mended)
    for number in left:
        # what it was to get was shown to nobody, or is held by one that can't be given its own
        holder = next(
            (one.holder.document for one in crossed.values() if one.named.document == number), None
        )
        assert f"nonce-{number}" not in unclaimed
        assert holder is None or holder in left


def test_two_that_hold_each_other_s_are_a_ring() -> None:
    (ring,) = exchanges(told({1: "2", 2: "1"}), {})
    assert ring.is_ring
    assert {(one.attempt.document, one.job_id) for one in ring.own_jobs} == {(1, "1"), (2, "2")}


def test_a_job_whose_own_attempt_holds_none_is_let_go_of() -> None:
    (only,) = exchanges(told({1: None, 2: "1"}), {"nonce-2": "2"})
    assert only.own_jobs == (OwnJob(attempt(2, "1"), "2"),) and not only.is_ring


def test_an_attempt_that_ended_without_a_result_is_in_no_exchange() -> None:
    """Its document may have its own result by a later one."""
    ended = attempt(2, "1")._replace(outcome="void")
    crossed = {"1": Crossed(ended, attempt(1, None)), "2": Crossed(attempt(3, "2"), ended)}
    (only,) = exchanges(crossed, {"nonce-2": "2b", "nonce-3": "3"})
    assert only.own_jobs == (OwnJob(attempt(3, "2"), "3"),)
