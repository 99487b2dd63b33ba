"""Keep the tracebacks of unexpected errors in a file beside the ledger.

Only its owner can read it, and its size is limited.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

SIZE_AT_MOST: Final = 1 << 20  # bytes; the first tracebacks say more than the last


def keeper(path: Path, also: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that appends a text to the file at `path` and calls `also` with it.

    If the disk refuses, the text is only passed on.
    """

    def keep(text: str) -> None:
        also(text)
        with suppress(OSError):
            fd = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            with os.fdopen(fd, "a", encoding="utf-8", errors="replace") as file:
                if file.tell() < SIZE_AT_MOST:
                    file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n")

    return keep
