"""A run nobody sits beside: limits, timers, messages, and what is left to read in the morning."""

from __future__ import annotations

import asyncio
import configparser
import json
import os
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import commandline
import pytest
from aiohttp import web
from peer import KEY, UNPROCESSABLE, Peer, listening, once, says

from batcher.adapters.notifications import notify
from batcher.cli import main
from batcher.core.events import Accepted
from batcher.errors import ManifestError
from batcher.exit_codes import RunEnd
from batcher.ledger.ledger import Ledger, Transition
from batcher.manifest.loading import for_directory, load
from batcher.runs.running import Summary, collect_batch, run_batch
from batcher.stages.run_control import RunControl
from batcher.views.status import end_lines, status_values, status_words

ROOT = Path(__file__).parents[2]
DOCUMENTS = 8


@pytest.fixture
async def peer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Peer]:
    monkeypatch.setenv("REDUCTO_API_KEY", KEY)
    async with listening(Peer()) as peer:
        yield peer


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    for number in range(DOCUMENTS):
        (folder / f"{number}.txt").write_text(f"letter {number}")
        os.utime(folder / f"{number}.txt", (1_700_000_000, 1_700_000_000))
    return folder


async def run(inbox: Path, peer: Peer, *overrides: str) -> Summary:
    manifest = for_directory(inbox, inbox.parent / "out", service=peer.url, overrides=overrides)
    async with asyncio.timeout(60):
        return await run_batch(manifest)


def unsent(summary: Summary) -> int:
    """Documents that no run has sent; some are uploaded, which is free."""
    return sum(summary.documents.get(state, 0) for state in ("queued", "uploaded"))


async def batcher(*words: object) -> tuple[int, str, str]:
    """The command line in a process of its own: exit code, stdout, stderr."""
    said = await commandline.batcher(*words)
    return said.code, said.out, said.err


# --- limits ---------------------------------------------------------------------------------------

LIMITS = {
    "documents": "max_documents=3",
    "pages": "max_pages=3",
    "credits": "max_credits=3",
    "dollars": "max_cost=0.05",
}


@pytest.mark.parametrize("name", LIMITS)
async def test_a_run_stops_before_its_cap(name: str, inbox: Path, peer: Peer) -> None:
    """Exactly what fits is accepted, all of it comes home, exit code 3; the next run goes on with
    the rest.
    """
    summary = await run(inbox, peer, f"limits.{LIMITS[name]}")
    assert (summary.exit_code, len(peer.service.jobs)) == (3, 3)
    assert (summary.documents["saved"], unsent(summary)) == (3, DOCUMENTS - 3)
    assert (await run(inbox, peer)).documents == {"saved": DOCUMENTS}
    assert len(peer.service.jobs) == DOCUMENTS


@pytest.mark.parametrize("limit", ["max_credits=10", "max_cost=0.15"])
async def test_a_cap_holds_where_documents_are_dearer_than_estimated(
    limit: str, inbox: Path, peer: Peer
) -> None:
    """Two credits a page, as for dense ones, and that shows only in the bills: what is out is
    counted with caution.
    """
    peer.service.credits = 2.0
    summary = await run(inbox, peer, f"limits.{limit}")
    assert (summary.exit_code, summary.credits) == (3, 10)
    assert (summary.documents["saved"], unsent(summary)) == (5, DOCUMENTS - 5)


async def test_a_cap_that_was_passed_is_told_with_the_document_that_passed_it(
    inbox: Path, peer: Peer
) -> None:
    """One text was tried, whose price nobody could know; nothing was sent after it."""
    peer.service.credits = 20.0
    summary = await run(inbox, peer, "limits.max_credits=5")
    assert (summary.exit_code, summary.credits, len(peer.service.jobs)) == (3, 20, 1)
    assert any("max_credits = 5: 20 spent; the last document (" in note for note in summary.notes)
    assert any("cost 20 and was expected to cost 1" in note for note in summary.notes)


