"""The Python API: what it promises, and that its examples are true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peer import KEY, UNPROCESSABLE, Peer, once, says

import batcher
from batcher import Happened, Ledger, LedgerError, ManifestError, State, run_batch
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
    run = [
        sys.executable,
        *(["-m", "pytest", "-q", "-p", "no:cacheprovider"] if name.startswith("test_") else []),
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
