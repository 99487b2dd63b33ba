"""A file of lines that only grows; its owner records how long it is.

Blocking. A crash may leave a tail that isn't recorded; the next append cuts it off first, so no
half line ever counts.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from batcher.outputs.result_store import trouble

BLOCK: Final = 1 << 20


class Line(NamedTuple):
    """The place of a line: offset and bytes, newline included, and the SHA-256 of its bytes."""

    start: int
    size: int
    sha256: str


def append(path: Path, at: int, lines: Iterable[Iterable[bytes]]) -> list[Line]:
    """Write each of `lines`, given in pieces, from the offset `at` on; they are durable on return.

    Raises FileNotFoundError if the file is shorter than `at`, and OutputError.
    """
    try:
        with path.open("r+b" if at else "wb") as file:
            if file.seek(0, os.SEEK_END) < at:
                raise FileNotFoundError(f"{path} is shorter than it was")
            file.truncate(at)
            file.seek(at)
            written = [_write(file, pieces) for pieces in lines]
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise trouble(str(path), error) from error
    return list(_placed(written, at))


def stand(path: Path, lines: Iterable[tuple[int, int, str | None]]) -> bool:
    """Tell whether each line, (start, bytes, SHA-256), is still where it was written."""
    try:
        with path.open("rb") as file:
            return all(_stands(file, *line) for line in lines)
    except OSError:
        return False


def free_name(folder: Path, name: str) -> str:
    """Return `name`, or the first one numbered like name-2 that doesn't exist in `folder`."""
    stem, _, suffix = name.rpartition(".")
    candidate = name
    number = 1
    while (folder / candidate).exists():
        number += 1
        candidate = f"{stem}-{number}.{suffix}"
    return candidate


def _write(file: BinaryIO, pieces: Iterable[bytes]) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    for piece in pieces:
        file.write(piece)
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def _stands(file: BinaryIO, start: int, size: int, sha256: str | None) -> bool:
    file.seek(start)
    digest = hashlib.sha256()
    while size > 0 and (block := file.read(min(BLOCK, size))):
        digest.update(block)
        size -= len(block)
    return size == 0 and digest.hexdigest() == sha256


def _placed(written: Iterable[tuple[int, str]], at: int) -> Iterator[Line]:
    for size, sha256 in written:
        yield Line(at, size, sha256)
        at += size
