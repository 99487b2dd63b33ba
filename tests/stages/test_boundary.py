"""What nobody foresaw befalls one document: it comes to a verdict, the others are saved, and
nothing is paid again.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from house import House
from test_unread import now, reasons, recall
from virtual import run_virtually

from batcher.adapters.error_log import SIZE_AT_MOST, keeper
from batcher.errors import OutputError, ReplyLostError
from batcher.reducto import api_types
from batcher.reducto.fake_client import FakeClient
from batcher.stages import input_resolver, job_answers, poller
from batcher.stages.boundary import Boundary, kept
from batcher.stages.deadline_monitor import DeadlineMonitor
from batcher.stages.recovery import Recovery
from batcher.stages.run_control import RunControl


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def put(house: House, *odd: str) -> None:
    house.put(**{f"n{number}": f"{number}" for number in range(20)}, **dict.fromkeys(odd, "odd"))


def stumble() -> Any:
    return 1 / 0


class Stumbling(FakeClient):
    """`upload` or `run_job` of the file that holds `odd` comes to something that nobody foresaw."""

    at = ""

    async def upload(
        self, content: bytes | Path, *, name: str, sha256: str | None = None
    ) -> api_types.Upload:
        if self.at == "upload" and content == b"odd":
            stumble()
        return await super().upload(content, name=name, sha256=sha256)

    async def run_job(
        self, endpoint: str, source: str | list[str], *options: Any, **named: Any
    ) -> str:
        job_id = await super().run_job(endpoint, source, *options, **named)
        if self.at == "run_job" and self.service.uploads.get(str(source)) == b"odd":
            stumble()
        return job_id


def misreading(house: House, is_odd: Callable[[str], bool]) -> Any:
    """`read_head` with a defect that shows for those results alone."""
    healthy = job_answers.read_head

    def read(body: Any, job_id: str, *more: Any) -> Any:
        return stumble() if is_odd(job_id) else healthy(body, job_id, *more)

    return read


def test_a_result_that_trips_the_fetcher_is_stuck_and_stays_paid(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what happened and where; once that is mended, the result is there for nothing."""

    async def work() -> None:
        put(house, "z")
        with monkeypatch.context() as planted:
            planted.setattr(
                job_answers,
                "read_head",
                misreading(house, lambda job: house.service.uploads[source_of(job)] == b"odd"),
            )
            assert await house.run() == {"saved": 20, "stuck": 1}
            (reason,) = (await reasons(house)).values()
            assert "ZeroDivisionError" in reason
            assert "test_boundary.py" in reason
            assert "errors.log" in house.control.warnings[0]
            assert house.control.exit_code == 0
            assert await house.run() == {"saved": 20, "stuck": 1}
        await recall(house)
        assert await house.run() == {"saved": 21}
        assert house.paid() == 21

    def source_of(job_id: str) -> str:
        return house.service.jobs[job_id].source

    run_virtually(work())


