"""Tell whether parts of a PDF are damaged, of which liteparse shows nothing and says nothing.

A page whose content can't be unpacked, or whose picture can't, is a blank page to it. Streams are
found by their place in the bytes; those of an encrypted document can't be judged.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

_STREAM: Final = re.compile(rb"\bstream\r?\n")
_FILTER: Final = re.compile(rb"/Filter\s{0,9}\[?\s{0,9}/(\w{1,20})")
_NEAR: Final = 1000  # bytes of a stream's dictionary before it
_FIRST: Final = 4096  # bytes of a stream that are unpacked
_JPEG: Final = b"\xff\xd8"


def is_damaged(content: bytes) -> bool:
    """Tell whether any stream isn't what its dictionary says, from its first byte on."""
    if b"/Encrypt" in content:
        return False
    place = 0
    while found := _STREAM.search(content, place):
        dictionary = content[max(place, found.start() - _NEAR) : found.start()]
        packed = _FILTER.search(dictionary.rpartition(b"obj")[2])
        start = found.end()
        if packed and _is_broken(packed[1], content[start : start + _FIRST]):
            return True
        end = content.find(b"endstream", start)
        place = end + len(b"endstream") if end >= 0 else len(content)
    return False


def _is_broken(packing: bytes, start: bytes) -> bool:
    match packing:
        case b"FlateDecode" | b"Fl":
            try:
                zlib.decompressobj().decompress(start, 1)
            except zlib.error:
                return True
        case b"DCTDecode" | b"DCT":
            return not start.startswith(_JPEG)
    return False