async def test_a_plan_says_which_pages_it_could_not_count(tmp_path: Path) -> None:
    """A long text is no page."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "long.txt").write_text("word " * 12_000)
    os.utime(tmp_path / "in" / "long.txt", (1_700_000_000, 1_700_000_000))
    _, out, _ = await batcher("plan", tmp_path / "in", "-o", tmp_path / "out")
    assert "at least: pages of 1 can't be counted here; by their size 20 pages are likelier" in out


async def test_a_cap_that_is_never_reached_changes_nothing(inbox: Path, peer: Peer) -> None:
    """Exit code 0, the last document included."""
    summary = await run(inbox, peer, f"limits.max_documents={DOCUMENTS}")
    assert (summary.exit_code, summary.reason) == (0, "")


async def test_a_cap_below_one_document_sends_nothing_and_says_why(inbox: Path, peer: Peer) -> None:
    """And ends, rather than waiting for a document that fits."""
    summary = await run(inbox, peer, "limits.max_credits=0.25")
    assert summary.exit_code == 3 and "less than one document needs" in summary.reason
    assert len(peer.service.jobs) == 0
    manifest = for_directory(inbox, inbox.with_name("out"))
    said = [words for words, _ in end_lines(summary, manifest)]
    assert said[-1] == "to continue, raise that limit and rerun the same command"


async def test_documents_too_large_for_the_rest_are_passed_over(inbox: Path, peer: Peer) -> None:
    """Smaller ones still go; the large one is named."""
    (inbox / "00 first.pdf").write_bytes(b"%PDF-1.7 " + b"<</Type/Page>>" * 30)
    os.utime(inbox / "00 first.pdf", (1_700_000_000, 1_700_000_000))
    summary = await run(inbox, peer, "limits.max_pages=20")
    assert summary.documents == {"saved": DOCUMENTS, "queued": 1}
    assert summary.exit_code == 3 and "(30)" in summary.reason


async def test_a_run_that_begins_after_its_stop_sends_nothing(inbox: Path, peer: Peer) -> None:
    """A timer that fires late, after a night's end, must not run through the day."""
    an_hour_ago = datetime.now() - timedelta(hours=1)
    summary = await run(inbox, peer, f"limits.stop_at={an_hour_ago:%H:%M}")
    assert summary.exit_code == 3 and "stop_at" in summary.reason
    assert len(peer.service.jobs) == 0


async def test_a_plan_says_that_a_run_now_would_send_nothing(inbox: Path, tmp_path: Path) -> None:
    """Where its time is up before it begins; an hour that is still to come says nothing."""
    words = ("plan", inbox, "-o", tmp_path / "out", "--stop-at")
    past, ahead = (datetime.now() + timedelta(hours=hours) for hours in (-1, 14))
    told = (await batcher(*words, f"{past:%H:%M}"))[1]
    assert f"a run now would send nothing: limits.stop_at = {past:%H:%M} is past" in told
    values = json.loads((await batcher(*words, f"{past:%H:%M}", "--json"))[1])
    assert values["sends_nothing"] == f"limits.stop_at = {past:%H:%M} is past"
    assert "would send nothing" not in (await batcher(*words, f"{ahead:%H:%M}"))[1]
    told = (await batcher(*words, f"{ahead:%H:%M}", "-S", "limits.max_duration=0"))[1]
    assert "would send nothing: limits.max_duration = 0 s is over" in told


async def test_a_sample_is_all_that_was_asked(inbox: Path, peer: Peer, tmp_path: Path) -> None:
    """Exit code 0, and a word on what is left; a limit of the manifest's that comes first is one
    all the same.
    """
    words = ("run", inbox, "-o", tmp_path / "out", "--service", peer.url)
    code, _, err = await batcher(*words, "--sample", 3, "-S", "limits.max_credits=1")
    assert code == 3 and "max_credits" in err and len(peer.service.jobs) == 1
    code, _, err = await batcher(*words, "--sample", 3)
    assert (
        code == 0 and "the sample is taken: 4 documents left" in err and len(peer.service.jobs) == 4
    )
    peer.moods["run_job"] = says(415, UNPROCESSABLE)
    assert (await batcher(*words, "--sample", 1))[0] == 1


