"""What the local service left out of a saved result is told wherever somebody looks for it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from commandline import batcher, rows
from ledgers import make_ledger
from peer import Peer

from batcher.core.summary import NotServed
from batcher.ledger.connection import reader
from batcher.ledger.queries.reporting import REASONS_AT_MOST, ReportingQueries
from batcher.reducto.responses import NOT_SERVED_AT_MOST, read_head

PAGES = "page 2: not read: no OCR here; apt install tesseract-ocr"
OTHER_PAGES = "pages 3, 5-7: not read: no OCR here; apt install tesseract-ocr"
OPTION = "enhance.agentic: no model runs here"
HEAD = "saved with parts not read or not served:"


def says(*sentences: str, linked: bool = False, every: bool = True):
    """A mood of the peer: the jobs of all documents, or of the first, leave these out."""

    async def job(peer: Peer, request: web.Request) -> web.StreamResponse:
        answer = await peer.job(request)
        body = json.loads(answer.body)  # type: ignore[attr-defined]
        if body.get("result") and (
            every or request.match_info["id"] == next(iter(peer.service.jobs))
        ):
            body["result"]["usage"]["not_served"] = list(sentences)
        if body.get("result") and linked:
            url = f"{peer.url}/blob/{request.match_info['id']}"
            body["result"]["result"] = {"type": "url", "url": url, "result_id": "r"}
        return web.json_response(body)

    return job


@pytest.mark.parametrize("linked", [False, True])
async def test_a_run_and_its_views_tell_what_was_left_out(words, out, peer, linked):
    """At the end of the run, by status in words and as JSON, by why, and in the report; the exit
    code stays as it is. A result that is streamed to disk has its notes beside the link.
    """
    peer.moods["job"] = says(PAGES, OPTION, linked=linked, every=False)
    said = await batcher(*words)
    assert said.code == 0, said.err
    source = str(rows(out, "SELECT source FROM documents WHERE not_served IS NOT NULL")[0][0])
    for told in (said.err, (await batcher("status", out)).out):
        assert f"1 document was {HEAD}" in told
        assert f"1: {PAGES}, e.g. {source}" in told and f"1: {OPTION}, e.g. {source}" in told
    expected = {
        "documents": 1,
        "reasons": [
            {"reason": reason, "documents": 1, "example": source} for reason in (PAGES, OPTION)
        ],
    }
    assert json.loads((await batcher("status", out, "--json")).out)["not_served"] == expected
    why = (await batcher("why", out, source)).out
    assert f"  without  {PAGES}\n  without  {OPTION}\n" in why
    assert "with parts not read or not served" in why
    await batcher("report", out, "-o", out / "report.html")
    page = (out / "report.html").read_text()
    assert "Saved with parts not read or not served: 1 document" in page and PAGES in page


async def test_the_summary_as_json_has_it(words, out, peer):
    """For programs."""
    peer.moods["job"] = says(PAGES)
    summary = json.loads((await batcher(*words, "--json")).out)
    assert summary["exit_code"] == 0 and summary["not_served"]["documents"] == 6
    assert summary["not_served"]["reasons"][0]["documents"] == 6


async def test_nothing_is_said_where_nothing_was_left_out(words, out, peer):
    """As by the hosted API, which has no such key."""
    said = await batcher(*words)
    assert "not served" not in said.err + (await batcher("status", out)).out
    await batcher("report", out, "-o", out / "report.html")
    assert "not served" not in (out / "report.html").read_text()
    status = json.loads((await batcher("status", out, "--json")).out)
    assert status["not_served"] == {"documents": 0, "reasons": []}


async def test_a_copy_is_as_incomplete_as_its_original(words, inbox, out, peer):
    """It is the same result."""
    shutil.copy(inbox / "0" / "letter 0.txt", inbox / "copy.txt")
    peer.moods["job"] = says(PAGES)
    assert (await batcher(*words)).code == 0
    assert rows(out, "SELECT count(*) FROM documents WHERE not_served IS NOT NULL") == [(7,)]


async def test_a_newer_result_that_is_whole_is_told_as_whole(words, inbox, out, peer):
    """The older version is no longer what the document says."""
    peer.moods["job"] = says(PAGES)
    assert (await batcher(*words)).code == 0
    for path in inbox.rglob("*.txt"):
        path.write_text(f"newer {path}")
    del peer.moods["job"]
    said = await batcher(*words)
    assert said.code == 0 and "not served" not in said.err


async def test_a_rebuilt_ledger_knows_it_still(words, out, peer):
    """From the journal."""
    peer.moods["job"] = says(PAGES)
    assert (await batcher(*words)).code == 0
    before = rows(out, "SELECT source, not_served FROM documents ORDER BY source")
    for path in (out / ".batcher").glob("ledger.db*"):
        path.unlink()
    said = await batcher("rebuild", out)
    assert said.code == 0, said.err
    assert rows(out, "SELECT source, not_served FROM documents ORDER BY source") == before


# --- what the service may say ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (None, None),
        ([], None),
        ("words", None),
        ([PAGES], PAGES),
        ([PAGES, OPTION], f"{PAGES}\n{OPTION}"),
        ([PAGES, 5, {"a": 1}, ""], PAGES),
        (["two\nlines\x1b[31m"], "two lines [31m"),
        (["https://x.example/?X-Amz-Signature=secret"], "https://x.example/?…"),
    ],
)
def test_only_sentences_are_kept(said, kept):
    """Each on a line of its own, fit for a terminal, and without secrets."""
    usage = {"num_pages": 1, "not_served": said}
    body = {"job_id": "j", "response_type": "parse", "usage": usage, "result": {}}
    assert read_head(msgspec.json.encode(body), "j").not_served == kept


def test_what_is_kept_is_bounded():
    """However much a service says of one document."""
    usage = {"not_served": [f"{number}: " + "x" * 300 for number in range(5_000)]}
    body = {"job_id": "j", "response_type": "parse", "usage": usage, "result": {}}
    kept = read_head(msgspec.json.encode(body), "j").not_served
    assert kept is not None and len(kept) <= NOT_SERVED_AT_MOST + 40
    assert kept.endswith("\n… and 4994 more")


# --- groups ---------------------------------------------------------------------------------------


def grouped(tmp_path: Path, *said: str | None) -> NotServed:

    path = make_ledger(tmp_path / "ledger.db", len(said))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE documents SET state = 'saved', current = 1")
        for number, words in enumerate(said, 1):
            values = (words, f"{number:04}.pdf", number)
            db.execute("UPDATE documents SET not_served = ?, source = ? WHERE id = ?", values)
    return ReportingQueries(reader(path)).not_served()


def test_reasons_that_differ_in_pages_are_one_group(tmp_path):
    """With the first document as the example, and its own words."""
    found = grouped(tmp_path, PAGES, None, OTHER_PAGES, f"{OTHER_PAGES}\n{OPTION}")
    assert found.documents == 3
    assert [(g.reason, g.documents, g.example) for g in found.reasons] == [
        (PAGES, 3, "0001.pdf"),
        (OPTION, 1, "0004.pdf"),
    ]


def test_reasons_that_differ_in_names_are_one_group(tmp_path):
    """Which attachment or sheet it was, `why` tells."""
    found = grouped(
        tmp_path,
        "attachment 'a.png' is not opened",
        "attachment 'b.mp3' is not opened",
        "page 2: a picture on the sheet 'Terms' not read",
        "a picture on the sheet 'Index' not read",
    )
    assert [group.documents for group in found.reasons] == [2, 2]


def test_one_and_several_are_one_group(tmp_path):
    """The words for one differ from those for several by an s."""
    told = ["1 picture without", "6 pictures without", "page 2: 1 video not", "3 videos not"]
    found = grouped(tmp_path, *told)
    assert [(group.reason, group.documents) for group in found.reasons] == [
        ("1 picture without", 2),
        ("page 2: 1 video not", 2),
    ]


def test_groups_are_bounded(tmp_path):
    """Where a service words each document's reason differently."""
    names = [f"the part {chr(0x4E00 + number)} is missing" for number in range(1_200)]
    found = grouped(tmp_path, *names)
    assert found.documents == 1_200 and len(found.reasons) == REASONS_AT_MOST + 1
    assert found.reasons[0].documents == 200
