"""Counting pages for an estimate: right on real documents, one page for what can't be counted, never an error."""

import random
from pathlib import Path

import pytest

from batcher.edges.pages import COUNTERS, count_pages

DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"
PAGES = {
    "handbook/workshop-handbook.pdf": 12,
    "correspondence/delivery-note-scan.pdf": 1,
    "reports/annual-review.pptx": 3,
    "reports/hours.xlsx": 2,
    "reports/meeting-notes.md": 1,
}


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_of_a_real_document(name: str) -> None:
    """As the service counts them."""
    assert count_pages(DOCUMENTS / name) == PAGES[name]


@pytest.mark.parametrize("suffix", COUNTERS)
def test_what_cannot_be_counted_has_one_page(suffix: str, tmp_path: Path) -> None:
    """A missing file, an empty one, noise."""
    path = tmp_path / f"a{suffix}"
    assert count_pages(path) == 1
    for content in (b"", b"%PDF-1.7", random.Random(1).randbytes(5000)):
        path.write_bytes(content)
        assert count_pages(path) == 1


def test_a_broken_document_raises_nothing(tmp_path: Path) -> None:
    """Real ones with a hole in them, at fifty places each."""
    rng = random.Random(3)
    for original in (path for path in DOCUMENTS.rglob("*") if path.suffix in COUNTERS):
        content, path = original.read_bytes(), tmp_path / original.name
        for _ in range(50):
            at = rng.randrange(len(content))
            path.write_bytes(content[:at] + rng.randbytes(20) + content[at + rng.randrange(40) :])
            assert count_pages(path) >= 1