async def test_whoever_is_strict_minds_what_any_run_left(
    inbox: Path, peer: Peer, tmp_path: Path
) -> None:
    """A verdict of an earlier run is told and isn't this run's; with --strict it is exit code 1, of
    `status` too.
    """
    words = ("run", inbox, "-o", tmp_path / "out", "--service", peer.url)
    peer.moods["run_job"] = once(says(415, UNPROCESSABLE), "run_job")
    codes = [
        (await batcher(*words, *strict))[0]
        for strict in ((), (), ("--strict",), ("--strict", "--collect"))
    ]
    assert codes == [1, 0, 1, 1]
    assert [
        (await batcher("status", tmp_path / "out", *strict))[0] for strict in ((), ("--strict",))
    ] == [0, 1]
    assert (await batcher("status", tmp_path / "out", "--strict", "--watch"))[0] == 1
    await batcher("retry", tmp_path / "out")
    assert (await batcher("status", tmp_path / "out", "--strict"))[0] == 1, (
        "in the queue isn't saved"
    )
    _, out, _ = await batcher(*words, "--strict", "--json")
    assert (json.loads(out)["exit_code"], json.loads(out)["ended"]) == (0, "finished")
    assert (await batcher("status", tmp_path / "out", "--strict"))[0] == 0


async def test_what_failed_for_a_passing_reason_waits_for_the_next_run(
    inbox: Path, peer: Peer, tmp_path: Path
) -> None:
    """Its verdict too: exit code 3 and a word in each place, until the third run; another
    document's is 1 at once.
    """
    words = (inbox, "-o", tmp_path / "out", "--service", peer.url, "-S", "retry.TIMEOUT.attempts=1")
    peer.service.work = lambda job: (0.0, "TIMEOUT")
    code, out, err = await batcher("run", *words, "--json")
    told = json.loads(out)
    assert (code, told["ended"], told["waiting"], told["taken_up"]) == (3, "stopped", DOCUMENTS, 0)
    (group,) = told["failures"]
    assert (group["waits"], group["runs"]) == (
        DOCUMENTS,
        1,
    ) and f"{DOCUMENTS} documents failed for a reason" in err
    for command in ("status", "failures"):
        assert (
            "will be tried again by the next run (1 run so far)"
            in (await batcher(command, tmp_path / "out"))[1]
        )
    assert f"{DOCUMENTS} of them failed for a passing reason" in (await batcher("plan", *words))[1]
    peer.service.work = lambda job: (0.0, "TIMEOUT" if len(peer.service.jobs) % 2 else None)
    code, out, err = await batcher("run", *words, "--json")
    told = json.loads(out)
    assert (code, told["taken_up"]) == (
        3,
        DOCUMENTS,
    ) and "that had failed for a passing reason, tried again" in err
    peer.service.work = lambda job: (0.0, "TIMEOUT")
    assert (await batcher("run", *words, "-q"))[0] == 1
    code, out, _ = await batcher("run", *words, "--json")
    assert (code, json.loads(out)["waiting"]) == (0, 0), "a verdict of an earlier run"


async def test_a_verdict_weighs_more_than_what_waits(
    inbox: Path, peer: Peer, tmp_path: Path
) -> None:
    """Exit code 1 where one document's own fault is among those; and where a manifest wants no
    second tries.
    """
    peer.service.work = lambda job: (
        0.0,
        "DOCUMENT_CORRUPT" if len(peer.service.jobs) == 0 else "TIMEOUT",
    )
    assert (await run(inbox, peer, "retry.TIMEOUT.attempts=1")).exit_code == 1
    peer.service.work = lambda job: (0.0, "TIMEOUT")
    overrides = ("retry.TIMEOUT.attempts=1", "retry.runs=1")
    manifest = for_directory(inbox, tmp_path / "other", service=peer.url, overrides=overrides)
    summary = await run_batch(manifest)
    assert (summary.exit_code, summary.waiting) == (1, 0)
    assert "tried again" not in status_words(
        "other", status_values(tmp_path / "other" / ".batcher" / "ledger.db")
    )


