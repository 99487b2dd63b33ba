"""The sample is a file beside the ledger: marks survive anything, and never stand in the ledger."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner
from ledgers import make_ledger

from batcher.cli import main
from batcher.core.sample import Candidate, Mark, draw
from batcher.errors import BatcherError
from batcher.ledger.queries.sampling import numbers_of_results, saved_results
from batcher.ledger.schema import readable
from batcher.maintenance.sample_file import (
    keep_sample,
    mark_document,
    new_sample,
    read_sample,
    replaced_since,
    sample_path,
)
from batcher.maintenance.storage import Kind, kind_of


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return make_ledger(tmp_path / "out" / ".batcher" / "ledger.db", 60, nights=1)


def drawn(ledger: Path, size: int = 5) -> None:
    connection = readable(ledger)
    numbers = numbers_of_results(connection, "parse")
    results = {row.document: row for row in saved_results(connection, numbers)}
    connection.close()
    candidates = [Candidate(n, "said", "pdf", "a/", results[n].size) for n in numbers]
    sample = draw(candidates, size, random.Random(1))
    keep_sample(
        ledger,
        new_sample(sample, results, step="parse", of=59, looked_at=59, now=1_790_000_000.0),
    )


def test_a_mark_is_there_when_it_is_read_again(ledger: Path) -> None:
    """With its note, until it is taken back."""
    drawn(ledger)
    mark_document(ledger, 2, Mark.WRONG, note="the date", now=5.0)
    sample = read_sample(ledger)
    assert sample is not None
    one = sample.documents[2]
    assert (one.mark, one.note, one.marked_at) == (Mark.WRONG, "the date", 5.0)
    assert (sample.marked, sample.next_unmarked(after=2), sample.next_unmarked()) == (1, 3, 0)
    assert sample.estimate().wrong == 1
    assert mark_document(ledger, 2, None, now=6.0).marked == 0


def test_only_its_owner_can_read_it(ledger: Path) -> None:
    """Names of documents are as confidential as the ledger; with `access` its group can, too."""
    drawn(ledger)
    assert sample_path(ledger).stat().st_mode & 0o777 == 0o600
    mark_document(ledger, 0, Mark.RIGHT, now=5.0, access="group")
    assert sample_path(ledger).stat().st_mode & 0o777 == 0o640


def test_a_new_sample_keeps_the_marks_of_the_old_one(ledger: Path) -> None:
    """In a file beside it; a sample without any marks is gone."""
    drawn(ledger)
    mark_document(ledger, 0, Mark.RIGHT, now=5.0)
    drawn(ledger, 7)
    drawn(ledger, 8)
    sample = read_sample(ledger)
    assert sample is not None and (len(sample.documents), sample.marked) == (8, 0)
    kept = [path for path in ledger.parent.glob("*.sample.json") if path != sample_path(ledger)]
    assert len(kept) == 1
    assert {kind_of(path, ledger) for path in (*kept, sample_path(ledger))} == {Kind.SAMPLE}


def test_a_result_that_was_replaced_does_not_count(ledger: Path) -> None:
    """Nor one whose document has another number since, as after `rebuild`."""
    drawn(ledger)
    sample = mark_document(ledger, 0, Mark.WRONG, now=5.0)
    number = sample.documents[0].document
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE documents SET output_sha256 = 'x' WHERE id = ?", (number,))
    connection.close()
    reader = readable(ledger)
    assert replaced_since(reader, sample) == {number}
    reader.close()
    assert sample.estimate(frozenset({number})).judged == 0


def test_what_is_no_sample_is_told(ledger: Path) -> None:
    """With what to do; and a mark without a sample isn't made in silence."""
    with pytest.raises(BatcherError, match="isn't in the sample any more"):
        mark_document(ledger, 0, Mark.RIGHT, now=5.0)
    sample_path(ledger).write_text('{"step": 5}')
    with pytest.raises(BatcherError, match="move it away"):
        read_sample(ledger)


def test_a_report_tells_of_the_sample_or_why_it_cannot(ledger: Path, tmp_path: Path) -> None:
    """Once somebody has judged; a file that can't be read keeps no report from being made."""

    def report() -> tuple[str, str]:
        done = CliRunner().invoke(
            main, ["report", str(ledger.parents[1]), "-o", str(tmp_path / "r.html")]
        )
        assert done.exit_code == 0
        return (tmp_path / "r.html").read_text(), done.stderr

    drawn(ledger)
    assert "Checked by a sample" not in report()[0]
    mark_document(ledger, 0, Mark.WRONG, now=5.0)
    assert "Checked by a sample" in report()[0]
    sample_path(ledger).write_text("[]")
    html, told = report()
    assert "Checked by a sample" not in html
    assert "the report leaves the checked sample out" in told
