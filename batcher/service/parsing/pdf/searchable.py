"""Write a searchable PDF for `settings.embed_pdf_metadata`.

It shows the pages' pictures, with their words as invisible text. It holds only what a viewer needs
to show, search and copy; no font is embedded, since no glyph is drawn.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from batcher.service.parsing.pages import Page, Word

NAME: Final = "document.pdf"
QUALITY: Final = 80  # JPEG quality, of 100
_FONT: Final = (
    b"<</Type/Font/Subtype/Type0/BaseFont/Unseen/Encoding/Identity-H/DescendantFonts[4 0 "
    b"R]/ToUnicode 5 0 R>>",
    b"<</Type/Font/Subtype/CIDFontType2/BaseFont/Unseen/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)"
    # Every character is half as wide as it is high; each word is stretched to fit its box.
    b"/Supplement 0>>/DW 500>>",
)
_CODES: Final = (  # a character's code is its Unicode code point
    b"/CIDInit/ProcSet findresource begin 12 dict begin begincmap/CMapName/Unseen def/CMapType 2 "
    b"def"
    b" 1 begincodespacerange<0000><FFFF>endcodespacerange 1 "
    b"beginbfrange<0000><FFFF><0000>endbfrange"
    b" endcmap end end"
)
# Number of the first page's object; the catalogue, the page tree and the font's three come first.
_FIRST: Final = 6


def searchable(pages: Sequence[Page], *, dpi: int, rendered_at: int) -> bytes:
    """Return the PDF with one page for each of `pages` that has a picture.

    `rendered_at` is the resolution of the pictures and `dpi` the one to write, in dots per inch.
    """
    shown = [page for page in pages if page.picture]
    kids = b" ".join(b"%d 0 R" % (_FIRST + 3 * number) for number in range(len(shown)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(shown), kids),
        *_FONT,
        _stream(b"", _CODES),
    ]
    for page in shown:
        objects += _page(page, len(objects) + 1, dpi / rendered_at, 72 / rendered_at)
    return _file(objects)


def _page(page: Page, number: int, scale: float, points: float) -> Iterator[bytes]:
    from PIL import Image

    with Image.open(io.BytesIO(page.picture)) as opened:
        wide = opened.width * points
        high = opened.height * points
        size = (max(1, round(opened.width * scale)), max(1, round(opened.height * scale)))
        picture = opened.convert("RGB").resize(size)
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=QUALITY)
    head = b"/Type/XObject/Subtype/Image/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode"
    shape = b"/Width %d/Height %d" % size
    yield (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %.2f %.2f]/Contents %d 0 R"
        b"/Resources<</Font<</F 3 0 R>>/XObject<</P %d 0 R>>>>>>"
        % (wide, high, number + 1, number + 2)
    )
    words = b"".join(_word(word, wide, high) for word in page.words)
    yield _stream(
        b"/Filter/FlateDecode",
        zlib.compress(b"q %.2f 0 0 %.2f 0 0 cm/P Do Q\n" % (wide, high) + words),
    )
    yield _stream(head + shape, jpeg.getvalue())


def _word(word: Word, wide: float, high: float) -> bytes:
    """Write a word in text mode 3, which paints nothing, stretched to the width of its box."""
    left, top, width, height = word.box
    codes = (word.text + " ").encode("utf-16-be", "replace")
    size = max(1.0, height * high)
    stretch = 100 * width * wide / max(1, len(word.text)) / (size / 2)
    where = (size, max(1.0, stretch), left * wide, high * (1 - top - height))
    return b"BT 3 Tr/F %.2f Tf %.2f Tz %.2f %.2f Td<%s>Tj ET\n" % (*where, codes.hex().encode())


def _stream(words: bytes, content: bytes) -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (words, len(content), content)


def _file(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)
