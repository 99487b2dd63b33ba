"""Two documents that have got each other's jobs: when they exchange them, and when that can't be
known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_fetcher import DOWN, FAR, HOUR, Bench, at_work, now, result
from test_job_list_scan import accepted, nonce_of

from batcher.core import events
from batcher.core.lifecycle import State
from batcher.reducto.api_types import ErrorDetail, JobAnswer, JobStatus

THEIR_OWN = [(1, "job-1"), (2, "job-2")]
EXCHANGED = [(1, "job-2"), (2, "job-1")]


def running(names: int) -> JobAnswer:
    """A job that still runs, whose answer quotes the request of the document `names`."""
    return JobAnswer(JobStatus.IN_PROGRESS, raw_config=nonce_of(names))


def completed(job: int, *, names: int) -> JobAnswer:
    """The same of a job that has ended, whose result names it as `job`."""
    return JobAnswer(JobStatus.COMPLETED, result(job).result, raw_config=nonce_of(names))


def holders(bench: Bench) -> list[tuple[int, str]]:
    """Documents with the jobs that their attempts hold."""
    sql = "SELECT document, job_id FROM attempts ORDER BY document, number"
    return [tuple(row) for row in bench.ledger.reader.execute(sql)]


async def two_out(bench: Bench, others: Any) -> None:
    """Documents 1 and 2 are in flight, and `others` is what is answered about job 2."""
    for document in (1, 2):
        await bench.out(document)
    bench.client.said["job-2"] = others


PROVEN = {
    "this job's answer proves it": (completed(1, names=2), running(1)),
    "the other's answer proves it": (running(2), completed(2, names=1)),
    "both answers prove it": (completed(1, names=2), completed(2, names=1)),
}
UNPROVEN = {
    "two that run prove nothing": (running(2), running(1)),
    "an answer about another job proves nothing": (completed(2, names=2), completed(1, names=1)),
}


@pytest.mark.parametrize("answers", PROVEN.values(), ids=PROVEN)
def test_two_documents_with_each_other_s_jobs_exchange_them(
    answers: tuple[JobAnswer, JobAnswer], tmp_path: Path
) -> None:
    """Both are asked for at once, and each document gets its own result."""
    mine, others = answers

    async def work(bench: Bench) -> None:
        await two_out(bench, others)
        await bench.ask(1, mine)
        assert holders(bench) == EXCHANGED
        assert bench.taken == 0
        for document, job_id in EXCHANGED:
            watched = bench.jobs.of_job(job_id)
            assert watched is not None and watched is bench.jobs.get(document)
            assert watched.flight.job_id == job_id and bench.span(document) <= 0.0
        bench.client.said["job-1"] = completed(1, names=2)
        bench.client.said["job-2"] = completed(2, names=1)
        for document in (1, 2):
            bench.jobs.fetch(document)
        await asyncio.sleep(1.0)
        assert +bench.ledger.tally == {State.SAVED: 2}
        for document, job_id in EXCHANGED:
            assert job_id in (bench.folder / f"{document}.json").read_text()

    at_work(work, tmp_path)


@pytest.mark.parametrize("answers", UNPROVEN.values(), ids=UNPROVEN)
def test_answers_that_are_mixed_up_exchange_no_jobs(
    answers: tuple[JobAnswer, JobAnswer], tmp_path: Path
) -> None:
    """Answers to questions about jobs cross, too, and name each other's jobs just so."""
    mine, others = answers

    async def work(bench: Bench) -> None:
        await two_out(bench, others)
        await bench.ask(1, mine)
        assert bench.client.asked == ["job-1", "job-2"]
        assert holders(bench) == THEIR_OWN
        assert bench.taken == 0

    at_work(work, tmp_path)


NOT_BACK = {
    "it isn't answered": DOWN,
    "doesn't say whose it is": result(2),
    "is its own": completed(2, names=2),
    "is a third document's": completed(2, names=3),
}


