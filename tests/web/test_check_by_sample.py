"""The check by sample: who may mark, where marks are kept, and what they say."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
from web_client import Answer, Client, client_of

from batcher.maintenance.sample_file import read_sample, sample_path
from batcher.web.server import showing


async def post(shown: Client, path: str, **form: str) -> Answer:
    return await shown.ask("POST", path, data=form, headers={"Origin": shown.address.root})


@pytest.fixture
async def sample(papers_copied: Path, shown: Client) -> str:
    """The address of a sample of all four parses."""
    there = f"{await shown.batch()}/sample"
    answer = await post(shown, there, size="20", step="parse")
    assert (answer.status, answer.headers["Location"]) == (303, f"{there}/1")
    return there


async def test_marks_lead_from_one_document_to_the_next(
    papers_copied: Path, shown: Client, sample: str
) -> None:
    """Until all are judged; then the rate of errors is known."""
    begun = await shown.get(sample)
    assert "0 of 4 judged" in begun.words and "Nothing is judged yet." in begun.words
    page = await shown.get(f"{sample}/1")
    assert "Is this result right?" in page.words and "1 of 4" in page.words
    for number, mark in enumerate(("right", "wrong", "unsure", "right"), start=1):
        answer = await post(shown, f"{sample}/{number}", mark=mark, note=f"note {number}")
        assert answer.status == 303
    assert answer.headers["Location"] == sample
    done = await shown.get(sample)
    assert "4 of 4 judged" in done.words and "1 wrong" in done.words
    assert re.search(r"About \d+% of the results are wrong; with 95% confidence", done.words)
    assert "note 2" in done.words
    report = await shown.get(sample.replace("/sample", "/report"))
    assert re.search(r"Checked by a sample About \d+% of the results are wrong", report.words)
    await post(shown, f"{sample}/2", mark="")
    assert "3 of 4 judged" in (await shown.get(sample)).words


async def test_marks_are_there_after_a_restart_and_not_in_the_ledger(
    papers_copied: Path, folder: Path, shown: Client, sample: str
) -> None:
    """The ledger's bytes are as before."""
    ledger = papers_copied / ".batcher" / "ledger.db"
    before = sha256(ledger.read_bytes()).hexdigest()
    await post(shown, f"{sample}/1", mark="wrong")
    async with showing([folder]) as address, client_of(address) as again:
        await again.enter()
        assert "1 wrong" in (await again.get(sample)).words
    assert sha256(ledger.read_bytes()).hexdigest() == before
    assert json.loads(sample_path(ledger).read_text())["documents"][0]["mark"] == "wrong"


async def test_only_a_page_of_ours_can_mark(
    papers_copied: Path, shown: Client, sample: str
) -> None:
    """Not another site, not without an Origin, and not without the token."""
    ledger = papers_copied / ".batcher" / "ledger.db"
    mark = {"data": {"mark": "wrong"}}
    assert (await shown.ask("POST", f"{sample}/1", **mark)).status == 403
    for origin in ("http://evil.example", "null", f"{shown.address.root}.evil.example"):
        answer = await shown.ask("POST", f"{sample}/1", **mark, headers={"Origin": origin})
        assert answer.status == 403
    async with client_of(shown.address) as stranger:
        answer = await post(stranger, f"{sample}/1", mark="wrong")
        assert answer.status == 403
    found = read_sample(ledger)
    assert found is not None and found.marked == 0


@pytest.mark.parametrize(
    ("where", "form", "status", "words"),
    [
        ("/1", {"mark": "perfect"}, 400, "A result is right, wrong, unsure."),
        ("/99", {"mark": "right"}, 503, "isn't in the sample any more"),
        ("", {"size": "1000000", "step": "parse"}, 400, "Draw one of 20, 50, 100, 200 documents."),
        ("", {"size": "50", "step": "no such"}, 503, "no result of the step 'no such' is on disk"),
        ("/1", {"mark": "right", "note": "x" * 20_000}, 413, ""),
    ],
)
async def test_what_cannot_be_meant_is_told(
    shown: Client, sample: str, where: str, form: dict[str, str], status: int, words: str
) -> None:
    """And changes nothing."""
    answer = await post(shown, sample + where, **form)
    assert (answer.status, words in answer.words) == (status, True)
    assert "0 of 4 judged" in (await shown.get(sample)).words


async def test_a_result_that_was_replaced_is_told(
    papers_copied: Path, shown: Client, sample: str
) -> None:
    """A mark of it would be of another one."""
    path = sample_path(papers_copied / ".batcher" / "ledger.db")
    said = json.loads(path.read_text())
    said["documents"][1]["sha256"] = "x"
    path.write_text(json.dumps(said))
    assert (await shown.get(f"{sample}/2")).status == 404
    assert "1 document of the sample got another result since" in (await shown.get(sample)).words


async def test_a_note_is_no_markup(shown: Client, sample: str) -> None:
    """It is shown as it was typed."""
    await post(shown, f"{sample}/1", mark="wrong", note='"><script>alert(1)</script>')
    for page in (await shown.get(sample), await shown.get(f"{sample}/1")):
        assert "<script>alert" not in page.text and "&lt;script&gt;" in page.text


async def test_a_folder_that_cannot_be_written_to_is_told(
    papers_copied: Path, shown: Client, sample: str
) -> None:
    """The mark isn't kept, and nobody is told otherwise."""
    path = sample_path(papers_copied / ".batcher" / "ledger.db")
    path.unlink()
    path.mkdir()
    answer = await post(shown, sample, size="20", step="parse")
    assert answer.status == 503 and str(path) in answer.text