async def test_time_that_is_up_is_no_failure_where_nothing_is_left(inbox: Path, peer: Peer) -> None:
    """All was sent by then, and all comes home: exit code 0."""
    control = RunControl()

    def stop_at_the_last(ledger: Ledger) -> None:
        def hear(change: Transition) -> None:
            if len(peer.service.jobs) == DOCUMENTS:
                control.stop("time is up", 3, home=True)

        ledger.listeners.append(hear)

    manifest = for_directory(inbox, inbox.parent / "out", service=peer.url)
    summary = await run_batch(manifest, control=control, watch=stop_at_the_last)
    assert (summary.exit_code, summary.reason, summary.documents) == (0, "", {"saved": DOCUMENTS})


async def test_collect_brings_home_and_sends_nothing(inbox: Path, peer: Peer) -> None:
    """What an earlier run left out is saved, what it didn't send stays in the queue."""
    control = RunControl()

    def cut_off(ledger: Ledger) -> None:
        def hear(change: Transition) -> None:
            if isinstance(change.event, Accepted):
                control.stop("the power went", 3, abort=True)

        ledger.listeners.append(hear)

    manifest = for_directory(
        inbox, inbox.parent / "out", service=peer.url, overrides=("limits.max_documents=4",)
    )
    await run_batch(manifest, control=control, watch=cut_off)
    sent = len(peer.service.jobs)
    summary = await collect_batch(manifest)
    assert 0 < sent == len(peer.service.jobs)
    assert summary.documents == {"saved": sent, "queued": DOCUMENTS - sent}
    assert summary.exit_code == 0


WRONG = (
    "limits.max_documents=0",
    "limits.max_cost=-1",
    "limits.stop_at=25:00",
    "limits.max_duration=soon",
)


@pytest.mark.parametrize("override", WRONG)
def test_a_limit_that_is_none_is_named(override: str, inbox: Path, tmp_path: Path) -> None:
    """With its key."""
    with pytest.raises(ManifestError, match=override.partition("=")[0]):
        for_directory(inbox, tmp_path / "out", overrides=(override,))


# --- the evening before ---------------------------------------------------------------------------


async def test_a_plan_counts_pages_and_prices_them(inbox: Path, tmp_path: Path) -> None:
    """Offline, by both cards, with what could go wrong; nothing is written and nobody is asked."""
    (inbox / "report.pdf").write_bytes(b"%PDF-1.7 " + b"<</Type/Page>>" * 30)
    words = ("plan", inbox, "-o", tmp_path / "out", "--service", "reducto")
    code, out, _ = await batcher(*words)
    assert code == 0 and "38 pages" in out and "2026-12-07" in out and "batch" in out
    told = json.loads((await batcher(*words, "--json"))[1])
    assert (told["cost"]["pages"], told["credits"]) == (38, 30 + DOCUMENTS / 2)
    assert told["forecast"]["warnings"]
    assert not (tmp_path / "out").exists()


async def test_a_plan_comes_to_what_the_run_then_costs(tmp_path: Path) -> None:
    """Of real documents of many kinds, to the half credit."""
    words = (ROOT / "manifests" / "quickstart.toml", "-S", f"output.directory={tmp_path / 'out'}")
    planned = json.loads((await batcher("plan", *words, "--json"))[1])
    done = json.loads((await batcher("run", *words, "--json", "-q"))[1])
    assert (planned["cost"]["pages"], planned["credits"]) == (done["pages"], done["credits"])


async def test_a_check_proves_the_means_and_submits_nothing(
    inbox: Path, peer: Peer, tmp_path: Path
) -> None:
    """The fence by a spare upload; the listing once there is a job of ours; both are stored."""
    words = ("plan", inbox, "-o", tmp_path / "out", "--service", peer.url, "--check", "--json")
    code, out, err = await batcher(*words)
    assert code == 0, err
    checked = json.loads(out)["check"]
    assert (checked["fence"], checked["listing"], checked["is_sound"]) == (True, False, True)
    assert not peer.service.jobs and not peer.service.uploads
    await run(inbox, peer, "limits.max_documents=1")
    assert json.loads((await batcher(*words))[1])["check"]["listing"]
    uploads = peer.calls["upload"]
    assert (
        json.loads((await batcher(*words))[1])["check"]["fence"] and peer.calls["upload"] == uploads
    )


