"""The Python API: what it promises, and that its examples are true."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from peer import KEY, UNPROCESSABLE, Peer, once, says

import batcher
from batcher import Happened, Ledger, LedgerError, ManifestError, State, aio, run_batch
from batcher.testing import LocalReducto, local_reducto  # noqa: F401 (a fixture)

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def manifest(inbox: Path, out: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("REDUCTO_API_KEY", KEY)
    return {
        "batch": "from-python",
        "service": {"url": peer.url, "settle": 1},
        "source": {"directory": str(inbox)},
        "output": {"directory": str(out)},
    }


# --- running --------------------------------------------------------------------------------------


async def test_a_dictionary_is_a_manifest(manifest: dict[str, Any], out: Path) -> None:
    """It runs to its end, and every change of every document is told once it is durable."""
    told = list[Happened]()
    summary = await run_batch(manifest, on_event=told.append)
    assert summary.documents == {"saved": 6} and summary.exit_code == 0
    saved = [happened for happened in told if happened.after is State.SAVED]
    assert sorted(happened.source for happened in saved) == sorted(
        f"{n % 2}/letter {n // 2}.txt" for n in range(6)
    )
    assert len(told) == 6 * 5  # uploaded, sending, accepted, ended, saved


def test_the_sync_twin_takes_a_file(tmp_path: Path) -> None:
    """A path is a manifest's; here for the local service."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a letter")
    os.utime(tmp_path / "in" / "a.txt", (1_700_000_000, 1_700_000_000))
    path = tmp_path / "batch.toml"
    path.write_text('[source]\ndirectory = "in"\n[output]\ndirectory = "out"\n')
    assert batcher.run_batch_sync(path).documents == {"saved": 1}


async def test_a_verdict_is_no_exception(manifest: dict[str, Any], peer: Peer) -> None:
    """It stands in the summary and in the ledger."""
    peer.moods["run_job"] = once(says(422, UNPROCESSABLE), "run_job")
    summary = await run_batch(manifest)
    assert summary.exit_code == 1 and summary.documents == {"saved": 5, "failed": 1}
    with Ledger.open(manifest["output"]["directory"]) as ledger:
        (failed,) = ledger.documents(State.FAILED)
    assert failed.kind == "document" and failed.reason is not None


async def test_a_wrong_key_is_named(manifest: dict[str, Any]) -> None:
    """All problems at once, as facts."""
    with pytest.raises(ManifestError) as caught:
        await run_batch({**manifest, "colour": 1, "job": {"endpiont": "parse"}})
    assert [problem.key for problem in caught.value.problems] == ["colour", "job.endpiont"]


async def test_what_is_deleted_at_the_service_is_told_as_no_second_result(
    manifest: dict[str, Any], peer: Peer
) -> None:
    """Each document is saved once, though its job goes afterwards, as the local service's do."""
    manifest["output"]["clean"] = "saved"
    told = list[Happened]()
    async with aio.running(manifest, on_event=told.append) as run:
        sources = [document.source async for document in run.results()]
    assert peer.calls["delete_job"] == 6
    assert len(sources) == len(set(sources)) == 6
    assert sum(happened.after is State.SAVED for happened in told) == 6


# --- the other functions --------------------------------------------------------------------------


async def test_results_come_as_they_are_saved(
    manifest: dict[str, Any], out: Path, peer: Peer
) -> None:
    """While the run goes on, to each loop; the last ones also after its end. A second run saves
    none, and what is there is read from the output.
    """
    peer.moods["run_job"] = once(says(422, UNPROCESSABLE), "run_job")
    early = list[str]()
    async with aio.running(manifest) as run:
        async for document in run.results():
            early.append(document.source)
            assert document.kind == "parse" and document.is_whole
            assert run.summary is None or len(early) > 1
        again = [document.source async for document in run.results()]
    assert len(early) == 5 and again == early
    assert run.summary is not None and run.summary.documents == {"saved": 5, "failed": 1}
    async with aio.running(manifest) as run:
        assert [document async for document in run.results()] == []
    with batcher.open_results(out) as results:
        assert [document.source for document in results] == sorted(early)


async def test_an_error_ends_what_follows_a_run(manifest: dict[str, Any], out: Path) -> None:
    """That of the run ends the loop; one of the loop, a stop or a cancellation the run, which the
    same call resumes.
    """
    async with aio.running(manifest, sample=1):
        with pytest.raises(LedgerError, match="another run"):
            async with aio.running(manifest) as run:
                async for _ in run.results():
                    raise AssertionError
    with pytest.raises(ZeroDivisionError):
        async with aio.running(manifest) as run:
            async for _ in run.results():
                _ = 1 / 0
    assert not batcher.status(out)["under_way"]
    async with aio.running(manifest) as run:
        run.stop()
    assert run.summary is not None and run.summary.ended == "stopped"
    assert (await aio.run(manifest)).documents == {"saved": 6}


