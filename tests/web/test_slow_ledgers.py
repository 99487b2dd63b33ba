"""What a ledger doesn't tell in time is named, and the rest of a page is shown all the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from ledgers import make_ledger
from web_client import Client

from batcher.ledger.queries.failed_documents import FailedDocuments
from batcher.web import glance, observation
from batcher.web.catalogue import Batch
from batcher.web.observation import Observer
from batcher.web.pages import batches
from batcher.web.site import PATIENCE

# A query whose answer takes longer than any page waits.
ENDLESS: Final = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000000)"
    " SELECT count(*) FROM n"
)
# What may be slow, and the parts of the page that then have words in place of figures.
SLOW: Final = {
    "mishaps_since": {"pace", "service", "runs"},
    "deadlines_by_minute": {"deadlines"},
    "run_history": {"runs"},
    "FailedDocuments.documents": {"failures"},
}
LATE: Final = f"couldn't be read within {PATIENCE:g} s"


@pytest.fixture
def ledger(folder: Path) -> Path:
    return make_ledger(folder / "archive" / ".batcher" / "ledger.db", 50)


def slow(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Have one question of the page take an endless query, whose time is up at once."""

    def ask(connection: sqlite3.Connection, *args: Any, **more: Any) -> Any:
        connection.set_progress_handler(lambda: True, 1_000)
        return connection.execute(ENDLESS).fetchall()

    def documents(failed: FailedDocuments, **more: Any) -> Iterator[Any]:
        yield from ask(failed._connection)

    if what == "FailedDocuments.documents":
        monkeypatch.setattr(FailedDocuments, "documents", documents)
    else:
        monkeypatch.setattr(glance if what == "values_of" else observation, what, ask)


@pytest.mark.parametrize("what", SLOW)
async def test_a_figure_that_is_not_had_in_time_is_told(
    what: str, shown: Client, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its place alone: nothing is claimed instead, and everything else is there."""
    there = await shown.batch()
    slow(monkeypatch, what)
    for part in ("standing", "pace", "service", "deadlines", "failures", "runs"):
        words = (await shown.get(f"{there}/live/{part}")).words
        assert (LATE in words) == (part in SLOW[what]), part
    whole = (await shown.get(there)).words
    assert "of 50 documents" in whole
    assert ("No refusals" in whole) == ("service" not in SLOW[what])


async def test_a_batch_of_which_nothing_is_had_in_time_is_told(
    shown: Client, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its own page, and in the list of all batches."""
    monkeypatch.setattr(batches, "REST", 0.0)  # the list reads it again as soon as it has changed
    there = await shown.batch()
    slow(monkeypatch, "values_of")
    with sqlite3.connect(ledger) as connection:  # so that the list reads it again
        connection.execute("UPDATE runs SET version = 'another'")
    connection.close()
    assert LATE in (await shown.get(there)).words
    assert LATE in (await shown.get("/")).words


def test_what_was_late_is_counted_once(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look reads all that the last one didn't finish, and nothing twice."""
    batch = Batch("0" * 16, ledger, ledger.parent.parent, ledger.parent.parent)
    figures = Observer(batch).observe()
    assert sum(bar.value for bar in figures.throughput) > 0
    observer = Observer(batch)
    with monkeypatch.context() as patch:
        slow(patch, "verdicts_since")  # after all others of the same block
        late = observer.observe()
        assert "activity" in late.late and not late.throughput and not late.runs
    after = observer.observe()
    assert not after.late and after.runs == figures.runs
    assert [bar.value for bar in after.throughput] == [bar.value for bar in figures.throughput]
