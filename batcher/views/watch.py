"""Follows a batch from another terminal, printing its status until the run in progress ends.

It only reads the ledger.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, TextIO

from batcher.ledger.lock import is_held
from batcher.views.status import status_values, status_words

PAUSE: Final = 2.0  # seconds
_HOME_AND_CLEAR: Final = "\x1b[H\x1b[J"


def watch(batch: str, ledger: Path, *, stream: TextIO, pause: float = PAUSE) -> None:
    """Print the status every `pause` seconds; return when no run is in progress.

    On a terminal the text is redrawn in place; elsewhere each change is printed again.
    """
    shown = ""
    while True:
        goes_on = is_held(ledger)
        words = status_words(batch, status_values(ledger, under_way=goes_on))
        if words != shown:
            stream.write((_HOME_AND_CLEAR if stream.isatty() else "") + words + "\n")
            stream.flush()
            shown = words
        if not goes_on:
            return
        time.sleep(pause)
