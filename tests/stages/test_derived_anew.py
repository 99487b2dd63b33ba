"""Which changes of a document, with the same bytes, make what was made of its result outdated."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from shelf import Shelf, parsed

from batcher.ledger.derived_outputs import (
    Derived,
    all_outdated,
    data_sets,
    missing,
    outdated,
    remember,
)
from batcher.ledger.ledger import Seen
from batcher.stages.deriver import Deriver
from batcher.stages.makers import Parts
from batcher.stages.run_control import RunControl

CHANGES = {
    "nothing": (None, None, []),
    "its row in a listing of addresses": ("row:7", None, []),
    "its path": ("moved.pdf", None, ["jsonl", "markdown", "mirror", "parquet"]),
    "its metadata": (None, '{"dept": "law"}', ["jsonl", "markdown", "mirror", "parquet"]),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_only_what_a_file_shows_makes_it_outdated(tmp_path: Path, what: str) -> None:
    """Its own files and its part of the shared ones, and neither its pictures nor another's."""
    place, metadata, expected = CHANGES[what]
    shelf = Shelf(tmp_path)
    formats = ["images", "jsonl", "markdown", "mirror", "parquet"]
    for source in ("a.pdf", "b.pdf"):
        document = await shelf.save(source, parsed("text"))
        (sha256,) = shelf.ledger.reader.execute(
            "SELECT output_sha256 FROM documents WHERE id = ?", (document,)
        ).fetchone()
        made = [Derived(document, one, sha256, f"{source}.{one}") for one in formats]
        await remember(shelf.ledger, made)
    await shelf.ledger.touch([Seen(2, 3, 4, "/elsewhere", place, metadata, 1)])
    found = {one: missing(shelf.ledger.reader, one) for one in formats}
    assert [one for one in formats if found[one]] == expected
    assert {document for some in found.values() for document, _ in some} <= {1}
    assert shelf.ledger.outdated == len(expected)
    assert {one.file for one in all_outdated(shelf.ledger.reader)} == {
        f"a.pdf.{one}" for one in expected if one != "mirror"
    }
    shelf.ledger.close()


class Mirror:
    """Notes which data sets there were, and which were outdated, each time it concluded."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.seen: list[tuple[int, list[str]]] = []

    async def conclude(self) -> None:
        connection = self.shelf.ledger.reader
        self.seen.append((len(data_sets(connection)), outdated(connection, "parquet")))


async def test_a_mirror_gets_no_outdated_part(tmp_path: Path) -> None:
    """Nothing is concluded before the parts were looked at again, and it is once more after."""
    shelf = Shelf(tmp_path)
    first = await shelf.save("a.pdf", parsed("old"))
    parts = Parts(shelf.ledger, shelf.store, RunControl(), ())
    mirror = Mirror(shelf)
    deriver = Deriver(shelf.ledger, RunControl(), [parts], closing=mirror)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deriver.run())
        await deriver.finish()
        assert mirror.seen[-1] == (1, [])
        await shelf.save("a.pdf", parsed("new"), replaces=first)
        await deriver.finish()
        task.cancel()
    assert mirror.seen[-1] == (1, []) and all(not stale for _, stale in mirror.seen)
    shelf.ledger.close()
