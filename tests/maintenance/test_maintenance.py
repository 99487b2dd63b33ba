"""What a person does with a batch between its runs, at the command line."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from commandline import batcher, rows, start
from ledgers import make_ledger
from peer import UNPROCESSABLE, Peer, accepts_and_hangs_up, says
from sqlite_utils import Database

from batcher.ledger.connection import reader
from batcher.ledger.migrations import APPLICATION_ID, migrations
from batcher.ledger.queries.repair import RepairQueries
from batcher.maintenance.retry import with_dependents
from batcher.maintenance.verify import prospects, verify
from batcher.reducto.api_types import ErrorName

Words = tuple[object, ...]


def results(out: Path) -> list[Path]:
    return sorted(path for path in out.rglob("*.txt.json") if ".batcher" not in path.parts)


async def test_why_tells_every_attempt_and_what_it_cost(
    words: Words, peer: Peer, out: Path
) -> None:
    """Two attempts: the first failed at the service, the second was saved."""
    peer.service.work = lambda job: (
        0.0,
        ErrorName.TIMEOUT if len(peer.service.jobs) == 0 else None,
    )
    assert (await batcher(*words)).code == 0
    (source,) = next(
        iter(
            rows(
                out,
                "SELECT source FROM documents d JOIN attempts a ON a.document = d.id GROUP BY "
                "d.id HAVING count(*) = 2",
            )
        )
    )
    said = await batcher("why", out, source)
    assert said.code == 0
    assert "attempt 1: void (TIMEOUT" in said.out
    assert "attempt 2: saved" in said.out
    assert "estimated at 1 credit\n" in said.out and "1 page, 1 credit" in said.out
    (version,) = json.loads((await batcher("why", out, source, "--json")).out)
    assert [attempt["outcome"] for attempt in version["attempts"]] == ["void", "saved"]
    assert (
        "Accepted        waiting     job " in said.out
        and "kept until 20" in said.out
        and "{" not in said.out
    )
    nobody = await batcher("why", out, "0/nobody.txt")
    assert (nobody.code, "no such document" in nobody.err) == (2, True)


async def test_why_finds_a_document_by_what_a_shell_completes(
    words: Words, inbox: Path, out: Path
) -> None:
    """By a leading ./, by the file where it lies, by its result."""
    assert (await batcher(*words)).code == 0
    for path in ("./0/letter 0.txt", inbox / "0" / "letter 0.txt", "0/letter 0.txt.json"):
        said = await batcher("why", out, path)
        assert said.code == 0 and said.out.startswith("0/letter 0.txt parse: saved")


async def test_where_nothing_failed_nothing_is_put_back(words: Words, out: Path) -> None:
    """It is said, and no next run is asked for."""
    assert (await batcher(*words)).code == 0
    said = await batcher("retry", out)
    assert (
        said.code == 0
        and "0 documents are in the queue again; `batcher failures`" in said.err
        and "next:" not in said.err
    )


async def test_why_names_the_document_that_paid(
    words: Words, peer: Peer, inbox: Path, out: Path
) -> None:
    """A copy's result came of another's job: by path, for nobody knows a document by its number."""
    first, second = sorted(inbox.rglob("*.txt"))[:2]
    second.write_bytes(first.read_bytes())
    assert (await batcher(*words)).code == 0
    names = [path.relative_to(inbox).as_posix() for path in (first, second)]
    stories = [(await batcher("why", out, name)).out for name in names]
    paid_by = [name for name in names if any(f"paid by  {name}: " in story for story in stories)]
    assert len(paid_by) == 1 and sum("paid by" in story for story in stories) == 1


async def test_a_failure_is_told_with_what_to_do_and_can_be_tried_again(
    words: Words, peer: Peer, out: Path
) -> None:
    """All six are refused as unfit; once the service takes them, `retry` and `run` bring them
    home.
    """
    peer.moods["run_job"] = says(415, UNPROCESSABLE)
    assert (await batcher(*words)).code == 1
    said = await batcher("failures", out)
    assert "6 failed" in said.out
    assert "next" in said.out
    nothing = await batcher("retry", out, "--only", "expired")
    assert "0 documents" in nothing.err
    assert "6 documents" in (await batcher("retry", out, "--only", "document")).err
    del peer.moods["run_job"]
    assert (await batcher(*words)).code == 0
    assert len(results(out)) == 6


async def test_a_copy_tried_again_waits_for_its_payer_again(
    inbox: Path, words: Words, peer: Peer, out: Path
) -> None:
    """Two of the same bytes fail together and come back together: one job, two results."""
    for name in ("0/letter 0.txt", "1/letter 0.txt"):
        (inbox / name).write_text("the same")
    peer.moods["run_job"] = says(415, UNPROCESSABLE)
    assert (await batcher(*words)).code == 1
    await batcher("retry", out)
    del peer.moods["run_job"]
    assert (await batcher(*words)).code == 0
    assert len(peer.service.jobs) == 5
    assert len(results(out)) == 6


async def test_verify_finds_what_is_missing_changed_or_strange_and_repairs_it(
    words: Words, peer: Peer, out: Path
) -> None:
    """Exit 1 and three names; repaired, the results are fetched again without a new job."""
    assert (await batcher(*words)).code == 0
    missing, changed, *_ = results(out)
    missing.unlink()
    as_saved = changed.read_bytes()
    changed.write_text("edited")
    (out / "notes.txt").write_text("mine")
    found = json.loads((await batcher("verify", out, "--json")).out)
    assert [len(found[kind]) for kind in ("missing", "changed", "strays")] == [1, 1, 1]
    assert found["saved"] == 4
    said = await batcher("verify", out, "--repair")
    aside = out / ".batcher" / "damaged" / changed.relative_to(out)
    assert said.code == 1 and f"{changed.relative_to(out)} -> {aside}" in said.err
    assert aside.read_text() == "edited"
    assert (await batcher("run", out, "--collect")).code == 0
    clean = json.loads((await batcher("verify", out, "--json")).out)
    assert (clean["saved"], clean["strays"]) == (6, ["notes.txt"])
    assert changed.read_bytes() == as_saved
    assert len(peer.service.jobs) == 6


async def test_a_result_of_an_older_version_is_named_until_a_newer_one_is_saved(
    words: Words, inbox: Path, peer: Peer, out: Path
) -> None:
    """It stays in its place, for it is all that there is; but it isn't what the source says now."""
    assert (await batcher(*words)).code == 0
    letter = inbox / "0" / "letter 0.txt"
    letter.write_bytes(b"")
    assert (await batcher(*words)).code == 1
    said = await batcher("verify", out)
    assert said.code == 0 and "older version" in said.out and "letter 0.txt.json" in said.out
    letter.write_text("edited")
    assert (await batcher(*words)).code == 0
    assert json.loads((await batcher("verify", out, "--json")).out)["older"] == []


