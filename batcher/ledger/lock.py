"""The lock on a ledger: only one process at a time may write it.

It is an OS lock, so nothing of it outlives the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from batcher.errors import LedgerError, LedgerLocked, OutputError
from batcher.ledger.filesystem import network_of

A_GLANCE: Final = 0.05  # seconds; longer than `is_held` ever holds the lock


def lock(path: Path) -> int:
    """Lock the ledger at `path` for this process, and return the file descriptor of the lock.

    It is an OS lock, which ends with the process however that ends, or when the descriptor is
    closed.

    Raises LedgerLocked where another process holds it, OutputError where the lock file can't be
    opened, and LedgerError on a network file system.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_network(path)
        fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (FileExistsError, NotADirectoryError) as error:
        file = next(one for one in reversed(path.parents) if not one.is_dir())
        raise OutputError(
            f"{file} is a file where a folder was to be; move it away, or name another output"
        ) from error
    except OSError as error:
        raise OutputError(
            f"{path}: {error.strerror}; make its folder writable, or name another output"
        ) from error
    try:
        _take(fd)
    except OSError as error:
        os.close(fd)
        raise LedgerLocked(
            f"{path}: another run holds this ledger; wait for it, or follow it with `batcher "
            "status`"
        ) from error
    return fd


def _refuse_network(path: Path) -> None:
    network = network_of(path.parent)
    if network is not None:
        raise LedgerError(
            f"{path}: it lies on a network file system ({network}), where its locks can't be "
            "trusted; "
            "name a local place with output.ledger. Results may be anywhere"
        )


def is_held(path: Path) -> bool:
    """Return whether some process holds the ledger now.

    Unlike a row in the ledger that says so, this is also right after a crash.
    """
    try:
        fd = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)  # this releases the lock as well
    return False


def _take(fd: int) -> None:
    """Take the lock; try twice, since another process may just be checking it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        time.sleep(A_GLANCE)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
