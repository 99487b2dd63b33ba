"""Chains of jobs at the command line: each step paid for once, the later ones reading the earlier
one's job.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from commandline import batcher, rows, start
from peer import Peer, accepts_and_hangs_up, says

from batcher.reducto.api_types import JOB, ErrorName
from batcher.reducto.fake_client import FakeService

Words = tuple[object, ...]


@pytest.fixture
def manifest(tmp_path: Path, inbox: Path, out: Path, peer: Peer) -> Path:
    """Parse and extract, six letters."""
    path = tmp_path / "chain.json"
    path.write_text(json.dumps(chain(peer)))
    return path


EXTRACT = {
    "name": "extract",
    "endpoint": "extract",
    "options": {"instructions": {"schema": {"type": "object"}}},
}


def chain(peer: Peer, *jobs: dict[str, object]) -> dict[str, object]:
    return {
        "batch": "chain",
        "service": {"url": peer.url, "settle": 1},
        "source": {"directory": "inbox"},
        "job": list(jobs) or [{"name": "parse"}, EXTRACT],
        "output": {"directory": "out"},
    }


class Forgetful(FakeService):
    """Takes jobs that name another as their input, and can't read it."""

    def content(self, source: str) -> bytes | None:
        return None if source.startswith(JOB) else super().content(source)


def jobs(peer: Peer) -> Counter[str]:
    return Counter(job.endpoint for job in peer.service.jobs.values())


def inputs(peer: Peer, endpoint: str) -> list[str]:
    """How the inputs of the jobs of that endpoint begin."""
    return [
        job.source.partition("://")[0]
        for job in peer.service.jobs.values()
        if job.endpoint == endpoint
    ]


async def test_each_step_has_its_own_job_and_file(manifest: Path, peer: Peer, out: Path) -> None:
    """Six parses by upload, six extracts of those jobs; a second run sends nothing."""
    said = await batcher("run", manifest)
    assert said.code == 0, said.err
    assert jobs(peer) == {"parse": 6, "extract": 6}
    assert (inputs(peer, "parse"), inputs(peer, "extract")) == (["reducto"] * 6, ["jobid"] * 6)
    assert peer.calls["upload"] == 6
    assert (
        len(list(out.rglob("*.txt.parse.json"))) == len(list(out.rglob("*.txt.extract.json"))) == 6
    )
    result = json.loads((out / "0" / "letter 0.txt.extract.json").read_text())
    assert result["response_type"] == "extract"
    assert "parse    6 saved" in said.err
    assert "extract  6 saved" in said.err
    assert rows(
        out,
        "SELECT job, sum(cost) FROM attempts a JOIN documents d ON d.id = a.document GROUP BY job",
    ) == [
        ("extract", 12.0),
        ("parse", 6.0),
    ], "a page of an extract that reads a job costs no parse"
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 6}


async def test_a_failed_second_step_repeats_no_paid_first_one(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """All extracts fail; tried again later, they read the same parse jobs."""
    peer.service.work = lambda job: (
        0.0,
        ErrorName.CONTEXT_WINDOW_EXCEEDED if job.endpoint == "extract" else None,
    )
    assert (await batcher("run", manifest)).code == 1
    peer.service.work = lambda job: (0.0, None)
    assert (await batcher("retry", manifest)).code == 0
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 12}
    assert set(inputs(peer, "extract")) == {"jobid"}


