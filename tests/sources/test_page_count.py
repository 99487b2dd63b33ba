"""Counting pages for an estimate: right on real documents, one page for what can't be counted,
never an error.
"""

import random
import struct
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import Image

from batcher.reducto.rate_card import Measure
from batcher.sources.page_count import COUNTERS, PIECE, measure

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
    """Real ones with a hole in them, at fifteen places each."""
    rng = random.Random(3)
    for original in (path for path in DOCUMENTS.rglob("*") if path.suffix in COUNTERS):
        content = original.read_bytes()
        path = tmp_path / original.name
        for _ in range(15):
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
    first = struct.pack("<QQ", 0, 32)
    second = struct.pack("<QQ", 0, 0)
    (tmp_path / "a.tif").write_bytes(b"II" + struct.pack("<HHHQ", 43, 8, 0, 16) + first + second)
    assert measure(tmp_path / "a.tif").pages == 2
    (tmp_path / "b.tif").write_bytes(b"II" + struct.pack("<HHHQ", 43, 8, 0, 2**64 - 1))
    assert measure(tmp_path / "b.tif").pages == 1


PACKED = {
    ".docx": ("docProps/app.xml", b"<Properties><Pages>7</Pages></Properties>" * 50),
    ".pptx": ("ppt/slides/slide1.xml", b"<p:sld/>" * 50),
    ".xlsx": ("xl/worksheets/sheet1.xml", b"<c><v>1</v></c>" * 50),
}
KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def archive(path: Path, kind: int) -> bytes:
    name, content = PACKED[path.suffix]
    with zipfile.ZipFile(path, "w", kind) as file:
        file.writestr(name, content)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_however_broken_raises_nothing(suffix: str, kind: int, tmp_path: Path) -> None:
    """With other bytes in its headers, in what it packs, and flags that call it encrypted; of a
    seed that is named.
    """
    path = tmp_path / f"a{suffix}"
    rng = random.Random(5)
    content = archive(path, kind)
    for at in range(0, len(content), max(1, len(content) // 100)):
        path.write_bytes(
            content[:at] + bytes([rng.choice([0, 1, 255, rng.randrange(256)])]) + content[at + 1 :]
        )
        assert measure(path).pages >= 1


def memory_to_find_nothing(path: Path) -> int:
    """The most bytes that measuring took at once, of what turns out to have one page and no
    cells.
    """
    tracemalloc.start(1)
    try:
        assert measure(path)[:2] == (1, 0)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".docx", ".xlsx"])
def test_what_unpacks_to_much_more_costs_nothing(suffix: str, tmp_path: Path) -> None:
    """No more is unpacked than an estimate needs; nothing of it is kept."""
    path = tmp_path / f"a{suffix}"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file,
        file.open(PACKED[suffix][0], "w") as part,
    ):
        for _ in range(40):
            part.write(bytes(PIECE))
    assert memory_to_find_nothing(path) < 12 << 20


def test_an_archive_of_a_hundred_thousand_parts_is_not_listed(tmp_path: Path) -> None:
    """Of its directory alone nobody knows how much memory it takes."""
    path = tmp_path / "a.pptx"
    entry = b"PK\1\2" + bytes(24) + struct.pack("<H", 1) + bytes(16) + b"x"
    directory = entry * 100_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    path.write_bytes(directory + end)
    assert memory_to_find_nothing(path) < 1 << 20


def made_pdf(path: Path, objects: int) -> Path:
    """A page in each of its packed objects, and some kilobytes of picture behind each."""
    noise = random.Random(7).randbytes(4_000)
    packed = zlib.compress(b"<< /Type /Page /Parent 1 0 R >>")
    one = b"5 0 obj << /Type /ObjStm /N 1 >>\nstream\n" + packed + b"\nendstream endobj\n" + noise
    path.write_bytes(b"%PDF-1.7\n" + one * objects)
    return path


def test_a_page_between_two_pieces_of_a_file_counts_once(tmp_path: Path) -> None:
    """Wherever the one ends and the next begins."""
    page = b"<< /Type /Page >> << /Type /Pages >> "
    for gap in range(len(page) + 1):
        path = tmp_path / "a.pdf"
        path.write_bytes(b" " * (PIECE - gap) + page + b" " * 2_000 + page)
        assert measure(path).pages == 2


def test_a_pdf_of_twice_the_size_takes_about_twice_as_long(tmp_path: Path) -> None:
    """Four times as long would be days for a large one.

    The fastest of three looks at each counts.
    """

    def took(path: Path) -> float:
        spans = []
        for _ in range(3):
            began = time.process_time()
            pages = measure(path).pages
            spans.append(time.process_time() - began)
        assert pages == int(path.stem)
        return min(spans)

    assert took(made_pdf(tmp_path / "4000.pdf", 4_000)) < 3 * took(
        made_pdf(tmp_path / "2000.pdf", 2_000)
    )


@pytest.mark.parametrize(
    "unit", [b"/Type /ObjStm stream\n", b"/Type /ObjStm stream\n" + zlib.compress(b""), b"/Type "]
)
def test_a_pdf_made_to_be_slow_is_not(unit: bytes, tmp_path: Path) -> None:
    """Ten megabytes of what would have each packed object begin anew."""
    path = tmp_path / "a.pdf"
    path.write_bytes(unit * ((10 << 20) // len(unit)))
    began = time.process_time()
    assert measure(path).pages == 1
    assert time.process_time() - began < 15


@pytest.mark.parametrize("seed", range(2))
def test_no_bytes_are_an_error(seed: int, tmp_path: Path) -> None:
    """Of any type: words that mean something there, among noise."""
    rng = random.Random(seed)
    words = [
        b"/Type",
        b"/ObjStm",
        b"stream\n",
        b"/Page",
        b"/Count 9",
        b"/Pages",
        b"PK\3\4",
        b"PK\1\2",
        b"PK\5\6",
        b"II*\0",
    ]
    for suffix in COUNTERS:
        path = tmp_path / f"a{suffix}"
        for _ in range(40):
            parts = [
                rng.choice([*words, rng.randbytes(rng.randrange(30))])
                for _ in range(rng.randrange(30))
            ]
            path.write_bytes(b"".join(parts))
            assert measure(path).pages >= 1