async def test_what_is_damaged_twice_is_kept_twice(words: Words, out: Path) -> None:
    """Also what was made of a result; no file that was moved aside takes another's place."""
    words = (*words, "-S", 'output.formats=["markdown"]')
    assert (await batcher(*words)).code == 0
    result = results(out)[0]
    text = result.with_name(result.name.removesuffix(".json") + ".md")
    for number in range(2):
        result.write_text(f"edited {number}")
        text.write_text(f"note {number}")
        said = json.loads((await batcher("verify", out, "--repair", "--json")).out)
        assert len(said["moved"]) == 2
        assert (await batcher(*words)).code == 0
        clean = json.loads((await batcher("verify", out, "--json")).out)
        assert (clean["saved"], clean["strays"], clean["unmade"]) == (6, [], [])
    kept = {path.read_text() for path in (out / ".batcher" / "damaged").rglob("*.*")}
    assert kept == {"edited 0", "edited 1", "note 0", "note 1"}


async def test_what_no_path_leads_to_is_left_where_it_lies(
    words: Words, out: Path, tmp_path: Path
) -> None:
    """A folder that is a link by now may be somebody else's: nothing is moved out of it."""
    assert (await batcher(*words)).code == 0
    (out / "0").rename(tmp_path / "elsewhere")
    (out / "0").symlink_to(tmp_path / "elsewhere")
    said = await batcher("verify", out, "--repair")
    assert said.code == 1 and "moved" not in said.err
    assert len(list((tmp_path / "elsewhere").iterdir())) == 3


