"""What a process that reads documents may use: memory, processor time, files, and no terminal."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from typing import BinaryIO, Final

# Bytes of address space. OCR of a page as large as A2 takes 1.4 GB of it.
MEMORY: Final = 2 << 30
# Bytes that libraries reserve for the threads they start for each core, and hardly use.
MEMORY_OF_A_CORE: Final = 32 << 20
# Bytes of the largest file that a worker may write.
FILE_SIZE: Final = 2 << 30
OPEN_FILES: Final = 256


def silence_libraries() -> BinaryIO:
    """Return our own copy of stdout, and redirect stdout and stderr to nowhere.

    Libraries print messages ("Empty page!!") that would spoil the user's terminal. Tracebacks of
    our own bugs still reach stderr.
    """
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return out


def limit_resources(*, file_size: int = FILE_SIZE) -> None:
    """Limit this process for good; `file_size` is in bytes, of a file that it may write."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it handles Ctrl-C
    for what, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MEMORY + MEMORY_OF_A_CORE * (os.cpu_count() or 1)),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        _limit(what, limit)


class ProcessorTime:
    """The processor time of one task, here and elsewhere, limited by the system from now on.

    The system counts from the start of the process, which has read other documents.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = _processor_time()
        self._elsewhere = 0.0
        self._bound()

    @property
    def used(self) -> float:
        """The seconds that the task has taken in this process."""
        return _processor_time() - self._began

    @property
    def left(self) -> float:
        """The seconds that the task may still take; 0 if there are none."""
        return max(0.0, self._seconds - self._elsewhere - self.used)

    def count(self, seconds: float) -> None:
        """Count what other processes have done for the task; beyond its limit this one ends."""
        self._elsewhere += seconds
        self._bound()

    def _bound(self) -> None:
        _limit(resource.RLIMIT_CPU, int(_processor_time() + self.left) + 1)


def _processor_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _limit(what: int, limit: int) -> None:
    _, hard = resource.getrlimit(what)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses some limits
        resource.setrlimit(
            what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
        )
