"""Create files that only their owner, or their group as well, can read; durable ones too."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

# The modes of files by access; results are as confidential as the ledger.
FILES: Final = {
    "owner": 0o600,
    "group": 0o640,
}
FOLDERS: Final = {"owner": 0o700, "group": 0o750}
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make_file(path: Path, access: str = "owner") -> None:
    """Create an empty file with the mode for `access`. Raises FileExistsError or OSError."""
    fd = os.open(path, NEW, 0o600)
    try:
        let_in(fd, FILES[access])
    finally:
        os.close(fd)


def let_in(fd: int, mode: int) -> None:
    """Set the mode of an open file or folder, unless it has that mode already.

    This is needed for the group's bits, which the umask may have removed.
    """
    there = os.fstat(fd).st_mode
    if stat.S_IMODE(there) & 0o777 != mode:
        # keep the bit that passes the group on to new files
        os.fchmod(fd, mode | (there & stat.S_ISGID))


def replace_file(path: Path, body: bytes, access: str = "owner") -> None:
    """Put a file with `body` in place of `path`, durable, and never half there. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    make_file(part, access)
    with part.open("r+b") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