async def test_a_check_says_what_cannot_be_relied_on(
    inbox: Path, peer: Peer, tmp_path: Path
) -> None:
    """Exit code 1 where a deleted upload stays; 4 where the key is refused."""
    words = ("plan", inbox, "-o", tmp_path / "out", "--service", peer.url, "--check")
    peer.moods["delete_upload"] = says(200, {"detail": "as you like"})
    code, out, _ = await batcher(*words)
    assert code == 1 and "isn't gone" in out
    peer.moods["jobs"] = says(401, {"detail": "Invalid access token"})
    code, _, err = await batcher(*words)
    assert code == 4 and "Invalid access token" in err


@pytest.mark.parametrize("days", [1, -1])
async def test_a_service_whose_clock_is_a_day_off_is_gone_by(
    days: int, inbox: Path, peer: Peer
) -> None:
    """It is the service that deletes: deadlines are counted by its clock, all comes home, and
    somebody is told.
    """
    peer.off = days * 86400.0
    peer.service.clock = lambda: time.time() + peer.off
    summary = await run(inbox, peer)
    assert (summary.exit_code, summary.documents) == (0, {"saved": DOCUMENTS})
    (warning,) = summary.warnings
    assert ("behind" if days > 0 else "ahead of") in warning and "24 h" in warning
    with sqlite3.connect(inbox.parent / "out" / ".batcher" / "ledger.db") as ledger:
        (deadline_at,) = ledger.execute("SELECT min(deadline_at) FROM attempts").fetchone()
    assert deadline_at - peer.service.clock() == pytest.approx(12 * 3600, abs=60)


# --- the morning ----------------------------------------------------------------------------------


@asynccontextmanager
async def mailbox(*, hangs: bool = False) -> AsyncIterator[tuple[str, list[Any]]]:
    """An address and what is posted to it; one that hangs takes it in and never answers."""
    received: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        received.append(await request.json())
        if hangs:
            await asyncio.Event().wait()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", received
    finally:
        await runner.cleanup()


async def test_the_end_of_a_run_is_posted_with_a_digest_of_its_failures(
    inbox: Path, peer: Peer
) -> None:
    """The counts, the exit code, each reason once, and a line for a chat."""
    peer.moods["run_job"] = says(415, UNPROCESSABLE)
    async with mailbox() as (url, received):
        await run(inbox, peer, f"notify.url={url}")
    (news,) = received
    assert (news["exit_code"], news["documents"]) == (1, {"failed": DOCUMENTS})
    assert [failure["documents"] for failure in news["failures"]] == [DOCUMENTS]
    assert "DOCUMENT_UNSUPPORTED" in news["failures"][0]["reason"]
    assert "exit code 1" in news["text"]


ENDS: dict[str, tuple[tuple[str, ...], int]] = {
    "finished": ((), 0),
    "limit": (("limits.max_documents=3",), 3),
    "stopped": ((), 3),
    "failed": ((), 1),
}


@pytest.mark.parametrize("how", ENDS)
async def test_it_is_told_how_a_run_ended(how: str, inbox: Path, peer: Peer) -> None:
    """Finished, at a limit, stopped by somebody or failed: in the message, the summary, the file
    and the ledger.
    """
    overrides, code = ENDS[how]
    if how == "failed":
        peer.moods["run_job"] = says(415, UNPROCESSABLE)
    control = RunControl()
    if how == "stopped":
        control.stop("on request", 3, how=RunEnd.STOPPED)
    async with mailbox() as (url, received):
        others = [one for one in ENDS if one != how]
        for on in (others, [how]):
            words = (*overrides, f"notify.url={url}", f"notify.on={json.dumps(on)}")
            manifest = for_directory(
                inbox, inbox.parent / f"out {len(on)}", service=peer.url, overrides=words
            )
            summary = await run_batch(manifest, control=control)
            control = control if how == "stopped" else RunControl()
    (news,) = received
    written = json.loads((inbox.parent / "out 1" / ".batcher" / "summary.json").read_text())
    assert (summary.ended, news["ended"], written["ended"]) == (how, how, how)
    assert (summary.exit_code, news["exit_code"]) == (code, code)
    last_run = status_values(inbox.parent / "out 1" / ".batcher" / "ledger.db")["last_run"]
    assert (last_run.ended, last_run.exit_code) == (how, code)