async def test_a_result_that_the_service_no_longer_has_is_paid_again_by_repair(
    words: Words, peer: Peer, out: Path
) -> None:
    """And says for how much."""
    assert (await batcher(*words)).code == 0
    results(out)[0].unlink()
    with sqlite3.connect(out / ".batcher" / "ledger.db") as ledger:
        ledger.execute("UPDATE attempts SET deadline_at = 1")  # twelve hours later
    ledger.close()
    said = await batcher("verify", out, "--repair")
    assert "1 paid for again" in said.err
    assert (await batcher(*words)).code == 0
    assert len(peer.service.jobs) == 7
    assert len(results(out)) == 6


async def test_a_result_that_was_kept_as_it_was_replaced_is_copied_by_repair(
    words: Words, inbox: Path, peer: Peer, out: Path
) -> None:
    """Edited and edited back: what lay in its place in between has kept a copy of it."""
    letter = inbox / "0" / "letter 0.txt"
    as_it_was = letter.read_text()
    for text in (as_it_was, "edited", as_it_was):
        letter.write_text(text)
        assert (await batcher(*words)).code == 0
    result = out / "0" / "letter 0.txt.json"
    saved = result.read_bytes()
    result.unlink()
    with sqlite3.connect(out / ".batcher" / "ledger.db") as ledger:
        ledger.execute("UPDATE attempts SET deadline_at = 1")  # twelve hours later
    ledger.close()
    said = await batcher("verify", out, "--repair")
    assert "paid for again" not in said.err, said.err
    assert (await batcher(*words)).code == 0
    assert (len(peer.service.jobs), result.read_bytes()) == (7, saved)


async def test_cancel_believes_the_final_status_alone(words: Words, peer: Peer, out: Path) -> None:
    """Three of six complete before they can be cancelled: those are brought home, the others are
    cancelled.
    """
    peer.service.work = lambda job: (0.0 if len(peer.service.jobs) % 2 else 3600.0, None)
    process = await start(*words)
    await peer.has_jobs(6)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    said = await batcher("cancel", out, "--json")
    assert said.code == 1, "cancelled is a verdict other than saved"
    assert json.loads(said.out)["documents"] == {"saved": 3, "cancelled": 3}
    assert sorted(job.cancelled for job in peer.service.jobs.values()) == [False] * 3 + [True] * 3
    assert len(results(out)) == 3
    peer.service.work = lambda job: (0.0, None)
    assert "3 documents" in (await batcher("retry", out, "--only", "cancelled")).err
    assert (await batcher(*words)).code == 0
    assert len(results(out)) == 6


async def test_collect_submits_nothing(words: Words, inbox: Path, peer: Peer, out: Path) -> None:
    """What an interrupted run left out comes home, adopted where its reply was lost; new files
    wait.
    """
    peer.moods["run_job"] = accepts_and_hangs_up
    process = await start(*words)
    await peer.has_jobs(1)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    paid = len(peer.service.jobs)
    del peer.moods["run_job"]
    (inbox / "new.txt").write_text("new")
    assert (await batcher("run", out, "--collect")).code in (0, 1)
    assert len(peer.service.jobs) == paid


