"""An Outlook message with a marker word in each place where Outlook shows text."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import Final

from compound_file import write_compound

PLACES: Final = (
    "subject",
    "sender",
    "address of the sender",
    "recipient",
    "copy",
    "blind copy",
    "body",
    "div in the body",
    "name of an attachment",
    "subject of the attached message",
    "sender of the attached message",
    "body of the attached message",
    "subject of the innermost message",
    "body of the innermost message",
)
# entries of a property stream: type, tag, value
LONG: Final = 0x0003
TIME: Final = 0x0040
UTF_8: Final = 65001
MARCH_2_2026: Final = 134169264000000000  # in tenths of a microsecond since 1601


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the message, and the marker that stands in each place, once."""
    m = {place: f"marker{number:03d}" for number, place in enumerate(PLACES)}
    html = f"<p>{m['body']} für</p><div>{m['div in the body']}</div>".encode()
    inner = "__attach_version1.0_#00000001/__substg1.0_3701000D"
    innermost = f"{inner}/__attach_version1.0_#00000000/__substg1.0_3701000D"
    streams = {
        **texts("", {"0037": m["subject"], "0C1A": m["sender"]}),
        **texts("", {"5D01": f"{m['address of the sender']}@example.org", "0E04": "not twice"}),
        "__substg1.0_10130102": html,
        "__substg1.0_1000001F": "not twice".encode("utf-16-le"),
        "__properties_version1.0": properties(
            32, (TIME, 0x0039, MARCH_2_2026), (LONG, 0x3FDE, UTF_8)
        ),
        **recipient(0, 1, m["recipient"]),
        **recipient(1, 2, m["copy"]),
        **recipient(2, 3, m["blind copy"]),
        **texts(
            "__attach_version1.0_#00000000/",
            {"3707": f"{m['name of an attachment']}.pdf", "3704": "MARKER~1.PDF"},
        ),
        f"{inner}/__properties_version1.0": properties(24),
        **texts(f"{inner}/", {"0037": m["subject of the attached message"]}),
        **texts(f"{inner}/", {"0C1A": m["sender of the attached message"]}),
        **texts(f"{inner}/", {"1000": m["body of the attached message"]}),
        f"{innermost}/__properties_version1.0": properties(24),
        **texts(f"{innermost}/", {"0037": m["subject of the innermost message"]}),
        f"{innermost}/__substg1.0_10090102": stored(
            rf"{{\rtf1\ansi {m['body of the innermost message']}\par}}"
        ),
    }
    return written(streams), m


def texts(folder: str, values: dict[str, str]) -> dict[str, bytes]:
    """Return the streams of text properties."""
    return {
        f"{folder}__substg1.0_{tag}001F": text.encode("utf-16-le") for tag, text in values.items()
    }


def recipient(number: int, kind: int, name: str) -> dict[str, bytes]:
    folder = f"__recip_version1.0_#{number:08X}/"
    return {
        **texts(folder, {"3001": name, "39FE": f"r{number}@example.org"}),
        f"{folder}__properties_version1.0": properties(8, (LONG, 0x0C15, kind)),
    }


def properties(header: int, *entries: tuple[int, int, int]) -> bytes:
    return bytes(header) + b"".join(
        struct.pack("<HHIQ", kind, tag, 6, value) for kind, tag, value in entries
    )


def stored(rtf: str) -> bytes:
    """Return RTF in the container of compressed RTF, uncompressed."""
    raw = rtf.encode()
    return struct.pack("<II4sI", len(raw) + 12, len(raw), b"MELA", 0) + raw


def written(streams: dict[str, bytes]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.msg"
        write_compound(path, streams)
        return path.read_bytes()