async def test_a_failed_first_step_blocks_the_second_until_it_is_put_right(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """The later step's verdict names the earlier one; what is tried again takes its followers
    along.
    """
    peer.service.work = lambda job: (0.0, ErrorName.DOCUMENT_CORRUPT)
    said = await batcher("run", manifest)
    assert said.code == 1
    assert "6 blocked (parse failed: DOCUMENT_CORRUPT" in said.err
    assert jobs(peer) == {"parse": 6}
    told = json.loads((await batcher("failures", manifest, "--json")).out)
    assert {(group["state"], group["class"]) for group in told} == {
        ("failed", "document"),
        ("blocked", "document"),
    }
    peer.service.work = lambda job: (0.0, None)
    retried = json.loads((await batcher("retry", manifest, "--only", "document", "--json")).out)
    assert retried["documents"] == 12
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == {"parse": 12, "extract": 6}


async def test_a_step_that_is_added_later_goes_on_from_what_is_there(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """Nothing is parsed again, and what lies on disk keeps its name."""
    data = chain(peer, {"name": "parse"})
    manifest.write_text(json.dumps(data))
    assert (await batcher("run", manifest)).code == 0
    manifest.write_text(json.dumps(chain(peer)))
    planned = json.loads((await batcher("plan", manifest, "--json")).out)
    assert (planned["to_send"], planned["saved"], planned["credits"]) == (6, 6, 12.0)
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 6}
    assert set(inputs(peer, "extract")) == {"jobid"}
    assert (out / "0" / "letter 0.txt.json").exists()


async def test_a_plan_promises_no_step_whose_earlier_step_has_failed(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """Nor any step after that: it tells them as blocked, and prices what the run then sends."""
    peer.service.work = lambda job: (
        0.0,
        ErrorName.DOCUMENT_CORRUPT if len(peer.service.jobs) < 4 else None,
    )
    manifest.write_text(json.dumps(chain(peer, {"name": "parse"})))
    assert (await batcher("run", manifest)).code == 1
    failed = rows(out, "SELECT count(*) FROM documents WHERE state = 'failed'")[0][0]
    assert isinstance(failed, int) and 0 < failed < 6
    schema = {"type": "object", "description": "all of it"}
    more = {**EXTRACT, "name": "more", "options": {"instructions": {"schema": schema}}}
    manifest.write_text(json.dumps(chain(peer, {"name": "parse"}, EXTRACT, more)))
    told = json.loads((await batcher("plan", manifest, "--json")).out)
    assert told["steps"] == {"extract": 6 - failed, "more": 6 - failed}
    assert (told["to_send"], told["refused"]) == (2 * (6 - failed), 3 * failed)
    assert sum(group["documents"] for group in told["refusals"]) == 3 * failed
    assert "blocked" in (await batcher("plan", manifest)).out
    peer.service.work = lambda job: (0.0, None)
    await batcher("run", manifest)
    assert jobs(peer)["extract"] == told["to_send"]


async def test_changed_options_of_a_step_renew_it_and_what_follows(
    manifest: Path, peer: Peer
) -> None:
    """Of the second: that alone. Of the first: both."""
    assert (await batcher("run", manifest)).code == 0
    assert (
        await batcher("run", manifest, "-S", "job.extract.options.settings.deep_extract=true")
    ).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 12}
    again = ("-S", "job.extract.options.settings.deep_extract=true")
    assert (
        await batcher("run", manifest, *again, "-S", "job.parse.options.settings.timeout=300")
    ).code == 0
    assert jobs(peer) == {"parse": 12, "extract": 18}


async def test_where_the_earlier_job_is_gone_an_upload_takes_its_place(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """The first extract of each finds no job to read, isn't counted as paid, and the next brings
    its own input.
    """
    peer.service = Forgetful(peer.service.clock, work=lambda job: (0.0, None))
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 12}
    assert Counter(inputs(peer, "extract")) == {"jobid": 6, "reducto": 6}
    assert rows(out, "SELECT DISTINCT paid FROM documents WHERE job = 'extract'") == [(1,)]
    assert rows(out, "SELECT outcome, count(*) FROM attempts WHERE cost = 0 GROUP BY 1") == [
        ("void", 6)
    ]


async def test_where_the_service_refuses_to_read_a_job_an_upload_takes_its_place(
    manifest: Path, peer: Peer
) -> None:
    """The same where the submission itself is answered 404."""

    async def no_jobs(peer: Peer, request: object) -> object:
        text = await request.text()  # type: ignore[attr-defined]
        gone = says(404, {"error": {"name": "NOT_FOUND", "message": "Job not found"}})
        return await (gone(peer, request) if '"jobid://' in text else peer.run_job(request))  # type: ignore[arg-type]

    peer.moods["run_job"] = no_jobs  # type: ignore[assignment]
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 6}
    assert set(inputs(peer, "extract")) == {"reducto"}