@pytest.mark.parametrize("others", NOT_BACK.values(), ids=NOT_BACK)
def test_jobs_are_exchanged_only_where_each_is_the_other_s(others: Any, tmp_path: Path) -> None:
    """Else one of them would get a job that is nobody's, or a third one's. It is asked again."""

    async def work(bench: Bench) -> None:
        await two_out(bench, others)
        await bench.out(3)
        await bench.ask(1, completed(1, names=2))
        assert bench.client.asked == ["job-1", "job-2"]
        assert holders(bench) == [*THEIR_OWN, (3, "job-3")]
        assert bench.taken == 0 and bench.control.exit_code == 0
        watched = bench.jobs.get(1)
        assert watched is not None and watched.unread == 1

    at_work(work, tmp_path)


@pytest.mark.parametrize("mine", [running(2), completed(1, names=2)], ids=["runs", "completed"])
def test_the_other_s_answer_needs_no_room_beside_this_one_s(
    mine: JobAnswer, tmp_path: Path
) -> None:
    """Sixteen answers that each wait for room for another one would wait for ever."""
    taken: list[int] = []

    async def work(bench: Bench) -> None:
        def others_answer() -> JobAnswer:
            taken.append(bench.taken)
            return completed(2, names=1)

        await two_out(bench, others_answer)
        await bench.ask(1, mine)
        assert taken == [0]

    at_work(work, tmp_path)


def test_what_is_said_of_a_job_that_runs_is_believed_where_nothing_is_exchanged(
    tmp_path: Path,
) -> None:
    """It is looked at later, as any job that runs."""

    async def work(bench: Bench) -> None:
        await two_out(bench, DOWN)
        watched = bench.jobs.get(1)
        assert watched is not None
        await bench.ask(1, running(2))
        assert watched.checks == 1 and bench.span(1) < HOUR

    at_work(work, tmp_path)


def test_an_answer_about_a_job_that_was_exchanged_meanwhile_is_nobody_s_result(
    tmp_path: Path,
) -> None:
    """The document waits for the one about the job that it has now."""

    async def work(bench: Bench) -> None:
        def answer() -> JobAnswer:
            bench.jobs.exchange(1, "job-2")
            return completed(1, names=1)

        await bench.out(1)
        await bench.ask(1, answer)
        assert bench.ledger.tracking.state_of(1) == State.WAITING
        assert bench.span(1) <= 0.0 and bench.taken == 0

    at_work(work, tmp_path)


def test_a_document_that_is_saved_already_has_nothing_to_exchange(tmp_path: Path) -> None:
    """What is on disk is put right at the end of the run, by the job list."""

    async def work(bench: Bench) -> None:
        await bench.out(1)
        await accepted(bench.ledger, 2, saved=True)
        await bench.ask(1, completed(1, names=2))
        watched = bench.jobs.get(1)
        assert watched is not None and watched.unread == 1
        assert bench.client.asked == ["job-1"]

    at_work(work, tmp_path)


async def sent_again(bench: Bench, document: int) -> None:
    """The document's job has failed, and it is in flight once more, by another job."""
    bench.jobs.forget(document)
    await bench.ledger.record(
        events.JobToRepeat(document, "the service's own trouble", 0.0),
        events.Uploaded(document, f"reducto://{document}.pdf"),
        events.Sending(document, nonce_of(90 + document), "twin", "none", 1.0),
        events.Accepted(document, f"job-{90 + document}", now() + 12 * HOUR),
    )
    (flight,) = bench.ledger.tracking.in_flight_of([document])
    bench.jobs.add(flight, look_in=FAR)


def test_an_answer_that_names_an_earlier_attempt_takes_no_later_one_s_job(tmp_path: Path) -> None:
    """The job of document 2 failed and it was sent again: the later job is its own."""

    async def work(bench: Bench) -> None:
        await two_out(bench, running(1))
        await sent_again(bench, 2)
        bench.client.said["job-92"] = completed(92, names=1)
        await bench.ask(1, completed(1, names=2))
        assert bench.client.asked == ["job-1"]
        assert holders(bench) == [*THEIR_OWN, (2, "job-92")]

    at_work(work, tmp_path)