async def test_only_the_runs_asked_for_are_posted(inbox: Path, peer: Peer) -> None:
    """Silence of a good night; a night that can't even begin is told."""
    async with mailbox() as (url, received):
        await run(inbox, peer, f"notify.url={url}", 'notify.on=["failed"]')
        assert received == []
        manifest = for_directory(
            inbox, inbox.parent / "out", overrides=(f"notify.url={url}", "batch=another")
        )
        with pytest.raises(Exception, match="another"):
            await run_batch(manifest)
    assert received[0]["exit_code"] == 2 and "belongs to batch" in received[0]["reason"]


async def test_an_address_that_hangs_holds_up_nobody() -> None:
    """It is given its seconds, and then a word says so."""
    async with mailbox(hangs=True) as (url, received):
        assert (
            await notify(url, {"text": "x"}, patience=0.3)
            == "notify.url didn't answer within 0.3 s"
        )
    assert received == [{"text": "x"}]


async def test_an_address_where_nobody_is_costs_a_note(inbox: Path, peer: Peer) -> None:
    """The run's own exit code stands."""
    summary = await run(inbox, peer, "notify.url=http://127.0.0.1:1/")
    assert summary.exit_code == 0 and len(summary.notes) == 1


async def test_a_summary_lies_beside_the_ledger(inbox: Path, peer: Peer) -> None:
    """For programs, of the latest run."""
    summary = await run(inbox, peer)
    written = json.loads((inbox.parent / "out" / ".batcher" / "summary.json").read_text())
    assert (written["documents"], written["exit_code"]) == (dict(summary.documents), 0)


# --- the command line -----------------------------------------------------------------------------


async def test_quiet_says_nothing_of_a_good_night(inbox: Path, peer: Peer, tmp_path: Path) -> None:
    """And names the trouble of another."""
    words = ("run", inbox, "-o", tmp_path / "out", "--service", peer.url, "-q")
    code, _, err = await batcher(*words, "-S", "limits.max_documents=2")
    assert code == 3 and "max_documents" in err
    assert await batcher(*words) == (0, "", "")


async def test_the_log_is_lines_of_json(inbox: Path, peer: Peer, tmp_path: Path) -> None:
    """One for each change and one for the end; no nonce in them."""
    words = ("run", inbox, "-o", tmp_path / "out", "--service", peer.url, "--log-json")
    _, _, err = await batcher(*words)
    lines = [json.loads(line) for line in err.splitlines()]
    assert sum(line["event"] == "Saved" for line in lines) == DOCUMENTS
    assert lines[-1]["event"] == "RunEnded" and not any("nonce" in line for line in lines)


async def test_watch_follows_a_run_to_its_end(inbox: Path, peer: Peer, tmp_path: Path) -> None:
    """From another process; where no run is under way it says how things stand, once."""
    await batcher("run", inbox, "-o", tmp_path / "out", "--service", peer.url, "-q")
    code, out, _ = await batcher("status", "--watch", tmp_path / "out")
    assert code == 0 and out.count(f"{DOCUMENTS} saved") == 1


async def test_watch_ends_where_a_run_was_killed(inbox: Path, peer: Peer, tmp_path: Path) -> None:
    """Its row says that it goes on; that nobody holds the ledger says that it doesn't."""
    await run(inbox, peer)
    with sqlite3.connect(tmp_path / "out" / ".batcher" / "ledger.db") as ledger:
        ledger.execute("UPDATE runs SET ended_at = NULL")
    async with asyncio.timeout(20):
        code, out, _ = await batcher("status", "--watch", tmp_path / "out")
    assert code == 0 and f"{DOCUMENTS} saved" in out


