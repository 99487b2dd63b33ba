"""Single documents in the user's cache folder: a folder with a ledger and a result for each.

A folder belongs to the bytes of a document and to what is asked for, so that asking again finds the
result, and what was killed is resumed. One process works on a folder at a time.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from batcher.common.formatting import format_bytes, pluralize
from batcher.errors import LedgerError, LedgerLocked, OutputError
from batcher.ledger.lock import lock

KEPT_DAYS: Final = 30  # days since it was last asked for
KEPT_BYTES: Final = 1 << 30  # of all stored documents together
WAIT: Final = 60.0  # seconds to wait for another process that works on the same document
PAUSE: Final = 0.2
ABANDONED: Final = 86_400.0  # seconds after which an unfinished copy is nobody's
BLOCK: Final = 1 << 20
_DAY: Final = 86_400
_SETTLED: Final = 1_000_000_000  # a modification time long past, so that nobody waits for it
_ELSEWHERE: Final = "XDG_CACHE_HOME chooses another place for the cache"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A private copy of a document's bytes, and their SHA-256."""

    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Entry:
    """The folder of one document and one request."""

    folder: Path

    @property
    def input(self) -> Path:
        return self.folder / "input"

    @property
    def output(self) -> Path:
        return self.folder / "result"

    @property
    def ledger(self) -> Path:
        return self.output / ".batcher" / "ledger.db"

    @property
    def has_result(self) -> bool:
        return any(self.output.glob("*.json"))

    def take_in(self, snapshot: Snapshot, name: str) -> None:
        """Move the snapshot into the folder as the document `name`."""
        self.input.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(snapshot.path, (_SETTLED, _SETTLED))
        snapshot.path.replace(self.input / name)

    def touch(self) -> None:
        """Note that somebody asked for it now."""
        with suppress(OSError):
            os.utime(self.folder)

    def slim(self) -> None:
        """Remove what a saved result needs no more: the copy, and the local service's data."""
        self.slim_input()
        shutil.rmtree(self.ledger.parent / "service", ignore_errors=True)

    def slim_input(self) -> None:
        """Remove the copy, or the address, which may be a signed one."""
        shutil.rmtree(self.input, ignore_errors=True)

    def discard(self) -> None:
        """Remove all of it. Raises OutputError."""
        try:
            shutil.rmtree(self.folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise OutputError(f"{self.folder}: {error.strerror}") from error


class DocumentCache:
    """The folder `batcher` in the user's cache folder, readable by its owner alone."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.locks = root / "locks"
        self.documents = root / "documents"
        self._incoming = root / "incoming"

    def make(self) -> None:
        """Create the folders that are missing. Raises OutputError."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            if self._root.stat().st_mode & 0o077:
                self._root.chmod(0o700)
            for folder in (self.locks, self.documents, self._incoming):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self._root}: {error.strerror}; {_ELSEWHERE}") from error

    @contextmanager
    def snapshot(self, stream: BinaryIO) -> Iterator[Snapshot]:
        """Copy what the stream holds, and remove the copy at the end unless it was taken in.

        Raises OutputError.
        """
        fd, name = tempfile.mkstemp(dir=self._incoming)
        path = Path(name)
        try:
            digest = sha256()
            with os.fdopen(fd, "wb") as copy:
                while block := stream.read(BLOCK):
                    digest.update(block)
                    _write(copy, block)
            yield Snapshot(path, digest.hexdigest())
        finally:
            path.unlink(missing_ok=True)

    def entry(self, key: str) -> Entry:
        return Entry(self.documents / key)

    @contextmanager
    def held(self, key: str, tell: Callable[[str], None]) -> Iterator[Entry]:
        """Hold the folder of `key`; wait for another process that does, for `WAIT` seconds.

        Raises LedgerLocked after that, LedgerError on a network file system, and OutputError.
        """
        until = time.monotonic() + WAIT
        is_told = False
        while (fd := self._try_to_hold(key)) is None:
            if time.monotonic() > until:
                raise LedgerLocked(
                    f"another batcher has worked on the same document for {WAIT:g} s; wait for "
                    "it, and ask again: nothing is paid twice"
                )
            if not is_told:
                tell("another batcher works on the same document; waiting for it")
                is_told = True
            time.sleep(PAUSE)
        try:
            yield self.entry(key)
        finally:
            os.close(fd)

    def _try_to_hold(self, key: str) -> int | None:
        path = self.locks / key
        try:
            fd = lock(path)
        except LedgerLocked:
            return None
        except (LedgerError, OutputError) as error:
            raise type(error)(f"{error}; {_ELSEWHERE}") from error
        if _is_still(fd, path.with_name(f"{key}.lock")):
            return fd
        os.close(fd)  # whoever held it has removed it
        return None

    def expire(self, *, but: str, tell: Callable[[str], None]) -> None:
        """Remove documents that nobody asked for in a while, and the oldest beyond `KEPT_BYTES`.

        What another process holds stays, as does `but`. One without a result goes by its age only:
        by then its service has long deleted the result.
        """
        now = time.time()
        kept = 0
        removed = list[int]()
        for entry, used_at in self._by_use():
            size = _size_of(entry.folder)
            is_old = now - used_at > KEPT_DAYS * _DAY
            is_too_much = kept + size > KEPT_BYTES and entry.has_result
            if entry.folder.name == but or not (is_old or is_too_much):
                kept += size
            elif self._remove(entry):
                removed.append(size)
        if removed:
            tell(
                f"removed {pluralize(len(removed), 'stored result')} "
                f"({format_bytes(sum(removed))}) from {self.documents}: kept are {KEPT_DAYS} days "
                f"and {format_bytes(KEPT_BYTES)}"
            )
        self._sweep(now)

    def _by_use(self) -> list[tuple[Entry, float]]:
        """Return all entries and when they were last asked for, the latest first."""
        found = list[tuple[Entry, float]]()
        with suppress(OSError):
            for folder in self.documents.iterdir():
                with suppress(OSError):
                    found.append((Entry(folder), folder.stat().st_mtime))
        return sorted(found, key=lambda one: -one[1])

    def _remove(self, entry: Entry) -> bool:
        key = entry.folder.name
        fd = self._try_to_hold(key)
        if fd is None:
            return False
        try:
            entry.discard()
            (self.locks / f"{key}.lock").unlink(missing_ok=True)
        except (OSError, OutputError):
            return False
        finally:
            os.close(fd)
        return True

    def _sweep(self, now: float) -> None:
        with suppress(OSError):
            for path in self._incoming.iterdir():
                if now - path.stat().st_mtime > ABANDONED:
                    path.unlink(missing_ok=True)


def user_cache() -> Path:
    """Return batcher's folder in the user's cache folder. Raises OutputError without a home."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if named and Path(named).is_absolute():  # the specification says to ignore any other
        return Path(named) / "batcher"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise OutputError(f"there is no home folder to cache results in; {_ELSEWHERE}") from error
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "batcher"


def _write(copy: BinaryIO, block: bytes) -> None:
    try:
        copy.write(block)
    except OSError as error:
        raise OutputError(f"{copy.name}: {error.strerror}; {_ELSEWHERE}") from error


def _is_still(fd: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))


def _size_of(folder: Path) -> int:
    """Return the bytes of all files below the folder."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(where) / name).lstat().st_size
    return total
