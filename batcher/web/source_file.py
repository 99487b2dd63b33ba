"""The file that a document was made of, if it is still the one that the service has read.

It is found by what the ledger says alone, and shown only if its bytes are those on record: a
ledger from elsewhere can't name other files of whoever looks at it.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batcher.common.names import extension_of
from batcher.common.urls import is_url
from batcher.errors import SourceError, SourceGoneError
from batcher.ledger.queries.source_place import SourcePlace
from batcher.sources import directory
from batcher.sources.listing import ROW

LARGEST: Final = 256 << 20  # bytes; larger files aren't hashed for a page
REMEMBERED: Final = 2_000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file with the bytes on record. `mark` changes with it."""

    path: Path
    extension: str
    mark: tuple[int, ...]


class SourceFiles:
    """Finds sources; a file that hasn't changed since is hashed once."""

    def __init__(self) -> None:
        self._digests: OrderedDict[tuple[object, ...], str] = OrderedDict()
        self._turn = threading.Lock()

    def find(self, place: SourcePlace) -> SourceFile | str:
        """Return the file, or why there is none to show, in words. Blocking."""
        if "://" in place.folder:
            return "The source lies in an object store, and isn't fetched for this page."
        if (place.place or "").startswith(ROW) or is_url(place.source):
            return "The source is an address, and isn't fetched for this page."
        if place.content is None:
            return "The source could never be read."
        path = directory.path_at(place.folder, place.source, place.place)
        try:
            return self._checked(path, place.content)
        except SourceGoneError:
            return f"The source is no longer at {path}: it was moved or deleted."
        except (SourceError, OSError, ValueError) as error:
            return f"The source can't be read: {error}"

    def _checked(self, path: Path, content: str) -> SourceFile | str:
        status = os.lstat(path) if path.exists() else None
        if status is not None and status.st_size > LARGEST:
            return f"The source is larger than {LARGEST >> 20} MB, too large for this page: {path}"
        mark = () if status is None else (*directory.facts(status), status.st_dev)
        if self._digest(path, mark) != content.partition(".")[0]:
            return f"The source has changed since it was sent: {path}"
        return SourceFile(path, extension_of(path.name), mark)

    def _digest(self, path: Path, mark: tuple[int, ...]) -> str:
        key = (path, *mark)
        with self._turn:
            if key in self._digests:
                self._digests.move_to_end(key)
                return self._digests[key]
        digest = directory.digest(path)
        with self._turn:
            self._digests[key] = digest
            while len(self._digests) > REMEMBERED:
                self._digests.popitem(last=False)
        return digest
