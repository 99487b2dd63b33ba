"""Images: every frame a page, sizes checked before pixels are unpacked."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from batcher.service.parsing import Parsed, parse
from batcher.service.parsing.pages import DocumentProblem
from batcher.service.parsing.scans import images

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


@pytest.mark.parametrize("extension", ["gif", "webp", "png", "mpo"])
def test_a_picture_of_several_frames_is_one_page(tmp_path: Path, extension: str) -> None:
    """Its first frame is what is seen on paper, and the others are said to be left out."""
    path = tmp_path / f"move.{extension}"
    picture().save(path, save_all=True, append_images=[picture("red"), picture("blue")])
    parsed = read(path.rename(path.with_suffix(".jpg")) if extension == "mpo" else path)
    assert parsed.num_pages == 1
    assert "not read: 2 further frames of the image; the first one is read" in parsed.notes


def test_a_tiff_of_too_many_pages_is_refused(tmp_path: Path) -> None:
    """With the limit, and not read as far as that in silence."""
    path = tmp_path / "book.tiff"
    page = Image.new("1", (8, 8))
    page.save(path, save_all=True, append_images=[page] * images.FRAMES)
    with pytest.raises(DocumentProblem, match="501 pages; at most 500") as caught:
        read(path)
    assert caught.value.name == "DOCUMENT_TOO_LARGE"


def test_a_broken_page_of_a_tiff_costs_that_page(tmp_path: Path) -> None:
    """The others are read, and it is named."""
    path = tmp_path / "fax.tiff"
    page = Image.effect_noise((64, 48), 90)
    page.save(path, save_all=True, append_images=[page] * 2, compression="tiff_adobe_deflate")
    with Image.open(path) as image:
        image.seek(1)
        start = image.tag_v2[273][0]
    content = bytearray(path.read_bytes())
    content[start : start + 64] = bytes(64)
    path.write_bytes(content)
    parsed = read(path)
    assert parsed.num_pages == 3
    assert any(note.startswith("page 2: not read: the frame is broken") for note in parsed.notes)


def seen(path: Path) -> Image.Image:
    """The page's picture, as it is read."""
    return Image.open(io.BytesIO(read(path, return_images=["page"]).images["page-1.png"]))


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_it_says(tmp_path: Path, orientation: int, extension: str) -> None:
    """The corner that is dark is the one at the top left."""
    upright = Image.new("L", (80, 48), 255)
    upright.paste(0, (0, 0, 24, 16))
    ways = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turned = upright.transpose(ways[orientation]) if orientation in ways else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{extension}"
    turned.convert("RGB").save(path, exif=exif)
    page = seen(path).convert("L")
    assert page.size == (80, 48)
    assert page.getpixel((4, 4)) < 40 and page.getpixel((70, 40)) > 200


def transparent(mode: str) -> Image.Image:
    """Black on nothing; what can't be seen is black as well."""
    image = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (8, 8, 24, 24))
    if mode == "P":
        palette = image.convert("L").convert("P")
        palette.putdata([1 if alpha else 0 for alpha in image.getchannel("A").tobytes()])
        palette.putpalette([0, 0, 0, 0, 0, 0])
        palette.info["transparency"] = 0
        return palette
    return image.convert(mode)


@pytest.mark.parametrize(
    "extension, mode",
    [
        ("png", "RGBA"),
        ("png", "LA"),
        ("png", "P"),
        ("gif", "P"),
        ("webp", "RGBA"),
        ("tiff", "RGBA"),
        ("tiff", "LA"),
        ("heic", "RGBA"),
    ],
)
def test_what_is_transparent_is_white(tmp_path: Path, extension: str, mode: str) -> None:
    """As it would be on paper."""
    path = tmp_path / f"logo.{extension}"
    image = transparent(mode)
    image.save(path, **({"transparency": 0} if mode == "P" else {}))
    page = seen(path).convert("L")
    assert page.getpixel((50, 40)) > 240 and page.getpixel((16, 16)) < 20


def test_white_on_nothing_can_be_seen(tmp_path: Path) -> None:
    """On white it would be gone."""
    path = tmp_path / "logo.png"
    image = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (8, 8, 24, 24))
    image.save(path)
    page = seen(path).convert("L")
    assert page.getpixel((16, 16)) - page.getpixel((50, 40)) > 100


def deep(mode: str) -> Image.Image:
    """Dark grey on light grey, of the 65,536 or more levels that the mode has."""
    image = Image.new("I", (64, 48), 40_000)
    image.paste(9_000, (8, 8, 24, 24))
    return image.convert(mode)


@pytest.mark.parametrize(
    "extension, image",
    [
        ("png", deep("I;16")),
        ("tiff", deep("I;16")),
        ("tiff", deep("I")),
        ("tiff", deep("F")),
        ("jpg", transparent("RGBA").convert("RGB").convert("CMYK")),
        ("tiff", Image.eval(transparent("LA").getchannel("A"), lambda a: 255 - a).convert("1")),
    ],
    ids=["png-16", "tiff-16", "tiff-32", "tiff-float", "jpg-cmyk", "tiff-1"],
)
def test_any_depth_becomes_one_that_can_be_seen(
    tmp_path: Path, extension: str, image: Image.Image
) -> None:
    """Dark stays dark, and light light."""
    path = tmp_path / f"a.{extension}"
    if image.mode == "CMYK":
        image = Image.new("CMYK", (64, 48), (0, 0, 0, 0))
        image.paste((0, 0, 0, 255), (8, 8, 24, 24))
    image.save(path)
    page = seen(path).convert("L")
    assert page.getpixel((16, 16)) < 60 and page.getpixel((50, 40)) > 190


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_picture_that_is_cut_is_refused(tmp_path: Path, extension: str, share: float) -> None:
    """It is not read as if it were whole."""
    path = tmp_path / f"a.{extension}"
    Image.effect_noise((256, 192), 90).convert("RGB").save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert fault(path) == "DOCUMENT_CORRUPT"


@pytest.mark.parametrize("size", [(20_000, 10), (9000, 9000), (14_000, 14_000)])
def test_a_vast_image_is_refused_by_what_it_says_of_itself(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Before a byte of it is unpacked, also where Pillow refuses it before we do."""
    path = tmp_path / "bomb.png"
    head = b"IHDR" + struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + bytes(4))
    assert fault(path) == "IMAGE_TOO_LARGE"


@pytest.mark.parametrize("side", [8000, 14_000])
def test_a_vast_page_among_others_is_refused(tmp_path: Path, side: int) -> None:
    """It is met only when its turn comes, by us or by Pillow."""
    small = tmp_path / "a.pcx"
    Image.new("L", (64, 48), 255).save(small)
    first = small.read_bytes()
    vast = bytearray(first)
    vast[8:12] = struct.pack("<HH", side - 1, side - 1)
    path = tmp_path / "fax.dcx"
    places = struct.pack("<III", 16, 16 + len(first), 0)
    path.write_bytes(struct.pack("<I", 0x3ADE68B1) + places + first + vast)
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


def test_a_drawing_in_svg_says_what_to_do(tmp_path: Path) -> None:
    """It has no pixels."""
    path = tmp_path / "a.svg"
    path.write_text("<svg xmlns='http://www.w3.org/2000/svg'><text>word</text></svg>")
    with pytest.raises(DocumentProblem, match="save it as PDF or PNG"):
        read(path)