async def cancelled(bench: Bench) -> None:
    bench.jobs.forget(2)
    await bench.ledger.record(events.Cancelled(2, "cancelled at the service"))


async def repeated(bench: Bench) -> None:
    await sent_again(bench, 2)


@pytest.mark.parametrize("meanwhile", [cancelled, repeated])
def test_jobs_are_not_exchanged_where_the_other_has_ended_meanwhile(
    meanwhile: Callable[[Bench], Any], tmp_path: Path
) -> None:
    """That happens between the question about its job and the answer, and ends no run."""

    async def work(bench: Bench) -> None:
        await two_out(bench, completed(2, names=1))
        asked = bench.client.job

        async def job(job_id: str, **more: Any) -> Any:
            answer = await asked(job_id, **more)
            if job_id == "job-2":
                await meanwhile(bench)
            return answer

        bench.client.job = job  # type: ignore[method-assign]
        await bench.ask(1, running(2))
        assert bench.client.asked == ["job-1", "job-2"]
        assert holders(bench)[:2] == THEIR_OWN
        watched = bench.jobs.of_job("job-1")
        assert watched is not None and watched is bench.jobs.get(1)
        assert bench.ledger.tracking.state_of(1) == State.WAITING
        assert not bench.control.warnings and not bench.control.reason

    at_work(work, tmp_path)


@pytest.mark.parametrize("called_back", [1, 2])
def test_jobs_are_not_exchanged_where_one_was_called_back_meanwhile(
    called_back: int, tmp_path: Path
) -> None:
    """What is known of it is of before."""

    async def work(bench: Bench) -> None:
        def others_answer() -> JobAnswer:
            watched = bench.jobs.get(called_back)
            assert watched is not None
            watched.flight = watched.flight._replace(recalled_at=now())
            return completed(2, names=1)

        await two_out(bench, others_answer)
        await bench.ask(1, running(2))
        assert bench.client.asked == ["job-1", "job-2"]
        assert holders(bench) == THEIR_OWN

    at_work(work, tmp_path)


def test_a_job_that_is_called_back_while_its_answer_names_another_is_asked_again(
    tmp_path: Path,
) -> None:
    """Else nobody would ever look at it again, and the run would wait for it without end."""

    async def work(bench: Bench) -> None:
        def called_back() -> JobAnswer:
            watched.flight = watched.flight._replace(recalled_at=now())
            return running(1)

        await two_out(bench, called_back)
        watched = bench.jobs.get(1)
        assert watched is not None
        await bench.ask(1, running(2))
        assert watched.flight.recalled_at is not None
        assert bench.span(1) <= 0.0

    at_work(work, tmp_path)


SILENT = {
    "a result that doesn't say whose it is": (result(), True),
    "a result that says so": (completed(1, names=1), False),
    "a job that still runs": (JobAnswer(JobStatus.IN_PROGRESS), False),
    "a job that failed": (
        JobAnswer(JobStatus.FAILED, error=ErrorDetail("DOCUMENT_CORRUPT", message="")),
        False,
    ),
}


@pytest.mark.parametrize(("answer", "is_met"), SILENT.values(), ids=SILENT)
def test_the_run_knows_whether_some_result_did_not_say_whose_it_is(
    answer: JobAnswer, is_met: bool, tmp_path: Path
) -> None:
    """Then it ends with a look at the job list, which says so."""

    async def work(bench: Bench) -> None:
        assert not bench.fetcher.met_doubt
        await bench.out(1)
        await bench.ask(1, answer)
        assert bench.fetcher.met_doubt == is_met

    at_work(work, tmp_path)


def test_what_once_did_not_say_whose_it_is_is_remembered(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for document, answer in ((1, result()), (2, completed(2, names=2))):
            await bench.out(document)
            await bench.ask(document, answer)
        await bench.out(3)
        await bench.ask(3, JobAnswer(JobStatus.IN_PROGRESS))
        assert bench.fetcher.met_doubt

    at_work(work, tmp_path)