async def test_where_the_earlier_job_is_about_to_expire_it_is_not_asked_for(
    manifest: Path, peer: Peer
) -> None:
    """With so short a retention, nobody could say whether it would still be read."""
    peer.service.work = lambda job: (2.0 if job.endpoint == "parse" else 0.0, None)
    assert (await batcher("run", manifest, "-S", "service.result_retention=2s")).code == 0
    assert set(inputs(peer, "extract")) == {"reducto"}


async def test_copies_are_paid_for_once_in_each_step(
    manifest: Path, inbox: Path, peer: Peer, out: Path
) -> None:
    """Seven files, two of them the same: six parses, six extracts, fourteen results."""
    (inbox / "copy.txt").write_text("letter 0")
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 6}
    assert len(list(out.rglob("*.txt.*.json"))) == 14


async def test_a_copy_goes_its_own_way_where_its_payer_vanished(
    manifest: Path, inbox: Path, peer: Peer
) -> None:
    """The first of three is gone before it is sent: the second pays for both steps, the third
    copies both.
    """
    for name in ("a", "b", "c"):
        (inbox / f"{name}.txt").write_text("the same")
        # left alone for long enough to be taken at once
        os.utime(inbox / f"{name}.txt", (1_700_000_000, 1_700_000_000))
    peer.moods["run_job"] = says(401, {"detail": "not now"})
    assert (await batcher("run", manifest)).code == 4
    del peer.moods["run_job"]
    await _lapse(inbox.parent / "out")
    (inbox / "a.txt").unlink()
    done = await batcher("run", manifest)
    assert done.code == 0
    # one or two: the other may be in doubt still
    assert " that an earlier run had queued will not be sent" in done.err
    assert jobs(peer) == {"parse": 7, "extract": 7}
    states = rows(
        inbox.parent / "out", "SELECT source, job, state FROM documents WHERE length(source) = 5"
    )
    assert set(states) == {
        ("a.txt", "parse", "superseded"),
        ("a.txt", "extract", "superseded"),
        *((f"{name}.txt", job, "saved") for name in "bc" for job in ("parse", "extract")),
    }


async def _lapse(out: Path) -> None:
    """As if the uploads had been made a day ago."""
    with sqlite3.connect(out / ".batcher" / "ledger.db") as ledger:
        ledger.execute("UPDATE documents SET uploaded_at = 1.0 WHERE uploaded_at IS NOT NULL")


async def test_a_lost_answer_of_the_second_step_is_adopted(manifest: Path, peer: Peer) -> None:
    """There is nothing to fence off, but its nonce stands in the listing."""
    await _lose_the_answer_of_an_extract(peer)
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 6}
    assert peer.calls["delete_upload"] <= 2, "the spare upload of the proof"


async def _lose_the_answer_of_an_extract(peer: Peer) -> None:
    async def lose(peer: Peer, request: object) -> object:
        mood = (
            accepts_and_hangs_up
            if jobs(peer)["extract"] == 2 and "extract" in str(request)
            else None
        )  # type: ignore[comparison-overlap]
        return await (mood(peer, request) if mood else peer.run_job(request))  # type: ignore[arg-type]

    peer.moods["run_job"] = lose  # type: ignore[assignment]