async def test_what_the_commands_do_can_be_called(
    manifest: dict[str, Any], out: Path, peer: Peer, tmp_path: Path
) -> None:
    """Awaited, and from a running loop without being awaited, as in a notebook."""
    peer.moods["run_job"] = once(says(422, UNPROCESSABLE), "run_job")
    assert (await aio.plan(manifest)).to_send == batcher.plan(manifest).to_send == 6
    assert not out.exists()
    sampled = await aio.run(manifest, sample=2)
    assert (sampled.exit_code, sampled.documents["queued"]) == (1, 3)  # one failed, two saved
    await aio.run(manifest)
    for batch in (manifest, out, str(out)):
        (failed,) = await aio.failures(batch)
        assert (failed.state, failed.kind) == (State.FAILED, "document") and failed.reason
        assert batcher.status(batch)["documents"] == {"saved": 5, "failed": 1}
        assert batcher.status(batch)["disk"]["results"] > 0
    said = batcher.status(out)["failed_documents"]
    assert said["documents"] == 1
    assert [one["path"] for one in said["first"]] == [failed.source]
    assert (await aio.status(out)).keys() == batcher.status(manifest).keys()
    assert batcher.retry(out, [failed.source], only="document").documents == 1
    assert (await aio.retry(out)).documents == 0
    assert (await aio.run(manifest, strict=True)).exit_code == 0
    assert (await aio.collect(out)).documents == (await aio.cancel(out)).documents == {"saved": 6}
    assert batcher.verify(manifest).is_whole and (await aio.verify(out)).saved == 6
    assert batcher.verify(out, ["0/*"]).saved == (await aio.verify(out, "0/*")).saved == 3
    with pytest.raises(batcher.BatcherError, match="nobody"):
        batcher.verify(out, "nobody.txt")
    assert batcher.export(out, tmp_path / "x.jsonl").rows == 6
    assert (await aio.export(out, tmp_path / "x.csv", what="attempts")).rows == 7
    ended = [run.ended for run in await aio.run_history(out)]
    assert ended == ["failed", "finished", "finished", "finished", "finished"]
    assert [run.number for run in batcher.run_history(out, last=1)] == [5]


def test_a_slip_is_told_with_what_there_is(manifest: dict[str, Any], tmp_path: Path) -> None:
    """Nothing is made."""
    (tmp_path / "out").mkdir()
    with pytest.raises(ManifestError, match="this is a directory"):
        batcher.run(tmp_path / "out")
    with pytest.raises(LedgerError, match="there is no ledger"):
        batcher.status(tmp_path / "out")
    with pytest.raises(batcher.BatcherError, match="there are transient, document"):
        batcher.retry(tmp_path / "out", only="colour")
    with pytest.raises(batcher.BatcherError, match="there are jsonl, csv, parquet"):
        batcher.export(tmp_path / "out", tmp_path / "x.xlsx")
    assert list((tmp_path / "out").iterdir()) == []


