"""`batcher cancel OUT PATH…`: what is named is cancelled, and everything else stays as it is."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from commandline import batcher, rows, start
from peer import KEY, Peer, accepts_and_hangs_up

from batcher import BatcherError, aio

Words = tuple[object, ...]
LETTERS = 6
WORKING = "waiting"


@pytest.fixture
async def in_flight(words: Words, peer: Peer, out: Path) -> Peer:
    """Six jobs of an hour are in flight, and the run that sent them is gone."""
    await _killed_in_flight(words, peer, LETTERS)
    return peer


async def _killed_in_flight(words: Words, peer: Peer, jobs: int) -> None:
    peer.service.work = lambda job: (3600.0, None)
    process = await start(*words)
    await peer.has_jobs(jobs)
    process.send_signal(signal.SIGINT)
    await process.communicate()


def put(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def states(out: Path) -> dict[str, str]:
    return dict(rows(out, "SELECT source, state FROM documents WHERE current = 1 ORDER BY source"))


def cancelled_jobs(peer: Peer) -> int:
    return sum(job.cancelled for job in peer.service.jobs.values())


async def test_what_is_named_is_cancelled_and_the_rest_stays_in_flight(
    words: Words, in_flight: Peer, out: Path
) -> None:
    """By path and by pattern: the service is asked to cancel these jobs, and the others go on. No
    later run sends again what a person cancelled.
    """
    said = await batcher("cancel", out, "0/*", "1/letter 0.txt")
    assert (said.code, cancelled_jobs(in_flight)) == (1, 4), said.err
    found = states(out)
    assert {path for path, state in found.items() if state == "cancelled"} == {
        *(f"0/letter {number}.txt" for number in range(3)),
        "1/letter 0.txt",
    }
    assert sorted(found.values()) == ["cancelled"] * 4 + [WORKING] * 2
    for job in in_flight.service.jobs.values():
        job.ends_at = 0.0
    assert (await batcher(*words)).code == 0
    assert len(in_flight.service.jobs) == LETTERS
    assert sorted(states(out).values()) == ["cancelled"] * 4 + ["saved"] * 2
    assert "cancelled" in (await batcher("failures", out)).out
    in_flight.service.work = lambda job: (0.0, None)
    await batcher("retry", out, "1/letter 0.txt")
    assert (await batcher(*words)).code == 0
    assert len(in_flight.service.jobs) == LETTERS + 1


async def test_a_list_names_documents_and_those_that_have_ended_are_told(
    words: Words, in_flight: Peer, out: Path
) -> None:
    """As `failures --paths` and `find` write it; a list of nothing is no mistake."""
    await batcher("cancel", out, "0/letter 0.txt")
    listed = b"0/letter 0.txt\n0/letter 1.txt\n"
    said = await batcher("cancel", out, "--from-file", "-", stdin=listed)
    assert said.code == 1
    assert "1 document had ended before: 1 cancelled" in said.err
    assert cancelled_jobs(in_flight) == 2
    nothing = await batcher("cancel", out, "--from-file", "-", stdin=b"")
    assert (nothing.code, cancelled_jobs(in_flight)) == (0, 2), nothing.err


@pytest.mark.parametrize(
    ("paths", "word"),
    [
        (["0/letter 9.txt"], "0/letter 9.txt: no such document, so nothing is cancelled"),
        (["0/letter 0.txt", "*.pdf"], "*.pdf: no such document"),
        (["0/letter 0.txt", "--step", "extract"], "no such document of step extract"),
        (["--step", "extract"], "no such document of step extract"),
    ],
)
async def test_where_a_name_fits_nothing_nothing_is_cancelled(
    paths: list[str], word: str, words: Words, in_flight: Peer, out: Path
) -> None:
    said = await batcher("cancel", out, *paths)
    assert (said.code, word in said.err, cancelled_jobs(in_flight)) == (2, True, 0), said.err
    assert set(states(out).values()) == {WORKING}
    assert len(rows(out, "SELECT 1 FROM runs")) == 1, "a slip is no run"


async def test_what_has_ended_can_not_be_cancelled(words: Words, peer: Peer, out: Path) -> None:
    assert (await batcher(*words)).code == 0
    said = await batcher("cancel", out, "0/*")
    assert (said.code, "nothing to cancel: 3 saved" in said.err) == (2, True), said.err


async def test_a_job_that_is_also_for_an_unnamed_copy_is_left_alone(
    words: Words, inbox: Path, peer: Peer, out: Path
) -> None:
    """Else the copy would be paid for once more. Both named, both are cancelled."""
    put(inbox / "copy.txt", "letter 0")
    await _killed_in_flight(
        (*words, "-S", 'source.include=["0/letter 0.txt", "copy.txt"]'), peer, 1
    )
    assert sorted(states(out).values()) == ["duplicate", WORKING]
    (payer,) = (path for path, state in states(out).items() if state == WORKING)
    (copy,) = (path for path, state in states(out).items() if state == "duplicate")
    said = await batcher("cancel", out, payer)
    assert said.code == 2
    assert f"{payer}: its job is also for {copy}" in said.err
    assert cancelled_jobs(peer) == 0
    assert (await batcher("cancel", out, copy)).code == 1
    assert states(out) == {payer: WORKING, copy: "cancelled"}
    assert (await batcher("cancel", out, payer)).code == 1
    assert states(out) == {payer: "cancelled", copy: "cancelled"}


async def test_a_copy_of_what_was_never_sent_pays_for_itself(
    words: Words, inbox: Path, out: Path
) -> None:
    """Nothing is paid yet, so the other document stays in the queue."""
    put(inbox / "copy.txt", "letter 5")
    await batcher(*words, "--sample", "1")
    (copy,) = (path for path, state in states(out).items() if state == "duplicate")
    payer = "1/letter 2.txt" if copy == "copy.txt" else "copy.txt"
    assert (await batcher("cancel", out, payer)).code == 1
    assert states(out)[payer] == "cancelled" and states(out)[copy] == "queued"


async def test_a_submission_in_doubt_is_found_and_then_cancelled(
    words: Words, peer: Peer, out: Path
) -> None:
    """Its answer was lost: the job is looked for in the service's list, and others aren't waited
    for.
    """
    peer.moods["run_job"] = accepts_and_hangs_up
    peer.service.work = lambda job: (3600.0, None)
    process = await start(*words)
    await peer.has_jobs(LETTERS)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    del peer.moods["run_job"]
    said = await batcher("cancel", out, "0/letter 0.txt")
    assert (said.code, cancelled_jobs(peer)) == (1, 1), said.err
    assert states(out)["0/letter 0.txt"] == "cancelled"


async def test_it_can_be_called_from_python(
    words: Words, in_flight: Peer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDUCTO_API_KEY", KEY)
    summary = await aio.cancel(out, ["1/*"])
    assert summary.documents == {WORKING: 3, "cancelled": 3}
    with pytest.raises(BatcherError, match="no such document"):
        await aio.cancel(out, "2/*")


async def test_the_summary_in_json_is_that_of_a_run(in_flight: Peer, out: Path) -> None:
    said = await batcher("cancel", out, "1/*", "--json")
    assert json.loads(said.out)["documents"] == {WORKING: 3, "cancelled": 3}