async def test_status_tells_of_what_is_out_what_it_costs_at_least(
    inbox: Path, peer: Peer, tmp_path: Path
) -> None:
    """Nobody counts pages where no limit asks for it: the sum in all goes by what documents cost so
    far.
    """
    told = list[dict[str, Any]]()

    def look(ledger: Ledger) -> None:
        def hear(change: Transition) -> None:
            if ledger.tally["saved"] == 2 and ledger.in_flight and not told:
                told.append(
                    status_values(tmp_path / "out" / ".batcher" / "ledger.db", under_way=True)
                )

        ledger.listeners.append(hear)

    peer.service.credits = 30.0
    overrides = ("service.max_in_flight=2",)
    await run_batch(
        for_directory(inbox, tmp_path / "out", service=peer.url, overrides=overrides), watch=look
    )
    cost = told[0]["cost"]
    assert cost["projected"] == pytest.approx(30.0 * DOCUMENTS)
    assert 0 < cost["committed"] < cost["likely"]
    words = status_words("out", told[0])
    assert re.search(r"at least \d credits? \(\$", words), words


async def test_status_tells_what_is_spent_committed_and_to_come(
    inbox: Path, peer: Peer, tmp_path: Path
) -> None:
    """From the ledger alone, also while a run holds it; in credits and, by the manifest's price of
    one, in dollars.
    """
    told = list[dict[str, Any]]()

    def look(ledger: Ledger) -> None:
        def hear(change: Transition) -> None:
            if ledger.tally["saved"] == 2 and not told:
                told.append(
                    status_values(tmp_path / "out" / ".batcher" / "ledger.db", under_way=True)
                )

        ledger.listeners.append(hear)

    overrides = ("prices.dollars_per_credit=0.01", "service.max_in_flight=2")
    manifest = for_directory(inbox, tmp_path / "out", service=peer.url, overrides=overrides)
    await run_batch(manifest, watch=look)
    cost = told[0]["cost"]
    documents = told[0]["documents"]
    assert (cost["spent"], cost["dollars_per_credit"]) == (documents["saved"], 0.01)
    assert cost["projected"] == pytest.approx(DOCUMENTS)
    after = status_values(tmp_path / "out" / ".batcher" / "ledger.db")
    assert (after["cost"]["spent"], after["cost"]["committed"], after["cost"]["to_come"]) == (
        DOCUMENTS,
        0,
        0,
    )
    assert "8 credits ($0.08)" in status_words("out", after)


async def test_the_time_left_goes_by_the_speed_of_late(
    inbox: Path, peer: Peer, tmp_path: Path
) -> None:
    """Of a run under way; where none is, nobody can tell."""
    await run(inbox, peer, "limits.max_documents=6")
    path = tmp_path / "out" / ".batcher" / "ledger.db"
    going = status_values(path, under_way=True)
    standing = status_values(path)
    assert going["seconds_left"] == pytest.approx(2 / going["documents_per_second"])
    assert "documents a second" in status_words("out", going)
    assert standing["seconds_left"] is None


async def test_what_expired_is_told_with_its_cost(inbox: Path, peer: Peer, tmp_path: Path) -> None:
    """The service has deleted it before it was fetched, and it was paid for."""
    peer.service.retention = 0.0
    summary = await run(inbox, peer, "service.result_retention=0.1s", "limits.max_documents=1")
    assert (summary.documents["expired"], summary.dollars) == (1, 0.015)
    told = status_values(tmp_path / "out" / ".batcher" / "ledger.db")
    assert told["cost"]["lost"] == 1
    assert "1 credit ($0.01) of it for results that were never fetched" in status_words("out", told)


async def test_a_result_whose_time_runs_out_is_warned_of(
    inbox: Path, peer: Peer, tmp_path: Path
) -> None:
    """As long as it is out; at nine tenths of its time too."""
    control = RunControl()
    path = tmp_path / "out" / ".batcher" / "ledger.db"
    peer.service.work = lambda job: (1000.0, None)
    manifest = for_directory(
        inbox, tmp_path / "out", service=peer.url, overrides=("limits.max_documents=1",)
    )

    def hear(change: Transition) -> None:
        if isinstance(change.event, Accepted):
            control.stop("the power went", 3, abort=True)

    await run_batch(manifest, control=control, watch=lambda ledger: ledger.listeners.append(hear))
    assert status_values(path)["warnings"] == []
    with sqlite3.connect(path) as ledger:
        ledger.execute(
            "UPDATE attempts SET accepted_at = accepted_at - 40000, deadline_at = deadline_at - "
            "40000"
        )
    (warning,) = status_values(path)["warnings"]
    assert "93%" in warning and "53 min" in warning