async def test_a_run_in_a_notebook_is_stopped_by_an_interruption(
    manifest: dict[str, Any], peer: Peer, out: Path
) -> None:
    """Its thread ends before the caller goes on, and the same call resumes it."""
    hold = asyncio.Event()
    asked = asyncio.Event()

    async def stay(peer: Peer, request: web.Request) -> web.StreamResponse:
        asked.set()
        await hold.wait()
        return web.Response(status=503)

    peer.moods["upload"] = stay
    code = f"""
import asyncio, batcher, signal, threading
async def cell():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as a notebook has it
    try:
        batcher.run({manifest!r})
    except KeyboardInterrupt:
        print([thread.name for thread in threading.enumerate() if thread.name == "batcher"])
asyncio.run(cell())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    await asked.wait()
    process.send_signal(signal.SIGINT)
    told, _ = await process.communicate()
    hold.set()
    assert told.decode().strip() == "[]" and process.returncode == 0
    del peer.moods["upload"]
    assert (await aio.run(manifest)).documents == {"saved": 6}


# --- the ledger -----------------------------------------------------------------------------------


async def test_the_ledger_is_read_as_values(manifest: dict[str, Any], out: Path) -> None:
    """Documents, attempts and events, also by the file's own name; whoever remembers a number
    misses none.
    """
    await run_batch(manifest)
    with Ledger.open(out / ".batcher" / "ledger.db", read_only=True) as ledger:
        documents = list(ledger.documents())
        assert [d.source for d in documents] == sorted(d.source for d in documents) and len(
            documents
        ) == 6
        assert all(d.current and d.state is State.SAVED for d in documents)
        (attempt,) = ledger.attempts(documents[0].id)
        assert attempt.outcome == "saved" and attempt.job_id is not None
        story = list(ledger.events(documents[0].id))
        assert [line.event for line in story] == [
            "Found",
            "Uploaded",
            "Sending",
            "Accepted",
            "Ended",
            "Saved",
        ]
        assert (
            isinstance(story[-1].detail, dict)
            and story[-1].detail["sha256"] == documents[0].output_sha256
        )
        everything = list(ledger.events())
        assert list(ledger.events(after=everything[9].seq)) == everything[10:]
        assert ledger.counts() == {State.SAVED: 6}
        (saved,) = ledger.progress()
        assert saved == (State.SAVED, 6, sum(document.size for document in documents))
        assert ledger.failures() == []
        costs = list(ledger.costs())
        assert {cost.job_id for cost in costs} == {one.job_id for one in ledger.attempts()}


def test_the_ledger_offers_what_its_help_says_and_nothing_else() -> None:
    """Each public method of `Ledger` has a docstring, and no query of ours shows through."""
    public = {name for name in dir(Ledger) if not name.startswith("_")}
    assert public == set(
        "open close documents attempts events counts progress failures costs".split()
    )
    assert all(getattr(Ledger, name).__doc__ for name in public)


def test_a_ledger_that_is_not_there_is_named(tmp_path: Path) -> None:
    """And nothing is made."""
    with pytest.raises(LedgerError, match="there is no ledger"):
        Ledger.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- names ----------------------------------------------------------------------------------------


def test_every_name_is_there_and_none_is_loaded_before_it_is_used() -> None:
    """Importing batcher loads nothing of itself, nor any library."""
    loaded = (
        "[name for name in sys.modules if 'batcher.' in name or name in ('aiohttp', "
        "'asyncio', 'msgspec')]"
    )
    code = f"import sys, batcher; print({loaded})"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
        == "[]"
    )
    for name in batcher.__all__:
        assert getattr(batcher, name) is not None
    assert set(batcher.__all__) <= set(dir(batcher))
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = batcher.colour  # type: ignore[attr-defined]


# --- for other people's tests, and the examples ---------------------------------------------------


def test_a_local_reducto_answers_with_its_key_alone(local_reducto: LocalReducto) -> None:  # noqa: F811
    """In a process of its own; the key is in no repr."""
    import urllib.error
    import urllib.request

    call = urllib.request.Request(
        f"{local_reducto.url}/version", headers={"Authorization": f"Bearer {local_reducto.key}"}
    )
    with urllib.request.urlopen(call) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{local_reducto.url}/jobs")
    assert local_reducto.key not in repr(local_reducto)


def example(name: str, *words: object, cwd: Path) -> str:
    """What it prints."""
    is_test = name.startswith("test_")
    run = [
        sys.executable,
        *(["-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"] if is_test else []),
    ]
    said = subprocess.run(
        [*run, str(EXAMPLES / name), *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout


@pytest.fixture
def results(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "results"


def test_the_examples_of_running_and_reading_do_what_they_say(
    results: Path, tmp_path: Path
) -> None:
    """Five invoices saved, and then told by the ledger."""
    said = example("run_a_batch.py", results, cwd=tmp_path)
    assert said.count("saved invoices/2026/") == 5 and "exit code 0" in said
    assert len(list(results.rglob("*.md"))) == 5
    assert "5 saved" in example("read_the_ledger.py", results, cwd=tmp_path)
    read = example("read_results.py", results, cwd=tmp_path)
    assert read.count("tables of [") == 5 and "chunks, columns source, path, step" in read
    followed = example("follow_a_run.py", tmp_path / "followed", cwd=tmp_path)
    assert followed.count("indexed invoices/2026/") == 5 and "{'saved': 5}" in followed


def test_the_example_of_calling_the_service_does_what_it_says(tmp_path: Path) -> None:
    """A table of the document."""
    assert "| Part | Store |" in example("call_the_service.py", cwd=tmp_path)


def test_the_example_of_a_test_passes(tmp_path: Path) -> None:
    """With the official SDK."""
    assert "1 passed" in example("test_your_code.py", cwd=tmp_path)


def test_each_example_is_run_here() -> None:
    """None is left out."""
    text = Path(__file__).read_text()
    assert all(f'"{path.name}"' in text for path in EXAMPLES.glob("*.py"))


def test_the_queries_for_datasette_are_queries(tmp_path: Path) -> None:
    """Each runs on a ledger as it is, read-only."""
    from ledgers import make_ledger

    from batcher.ledger.connection import reader

    told = json.loads((EXAMPLES / "datasette" / "metadata.json").read_text())
    connection = reader(make_ledger(tmp_path / "ledger.db", 60))
    for name, query in told["databases"]["ledger"]["queries"].items():
        rows = connection.execute(query["sql"], {"source": "letters/1/000001.pdf"}).fetchall()
        assert rows or name in ("about-to-expire", "paid-more-than-once"), name
