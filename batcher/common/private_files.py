"""New files that only their owner reads, or a group besides: modes, and how a file is given one."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

# what documents say is as confidential as the ledger
FILES: Final = {
    "owner": 0o600,
    "group": 0o640,
}
FOLDERS: Final = {"owner": 0o700, "group": 0o750}
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make_file(path: Path, access: str = "owner") -> None:
    """An empty one. Raises FileExistsError, OSError."""
    fd = os.open(path, NEW, 0o600)
    try:
        let_in(fd, FILES[access])
    finally:
        os.close(fd)


def let_in(fd: int, mode: int) -> None:
    """Give it that mode if it has another: few have, and a group's bits are set against any
    umask.
    """
    there = os.fstat(fd).st_mode
    if stat.S_IMODE(there) & 0o777 != mode:
        os.fchmod(fd, mode | (there & stat.S_ISGID))  # what a folder hands down stays