async def test_a_rehearsal_leaves_the_batch_alone(inbox: Path, tmp_path: Path) -> None:
    """Another service, another output, another ledger; it tells what it took and what was lost."""
    words = ("run", inbox, "-o", tmp_path / "out", "--service", "http://127.0.0.1:1", "--rehearse")
    code, out, err = await batcher(*words, "--chaos", "slow=1:0.1")
    assert code == 0, err
    assert re.search(r"lost +nothing", out) and "peak memory" in out
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".batcher"]
    assert not (tmp_path / "out" / ".batcher" / "ledger.db").exists()


async def test_a_rehearsal_goes_on_as_the_next_nights_would(inbox: Path, tmp_path: Path) -> None:
    """What fails for a passing reason is tried by three runs, and only then it is a verdict."""
    rule = '{"class": "transient", "attempts": 1}'
    names = ("INTERNAL_ERROR", "CAPACITY_TIMEOUT", "GPU_UNAVAILABLE")
    rules = [word for name in names for word in ("-S", f"retry.{name}={rule}")]
    code, out, err = await batcher(
        "run", inbox, "-o", tmp_path / "out", "--chaos", "fail-transient=1", *rules, "--json"
    )
    assert (code, json.loads(out)["waiting"]) == (1, 0), err
    with sqlite3.connect(
        tmp_path / "out" / ".batcher" / "rehearsal" / ".batcher" / "ledger.db"
    ) as ledger:
        assert ledger.execute("SELECT exit_code FROM runs ORDER BY id").fetchall() == [
            (3,),
            (3,),
            (1,),
        ]


async def test_the_nightly_manifest_runs(tmp_path: Path) -> None:
    """As it stands, but for where its results go."""
    manifest = load(
        ROOT / "manifests" / "nightly.toml", overrides=(f"output.directory={tmp_path / 'out'}",)
    )
    summary = await run_batch(manifest)
    assert (summary.exit_code, set(summary.documents)) == (0, {"saved"})


UNITS = sorted((ROOT / "examples" / "night").glob("batcher-*"))
CALLERS = [
    "batcher-nightly.service",
    "batcher-collect.service",
    "crontab",
    "airflow_dag.py",
    "ci.yml",
]


@pytest.mark.parametrize("name", CALLERS)
def test_every_command_of_the_examples_is_one(name: str) -> None:
    """With options that exist."""
    commands = re.findall(
        r"batcher (run|status)\b([^\"|\n]*)", (ROOT / "examples" / "night" / name).read_text()
    )
    assert commands
    for command, rest in commands:
        known = {option for parameter in main.commands[command].params for option in parameter.opts}
        assert {word for word in rest.split() if word.startswith("-")} <= known


def test_the_units_are_what_systemd_takes(tmp_path: Path) -> None:
    """Each section and key; a signal reaches batcher alone, for the local service it carries has to
    outlive it.
    """
    for unit in UNITS:
        told = configparser.RawConfigParser(strict=False)
        told.read_string(unit.read_text())
        assert set(told.sections()) <= {"Unit", "Service", "Timer", "Install"}
        if unit.suffix == ".service":
            assert (told["Service"]["KillSignal"], told["Service"]["KillMode"]) == (
                "SIGINT",
                "mixed",
            )
            assert unit.with_suffix(".timer") in UNITS
    if shutil.which("systemd-analyze"):  # it looks for the program and the user, which aren't here
        for unit in UNITS:
            text = re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", unit.read_text())
            (tmp_path / unit.name).write_text(re.sub(r"(User|WorkingDirectory)=.*\n", "", text))
        subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.glob("batcher-*"))],
            check=True,
        )


def test_the_dag_is_python_and_the_crontab_is_shell() -> None:
    """As far as can be told without Airflow and cron."""
    folder = ROOT / "examples" / "night"
    compile((folder / "airflow_dag.py").read_text(), "airflow_dag.py", "exec")
    lines = [
        line for line in (folder / "crontab").read_text().splitlines() if not line.startswith("#")
    ]
    for line in lines:
        subprocess.run(["sh", "-n", "-c", line.split(maxsplit=5)[5]], check=True)
    assert len(lines) == 2
