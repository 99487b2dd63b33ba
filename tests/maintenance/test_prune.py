"""What goes from disk by `batcher prune`, and that all works afterwards and costs nothing."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commandline import Said, batcher, rows
from peer import Peer

from batcher.errors import LedgerLocked
from batcher.ledger.lock import lock
from batcher.maintenance import prune as pruning
from batcher.manifest.loading import for_directory
from batcher.runs import kinds
from batcher.runs.running import run_batch

Words = tuple[object, ...]


def own(out: Path, name: str) -> Path:
    return out / ".batcher" / name


def results(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*.json"))
        if ".batcher" not in path.parts
    }


async def told(out: Path, *more: object) -> dict[str, Any]:
    said = await batcher("prune", out, *more, "--json")
    assert said.code == 0, said.err
    values: dict[str, Any] = json.loads(said.out)
    return values


async def still_works(words: Words, peer: Peer, out: Path) -> Said:
    """A later run, `verify`, and a ledger made again from its journal: nothing is submitted."""
    paid = peer.calls["run_job"]
    before = results(out)
    said = await batcher(*words)
    assert said.code == 0, said.err
    verified = await batcher("verify", out)
    assert (verified.code, "6 results are on disk" in verified.out) == (0, True), verified.out
    for part in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        own(out, part).unlink(missing_ok=True)
    assert (await batcher("rebuild", out)).code == 0
    assert (await batcher(*words)).code == 0
    assert peer.calls["run_job"] == paid and results(out) == before
    return said


def left_by_a_crash(out: Path) -> list[Path]:
    own(out, "parts").mkdir(exist_ok=True)
    files = [
        own(out, "parts") / "0123",
        own(out, "ledger.v4.db.part"),
        own(out, "ledger.rebuilding.db"),
    ]
    return _written(files)


def traces(out: Path) -> list[Path]:
    return _written([own(out, "errors.log")])


def copies(out: Path) -> list[Path]:
    return _written([own(out, "ledger.v4.db"), own(out, "ledger.db.damaged-1")])


def nobodys(out: Path) -> list[Path]:
    """A replaced result that no document remembers."""
    own(out, "replaced").mkdir(exist_ok=True)
    return _written([own(out, "replaced") / f"{'0' * 64}.json"])


def rehearsal(out: Path) -> list[Path]:
    (own(out, "rehearsal") / ".batcher").mkdir(parents=True)
    return _written([own(out, "rehearsal") / "a.json", own(out, "rehearsal/.batcher/ledger.db")])


def _written(files: list[Path]) -> list[Path]:
    for file in files:
        file.write_bytes(b"x" * 1000)
    return files


async def test_what_nobody_needs_goes_and_all_else_works(
    words: Words, peer: Peer, out: Path
) -> None:
    """It is listed first, by kind with its size, and removed with --yes; the rest stays."""
    assert (await batcher(*words)).code == 0
    before = {path for path in out.rglob("*") if path.is_file()}
    left = {
        "unfinished files": left_by_a_crash(out),
        "traces": traces(out),
        "old ledger copies": copies(out),
        "replaced results": nobodys(out),
        "rehearsal": rehearsal(out),
    }
    listed = await told(out)
    assert listed["goes"] == {
        kind: {"files": len(files), "bytes": 1000 * len(files)} for kind, files in left.items()
    }
    files = [file for some in left.values() for file in some]
    assert all(file.exists() for file in files)
    assert (await told(out, "--yes"))["removed"] == 1000 * len(files)
    assert not any(file.exists() for file in files)
    # the connection that closes last takes the WAL with it
    there = {path for path in out.rglob("*") if path.is_file()}
    assert {path.name for path in before - there} <= {"ledger.db-wal", "ledger.db-shm"}
    assert (await told(out))["goes"] == {}
    await still_works(words, peer, out)


async def test_what_is_not_ours_or_in_use_stays(words: Words, out: Path, tmp_path: Path) -> None:
    """A stranger's file, a link and what it leads to, journals set aside, what `verify --repair`
    moved aside, a rehearsal that runs; and everything while a run holds the ledger.
    """
    assert (await batcher(*words)).code == 0
    own(out, "damaged").mkdir()
    strangers = _written(
        [
            own(out, "notes.txt"),
            own(out, "ledger.journal-1.jsonl"),
            own(out, "damaged/a.json"),
            tmp_path / "f",
        ]
    )
    (tmp_path / "away").mkdir()
    _written([tmp_path / "away" / "0123"])
    own(out, "parts").rmdir()
    own(out, "parts").symlink_to(tmp_path / "away")
    rehearsed = rehearsal(out)
    held = lock(own(out, "rehearsal/.batcher/ledger.db"))
    said = await batcher("prune", out, "--yes")
    os.close(held)
    assert said.code == 0 and "the rehearsal stays" in said.out
    assert all(path.exists() for path in [*strangers, *rehearsed, tmp_path / "away" / "0123"])
    traces(out)
    held = lock(own(out, "ledger.db"))
    look, refused = await batcher("prune", out), await batcher("prune", out, "--yes")
    os.close(held)
    assert look.code == 0 and "a run is under way" in look.err
    assert refused.code == 5 and own(out, "errors.log").exists()


async def test_a_replaced_result_stays_while_it_can_save_a_payment(
    words: Words, peer: Peer, inbox: Path, out: Path
) -> None:
    """Of a source that was edited; with --keep-runs it goes once it is old enough, and a source
    that is taken back then is paid for again, as was said.
    """
    again = (*words, "--yes")
    letter = inbox / "0" / "letter 0.txt"
    assert (await batcher(*again)).code == 0
    letter.write_text("edited")
    assert (await batcher(*again)).code == 0
    listed = await batcher("prune", out)
    assert "1 replaced result stay" in listed.out and "nothing of it can go" in listed.out
    assert (await told(out, "--yes"))["removed"] == 0
    letter.write_text("letter 0")
    paid = peer.calls["run_job"]
    assert (await batcher(*again)).code == 0
    assert peer.calls["run_job"] == paid  # taken from what was replaced
    # the same result lies in its place again; what it replaced in turn is younger than two runs
    assert (await told(out, "--keep-runs", 2, "--yes"))["goes"]["replaced results"]["files"] == 1
    assert len(list(own(out, "replaced").iterdir())) == 1
    assert (await batcher(*again)).code == 0
    gone = await batcher("prune", out, "--keep-runs", 1, "--yes")
    assert "is then paid for again" in gone.out and not list(own(out, "replaced").iterdir())
    await still_works(again, peer, out)


async def test_service_data_goes_once_the_results_are_verified(
    inbox: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the local service, where a run hasn't removed it itself: what belongs to a changed result
    stays, and later runs, repairs and rebuilds need none of it.
    """
    words = ("run", inbox, "-o", out, "-S", "service.settle=1")
    monkeypatch.setattr(kinds, "cleaner_of", lambda *_: None)
    assert (await run_batch(for_directory(inbox, out))).exit_code == 0
    first, *_ = sorted(path for path in (out / "0").iterdir())
    whole = first.read_bytes()
    first.unlink()
    assert "--service-data removes" in (await batcher("prune", out)).out
    assert len(list(own(out, "service/uploads").iterdir())) == 6
    done = await told(out, "--service-data", "--yes")
    assert "service data of 1 result stays" in done["notes"][0] and done["removed"] > 0
    for folder in ("uploads", "results"):
        assert sum(path.is_file() for path in own(out, f"service/{folder}").iterdir()) == 1
    assert (await batcher("verify", out, "--repair")).code == 1
    assert (await batcher(*words)).code == 0 and first.read_bytes() == whole  # fetched again
    assert rows(out, "SELECT count(*) FROM attempts") == [(6,)]
    await told(out, "--service-data", "--yes")
    assert not any(path.is_file() for path in own(out, "service/results").iterdir())
    assert rows(out, "SELECT count(*) FROM attempts WHERE cleaned_at IS NOT NULL") == [(6,)]
    before = results(out)
    for part in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        own(out, part).unlink(missing_ok=True)
    assert (await batcher("rebuild", out)).code == 0
    assert (await batcher(*words)).code == 0
    assert (await batcher("verify", out)).code == 0 and results(out) == before
    assert rows(out, "SELECT count(*) FROM attempts") == [(6,)]


