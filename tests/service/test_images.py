"""Images: every frame a page, sizes checked before pixels are unpacked."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from batcher.service.parsing import Parsed, parse
from batcher.service.parsing.pages import DocumentProblem

pillow_heif.register_heif_opener()
FORMATS = "png jpg gif bmp tiff heic webp ppm pcx".split()


def picture(color: str = "white") -> Image.Image:
    return Image.new("RGB", (64, 48), color)


def read(path: Path, **settings: object) -> Parsed:
    return parse(path, extension=path.suffix[1:], options={"settings": settings})


def fault(path: Path) -> str:
    with pytest.raises(DocumentProblem) as caught:
        read(path)
    return caught.value.name


@pytest.mark.parametrize("extension", FORMATS)
def test_each_kind_of_image_is_a_page(tmp_path: Path, extension: str) -> None:
    """Whose picture can be asked for."""
    path = tmp_path / f"a.{extension}"
    picture().save(path)
    parsed = read(path, return_images=["page"])
    assert parsed.num_pages == 1 and list(parsed.images) == ["page-1.png"]


def test_each_frame_of_a_tiff_is_a_page(tmp_path: Path) -> None:
    """As faxes and scanners write them; a range picks among them."""
    path = tmp_path / "fax.tiff"
    picture().save(path, save_all=True, append_images=[picture("red"), picture("blue")])
    parsed = read(path, page_range=[2, 3])
    places = [block["bbox"] for chunk in parsed.result["chunks"] for block in chunk["blocks"]]
    assert [(place["page"], place["original_page"]) for place in places] == [(1, 2), (2, 3)]


def test_a_moving_picture_is_one_page(tmp_path: Path) -> None:
    """Its first frame is what is seen on paper."""
    path = tmp_path / "move.gif"
    picture().save(path, save_all=True, append_images=[picture("red")])
    assert read(path).num_pages == 1


@pytest.mark.parametrize("size", [(20_000, 10), (9000, 9000)])
def test_a_vast_image_is_refused_by_what_it_says_of_itself(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Before a byte of it is unpacked."""
    path = tmp_path / "bomb.png"
    head = b"IHDR" + struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + bytes(4))
    assert fault(path) == "IMAGE_TOO_LARGE"


@pytest.mark.parametrize("extension", FORMATS)
def test_a_broken_image_is_called_corrupt(tmp_path: Path, extension: str) -> None:
    """Whatever its kind."""
    path = tmp_path / f"a.{extension}"
    Image.effect_noise((64, 48), 90).convert("RGB").save(path)
    path.write_bytes(path.read_bytes()[:40])
    assert fault(path) == "DOCUMENT_CORRUPT"


def test_an_unreadable_kind_of_image_names_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HEIC without its package is unsupported, not broken."""
    path = tmp_path / "a.heic"
    picture().save(path)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    assert fault(path) == "DOCUMENT_UNSUPPORTED"
