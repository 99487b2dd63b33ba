"""Tell whether a document of today's Office formats is encrypted."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ENCRYPTED: Final = (
    "the document is encrypted; encrypted Office documents are not opened here, even with "
    "their password"
)
_OLE: Final = b"\xd0\xcf\x11\xe0"


def is_encrypted(path: Path) -> bool:
    """Tell whether the file is an encrypted Office document.

    Office writes these as an OLE file with a stream of this name.
    """
    content = path.read_bytes()
    return content.startswith(_OLE) and "EncryptedPackage".encode("utf-16-le") in content
