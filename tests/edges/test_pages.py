"""Counting pages for an estimate: right on real documents, one page for what can't be counted, never an error."""

import random
import struct
from pathlib import Path

import pytest
from PIL import Image

from batcher.core.cost import Measure
from batcher.edges.pages import COUNTERS, measure

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
    assert measure(DOCUMENTS / name).pages == PAGES[name]


@pytest.mark.parametrize("suffix", COUNTERS)
def test_what_cannot_be_counted_has_one_page(suffix: str, tmp_path: Path) -> None:
    """A missing file, an empty one, noise."""
    path = tmp_path / f"a{suffix}"
    assert measure(path) == Measure(counted=False)
    for content in (b"", b"%PDF-1.7", random.Random(1).randbytes(5000)):
        path.write_bytes(content)
        assert measure(path).pages == 1


def test_a_broken_document_raises_nothing(tmp_path: Path) -> None:
    """Real ones with a hole in them, at fifty places each."""
    rng = random.Random(3)
    for original in (path for path in DOCUMENTS.rglob("*") if path.suffix in COUNTERS):
        content, path = original.read_bytes(), tmp_path / original.name
        for _ in range(50):
            at = rng.randrange(len(content))
            path.write_bytes(content[:at] + rng.randbytes(20) + content[at + rng.randrange(40) :])
            assert measure(path).pages >= 1


def test_the_cells_of_a_sheet_are_counted(tmp_path: Path) -> None:
    """Those with a value: the service bills sheets by them."""
    assert measure(DOCUMENTS / "reports" / "hours.xlsx").cells > 20
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n" * 100)
    assert measure(path) == Measure(pages=1, cells=300)


def test_the_pictures_of_a_tiff_are_counted(tmp_path: Path) -> None:
    """Each one is a page; a chain that bites its tail ends."""
    path = tmp_path / "fax.tiff"
    Image.new("1", (8, 8)).save(path, save_all=True, append_images=[Image.new("1", (8, 8))] * 6)
    assert measure(path).pages == 7
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 8))
    assert measure(path).pages == 1


def test_a_large_tiff_is_counted_too(tmp_path: Path) -> None:
    """Of the kind with eight bytes for each address."""
    first, second = struct.pack("<QQ", 0, 32), struct.pack("<QQ", 0, 0)
    (tmp_path / "a.tif").write_bytes(b"II" + struct.pack("<HHHQ", 43, 8, 0, 16) + first + second)
    assert measure(tmp_path / "a.tif").pages == 2
    (tmp_path / "b.tif").write_bytes(b"II" + struct.pack("<HHHQ", 43, 8, 0, 2**64 - 1))
    assert measure(tmp_path / "b.tif").pages == 1