def test_what_trips_it_each_time_stops_the_run_in_words(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three in a row are no document's trouble: exit code 4, what is out stays out, and the next
    run brings it home.
    """

    async def work() -> None:
        put(house)
        with monkeypatch.context() as planted:
            planted.setattr(job_answers, "read_head", misreading(house, lambda job: True))
            tally = await house.run()
        assert house.control.exit_code == 4
        assert "3 documents in a row: internal error while fetching" in house.control.reason
        assert tally["stuck"] <= 3
        await recall(house)
        assert await house.run() == {"saved": 20}
        assert house.paid() == 20

    run_virtually(work())


def test_a_document_that_trips_its_upload_fails_and_nothing_was_paid(house: House) -> None:
    """A verdict of its own class, and the others are saved."""

    async def work() -> None:
        put(house, "z")
        house.client = client = Stumbling(house.service)
        client.at = "upload"
        assert await house.run() == {"saved": 20, "failed": 1}
        assert "internal error while submitting" in (await reasons(house))["failed"]
        assert house.paid() == 20

    run_virtually(work())


def test_a_document_that_trips_its_submission_is_perhaps_paid(house: House) -> None:
    """So it is looked for, found, and brought home: one job."""

    async def work() -> None:
        put(house, "z")
        house.client = client = Stumbling(house.service)
        client.at = "run_job"
        assert await house.run() == {"saved": 21}
        assert house.paid() == 21

    run_virtually(work())


def test_a_file_that_trips_the_reader_fails_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though many are read together."""
    healthy = input_resolver._content
    monkeypatch.setattr(
        input_resolver,
        "_content",
        lambda due, *more: stumble() if due.source == "z.txt" else healthy(due, *more),
    )

    async def work() -> None:
        put(house, "z")
        assert await house.run() == {"saved": 20, "failed": 1}

    run_virtually(work())


def test_three_submissions_in_a_row_that_trip_stop_the_run(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is out comes home all the same."""

    async def work() -> None:
        put(house)
        assert await house.run() == {"saved": 20}
        house.put(x="odd", y="odd 2", z="odd 3")
        with monkeypatch.context() as planted:
            planted.setattr(input_resolver, "_content", lambda due, parts: stumble())
            await house.run()
        assert house.control.exit_code == 4
        assert house.paid() == 20

    run_virtually(work())


class Losing(FakeClient):
    """The answers to submissions of files that begin with `odd` get lost: all were accepted."""

    async def run_job(
        self, endpoint: str, source: str | list[str], *options: Any, **named: Any
    ) -> str:
        job_id = await super().run_job(endpoint, source, *options, **named)
        if self.service.uploads[str(source)].startswith(b"odd"):
            raise ReplyLostError("POST", "reset")
        return job_id


def test_what_trips_the_recovery_each_time_stops_the_run_in_words(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are held; the others stay as they are for the next run, which finds all of them, and pays
    for none.
    """

    async def trips(self: Any, attempt: Any, scan: Any) -> None:
        stumble()

    async def work() -> None:
        house.put(**{f"n{number:02}": f"{number}" for number in range(15)})
        house.put(**{f"z{number}": f"odd {number}" for number in range(5)})
        house.client = Losing(house.service)
        with monkeypatch.context() as planted:
            planted.setattr(Recovery, "_judge", trips)
            tally = await house.run()
        assert (house.control.exit_code, house.control.abort) == (4, False)
        assert (
            "3 documents in a row: internal error while looking for lost submissions"
            in house.control.reason
        )
        assert (tally["held"], tally["unknown"]) == (2, 3)
        assert "perhaps paid; internal error: ZeroDivisionError" in (await reasons(house))["held"]
        house.client = FakeClient(house.service)
        assert await house.run() == {"saved": 20}
        assert house.paid() == 20

    run_virtually(work())


def test_one_that_trips_the_recovery_between_others_stops_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: every other one is found and brought home."""
    healthy = Recovery._judge

    async def trips_at_times(self: Any, attempt: Any, scan: Any) -> None:
        if attempt.id % 2:
            stumble()
        await healthy(self, attempt, scan)

    async def work() -> None:
        house.put(**{f"n{number}": f"odd {number}" for number in range(10)})
        house.client = Losing(house.service)
        with monkeypatch.context() as planted:
            planted.setattr(Recovery, "_judge", trips_at_times)
            assert await house.run() == {"saved": 5, "held": 5}
        assert house.control.exit_code == 0
        assert len([words for words in house.control.warnings if "internal error" in words]) == 1

    run_virtually(work())


def test_a_row_that_trips_the_poller_costs_one_look(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is looked at again."""
    healthy = poller.Poller._take_in
    tripped = list[float]()

    def once(self: Any, row: api_types.JobRow) -> None:
        if not tripped:
            tripped.append(now())
            stumble()
        healthy(self, row)

    monkeypatch.setattr(poller.Poller, "_take_in", once)

    async def work() -> None:
        put(house)
        assert await house.run() == {"saved": 20}
        assert tripped

    run_virtually(work())


def test_a_stage_that_falls_as_a_whole_ends_the_run_in_words(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 4 and no traceback of everything; what is on record is taken up by the next run."""

    async def falls(self: Any) -> None:
        await asyncio.sleep(5.0)
        stumble()

    async def work() -> None:
        put(house)
        with monkeypatch.context() as planted:
            planted.setattr(DeadlineMonitor, "run", falls)
            await house.run()
        assert house.control.exit_code == 4
        assert "internal error while running the deadline monitor" in house.control.reason
        assert await house.run() == {"saved": 20}
        assert house.paid() == 20

    run_virtually(work())


def failed(message: str) -> ZeroDivisionError:
    try:
        raise ZeroDivisionError(message)
    except ZeroDivisionError as error:
        return error


def test_only_the_same_in_a_row_counts() -> None:
    """One that went well between them, or another kind, begins anew."""
    control = RunControl()
    boundary = Boundary(control, "fetching")
    for _ in range(5):
        boundary.caught(failed("x"), about="a.txt")
        boundary.caught(failed("x"), about="a.txt")
        boundary.passed()
        boundary.caught(failed("x"), about="a.txt")
        boundary.caught(ValueError("another"), about="a.txt")
    assert not control.stopped.is_set()
    assert len(control.warnings) == 2  # each kind is told once


def test_where_it_happened_is_kept_for_whoever_mends_it() -> None:
    """Each time, with the lines of code that led there."""
    traces: list[str] = []
    boundary = Boundary(RunControl(trace=traces.append), "fetching")
    for _ in range(2):
        boundary.caught(failed("x"), about="a.txt")
    assert len(traces) == 2
    assert "a.txt" in traces[0]
    assert "raise ZeroDivisionError" in traces[0]


def test_what_an_error_says_is_no_leak() -> None:
    """A signed address is a secret, and what isn't printable may end on a terminal."""
    reason = Boundary(RunControl(), "fetching").caught(
        failed("https://x.example/a?sig=secret \x1b[2J"), about="a.txt"
    )
    assert "secret" not in reason
    assert reason.isprintable()


def test_traces_are_kept_for_the_owner_and_in_bounds(tmp_path: Path) -> None:
    """And a disk that refuses costs nothing else."""
    told: list[str] = []
    path = tmp_path / "errors.log"
    keep = keeper(path, told.append)
    for _ in range(5):
        keep("x" * (SIZE_AT_MOST // 2) + "\ud83d")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SIZE_AT_MOST <= path.stat().st_size < 2 * SIZE_AT_MOST
    keeper(tmp_path / "absent" / "errors.log", told.append)("one more")
    assert told[-1] == "one more"


def test_a_full_disk_in_a_task_of_a_stage_is_no_error_of_ours() -> None:
    """It ends the run as it would by itself, in its own words."""
    control = RunControl()

    async def fill() -> None:
        raise OutputError("disk full")

    async def stage() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fill())

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(kept(stage, control, "running the submitter"))
    assert [str(error) for error in raised.value.exceptions] == ["disk full"]
    assert not control.stopped.is_set() and not control.warnings