async def test_a_held_document_is_sent_again_only_by_a_person(
    words: Words, peer: Peer, out: Path
) -> None:
    """One document whose reply is lost at a service that lists nothing of ours: held, and told what
    that means.
    """
    peer.moods["run_job"] = accepts_and_hangs_up
    peer.moods["jobs"] = says(200, {"jobs": [], "next_cursor": None})
    said = await batcher(*words, "-S", 'source.include=["0/letter 0.txt"]')
    assert said.code == 1
    assert "held" in said.err
    assert "may pay twice" in (await batcher("failures", out)).out
    (nonce,) = rows(out, "SELECT nonce FROM attempts WHERE outcome = 'open'")[0]
    assert f"with nonce {nonce}" in (await batcher("why", out, "0/letter 0.txt")).out
    assert "0 documents" in (await batcher("retry", out)).err
    assert "may have been paid" in (await batcher("retry", out, "--only", "held")).err


async def test_a_copy_of_what_is_held_is_not_sent_by_a_retry(
    words: Words, inbox: Path, peer: Peer, out: Path
) -> None:
    """Perhaps its bytes are paid for already: it shares the verdict until a person decides, and no
    run waits for it.
    """
    (inbox / "copy.txt").write_text("letter 0")
    peer.moods["run_job"] = accepts_and_hangs_up
    peer.moods["jobs"] = says(200, {"jobs": [], "next_cursor": None})
    alone = ("-S", 'source.include=["0/letter 0.txt", "copy.txt"]')
    assert (await batcher(*words, *alone)).code == 1
    await batcher("retry", out)
    async with asyncio.timeout(30):
        await batcher(*words, *alone)
    assert rows(out, "SELECT state FROM documents ORDER BY id") == [("held",), ("failed",)]
    assert len(peer.service.jobs) == 1
    del peer.moods["run_job"], peer.moods["jobs"]
    await batcher("retry", out, "--only", "held")
    await batcher("retry", out)
    assert "2 saved" in (await batcher(*words, *alone)).err
    assert len(peer.service.jobs) == 2


async def test_copies_tried_again_without_their_payer_are_paid_for_once(
    words: Words, inbox: Path, peer: Peer, out: Path
) -> None:
    """Two of them are named, and the first that pays does so for both."""
    for name in ("x", "y"):
        (inbox / f"{name}.txt").write_text("letter 0")
    peer.service.work = lambda job: (0.0, ErrorName.DOCUMENT_CORRUPT)
    assert (await batcher(*words)).code == 1
    peer.service.work = lambda job: (0.0, None)
    paid = len(peer.service.jobs)
    await batcher("retry", out, "x.txt", "y.txt")
    async with asyncio.timeout(30):
        await batcher(*words)
    assert len(peer.service.jobs) == paid + 1
    assert rows(out, "SELECT DISTINCT state FROM documents WHERE source IN ('x.txt', 'y.txt')") == [
        ("saved",)
    ]


@pytest.mark.parametrize("command", ["why", "failures", "retry", "verify", "cancel", "status"])
async def test_without_a_ledger_each_says_so(command: str, tmp_path: Path) -> None:
    """Exit 2, and which command makes one."""
    more = ["x.pdf"] if command == "why" else []
    said = await batcher(command, tmp_path, *more)
    assert said.code == 2
    assert "batcher run" in said.err


READ_ONLY = ["status", "why", "failures", "verify", "report", "export"]


@pytest.mark.parametrize("command", READ_ONLY)
@pytest.mark.parametrize(
    ("version", "word"),
    [(1, "the next `batcher run` brings it up to date"), (99, "update batcher")],
)
async def test_a_ledger_of_another_schema_is_refused_with_a_word(
    command: str, version: int, word: str, tmp_path: Path
) -> None:
    """Exit 2 and what to type, as long as no run has migrated it; it lies there as it was."""
    ledger = _first_ledger(tmp_path / "out", version)
    before = ledger.read_bytes()
    more = {"why": ["x.pdf"], "report": ["-o", tmp_path / "report.html"]}.get(command, [])
    said = await batcher(command, tmp_path / "out", *more)
    assert (said.code, word in said.err, "Traceback" in said.err) == (2, True, False), said.err
    assert ledger.read_bytes() == before


