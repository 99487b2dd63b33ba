"""Name the files that a PDF has attached, which liteparse doesn't tell.

They are found by their place in the bytes, as the texts of Info are; those of an encrypted document
have no readable names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from batcher.service.parsing.pdf.info import decoded, packed_objects, text_at_start

UNNAMED: Final = "without a readable name"
MOST: Final = 20  # files that are named
_ANY: Final = b"/EmbeddedFile"  # of one file, or of the list of them
_DATA: Final = re.compile(rb"/EmbeddedFile\b")
_HAS_FILE: Final = re.compile(rb"/EF\s{0,9}<<")
_NAME: Final = re.compile(rb"/(UF|F)\s{0,9}(?=[(<])(?!<<)")
_NEAR: Final = 1000  # bytes of a file's dictionary before and behind its data
_ENDS: Final = re.compile(rb"endobj|\bobj\b")


def attachments_of(content: bytes) -> list[str]:
    """Return the names of the files, each once; `UNNAMED` for those whose name isn't found."""
    if _ANY not in content:
        return []
    if b"/Encrypt" in content:
        return [UNNAMED] if _DATA.search(content) else []
    names: dict[str, None] = {}
    for objects in (content, *(unpacked for _, _, unpacked in packed_objects(content))):
        for name in _names(objects):
            names.setdefault(name)
            if len(names) == MOST:
                return list(names)
    return list(names)


def _names(objects: bytes) -> Iterator[str]:
    for found in _HAS_FILE.finditer(objects):
        before = _ENDS.split(objects[max(0, found.start() - _NEAR) : found.start()])[-1]
        behind = _ENDS.split(objects[found.end() : found.end() + _NEAR])[0]
        # the nearest counts: in a compressed stream objects follow each other without a mark
        near = [*reversed(list(_told(before))), *_told(behind)]
        text = next((text for key, text in near if key == b"UF"), near[0][1] if near else "")
        yield text or UNNAMED


def _told(part: bytes) -> Iterator[tuple[bytes, str]]:
    for found in _NAME.finditer(part):
        text = text_at_start(part[found.end() :])
        if text is not None:
            yield found[1], decoded(text)