async def test_a_ledger_is_rewritten_where_that_pays(
    words: Words, peer: Peer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Summaries of old runs become short and still say how they ended; a full disk is told."""
    for _ in range(3):
        assert (await batcher(*words)).code == 0
    with closing(sqlite3.connect(own(out, "ledger.db"), isolation_level=None)) as ledger:
        ledger.execute(
            "UPDATE runs SET summary = json_set(summary, '$.notes', json_array(?)) WHERE id < 3",
            ("x" * 2_000_000,),
        )
    before = own(out, "ledger.db").stat().st_size
    runs = json.loads((await batcher("runs", out, "--json")).out)
    audited = rows(out, "SELECT value FROM meta WHERE key = 'audited_to'")
    assert (await told(out))["vacuum"] == 0
    monkeypatch.setattr(pruning, "BESIDES", 1 << 60)
    full = pruning.look(pruning.Wish(out, own(out, "ledger.db"), keep_runs=1))
    assert not full.vacuums and "its disk has" in full.notes[-1]
    done = await told(out, "--keep-runs", 1, "--yes")
    assert done["summaries"]["runs"] == 2 and done["won"] > 3_900_000
    assert own(out, "ledger.db").stat().st_size < before - 3_900_000
    assert rows(out, "SELECT value FROM meta WHERE key = 'audited_to'") == audited
    after = json.loads((await batcher("runs", out, "--json")).out)
    for was, now in zip(runs, after, strict=True):
        assert was | {"warnings": []} == now | {"warnings": []}
    await still_works(words, peer, out)


async def test_a_run_that_begins_as_all_else_is_done_keeps_its_ledger(
    words: Words, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was removed is told."""
    assert (await batcher(*words)).code == 0
    left = left_by_a_crash(out)
    monkeypatch.setattr(pruning, "_add_vacuum", lambda plan, *_: setattr(plan, "vacuums", True))
    ledger = own(out, "ledger.db")
    healthy = pruning._remove

    def run_begins(*which: Any) -> int:
        monkeypatch.setattr(pruning, "lock", locked)
        return healthy(*which)

    def locked(path: Path) -> int:
        raise LedgerLocked(f"{path}: a run is under way")

    monkeypatch.setattr(pruning, "_remove", run_begins)
    done = await pruning.prune(pruning.Wish(out, ledger, None))
    assert done.removed == 1000 * len(left) and done.won == 0
    assert "a run has begun" in done.plan.notes[-1]


async def test_status_says_what_lies_on_disk(words: Words, out: Path) -> None:
    """Bytes by kind, in words and in JSON."""
    assert (await batcher(*words)).code == 0
    traces(out)
    values = json.loads((await batcher("status", out, "--json")).out)["disk"]
    assert values["results"] == sum(map(len, results(out).values()))
    assert values["traces"] == 1000 and values["ledger"] > 10_000 and values["journal"] > 1_000
    assert "on disk: results" in (await batcher("status", out)).out
