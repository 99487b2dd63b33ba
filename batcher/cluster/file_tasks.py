"""What hands do with files: hash one, or put its bytes at an address that the service gave.

Both are free. A hash may be taken again by anybody; an address is put to once, by one hand.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

# Bytes from which a file is worth handing over: a smaller one is read here in less time than it
# takes to say what it is.
WORTH_HANDING_OVER: Final = 1 << 20


class StoredFile(msgspec.Struct, frozen=True, tag="file"):
    """A file in a folder, as this machine sees it; `place` is written as by `common.names`.

    `mtime_ns` is 0 where it isn't compared, because a hash is. Without a `place` it stands for the
    folder.
    """

    folder: str
    place: str
    size: int
    mtime_ns: int = 0


class StoredObject(msgspec.Struct, frozen=True, tag="object"):
    """An object in a store, by a signed `address`; `content` is its content key."""

    name: str
    content: str
    size: int
    address: str

    def __repr__(self) -> str:
        return f"StoredObject({self.name!r}, address=…)"


class Hashing(msgspec.Struct, frozen=True, tag="hash"):
    """Return the file's SHA-256."""

    file: StoredFile

    @property
    def size(self) -> int:
        return self.file.size


class Putting(msgspec.Struct, frozen=True, tag="put"):
    """Put the bytes at `address`, once; those of a file must have the hash `sha256`."""

    source: StoredFile | StoredObject
    address: str
    sha256: str = ""

    @property
    def size(self) -> int:
        return self.source.size

    def __repr__(self) -> str:
        return f"Putting({self.source!r}, address=…)"


FileTask = Hashing | Putting


class Failure(StrEnum):
    """Why a task wasn't done.

    NOT_HERE: this hand can't do it, and nothing was put. LOST: nobody knows what became of it. The
    rest is what the service did with a PUT.
    """

    NOT_HERE = "not here"
    LOST = "lost"
    NO_ANSWER = "no answer"
    NO_ADDRESS = "no address"


class FileReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of a task: a file's `sha256`, or the HTTP `status` of a PUT, or the failure.

    `headers` are those of a PUT that was refused. `message` is for people.
    """

    sha256: str = ""
    status: int = 0
    headers: dict[str, str] = {}
    failure: Failure | None = None
    message: str = ""
