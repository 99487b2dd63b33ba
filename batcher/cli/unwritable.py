"""What to say, and with which exit code, of a file or folder that can't be written."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

import click

from batcher.common.shell_words import typed
from batcher.errors import BatcherError, OutputError

# The path itself is no good: another one is.
_OF_THE_PATH: Final = frozenset(
    {
        errno.EACCES,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EPERM,
    }
)


def refused(path: Path, error: OSError, *, name: str = "") -> click.UsageError | BatcherError:
    """Return what to raise where `path` can't be written, with what to do about it.

    `name` is the option that names the path. Of a path that is no good it is a UsageError, of a
    disk that is full or fails an OutputError: the same command may do once that is mended.
    """
    said = f"{name} {path}: {error.strerror}".strip()
    if error.errno not in _OF_THE_PATH:
        return OutputError(
            f"{said}; nothing is left of it. Make room on that disk, or name a place on another",
            errno=error.errno or 0,
        )
    folder = path.absolute().parent
    if not folder.exists() and error.errno == errno.ENOENT:
        return click.UsageError(f"{said}; make its folder first: mkdir -p {typed(folder)}")
    return click.UsageError(f"{said}; name a place that you may write to")
