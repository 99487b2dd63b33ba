"""A PDF of one page that wants a password: encrypted as its standard has it since 1.1 (RC4, 40
bits), by hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
MARK = bytes(16)  # the document's ID, part of its key
ALLOWED = -4  # everything


def locked_pdf(text: str, password: str) -> bytes:
    """Whoever knows the password, an empty one say, reads `text`."""
    owner = _rc4(hashlib.md5(_padded(password)).digest()[:5], _padded(password))
    key = hashlib.md5(
        _padded(password) + owner + ALLOWED.to_bytes(4, "little", signed=True) + MARK
    ).digest()[:5]
    user = _rc4(key, PADDING)
    page = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode()
    content = _rc4(hashlib.md5(key + (4).to_bytes(3, "little") + bytes(2)).digest()[:10], page)
    return _file(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
            b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> "
            b">> >> >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
            b"<< /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P %d >>"
            % (owner.hex().encode(), user.hex().encode(), ALLOWED),
        ]
    )


def _file(objects: Iterable[bytes]) -> bytes:
    written = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"<< /Size %d /Root 1 0 R /Encrypt 5 0 R /ID [<%s> <%s>] >>"
    mark = MARK.hex().encode()
    return written + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n%s\nstartxref\n%d\n%%%%EOF\n" % (
        len(places) + 1,
        table,
        end % (len(places) + 1, mark, mark),
        len(written),
    )


def _padded(password: str) -> bytes:
    return (password.encode("latin-1") + PADDING)[:32]


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = 0
    j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
