"""What is peculiar to a batch of the local service that a run carries: it costs nothing, and leaves
nothing on this disk that nobody needs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commandline import Said, batcher, rows

Words = tuple[object, ...]


@pytest.fixture
def words(inbox: Path, out: Path) -> Words:
    return ("run", inbox, "-o", out, "-S", "service.settle=1")


def kept(out: Path) -> list[str]:
    """The uploads and results that the local service has on disk."""
    service = out / ".batcher" / "service"
    return [path.name for path in service.rglob("*") if path.parent.name in ("uploads", "results")]


async def test_what_the_local_service_keeps_goes_once_results_are_saved(
    words: Words, out: Path
) -> None:
    """By itself; later runs need none of it, and send nothing."""
    assert (await batcher(*words)).code == 0
    assert kept(out) == []
    assert rows(out, "SELECT count(*) FROM attempts WHERE cleaned_at IS NOT NULL") == [(6,)]
    assert (await batcher(*words)).code == 0
    assert rows(out, "SELECT count(*) FROM attempts") == [(6,)]
    for flags in ((), ("--service-data",)):
        said = (await batcher("prune", out, *flags)).out
        assert "nothing of it can go" in said and "note" not in said


async def test_what_is_read_again_by_the_local_service_is_not_called_paid(
    words: Words, inbox: Path, out: Path, tmp_path: Path
) -> None:
    """Neither by verify nor by failures, retry or status, also of a ledger made anew: it knows so
    by its attempts, as it remembers no manifest before its next run.
    """
    (inbox / "broken.pdf").write_bytes(b"%PDF-1.4 cut off")
    assert (await batcher(*words)).code == 1
    listed = (await batcher("failures", out)).out
    assert "broken.pdf: 1 attempt\n" in listed and "if billed" not in listed
    shutil.copytree(out / ".batcher", tmp_path / "before")
    assert_unpriced(await batcher("retry", out))
    shutil.rmtree(out / ".batcher")
    (tmp_path / "before").rename(out / ".batcher")
    for path in (out / ".batcher").glob("ledger.db*"):
        path.unlink()
    assert (await batcher("rebuild", out)).code == 0
    status = await batcher("status", out)
    assert "not billed" in status.out and "$" not in status.out
    assert_unpriced(await batcher("retry", out))
    (out / "0" / "letter 0.txt.json").unlink()
    for repair in ((), ("--repair",)):
        said = await batcher("verify", out, *repair)
        assert "1 read again, which isn't billed" in said.err
        assert "paid" not in said.err and "credit" not in said.err
    assert (await batcher(*words)).code == 1
    assert json.loads((await batcher("verify", out, "--json")).out)["saved"] == 6


def assert_unpriced(retry: Said) -> None:
    assert "1 document is in the queue again\n" in retry.err and "credit" not in retry.err
