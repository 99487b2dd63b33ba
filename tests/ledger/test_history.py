"""The story of one document by its number: all its steps, without reading the whole ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgers import make_ledger
from shelf import Shelf

from batcher.ledger.history import story, story_of
from batcher.ledger.schema import readable


async def test_versions_that_had_the_same_result_are_told(tmp_path: Path) -> None:
    """The newest first, as `why` tells them, and from an older one as well."""
    shelf = Shelf(tmp_path)
    first = await shelf.save("a.pdf", {"n": 1})
    await shelf.save("b.pdf", {"n": 1})
    second = await shelf.save("a.pdf", {"n": 2}, replaces=first)
    reader = shelf.ledger.reader
    assert [row["id"] for row in story_of(reader, second)] == [second, first]
    assert story_of(reader, second) == story_of(reader, first) == story(reader, "a.pdf")
    assert story_of(reader, 99) == []
    shelf.ledger.close()


@pytest.mark.parametrize("documents", [100, 20_000])
def test_it_reads_a_few_rows_of_a_ledger_of_any_size(tmp_path: Path, documents: int) -> None:
    """Counted in thousands of steps of SQLite's machine."""
    connection = readable(make_ledger(tmp_path / "ledger.db", documents))
    steps = []
    connection.set_progress_handler(lambda: steps.append(1), 1_000)
    (row,) = story_of(connection, documents // 2)
    assert row["events"] and row["attempts"]
    assert len(steps) < 10
    connection.close()
