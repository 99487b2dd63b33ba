"""Decompress the RTF bodies of Outlook's messages, as [MS-OXRTFCP] specifies them."""

from __future__ import annotations

import struct
from typing import Final

_COMPRESSED: Final = b"LZFu"
_STORED: Final = b"MELA"
_WINDOW: Final = 4096  # bytes that references reach back
# what the window holds before the first byte
_START: Final = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript "
    rb"\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


def decompressed(raw: bytes) -> bytes:
    """Return the RTF. What is cut off is returned as far as it goes.

    Raises ValueError if `raw` is nothing of the kind.
    """
    if len(raw) < 16:
        raise ValueError("the RTF body is too short")
    size, full, kind = struct.unpack_from("<II4s", raw)
    content = raw[16 : size + 4]
    if kind == _STORED:
        return content[:full]
    if kind != _COMPRESSED:
        raise ValueError(f"the RTF body is compressed in an unknown way, {kind!r}")
    return _expanded(content)


def _expanded(content: bytes) -> bytes:
    """Expand runs of eight items, each a byte or a reference into the window."""
    window = bytearray(_START.ljust(_WINDOW, b"\0"))
    at = len(_START)
    out = bytearray()
    place = 0
    while place < len(content):
        flags = content[place]
        place += 1
        for bit in range(8):
            if flags >> bit & 1:
                if place + 2 > len(content):
                    return bytes(out)
                reference = content[place] << 8 | content[place + 1]
                place += 2
                start = reference >> 4
                length = (reference & 15) + 2
                if start == at:
                    return bytes(out)
            elif place < len(content):
                start = -1
                length = 1
            else:
                return bytes(out)
            for offset in range(length):
                byte = content[place] if start < 0 else window[(start + offset) % _WINDOW]
                out.append(byte)
                window[at] = byte
                at = (at + 1) % _WINDOW
            place += start < 0
    return bytes(out)
