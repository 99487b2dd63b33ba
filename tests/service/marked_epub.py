"""An EPUB book with the marked page of `marked_html` as XHTML, among other chapters."""

from __future__ import annotations

import io
import zipfile
from typing import Final

CONTAINER: Final = (
    "<container xmlns='urn:oasis:names:tc:opendocument:xmlns:container'><rootfiles>"
    "<rootfile full-path='OEBPS/book.opf' media-type='application/oebps-package+xml'/>"
    "</rootfiles></container>"
)
PACKAGE: Final = """<?xml version='1.0' encoding='utf-8'?>
<package xmlns='http://www.idpf.org/2007/opf'>
<metadata xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:title>kept out</dc:title></metadata>
<manifest>
<item id='nav' href='nav.xhtml' media-type='application/xhtml+xml' properties='nav'/>
<item id='ncx' href='toc.ncx' media-type='application/x-dtbncx+xml'/>
<item id='cover' href='cover.xhtml' media-type='application/xhtml+xml'/>
<item id='one' href='text/one%20more.xhtml#start' media-type='application/xhtml+xml'/>
<item id='two' href='Text/two.xhtml' media-type='application/xhtml+xml'/>
<item id='drawing' href='drawing.svg' media-type='image/svg+xml'/>
<item id='photo' href='photo.jpg' media-type='image/jpeg'/>
<item id='lost' href='lost.xhtml' media-type='application/xhtml+xml'/>
</manifest>
<spine toc='ncx'><itemref idref='cover'/><itemref idref='two'/><itemref idref='one'/>
<itemref idref='drawing' linear='no'/><itemref idref='photo'/><itemref idref='lost'/>
<itemref idref='unlisted'/></spine></package>"""
PLACES: Final = (
    "picture of the cover",
    "heading of a chapter",
    "text after empty elements",
    "character data",
    "note",
    "text in another case",
    "poem",
    "drawing",
)
XHTML: Final = (
    "<?xml version='1.0' encoding='utf-8'?><!DOCTYPE html><html"
    " xmlns='http://www.w3.org/1999/xhtml' xmlns:epub='http://www.idpf.org/2007/ops'>"
    "<head><title/><script src='a.js'/><style/></head><body>{}</body></html>"
)


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the book, and the marker that stands in each place, once."""
    m = {place: f"marker{number:03d}" for number, place in enumerate(PLACES)}
    one = (
        f"<section><h2 id='a'>{m['heading of a chapter']}</h2><a id='p1'/><span/><i/>"
        f"<p>{m['text after empty elements']}<br/></p><p><![CDATA[<{m['character data']}>]]></p>"
        f"<aside epub:type='footnote'>{m['note']}</aside><svg/><textarea/></section>"
    )
    two = f"<div class='verse'>{m['poem']}</div><div/>&nbsp;&mdash;{m['text in another case']}"
    drawing = f"<svg xmlns='http://www.w3.org/2000/svg'><text>{m['drawing']}</text></svg>"
    parts = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": PACKAGE,
        "OEBPS/nav.xhtml": XHTML.format("<nav><ol><li>kept out</li></ol></nav>"),
        "OEBPS/toc.ncx": "<ncx><navPoint><text>kept out</text></navPoint></ncx>",
        "OEBPS/cover.xhtml": XHTML.format(f"<img src='c.jpg' alt='{m['picture of the cover']}'/>"),
        "OEBPS/text/one more.xhtml": XHTML.format(one),
        "OEBPS/text/two.xhtml": XHTML.format(two),
        "OEBPS/drawing.svg": drawing,
        "OEBPS/photo.jpg": "not a picture",
    }
    return packed(parts), m


def packed(parts: dict[str, str]) -> bytes:
    """Return a zip archive of these parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()
