"""The table of documents: every document once, in order, whatever the filter; and no more work for
a page of many than for one of few.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledgers import make_ledger

from batcher.ledger.connection import bounded
from batcher.ledger.queries.document_filter import DocumentFilter
from batcher.ledger.queries.document_list import (
    DocumentList,
    Order,
    Sort,
    folders_of,
    one_listed,
    states_of,
    steps_of,
)
from batcher.ledger.schema import readable

MANY = 30_000
Count = Callable[[Callable[[], object]], int]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    connection = readable(make_ledger(tmp_path_factory.mktemp("many") / "ledger.db", MANY))
    yield connection
    connection.close()


@pytest.fixture
def few(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Three hundred documents; two have metadata, one is superseded, one is an older version."""
    path = make_ledger(tmp_path / "ledger.db", 300)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE documents SET metadata = ? WHERE id = 3",
            (json.dumps({"customer": "Acme", "n": 5}),),
        )
        connection.execute("UPDATE documents SET metadata = 'no JSON: acme' WHERE id = 4")
        connection.execute("UPDATE documents SET state = 'superseded' WHERE id = 5")
        connection.execute("UPDATE documents SET current = 0 WHERE id = 6")
        connection.execute("UPDATE documents SET source = 'a_100%.PDF' WHERE id = 8")
    connection.close()
    reader = readable(path)
    yield reader
    reader.close()


def numbers(connection: sqlite3.Connection, **which: object) -> list[int]:
    documents = DocumentList(connection, DocumentFilter(**which))  # type: ignore[arg-type]
    return [row.id for row in documents.page(1_000).rows]


def leafed(documents: DocumentList, size: int) -> list[int]:
    """The documents of all pages, forwards; on each page but the first also backwards."""
    page = documents.page(size)
    found = [row.id for row in page.rows]
    while page.has_after:
        last = page
        page = documents.page(size, after=found[-1])
        back = documents.page(size, before=page.rows[0].id)
        assert [row.id for row in back.rows] == [row.id for row in last.rows]
        assert page.has_before and back.has_after
        found += [row.id for row in page.rows]
    return found


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("by", Sort)
def test_each_document_is_on_one_page(few: sqlite3.Connection, by: Sort, descending: bool) -> None:
    """Forwards and backwards, however they are sorted, also where many are equal."""
    for which in (DocumentFilter(), DocumentFilter(states=("failed", "saved"), folder="plans")):
        documents = DocumentList(few, which, Order(by, descending))
        found = leafed(documents, 37)
        assert sorted(found) == sorted(numbers(few, states=which.states, folder=which.folder))
        assert found == [row.id for row in documents.page(1_000).rows]
        middle = found[len(found) // 2]
        beside = (found[len(found) // 2 - 1], found[len(found) // 2 + 1])
        assert documents.neighbours(middle) == beside


def test_rows_say_what_became_of_a_document(few: sqlite3.Connection) -> None:
    """What was spent, how often it was sent, and when it last changed."""
    failed = one_listed(few, 50)
    assert failed is not None
    assert (failed.state, failed.credits, failed.attempts) == ("failed", 0.0, 1)
    assert failed.reason is not None and failed.changed_at is not None
    saved = one_listed(few, 40)
    assert saved is not None and saved.attempts == 2 and saved.credits == saved.pages
    assert one_listed(few, 999) is None


def test_older_versions_are_left_out_and_superseded_ones_shown_on_demand(
    few: sqlite3.Connection,
) -> None:
    """As in the counts of `status`."""
    assert {5, 6} & set(numbers(few)) == set()
    assert numbers(few, states=("superseded",)) == [5]
    assert states_of(few) == ["saved", "failed"]


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({"search": "100%"}, [8]),
        ({"search": "_1"}, [8]),
        ({"type": ".pdf", "search": "a_"}, [8]),
        ({"type": "docx"}, []),
        ({"metadata": "customer=acme"}, [3]),
        ({"metadata": "n=5"}, [3]),
        ({"metadata": "n=6"}, []),
        ({"metadata": "acme"}, [4, 3]),
        ({"folder": "letter"}, []),
        ({"step": "extract"}, []),
        ({"reason": "corrupt", "search": "/000050."}, []),
        ({"reason": "too LONG", "search": "/000050."}, [50]),
        ({"changed_since": 9e9}, []),
        ({"changed_before": 0.0}, []),
    ],
)
def test_filters_leave_out_what_does_not_fit(
    few: sqlite3.Connection, which: dict[str, object], found: list[int]
) -> None:
    """Nothing that is typed has a meaning for SQL."""
    assert sorted(numbers(few, **which)) == sorted(found)


def test_spending_and_moments_are_filtered_inclusively(few: sqlite3.Connection) -> None:
    """Their ends included: what cost nothing cost at most nothing."""
    every = numbers(few)
    free = set(numbers(few, most_credits=0))
    assert free == set(numbers(few, states=("failed",)))
    assert sorted(set(every) - free) == sorted(numbers(few, least_credits=0.5))
    assert sorted(numbers(few, changed_since=0.0)) == sorted(every)


def test_a_value_cannot_be_a_state(few: sqlite3.Connection) -> None:
    """States become part of the SQL, so they are only those that there are."""
    with pytest.raises(ValueError, match="is not a valid State"):
        numbers(few, states=("') OR 1 --",))


def test_folders_and_steps_are_offered(few: sqlite3.Connection) -> None:
    """Files that lie in no folder are no folders."""
    assert folders_of(few) == ["invoices/", "letters/", "minutes/", "plans/"]
    assert steps_of(few) == ["parse"]


@pytest.fixture
def steps(many: sqlite3.Connection) -> Count:
    """Counts the steps of SQLite's machine, in thousands."""

    def count(work: Callable[[], object]) -> int:
        taken = 0

        def step() -> int:
            nonlocal taken
            taken += 1
            return 0

        many.set_progress_handler(step, 1000)
        try:
            work()
        finally:
            many.set_progress_handler(None, 0)
        return taken

    return count


@pytest.mark.parametrize(
    ("which", "order"),
    [
        (DocumentFilter(), Order()),
        (DocumentFilter(), Order(Sort.ADDED, True)),
        (DocumentFilter(), Order(Sort.CHANGED, True)),
        (DocumentFilter(folder="plans/3"), Order()),
        (DocumentFilter(states=("held",)), Order(Sort.SIZE)),
        (DocumentFilter(states=("saved",)), Order()),
    ],
)
def test_a_page_of_many_takes_no_longer_than_one_of_few(
    many: sqlite3.Connection, steps: Count, which: DocumentFilter, order: Order
) -> None:
    """At the beginning, in the middle, and backwards: about what a hundred rows take."""
    documents = DocumentList(many, which, order)
    assert steps(lambda: documents.page(100)) < 250
    assert steps(lambda: documents.page(100, after=MANY // 2)) < 250
    assert steps(lambda: documents.page(100, before=MANY // 2)) < 250
    assert steps(lambda: documents.neighbours(MANY // 2)) < 250
    assert steps(lambda: (folders_of(many), states_of(many), steps_of(many))) < 250


def test_what_takes_too_long_is_given_up(many: sqlite3.Connection) -> None:
    """And the connection can be used afterwards."""
    documents = DocumentList(many, DocumentFilter(search="nothing has this name"))
    with pytest.raises(TimeoutError), bounded(many, 0.0):
        documents.page(100)
    assert documents.page(100).rows == []
    assert DocumentList(many).count(10_001) == 10_001
