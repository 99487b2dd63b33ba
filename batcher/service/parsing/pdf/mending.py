"""Mend the bytes of PDFs that readers open although liteparse takes them for something else.

Nothing is made longer or shorter, but for what stands before the header: every offset stays right.
"""

from __future__ import annotations

import re
from typing import Final

_HEADER: Final = b"%PDF-"
_FIRST_HEADER: Final = b"%PDF-1.7\n"
# Bytes within which a header may follow what a mail gateway or a web form put before it.
_JUNK_AT_MOST: Final = 1 << 16
# The name of Illustrator's own data, by which liteparse takes the file for a drawing.
_ILLUSTRATOR: Final = b"AIPrivateData"
_ANOTHER_NAME: Final = b"AIPrivateDatb"
# The scale of a page, by which liteparse tears large letters apart and draws pictures that are too
# large; all places here are shares of a page.
_SCALE: Final = b"/UserUnit"
_NO_SCALE: Final = b"/UserUnis"
# Edges of pages that are kilometres long: liteparse takes gigabytes for a page of such a size.
_EDGES: Final = b"/MediaBox"
_NUMBERS: Final = re.compile(rb"\s{0,9}\[[^]]{0,200}]")
_FAR: Final = re.compile(rb"(?<![.\d])0*[1-9]\d{5,}")
FARTHEST: Final = 99999  # points, 35 metres


def mended(content: bytes) -> bytes:
    """Return the content so that it begins with a PDF's header, if it is a PDF.

    What stands before the header is cut off, and a header that is missing is put there. Pages that
    are too large to be read are made smaller. Any other content is returned as it is.
    """
    start = content.find(_HEADER, 0, _JUNK_AT_MOST)
    if start > 0:
        content = content[start:]
    elif start < 0 and b" obj" in content and b"endobj" in content:
        content = _FIRST_HEADER + content
    if _ILLUSTRATOR in content:
        content = content.replace(_ILLUSTRATOR, _ANOTHER_NAME)
    if _SCALE in content:
        content = content.replace(_SCALE, _NO_SCALE)
    return _with_near_edges(content)


def _with_near_edges(content: bytes) -> bytes:
    edited: bytearray | None = None
    place = content.find(_EDGES)
    while place >= 0:
        edges = _NUMBERS.match(content, place + len(_EDGES))
        if edges and _FAR.search(edges[0]):
            edited = edited or bytearray(content)
            edited[edges.start() : edges.end()] = _FAR.sub(_nearer, edges[0])
        place = content.find(_EDGES, place + 1)
    return content if edited is None else bytes(edited)


def _nearer(number: re.Match[bytes]) -> bytes:
    return b"%0*d" % (len(number[0]), FARTHEST)
