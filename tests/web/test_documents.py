"""The table of documents: its filter is an address, and whatever that says gets an answer."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from pathlib import Path

import pytest
from ledgers import ODD, make_ledger
from web_client import Client


@pytest.fixture
def archive(folder: Path) -> Path:
    """Three hundred documents, six of which failed; one has a name that a spreadsheet computes."""
    ledger = make_ledger(folder / "archive" / ".batcher" / "ledger.db", 300)
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE documents SET source = '=1+2.pdf' WHERE id = 8")
        connection.execute(
            "UPDATE documents SET reason = 'TIMEOUT: https://u:pw@h/x?X-Amz-Signature=beef'"
            " WHERE id = 50"
        )
    connection.close()
    return ledger


def rows(text: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a>', text)


@pytest.mark.usefixtures("archive")
async def test_documents_are_shown_a_page_at_a_time(shown: Client) -> None:
    """Next leads on and previous back; the last page has no next."""
    there = f"{await shown.batch()}/documents"
    first = await shown.get(there)
    assert len(rows(first.text)) == 100 and "300 documents" in first.words
    seen = rows(first.text)
    page = first
    while found := re.search(r'rel="next" href="([^"]*)"', page.text):
        page = await shown.get(there + found[1].replace("&amp;", "&"))
        seen += rows(page.text)
    assert len(seen) == len(set(seen)) == 300
    (back,) = re.findall(r'rel="prev" href="([^"]*)"', page.text)
    assert rows((await shown.get(there + back)).text) == seen[100:200]


@pytest.mark.usefixtures("archive")
async def test_a_filter_stands_in_the_address(shown: Client) -> None:
    """It is in the form, in the links to documents, and in that to the CSV."""
    there = f"{await shown.batch()}/documents"
    page = await shown.get(there + "?state=failed&reason=timeout&sort=size&down=1")
    assert 0 < len(rows(page.text)) < 6
    assert 'name="reason" value="timeout"' in page.text
    assert "state=failed&amp;sort=size&amp;down=1" in page.text
    assert 'aria-sort="descending"' not in page.text  # the size isn't among the columns
    sized = await shown.get(there + "?column=size&column=job_id&sort=size&down=1")
    assert 'aria-sort="descending"' in sized.text and "j1" in sized.text


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("state=odd", "Not filtered by this: there is no state 'odd'."),
        ("least=many", "at least this many credits: 'many' is no number"),
        ("since=5", "'5' is no span known here"),
        ("least=nan&most=inf", "documents"),
        ("after=999999", "There are no documents beyond this one."),
        ("before=x&after=-1&sort=no&down=7&column=no", "300 documents"),
        ("search=%00%27%22%3Cb%3E", "No document fits this filter."),
        ("folder=/&type=...&metadata==", "No document fits this filter."),
        ("search=" + "x" * 4000, "No document fits this filter."),
    ],
)
async def test_an_odd_filter_is_told_and_never_an_error(
    shown: Client, asked: str, words: str
) -> None:
    """What can't be meant is left out; what can be is done."""
    page = await shown.get(f"{await shown.batch()}/documents?{asked}")
    assert (page.status, words in page.words) == (200, True)


@pytest.mark.usefixtures("archive")
async def test_the_list_can_be_had_as_csv(shown: Client) -> None:
    """All that fit, with all columns; a spreadsheet computes none of it."""
    there = await shown.batch()
    answer = await shown.get(f"{there}/documents.csv?state=saved")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="documents.csv"'
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(found) == 294
    assert {row["state"] for row in found} == {"saved"}
    assert "'=1+2.pdf" in {row["path"] for row in found}
    assert found[0]["changed"].startswith("2026-")


async def test_a_list_of_any_length_can_be_had(folder: Path, shown: Client) -> None:
    """All of it, each document once, though it is read in pieces."""
    make_ledger(folder / "archive" / ".batcher" / "ledger.db", 2_500)
    answer = await shown.get(f"{await shown.batch()}/documents.csv?sort=size&down=1")
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(found) == len({row["path"] for row in found}) == 2_500
    sizes = [int(row["size"]) for row in found]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.usefixtures("archive")
async def test_nothing_of_a_name_or_a_reason_is_markup_or_secret(shown: Client) -> None:
    """Names are anybody's, and so is what a service has said."""
    there = await shown.batch()
    assert "<script>" in ODD
    for page in (
        await shown.get(f"{there}/documents?search=letters&state=saved"),
        await shown.get(f"{there}/documents/7"),
        await shown.get(f"{there}/documents/7?view=history"),
    ):
        assert "<script>alert" not in page.text and "&lt;script&gt;alert(1)" in page.text
        assert "\u202e" not in page.text
    for page in (
        await shown.get(f"{there}/documents?state=failed"),
        await shown.get(f"{there}/documents.csv?state=failed"),
        await shown.get(f"{there}/documents/50"),
        await shown.get(f"{there}/documents/50?view=history"),
    ):
        assert "TIMEOUT" in page.text
        assert "beef" not in page.text and "pw@" not in page.text


async def test_a_batch_without_documents_says_so(folder: Path, shown: Client) -> None:
    """Its run may have begun a moment ago."""
    make_ledger(folder / "new" / ".batcher" / "ledger.db", 0)
    page = await shown.get(f"{await shown.batch()}/documents")
    assert "There are no documents yet." in page.words
