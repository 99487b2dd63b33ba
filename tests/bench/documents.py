"""What the table of documents costs: `python tests/bench/documents.py [--rows 1000000]`.

Pages of a ledger of that many documents, as `batcher web` finds them and as it sends them; the
better of three. What no index gives reads all documents, and is given up after ten seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1]))

from ledgers import make_ledger

from batcher.ledger.queries.document_filter import DocumentFilter
from batcher.ledger.queries.document_list import DocumentList, Order, Sort
from batcher.ledger.schema import readable
from batcher.web.server import showing

ROUNDS = 3
PAGE = 100
CASES = (
    ("by path", DocumentFilter(), Order()),
    ("changed last", DocumentFilter(), Order(Sort.CHANGED, True)),
    ("one state", DocumentFilter(states=("failed",)), Order()),
    ("one folder", DocumentFilter(folder="plans/3"), Order()),
    ("a part of the path, found once", DocumentFilter(search="{last}"), Order()),
    ("the largest", DocumentFilter(), Order(Sort.SIZE, True)),
    ("the most expensive", DocumentFilter(), Order(Sort.CREDITS, True)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--ledger", type=Path, help="one that this script has made before")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ledger = arguments.ledger or Path(folder, "archive", ".batcher", "ledger.db")
        if not ledger.exists():
            make_ledger(ledger, arguments.rows)
        connection = readable(ledger)
        print(f"ledger of {arguments.rows} documents, a page of {PAGE}")
        for words, which, order in CASES:
            print(f"  {words}: {_found(connection, which, order, arguments.rows):.1f} ms")
        connection.close()
        print(f"  the page itself, sent: {asyncio.run(_sent(ledger)):.0f} ms")


def _found(connection: sqlite3.Connection, which: DocumentFilter, order: Order, rows: int) -> float:
    if which.search:
        which = DocumentFilter(search=which.search.format(last=f"{rows - 1:06}"))
    documents = DocumentList(connection, which, order)
    return min(_took(lambda: documents.page(PAGE)) for _ in range(ROUNDS))


def _took(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


async def _sent(ledger: Path) -> float:
    """Milliseconds from a browser's request for the first page to its last byte."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        showing([ledger.parents[2]]) as address,
        aiohttp.ClientSession(cookie_jar=jar) as session,
    ):
        async with session.get(address.entrance):
            pass
        async with session.get(address.root) as answer:
            text = await answer.text()
        there = "/batch/" + text.partition("/batch/")[2][:16] + "/documents"
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            async with session.get(address.root + there) as answer:
                assert len(await answer.read()) < 300_000, "a page is heavier than it should be"
            took.append((time.perf_counter() - began) * 1000)
        return min(took)


if __name__ == "__main__":
    main()
