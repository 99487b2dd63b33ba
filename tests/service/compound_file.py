"""Writes a compound file, as Word and Outlook did: just enough of [MS-CFB] for streams in one level
of folders.
"""

from __future__ import annotations

import struct
from pathlib import Path

SECTOR = 512
FREE = 0xFFFFFFFF
END = 0xFFFFFFFE
FAT = 0xFFFFFFFD
LEAST = 4096  # smaller streams would have to share sectors; they are filled up instead


def write_compound(path: Path, streams: dict[str, bytes]) -> None:
    """`folder/stream` or `stream`, with its content; short ones end in zeros."""
    tree: dict[str, dict | bytes] = {}
    for name, content in streams.items():
        *folders, last = name.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})  # type: ignore[assignment]
        place[last] = content.ljust(LEAST, b"\0")
    sectors: list[bytes] = []
    chain: list[int] = []
    entries: list[bytes] = [b""]
    root = _add(tree, entries, sectors, chain)
    entries[0] = _entry("Root Entry", 5, child=root, start=END)
    directory = len(sectors)
    _store(b"".join(entries).ljust(-(-len(entries) // 4) * SECTOR, b"\0"), sectors, chain)
    table = -(-(len(chain) + 8) // (SECTOR // 4 - 1))
    first = len(sectors)
    chain += [FAT] * table
    filled = b"".join(struct.pack("<I", link) for link in chain).ljust(table * SECTOR, b"\xff")
    head = struct.pack("<8s16x5H6x9I", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 62, 3, 0xFFFE, 9, 6,
                       0, table, directory, 0, LEAST, END, 0, END, 0)  # fmt: skip
    head += b"".join(struct.pack("<I", first + n if n < table else FREE) for n in range(109))
    path.write_bytes(head + b"".join(sectors) + filled)


def _add(tree: dict, entries: list[bytes], sectors: list[bytes], chain: list[int]) -> int:
    """Siblings hang to the right of each other, in the order readers want: shorter names first."""
    names = sorted(tree, key=lambda name: (len(name), name.upper()))
    places = list(range(len(entries), len(entries) + len(names)))
    entries += [b""] * len(names)
    for name, place, right in zip(names, places, [*places[1:], FREE], strict=False):
        if isinstance(tree[name], dict):
            child = _add(tree[name], entries, sectors, chain)
            entries[place] = _entry(name, 1, right=right, child=child, start=0)
        else:
            start = _store(tree[name], sectors, chain)
            entries[place] = _entry(name, 2, right=right, start=start, size=len(tree[name]))
    return places[0] if places else FREE


def _store(content: bytes, sectors: list[bytes], chain: list[int]) -> int:
    start = len(sectors)
    count = -(-len(content) // SECTOR)
    sectors += [content[n * SECTOR : (n + 1) * SECTOR].ljust(SECTOR, b"\0") for n in range(count)]
    chain += [*range(start + 1, start + count), END]
    return start


def _entry(
    name: str, kind: int, *, right: int = FREE, child: int = FREE, start: int, size: int = 0
) -> bytes:
    raw = name.encode("utf-16-le")
    shape = "<64sHBBIII16xI16xIQ"
    return struct.pack(shape, raw, len(raw) + 2, kind, 1, FREE, right, child, 0, start, size)
