"""Mend the bytes of PDFs that readers open although liteparse takes them for something else."""

from __future__ import annotations

from typing import Final

_HEADER: Final = b"%PDF-"
_FIRST_HEADER: Final = b"%PDF-1.7\n"
# Bytes within which a header may follow what a mail gateway or a web form put before it.
_JUNK_AT_MOST: Final = 1 << 16
# The name of Illustrator's own data, by which liteparse takes the file for a drawing. A name of the
# same length keeps every offset of the file right.
_ILLUSTRATOR: Final = b"AIPrivateData"
_ANOTHER_NAME: Final = b"AIPrivateDatb"


def mended(content: bytes) -> bytes:
    """Return the content so that it begins with a PDF's header, if it is a PDF.

    What stands before the header is cut off, and a header that is missing is put there. Any other
    content is returned as it is.
    """
    start = content.find(_HEADER, 0, _JUNK_AT_MOST)
    if start > 0:
        content = content[start:]
    elif start < 0 and b" obj" in content and b"endobj" in content:
        content = _FIRST_HEADER + content
    if _ILLUSTRATOR in content:
        content = content.replace(_ILLUSTRATOR, _ANOTHER_NAME)
    return content