@pytest.mark.parametrize("command", READ_ONLY)
@pytest.mark.parametrize("content", [b"", b"no database " * 1000])
async def test_what_is_no_ledger_yet_or_any_more_is_refused_with_a_word(
    command: str, content: bytes, tmp_path: Path
) -> None:
    """A run killed in its first moment leaves an empty file; a broken disk leaves anything."""
    ledger = tmp_path / "out" / ".batcher" / "ledger.db"
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(content)
    more = {"why": ["x.pdf"], "report": ["-o", tmp_path / "report.html"]}.get(command, [])
    said = await batcher(command, tmp_path / "out", *more)
    word = "batcher rebuild" if content else "batcher run"
    assert (said.code, word in said.err, "Traceback" in said.err) == (2, True, False), said.err


ON_A_LEDGER = [["run", "--collect"], ["cancel"], ["status"], ["retry"], ["verify", "--repair"]]


@pytest.mark.parametrize("command", ON_A_LEDGER, ids=lambda command: command[0])
@pytest.mark.parametrize("content", ["nothing", "no database", "another's database"])
async def test_a_file_that_is_no_ledger_is_left_as_it_is(
    command: list[str], content: str, tmp_path: Path
) -> None:
    """Exit 2 and what to type next, of every command that would write to it."""
    ledger = tmp_path / "out" / ".batcher" / "ledger.db"
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(b"no database " * 1000 if content == "no database" else b"")
    if content == "another's database":
        Database(ledger)["books"].insert({"title": "mine"})
    before = ledger.read_bytes()
    said = await batcher(command[0], tmp_path / "out", *command[1:])
    word = "not a ledger of batcher" if content == "another's database" else "batcher rebuild"
    assert (said.code, word in said.err, "Traceback" in said.err) == (2, True, False), said.err
    assert ledger.read_bytes() == before


async def test_results_beside_an_empty_ledger_are_not_paid_for_again(
    words: Words, peer: Peer, out: Path
) -> None:
    """A broken disk left nothing of ledger and journal: that is no batch in its first moment."""
    assert (await batcher(*words)).code == 0
    for path in (out / ".batcher").glob("ledger.*"):
        path.unlink()
    (out / ".batcher" / "ledger.db").touch()
    said = await batcher(*words)
    assert (said.code, "batcher rebuild MANIFEST" in said.err) == (2, True)
    assert len(peer.service.jobs) == 6
    assert (await batcher(*words, "--start-over")).code == 0


async def test_a_run_killed_in_its_first_moment_is_simply_run_again(
    words: Words, peer: Peer, out: Path
) -> None:
    """It left an empty file and nothing else."""
    (out / ".batcher").mkdir(parents=True)
    (out / ".batcher" / "ledger.db").touch()
    assert (await batcher(*words)).code == 0


def test_a_large_batch_of_which_all_is_gone_or_failed_is_looked_through_at_once(
    tmp_path: Path,
) -> None:
    """Of 20,000 documents each is found by an index, and none is held against all others."""
    ledger = make_ledger(tmp_path / "ledger.db", 20_000)
    with closing(reader(ledger)) as connection:
        asked = RepairQueries(connection)
        began = time.process_time()
        found = verify(connection, tmp_path / "out")
        free, paid = prospects(asked, tmp_path / "out", found, now=0.0)
        assert free + paid.documents == len(found.missing) > 19_000
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("UPDATE documents SET state = 'failed'")
        asked = RepairQueries(connection)
        assert len(with_dependents(asked, list(asked.with_verdict()))) == 20_000
    assert time.process_time() - began < 10


def _first_ledger(out: Path, version: int) -> Path:
    """As the first migration alone left it, marked as of `version`."""
    path = out / ".batcher" / "ledger.db"
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    migrations.apply(Database(connection), stop_before="indexes")
    connection.execute("INSERT INTO meta VALUES ('batch', 'out')")
    connection.commit()
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    return path