async def test_an_unknown_second_step_that_is_not_listed_is_held(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """It can't be fenced off, so it is never sent again unasked."""

    async def swallow(peer: Peer, request: object) -> object:
        if "extract" not in str(request) or peer.calls["swallowed"]:
            return await peer.run_job(request)  # type: ignore[arg-type]
        peer.calls["swallowed"] += 1
        return await says(500, {})(peer, request)  # type: ignore[arg-type]

    peer.moods["run_job"] = swallow  # type: ignore[assignment]
    said = await batcher("run", manifest)
    assert said.code == 1
    assert "1 held (perhaps paid; an input that is no upload can't be fenced off" in said.err
    assert jobs(peer) == {"parse": 6, "extract": 5}
    assert (await batcher("retry", manifest, "--only", "held")).code == 0
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 6}


async def test_killed_in_the_middle_of_the_second_step_nothing_of_the_first_is_repeated(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """SIGKILL after some extracts.

    Those that were being sent just then are held; asked for, they are sent again.
    """
    peer.service.work = lambda job: (0.0 if job.endpoint == "parse" else 3600.0, None)
    process = await start("run", manifest)
    await peer.has_jobs(9)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    for job in peer.service.jobs.values():
        job.ends_at = job.accepted_at
    peer.service.work = lambda job: (0.0, None)
    await batcher("run", manifest)
    assert jobs(peer)["parse"] == 6
    states = dict(rows(out, "SELECT state, count(*) FROM documents GROUP BY state"))
    assert states["saved"] >= 9
    assert states["saved"] + states.get("held", 0) == 12
    await batcher("retry", manifest, "--only", "held")
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 6}


async def test_why_tells_all_steps(manifest: Path, peer: Peer) -> None:
    """One path, two documents in the order of the steps, each with its attempt."""
    assert (await batcher("run", manifest)).code == 0
    told = json.loads((await batcher("why", manifest, "0/letter 0.txt", "--json")).out)
    assert [(row["job"], row["attempts"][0]["file_id"].partition("://")[0]) for row in told] == [
        ("parse", "reducto"),
        ("extract", "jobid"),
    ]


async def test_a_missing_result_of_one_step_is_repaired_alone(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """It is fetched again while the service has it; the other step's is left alone."""
    assert (await batcher("run", manifest)).code == 0
    (out / "0" / "letter 0.txt.extract.json").unlink()
    assert (await batcher("verify", manifest, "--repair")).code == 1
    assert (await batcher("run", manifest)).code == 0
    assert (await batcher("verify", manifest)).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 6}


async def test_a_step_the_manifest_no_longer_names_is_not_sent(manifest: Path, peer: Peer) -> None:
    """What was planned for it makes way."""
    assert (await batcher("run", manifest, "--sample", "6")).code == 0
    manifest.write_text(json.dumps(chain(peer, {"name": "parse"})))
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer)["parse"] == 6


async def test_three_steps_and_one_that_reads_no_job(manifest: Path, peer: Peer, out: Path) -> None:
    """Split and extract both read the parse; classify, which can't, brings an upload of its own."""
    names = ("parse", "split", "extract", "classify")
    steps: dict[str, dict[str, object]] = {name: {"name": name, "endpoint": name} for name in names}
    steps["extract"] = EXTRACT
    steps["split"]["options"] = {
        "split_description": [{"name": "body", "description": "the letter itself"}]
    }
    manifest.write_text(json.dumps(chain(peer, *steps.values())))
    assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == dict.fromkeys(names, 6)
    assert [set(inputs(peer, name)) for name in names] == [
        {"reducto"},
        {"jobid"},
        {"jobid"},
        {"reducto"},
    ]


async def test_cancel_leaves_no_step_open(manifest: Path, peer: Peer, out: Path) -> None:
    """What is out is cancelled, and what would have followed too."""
    peer.service.work = lambda job: (3600.0, None)
    process = await start("run", manifest)
    await peer.has_jobs(6)
    process.send_signal(signal.SIGINT)
    await process.wait()
    await batcher("cancel", manifest)
    assert rows(out, "SELECT job, state, count(*) FROM documents GROUP BY 1, 2") == [
        ("extract", "cancelled", 6),
        ("parse", "cancelled", 6),
    ]


