"""What failed, document by document, and commands that are told which documents by a list."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import tracemalloc
from datetime import datetime
from pathlib import Path

import pytest
from commandline import batcher, rows, start
from ledgers import make_ledger
from peer import UNPROCESSABLE, Peer, says

from batcher.cli.selecting import moment_of
from batcher.ledger.connection import reader
from batcher.ledger.queries.failed_documents import FailedDocuments, Selection
from batcher.ledger.statistics import FAILED_OF_EACH_GROUP, statistics
from batcher.views.report import report_page

Words = tuple[object, ...]
ODD = (b"with space.txt", b"two\nlines.txt", b"latin-\xe9.txt", b"a[1]*.txt", b"back\\slash.txt")


async def raw(*words: object, stdin: bytes = b"") -> tuple[int | None, bytes, bytes]:
    """The command line's exit code, with bytes in and out."""
    process = await start(*words, stdin=stdin)
    out, err = await process.communicate()
    return process.returncode, out, err


@pytest.fixture
async def failed(words: Words, peer: Peer, inbox: Path, out: Path) -> Path:
    """Six letters and five odd names, all of which the service refused."""
    for name in ODD:
        path = Path(os.fsdecode(os.fsencode(inbox) + b"/" + name))
        path.write_bytes(b"content of " + name)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    peer.moods["run_job"] = says(415, UNPROCESSABLE)
    assert (await batcher(*words)).code == 1
    del peer.moods["run_job"]
    return out


def queued(out: Path) -> set[object]:
    return {row[0] for row in rows(out, "SELECT source FROM documents WHERE state = 'queued'")}


async def test_a_list_of_failures_is_taken_up_by_retry_whatever_the_names(failed: Path) -> None:
    """Lines and names ended by NUL, through a pipe: each document is meant, and no other."""
    names = {row[0] for row in rows(failed, "SELECT source FROM documents")}
    for more in ((), ("-0",)):
        code, told, _ = await raw("failures", failed, "--match", "*[!0-9].txt", "--paths", *more)
        listed = told.split(b"\0" if more else b"\n")[:-1]
        assert len(listed) == len(ODD) and code == 0
        if more:
            assert sorted(listed) == sorted(ODD)
        code, _, said = await raw("retry", failed, "--from-file", "-", stdin=told)
        assert (code, b"5 documents are in the queue again" in said) == (0, True)
        assert queued(failed) == {name for name in names if "letter" not in str(name)}
        with sqlite3.connect(failed / ".batcher" / "ledger.db") as ledger:
            ledger.execute("UPDATE documents SET state = 'failed' WHERE state = 'queued'")
        ledger.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's own")
async def test_a_list_that_could_not_be_written_is_no_success(failed: Path) -> None:
    """Exit 3 on a full disk, and 1 where the reader is gone, in every form."""
    for form in (("--csv",), ("--paths",), ("-0",), ("--json", "--documents"), ("--json",), ()):
        command = ("failures", failed, *form)
        said = await batcher(*command, stdout=os.open("/dev/full", os.O_WRONLY))
        assert (said.code, "stdout: No space left" in said.err) == (3, True), form
        reading, writing = os.pipe()
        os.close(reading)
        gone = await batcher(*command, stdout=writing)
        assert (gone.code, gone.err) == (1, ""), form


async def test_what_fits_nothing_is_told_and_nothing_is_done(failed: Path, tmp_path: Path) -> None:
    """Exit 2, also where the rest would fit; an empty list is no mistake, and means nobody."""
    vain = await batcher("retry", failed, "0/letter 0.txt", "9/*", "8/nobody.txt")
    assert (vain.code, queued(failed)) == (2, set())
    assert "9/*, 8/nobody.txt: no such document with a verdict" in vain.err
    lines = tmp_path / "list"
    lines.write_text("0/letter 0.txt\n" + "".join(f"nobody {n}.txt\n" for n in range(9)))
    listed = await batcher("retry", failed, "--from-file", lines)
    assert (listed.code, "nobody 4.txt and 4 more" in listed.err) == (2, True)
    lines.write_text("")
    nobody = await batcher("retry", failed, "--from-file", lines)
    assert (nobody.code, "0 documents" in nobody.err, queued(failed)) == (0, True, set())
    assert (await batcher("verify", failed, "0/letter 0.txt")).code == 2
    assert "No such file" in (await batcher("retry", failed, "--from-file", tmp_path / "no")).err
    glob = await batcher("retry", failed, "0/*", "a[1]*.txt")
    assert (glob.code, "4 documents are in the queue again" in glob.err) == (0, True)
    assert "a[1]*.txt" in queued(failed)


