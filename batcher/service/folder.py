"""The service's data folder: whose it is, its lock, and what a killed service left in it.

Nothing is touched before the folder is locked, and then only files that a service made: `--data-dir
~` must not cost anybody a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from batcher.errors import PlaceUnusable

LOCK_PATIENCE: Final = 15.0  # seconds to wait for a service that is just ending
MARK: Final = b"batcher's local service keeps its data in this folder\n"  # content of the lock file
LOCK = "lock"
DATABASE = "service.db"
DATABASES: Final = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm")
PARTS: Final = ("uploads", "results")
_ID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# The names that `uploads`, `fetching` and the workers give to unfinished files.
_UNFINISHED: Final = re.compile(rf"{_ID}(\.json)?\.part")
_JOB: Final = re.compile(_ID)


@contextlib.asynccontextmanager
async def held(folder: Path) -> AsyncIterator[None]:
    """Create the folder if it is missing, and lock it for one service until the block ends.

    The system releases the lock of a process that dies. Raises PlaceUnusable if another service
    holds the folder, it has other files, or it can't be used.
    """
    with _explained(folder):
        _make(folder)
        _check_ownership(folder)
        descriptor = _open_lock(folder)
    try:
        await _lock(descriptor, folder)
        with _explained(folder):
            _claim(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as trouble:
        why = getattr(trouble, "strerror", None) or trouble
        raise PlaceUnusable(
            f"the local service can't use {folder}: {why}; name another folder with --data-dir"
        ) from trouble


def _make(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def _check_ownership(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    if not names or _is_marked(folder / LOCK, alone=names == {LOCK}) or _is_of_old(names):
        return
    raise PlaceUnusable(
        f"{folder} holds other files and is no folder of a local service; name a new or an empty "
        "one, "
        f"such as --data-dir {folder / 'batcher-service'}"
    )


def _is_marked(lock: Path, *, alone: bool) -> bool:
    """Tell whether a lock file is a service's.

    An empty one belongs to a service that is just starting, if nothing else is in the folder yet.
    """
    if lock.is_symlink() or not lock.is_file():
        return False
    with lock.open("rb") as file:
        said = file.read(len(MARK) + 1)
    return said == MARK or (alone and not said)


def _is_of_old(names: set[str]) -> bool:
    """Tell whether these are the files of an earlier version, which left no mark."""
    return {LOCK, DATABASE, *PARTS} <= names <= {LOCK, *DATABASES, *PARTS}


def _open_lock(folder: Path) -> int:
    return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


async def _lock(descriptor: int, folder: Path) -> None:
    patience = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > patience:
                raise PlaceUnusable(
                    f"another local service is using {folder}; end it, or name another folder "
                    "with --data-dir"
                ) from None
        except OSError as trouble:
            raise PlaceUnusable(
                f"{folder} can't be locked ({trouble.strerror}); it must be on a local disk"
            ) from trouble
        await asyncio.sleep(0.05)


def _claim(descriptor: int, folder: Path) -> None:
    """Mark the folder and create what is in it.

    The mark comes first, so that a service that dies here leaves a folder that is known as its own.
    """
    if os.pread(descriptor, len(MARK), 0) != MARK:
        os.pwrite(descriptor, MARK, 0)
        os.fsync(descriptor)
    for part in PARTS:
        (folder / part).mkdir(mode=0o700, exist_ok=True)
    # SQLite would create it with mode 0644.
    os.close(os.open(folder / DATABASE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    for leftover in list(
        _unfinished(folder)
    ):  # Left by a service that was killed during a transfer.
        leftover.unlink(missing_ok=True)


def _unfinished(folder: Path) -> Iterator[Path]:
    """Yield the unfinished files; only names that a service makes, in the folders it made."""
    uploads, results = (folder / part for part in PARTS)
    yield from (path for path in _files(uploads) if _UNFINISHED.fullmatch(path.name))
    for path in _entries(results):
        if path.is_dir() and not path.is_symlink() and _JOB.fullmatch(path.name):
            yield from (one for one in _files(path) if one.suffix == ".part")
        elif path.is_file() and _UNFINISHED.fullmatch(path.name):
            yield path


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in _entries(folder) if path.is_file())


def _entries(folder: Path) -> list[Path]:
    """Return the folder's entries; none if it is a link, which may lead to other people's files."""
    return [] if folder.is_symlink() else list(folder.iterdir())