async def test_what_is_cleaned_away_is_not_read_by_a_later_step(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """A chain is cleaned in the end; a step that comes in afterwards brings uploads of its own."""
    clean = ("-S", "output.clean=saved")
    assert (await batcher("run", manifest, *clean)).code == 0
    assert set(inputs(peer, "extract")) == {"jobid"}
    assert rows(out, "SELECT count(*) FROM attempts WHERE cleaned_at IS NULL") == [(0,)]
    again = await batcher(
        "run", manifest, *clean, "-S", "job.extract.options.settings.deep_extract=true", "--yes"
    )
    assert again.code == 0, again.err
    assert inputs(peer, "extract")[6:] == ["reducto"] * 6


async def test_the_shipped_chain_runs_on_the_local_service(tmp_path: Path) -> None:
    """Five invoices, their totals, and no page parsed twice."""
    manifest = Path(__file__).parents[2] / "manifests" / "chain.toml"
    said = await batcher("run", manifest, "-S", f"output.directory={tmp_path / 'out'}")
    assert said.code == 0, said.err
    results = [
        json.loads(path.read_text()) for path in sorted((tmp_path / "out").rglob("*.extract.json"))
    ]
    assert [result["result"][0]["invoice_number"] for result in results] == [
        f"INV-2026-00{n}" for n in range(1, 6)
    ]
    assert rows(
        tmp_path / "out", "SELECT DISTINCT substr(file_id, 1, 5), credits FROM attempts ORDER BY 1"
    ) == [
        ("jobid", 2.0),
        ("reduc", 1.0),
    ]


async def test_a_collection_ends_though_later_steps_are_still_to_be_sent(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """Nothing is cleaned away that they may read, and nobody waits for it."""
    clean = ("-S", "output.clean=saved")
    assert (await batcher("run", manifest, "--sample", "6", *clean)).code == 0
    async with asyncio.timeout(30):
        assert (await batcher("run", manifest, "--collect", *clean)).code == 0
    assert not any(job.deleted for job in peer.service.jobs.values())
    assert (await batcher("run", manifest, *clean)).code == 0
    assert jobs(peer) == {"parse": 6, "extract": 6}
    assert rows(out, "SELECT count(*) FROM attempts WHERE cleaned_at IS NULL") == [(0,)]


async def test_copies_tried_again_are_paid_for_once_in_each_step(
    manifest: Path, inbox: Path, peer: Peer
) -> None:
    """Three of the same bytes failed together, and each one's second step was blocked by its own
    first.
    """
    for name in ("a", "b"):
        (inbox / f"{name}.txt").write_text("letter 0")
    peer.service.work = lambda job: (0.0, ErrorName.DOCUMENT_CORRUPT)
    assert (await batcher("run", manifest)).code == 1
    peer.service.work = lambda job: (0.0, None)
    assert (await batcher("retry", manifest)).code == 0
    async with asyncio.timeout(30):
        assert (await batcher("run", manifest)).code == 0
    assert jobs(peer) == {"parse": 12, "extract": 6}


async def test_what_is_in_doubt_keeps_no_run_from_its_limit(
    manifest: Path, peer: Peer, out: Path
) -> None:
    """One of two extracts is of unknown fate and can't be fenced off, and the others are for
    another run to send.
    """

    async def swallow(peer: Peer, request: object) -> object:
        if "extract" not in str(request) or peer.calls["swallowed"]:
            return await peer.run_job(request)  # type: ignore[arg-type]
        peer.calls["swallowed"] += 1
        return await says(500, {})(peer, request)  # type: ignore[arg-type]

    peer.moods["run_job"] = swallow  # type: ignore[assignment]
    async with asyncio.timeout(40):
        assert (await batcher("run", manifest, "--sample", "8")).code == 1
    assert rows(out, "SELECT state, count(*) FROM documents WHERE job = 'extract' GROUP BY 1") == [
        ("held", 1),
        ("queued", 4),
        ("saved", 1),
    ]
