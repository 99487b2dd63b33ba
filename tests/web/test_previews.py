"""Pages of sources are made by a process that may die of them; the next is made anyway."""

from __future__ import annotations

import asyncio
import io
import shutil
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from papers import EXAMPLES
from PIL import Image

from batcher.common.page_preview import Preview
from batcher.web.previews import Previews
from batcher.web.source_file import SourceFile


def source(path: Path, kind: str = "") -> SourceFile:
    return SourceFile(path, kind or path.suffix[1:], (1,))


@pytest.fixture
async def previews() -> AsyncIterator[Previews]:
    made = Previews()
    yield made
    await made.close()


@pytest.fixture
async def odd(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Previews]:
    """Its processes do as the type of the source says."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    made = Previews(process="odd_previews", seconds=5.0, kept=2_000)
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("kind", "words"),
    [("dies", "died of it"), ("babbles", "died of it"), ("hangs", "takes longer than 0.5 s")],
)
async def test_a_source_that_harms_the_process_is_told(
    odd: Previews, kind: str, words: str
) -> None:
    """Whatever it does, the next source gets a process of its own."""
    first = await odd.page(source(Path("/a"), "good"), 1)
    odd._seconds = 0.5 if kind == "hangs" else 5.0
    assert words in (await odd.page(source(Path("/b"), kind), 1)).problem
    odd._seconds = 5.0
    after = await odd.page(source(Path("/c"), "good"), 1)
    assert (after.text, after.problem) == ("good", "")
    assert after.pages != first.pages  # the process's number


async def test_pages_are_kept_within_bounds(odd: Previews) -> None:
    """One that was just made isn't made again; the oldest go first."""
    pages = [await odd.page(source(Path("/a"), "good"), number) for number in range(1, 5)]
    assert await odd.page(source(Path("/a"), "good"), 4) is pages[3]
    assert await odd.page(source(Path("/a"), "good"), 1) is not pages[0]


async def test_no_key_reaches_the_process(odd: Previews, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document may take it over."""
    monkeypatch.setenv("REDUCTO_API_KEY", "secret")
    names = (await odd.page(source(Path("/a"), "tells"), 1)).text.split()
    assert "PATH" in names and "REDUCTO_API_KEY" not in names


async def test_whoever_stops_waiting_leaves_no_answer_behind(odd: Previews) -> None:
    """The next question gets its own answer."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await odd.page(source(Path("/a"), "hangs"), 1)
    assert (await odd.page(source(Path("/b"), "good"), 1)).text == "good"


async def test_any_page_of_a_pdf_is_a_picture_of_bounded_size(previews: Previews) -> None:
    """In the shape that the page has; of pages that aren't there it says so."""
    handbook = source(EXAMPLES / "handbook" / "workshop-handbook.pdf")
    page = await previews.page(handbook, 12)
    with Image.open(io.BytesIO(page.picture)) as picture:
        assert picture.size == (page.width, page.height)
    assert max(page.width, page.height) == 1600 and page.pages == 12
    assert "no page 13" in (await previews.page(handbook, 13)).problem


async def test_what_cannot_be_shown_is_told_in_words(previews: Previews, tmp_path: Path) -> None:
    """Cut off, locked, empty, too large for memory, or of no known type: no path in it."""
    trouble = EXAMPLES.parent / "trouble"
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(_png(10_000, 9_000))
    empty = tmp_path / "empty.docx"
    empty.write_bytes(b"")
    found: dict[str, Preview] = {}
    for path in (trouble / "cut-off.pdf", trouble / "locked.pdf", bomb, empty):
        found[path.name] = await previews.page(source(path), 1)
    shutil.copy(bomb, tmp_path / "x")
    assert all(one.problem and not one.picture and not one.text for one in found.values())
    assert not any(str(tmp_path) in one.problem for one in found.values())
    assert "password" in found["locked.pdf"].problem
    assert "10000 x 9000 pixels" in found["bomb.png"].problem


def _png(width: int, height: int) -> bytes:
    """A picture that says it is large, and is a few bytes."""

    def part(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", head)
        + part(b"IDAT", zlib.compress(b""))
        + part(b"IEND", b"")
    )
