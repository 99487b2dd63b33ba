"""A file as the body of an upload, which breaks off rather than succeed with wrong bytes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiofiles

from batcher.errors import SourceChangedError, SourceError, SourceGoneError, SourceUnreadableError

CHUNK: Final = 1 << 20


async def checked_chunks(
    path: Path, size: int, sha256: str | None, *, head: bytes = b"", tail: bytes = b""
) -> AsyncIterator[bytes]:
    """Yield the file in chunks; raise before the end if it isn't the file that was planned."""
    digest = hashlib.sha256()
    sent = 0
    if head:
        yield head
    try:
        async with aiofiles.open(path, "rb") as file:
            while chunk := await file.read(CHUNK):
                digest.update(chunk)
                sent += len(chunk)
                if sent > size:
                    raise SourceChangedError(f"{path.name}: grew while it was sent")
                if sent == size and sha256 is not None and digest.hexdigest() != sha256:
                    raise SourceChangedError(
                        f"{path.name}: its bytes are no longer those that were planned"
                    )
                yield chunk
    except OSError as error:
        raise unread(path, error) from error
    if sent != size:
        raise SourceChangedError(f"{path.name}: shrank while it was sent")
    if tail:
        yield tail


def size_of(path: Path) -> int:
    """Return the file's size in bytes. Raises SourceError."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise unread(path, error) from error


def unread(path: Path, error: OSError) -> SourceError:
    """Return the error of a file that can't be read."""
    if isinstance(error, FileNotFoundError):
        return SourceGoneError(f"{path.name}: no longer there")
    return SourceUnreadableError(f"{path.name}: {error.strerror}")
