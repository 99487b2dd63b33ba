"""A file that a run's lines are added to, also while logrotate moves it away."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class LogFile:
    """Appends text to the file at `path`, which only its owner may read if it is new.

    Each text is written in one piece. A file that was moved or deleted is opened again. Raises
    OSError where the file can't be opened at first. Later troubles don't stop a run: `tell` is
    called with the first of them.
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self._path = path.absolute()
        self._tell = tell
        self._is_told = False
        self._fd = self._opened()

    def write(self, text: str) -> None:
        """Append `text`, which ends with a line break."""
        rest = memoryview(text.encode("utf-8", errors="backslashreplace"))
        try:
            self._follow()
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            self._tell_once(error)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        os.close(self._fd)

    def _opened(self) -> int:
        return os.open(self._path, _APPEND, 0o600)

    def _follow(self) -> None:
        """Open the file again if another or none is at its path by now."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            there = None
        if there is not None and os.path.samestat(there, os.fstat(self._fd)):
            return
        fresh = self._opened()
        os.close(self._fd)
        self._fd = fresh

    def _tell_once(self, error: OSError) -> None:
        if not self._is_told:
            self._is_told = True
            self._tell(
                f"{self._path}: {error.strerror}; the run goes on, and lines are missing there"
            )
