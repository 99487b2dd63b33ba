"""The page of a document: the source beside the result, and nothing of either is ever run."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ledgers import make_ledger
from shelf import Shelf
from web_client import Client

VIEWS = ("", "?view=markdown", "?view=json", "?view=history")
SIGNED = "https://bucket.example/a.png?X-Amz-Signature=5ec4e7&X-Amz-Expires=60"
EVIL = '<script>alert(1)</script><img src=x onerror="alert(1)">'


class Tags(HTMLParser):
    """The elements of a page, and what a browser could run in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.runs: list[str] = []
        self.names: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        said = dict(attrs)
        if tag in ("iframe", "object", "embed", "style", "base", "link") and not (
            tag == "link" and (said.get("href") or "").startswith("/static/")
        ):
            self.runs.append(tag)
        if tag == "script" and not (said.get("src") or "").startswith("/static/"):
            self.runs.append("script")
        self.runs += [f"{tag} {name}" for name in said if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            if name in said and not re.match(r"[/?#]", said[name] or ""):
                self.runs.append(f"{tag} {name}={said[name]}")


def numbers(results: Path) -> dict[tuple[str, str], int]:
    with sqlite3.connect(results / ".batcher" / "ledger.db") as connection:
        found = connection.execute("SELECT source, job, id FROM documents").fetchall()
    connection.close()
    return {(source, job): number for source, job, number in found}


async def document(
    shown: Client, results: Path, source: str, step: str = "parse", more: str = ""
) -> Any:
    number = numbers(results)[source, step]
    return await shown.get(f"{await shown.batch()}/documents/{number}{more}")


async def test_a_pdf_has_its_blocks_drawn_on_its_page(papers_copied: Path, shown: Client) -> None:
    """Each box has a text with the same mark; tables are tables."""
    page = await document(shown, papers_copied, "INV-2026-001.pdf")
    drawn = re.findall(r'<rect class="box (\w+)" data-mark="(\w+)"', page.text)
    written = re.findall(r'<li class="block (\w+)" data-mark="(\w+)"', page.text)
    assert sorted(drawn) == sorted(written) and len(drawn) >= 8
    assert {"title", "table", "pairs"} <= {tone for tone, _ in drawn}
    assert "<td>Brass deck lantern, 20 cm</td>" in page.text
    (src,) = re.findall(r'<img src="([^"]*)"', page.text)
    async with shown.session.get(shown.address.root + src) as answer:
        picture = await answer.read()
    assert answer.content_type == "image/webp" and picture[8:12] == b"WEBP"


async def test_values_have_the_places_that_they_were_read_from(
    papers_copied: Path, shown: Client
) -> None:
    """A step of a chain is a tab; null is told."""
    page = await document(shown, papers_copied, "INV-2026-001.pdf", "extract")
    assert "invoice_number INV-2026-001 here" in page.words
    assert "purchase_order null" in page.words
    marks = set(re.findall(r'class="place" data-mark="(\w+)"', page.text))
    assert marks == set(re.findall(r'<rect class="box cited" data-mark="(\w+)"', page.text))
    number = numbers(papers_copied)["INV-2026-001.pdf", "parse"]
    assert re.search(rf'<a href="[^"]*/documents/{number}\?[^"]*">parse', page.text)


async def test_pictures_are_shown_and_office_by_its_text(
    papers_copied: Path, shown: Client
) -> None:
    """What it is read from is beside the result in either case."""
    picture = await document(shown, papers_copied, "receipt.png")
    assert '/page/1" width="' in picture.text
    letter = await document(shown, papers_copied, "repair-agreement.docx")
    assert "The text of the source" in letter.words
    assert letter.words.count("Agreement on repairs") == 2


@pytest.mark.parametrize("more", VIEWS)
@pytest.mark.parametrize("step", ["parse", "extract"])
async def test_nothing_of_a_hostile_page_is_run(
    papers_copied: Path, shown: Client, step: str, more: str
) -> None:
    """Its markup is text, in the source, in the result, in tables and as Markdown."""
    page = await document(shown, papers_copied, "offer.html", step, more)
    assert page.status == 200
    assert Tags(page.text).runs == []
    assert not Tags(page.text).names & {"h3", "iframe", "object"}
    if step == "parse" and more != "?view=history":
        assert "alert(1)" in page.words


async def test_the_history_is_that_of_why(papers_copied: Path, shown: Client) -> None:
    """Attempts with their costs, events in words, for each step."""
    page = await document(shown, papers_copied, "INV-2026-001.pdf", more="?view=history")
    for words in ("Attempts", "Accepted", "kept until", "Saved", "batcher why"):
        assert words in page.words
    assert page.words.count("Attempts") == 2


@pytest.fixture
def changed(papers_copied: Path, tmp_path: Path) -> Iterator[Path]:
    """The batch, with a source folder of its own."""
    folder = tmp_path / "moved"
    folder.mkdir()
    ledger = papers_copied / ".batcher" / "ledger.db"
    with sqlite3.connect(ledger) as connection:
        ((old,),) = connection.execute("SELECT DISTINCT folder FROM documents").fetchall()
        connection.execute("UPDATE documents SET folder = ?", (str(folder),))
    connection.close()
    for path in Path(old).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    yield folder


async def test_a_source_that_moved_or_changed_is_told(
    changed: Path, papers_copied: Path, shown: Client
) -> None:
    """The result is shown alone; one with the same bytes counts as the same."""
    name = "INV-2026-001.pdf"
    assert "<rect" in (await document(shown, papers_copied, name)).text
    (changed / name).write_bytes((changed / name).read_bytes() + b"\n")
    page = await document(shown, papers_copied, name)
    assert "The source has changed since it was sent" in page.words
    assert "<img" not in page.text and "Saltmarsh Lantern Works" in page.words
    (changed / name).rename(changed / "other.pdf")
    assert "moved or deleted" in (await document(shown, papers_copied, name)).words
    (changed / name).symlink_to(changed / "other.pdf")
    assert "a symbolic link" in (await document(shown, papers_copied, name)).words


async def test_a_ledger_cannot_have_other_files_shown(
    changed: Path, papers_copied: Path, shown: Client
) -> None:
    """It may come from elsewhere: only the bytes that it has on record are shown."""
    secret = changed.parent / "secret.txt"
    secret.write_text("open sesame")
    ledger = papers_copied / ".batcher" / "ledger.db"
    number = numbers(papers_copied)["INV-2026-001.pdf", "parse"]
    with sqlite3.connect(ledger) as connection:
        connection.execute(
            "UPDATE documents SET place = ?, size = ? WHERE id = ?", ("../secret.txt", 11, number)
        )
        connection.execute(
            "UPDATE documents SET output = '../../secret.txt' WHERE id = ?", (number,)
        )
    connection.close()
    there = f"{await shown.batch()}/documents/{number}"
    for more in (*VIEWS, "/result.json", "/page/1"):
        assert "open sesame" not in (await shown.get(there + more)).text


@pytest.mark.parametrize(
    ("place", "where", "words"),
    [
        (None, "s3://bucket/scans", "lies in an object store"),
        ("row:5", "/lists/docs.csv", "is an address"),
    ],
)
async def test_sources_elsewhere_are_not_fetched(
    papers_copied: Path, shown: Client, place: str | None, where: str, words: str
) -> None:
    """The result is shown alone, and says why."""
    with sqlite3.connect(papers_copied / ".batcher" / "ledger.db") as connection:
        connection.execute("UPDATE documents SET place = ?, folder = ?", (place, where))
    connection.close()
    page = await document(shown, papers_copied, "INV-2026-001.pdf")
    assert words in page.words and "Saltmarsh Lantern Works" in page.words


async def test_a_result_that_is_missing_or_changed_is_told(
    papers_copied: Path, shown: Client
) -> None:
    """With the command that restores it; the source is shown alone."""
    file = papers_copied / "INV-2026-001.pdf.parse.json"
    file.write_text("{}")
    page = await document(shown, papers_copied, "INV-2026-001.pdf")
    assert "isn't as it was saved: `batcher verify --repair`" in page.words
    assert "<img" in page.text
    file.unlink()
    for more in VIEWS[:3]:
        page = await document(shown, papers_copied, "INV-2026-001.pdf", more=more)
        assert "is missing: `batcher verify --repair`" in page.words


@pytest.mark.parametrize(
    "there",
    [
        "/documents/0",
        "/documents/999999999999999999",
        "/documents/1/page/0",
        "/documents/1/page/9999999",
        "/documents/..%2f..%2fetc%2fpasswd",
        "/documents/1/../../../../etc/passwd",
        "/documents/%2e%2e/result.json",
        "/documents/-1",
        "/documents/1e3",
    ],
)
async def test_addresses_lead_to_documents_of_this_batch_alone(
    papers_copied: Path, shown: Client, there: str
) -> None:
    """Another name is no document, wherever it would lead."""
    page = await shown.get(await shown.batch() + there)
    assert page.status == 404 and "root:" not in page.text


@pytest.fixture
async def odd(folder: Path) -> Path:
    """Results of the hosted service, and of one that sends anything."""
    shelf = Shelf(folder / "odd")
    box = {"left": 0.1, "top": 0.1, "width": 0.3, "height": 0.1, "page": 2, "original_page": 2}
    block = {"type": EVIL, "bbox": box, "content": EVIL, "image_url": SIGNED, "confidence": "low"}
    table = {**block, "type": "Table", "content": f"<table><tr><td>{EVIL}</td></tr></table>"}
    linked = {**block, "type": "Text", "content": f"see {SIGNED}"}
    chunks = [{"content": f"{EVIL} {SIGNED}", "blocks": [block, table, linked, None]}]
    cited = {"value": EVIL, "citations": [{"bbox": box, "content": SIGNED, "parentBlock": block}]}
    await shelf.save(
        "a.pdf",
        {
            "response_type": "parse",
            "pdf_url": SIGNED,
            "job_id": "j",
            "result": {"type": "full", "chunks": chunks},
        },
    )
    await shelf.save(
        "b.pdf",
        {"response_type": "v3_extract", "job_id": "j", "result": {EVIL: cited, "list": [cited]}},
    )
    await shelf.save(
        "c.pdf",
        {
            "response_type": "split",
            "job_id": "j",
            "result": {
                "splits": [{"name": EVIL, "pages": [1, 2], "conf": SIGNED, "partitions": None}]
            },
        },
    )
    await shelf.save(
        "d.pdf",
        {
            "response_type": "edit",
            "job_id": "j",
            "document_url": SIGNED,
            "form_schema": [{"bbox": box, "description": EVIL, "type": EVIL}],
        },
    )
    await shelf.save(
        "e.pdf",
        {
            "response_type": "classify",
            "job_id": "j",
            "result": {"category": EVIL},
            "extra_metadata": {"url": SIGNED},
        },
    )
    await shelf.save("f.pdf", b"null")
    await shelf.save("g.pdf", json.dumps({"url": SIGNED}).encode()[:-3])
    await shelf.save("h.pdf", b"\xff\xfe" + EVIL.encode() + b"[" * 3000)
    many = {"type": "Text", "bbox": box, "content": "word " * 2000}
    await shelf.save(
        "i.pdf",
        {
            "response_type": "parse",
            "job_id": "j",
            "result": {"chunks": [{"content": "", "blocks": [many] * 500}]},
        },
    )
    shelf.ledger.close()
    return folder / "odd"


async def test_any_result_gets_a_page_without_links_that_are_signed(
    odd: Path, shown: Client
) -> None:
    """Hosted shapes, null, cut off, no text, huge: told, bounded, and never run."""
    there = await shown.batch()
    for number in range(1, 10):
        for more in (*VIEWS, "?page=2", "?page=9"):
            page = await shown.get(f"{there}/documents/{number}{more}")
            assert page.status == 200, (number, more)
            assert "5ec4e7" not in page.text, (number, more)
            assert len(page.text) < 600_000
            assert Tags(page.text).runs == [], (number, more)
        download = f"{shown.address.root}{there}/documents/{number}/result.json"
        async with shown.session.get(download) as answer:
            assert b"5ec4e7" not in await answer.read()
            assert answer.headers["Content-Disposition"].startswith("attachment; ")
    first = await shown.get(f"{there}/documents/1")
    assert "low confidence" in first.words and "alert(1)" in first.words
    assert "as the page has more" in (await shown.get(f"{there}/documents/9")).words


async def test_next_and_previous_stay_within_the_filter(folder: Path, shown: Client) -> None:
    """And within the order of the table, to whose page the way back leads."""
    make_ledger(folder / "archive" / ".batcher" / "ledger.db", 300)
    there = f"{await shown.batch()}/documents"
    table = await shown.get(f"{there}?state=failed")
    links = re.findall(r'<th scope="row"><a href="([^"]*)"', table.text)
    page = await shown.get(links[0].replace("&amp;", "&"))
    assert 'rel="prev"' not in page.text
    for link in links[1:]:
        (following,) = re.findall(r'rel="next" href="([^"]*)"', page.text)
        assert following == link
        page = await shown.get(following.replace("&amp;", "&"))
    assert 'rel="next"' not in page.text
    assert f'href="{there}?state=failed" class="up"' in page.text