async def test_a_pattern_or_a_list_pays_for_nothing_that_may_be_paid(failed: Path) -> None:
    """Held documents are queued by their very path or by --only; else they are told of."""
    with sqlite3.connect(failed / ".batcher" / "ledger.db") as ledger:
        ledger.execute("UPDATE documents SET state = 'held' WHERE source = '0/letter 0.txt'")
        held = "(SELECT id FROM documents WHERE state = 'held')"
        ledger.execute(f"UPDATE attempts SET outcome = 'open' WHERE document IN {held}")
    ledger.close()
    lines = b"0/letter 0.txt\n0/letter 1.txt\n"
    _, _, said = await raw("retry", failed, "--from-file", "-", stdin=lines)
    assert b"1 held or stuck stay as they are" in said
    assert queued(failed) == {"0/letter 1.txt"}
    assert "1 document is" in (await batcher("retry", failed, "0/letter 0.txt")).err
    assert "0/letter 0.txt" in queued(failed)


async def test_failures_are_listed_in_every_form_and_filtered(failed: Path, inbox: Path) -> None:
    """Under their groups, as JSON and CSV; by class, error, path, time and step."""
    said = await batcher("failures", failed)
    assert said.out.count("1 attempt") == 11 and "  next  " in said.out
    assert "0/letter 0.txt" not in (await batcher("failures", failed, "--match", "1/")).out
    assert (
        "letter 0.txt"
        not in (await batcher("failures", failed, "--group", "--match", "*2.txt")).out
    )
    documents = json.loads((await batcher("failures", failed, "--json", "--documents")).out)
    first = next(one for one in documents if one["path"] == "0/letter 0.txt")
    assert (first["step"], first["class"], first["attempts"]) == ("parse", "document", 1)
    assert first["next"] and first["failed_at"] > 0
    status = json.loads((await batcher("status", failed, "--json")).out)["failed_documents"]
    assert (status["documents"], status["first"]) == (11, documents)
    table = list(csv.DictReader(io.StringIO((await batcher("failures", failed, "--csv")).out)))
    assert [row["path"] for row in table] == [one["path"] for one in documents]
    for filters, number in (
        (("--since", "1h", "--only", "document", "--step", "parse"), 11),
        (("--since", "2199-01-01"), 0),
        (("--only", "unreadable"), 0),
        (("--error", "timeout"), 0),
    ):
        found = await batcher("failures", failed, "--json", "--documents", *filters)
        assert (found.code, len(json.loads(found.out))) == (0, number), filters
    for wrong, word in (
        (("--since", "yesterday"), "2026-11-30"),
        (("--step", "sign"), "there are: parse"),
        (("--error", "NO_SUCH"), "nor does the API know it"),
        (("--csv", "--paths"), "choose one"),
        (("--documents",), "--json"),
    ):
        refused = await batcher("failures", failed, *wrong)
        assert (refused.code, word in refused.err) == (2, True), refused.err


async def test_why_says_what_leaves_a_file_out(
    inbox: Path, out: Path, peer: Peer, tmp_path: Path
) -> None:
    """By the manifest as it is, and by what the ledger remembers of it; also that nothing does."""
    for name in ("x.xyz", "drafts/a.txt", ".hidden/b.txt", "skip.txt", "big.txt", "late.txt"):
        path = inbox / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x" * (900 if name == "big.txt" else 9))
        os.utime(path, (1_700_000_000, 1_700_000_000))
    (inbox / ".batcherignore").write_text("skip.txt\n")
    manifest = tmp_path / "batch.toml"
    manifest.write_text(
        f'service = {{url = "{peer.url}", settle = 1}}\n[source]\ndirectory = "inbox"\n'
        'include = ["**/*.txt"]\nexclude = ["drafts/", "late.*"]\nmax_size = 500\n'
        f'[output]\ndirectory = "{out}"\n'
    )
    assert (await batcher("run", manifest, "--sample", 5)).code == 0
    reasons = {
        "x.xyz": "no pattern of source.include fits it (**/*.txt)",
        "drafts/a.txt": "source.exclude ('drafts/') fits its folder drafts",
        ".hidden/b.txt": ".hidden is hidden",
        "skip.txt": ".batcherignore fits it",
        "big.txt": "more than source.max_size",
        "late.txt": "source.exclude ('late.*') fits it",
    }
    for what in (manifest, out):
        told = await batcher("why", what, *reasons, "--json")
        said = {one["source"]: one for one in json.loads(told.out)}
        assert {one["state"] for one in said.values()} == {"left_out"}
        assert all(word in said[name]["reason"] for name, word in reasons.items()), said
    manifest.write_text(manifest.read_text().replace(', "late.*"', ""))
    late = await batcher("why", manifest, inbox / "late.txt")
    assert "not part of the batch\n  because  nothing leaves it out" in late.out
    everyone = await batcher("why", out, "**/letter*")
    assert everyone.out.count(" parse: saved") == 5
    assert "waits    the last run ended without it (finished)" in everyone.out
    nobody = await batcher("why", out, "x.xyz", "nobody.txt")
    assert (nobody.code, "no such document" in nobody.err, nobody.out) == (2, True, "")


async def test_verify_looks_at_what_it_is_told_to(words: Words, out: Path) -> None:
    """Another document's damage is not its affair, nor are strays."""
    assert (await batcher(*words)).code == 0
    (out / "0" / "letter 0.txt.json").write_text("{}")
    (out / "stray.txt").touch()
    whole = json.loads((await batcher("verify", out, "1/*", "--json")).out)
    assert (whole["saved"], whole["changed"], whole["strays"]) == (3, [], [])
    broken = await batcher("verify", out, "0/letter 0.txt", "--repair")
    assert (broken.code, "1 changed" in broken.out) == (1, True)


def crowd(path: Path, number: int) -> Path:
    """A ledger in which every document failed, for one of two reasons."""
    with sqlite3.connect(make_ledger(path, number)) as ledger:
        ledger.execute(
            "UPDATE documents SET state = 'failed', kind = 'transient', error_name = 'TIMEOUT',"
            " reason = 'TIMEOUT: slow', output_sha256 = NULL"
        )
        ledger.execute("UPDATE documents SET error_name = 'INTERNAL_ERROR' WHERE id % 4 = 0")
    ledger.close()
    return path


def test_many_failures_need_no_more_memory_than_few(tmp_path: Path) -> None:
    """They are read as a stream, in the groups' order, and a page has some of them and says so."""
    peaks = []
    for number in (200, 3_000):
        connection = reader(crowd(tmp_path / f"{number}" / "ledger.db", number))
        failed = FailedDocuments(connection, Selection(globs=("*.pdf", "**/*")))
        tracemalloc.start(1)
        try:
            ranks = [rank for rank, _ in failed.documents(of_each_group=10)]
            assert sum(1 for _ in failed.documents()) == sum(1 for _ in failed.paths()) == number
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert ranks == [0] * 10 + [1] * 10
    assert peaks[1] < 1.5 * peaks[0] + 100_000
    html = report_page(statistics(connection_of(tmp_path)), made_at=0.0, what=Path("night"))
    more = f"… and {2_250 - FAILED_OF_EACH_GROUP:,} more"
    assert f"{more}: <code>batcher failures night --all</code>" in html
    assert html.count("1 attempt") + html.count("2 attempts") == 2 * FAILED_OF_EACH_GROUP


def connection_of(folder: Path) -> sqlite3.Connection:
    return reader(folder / "3000" / "ledger.db")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2h", "2026-11-29T22:30"),
        ("3d", "2026-11-27T00:30"),
        ("06:00", "2026-11-29T06:00"),
        ("0:15", "2026-11-30T00:15"),
        ("2026-11-28", "2026-11-28T00:00"),
        ("2026-11-28 07:30", "2026-11-28T07:30"),
    ],
)
def test_a_moment_is_written_as_people_do(text: str, found: str) -> None:
    """A time of day is the last one, a date its midnight here."""
    now = datetime.fromisoformat("2026-11-30T00:30").astimezone()
    assert moment_of(text, now) == datetime.fromisoformat(found).timestamp()
