"""Follows a batch from another terminal: its status again and again, until the run under way ends.

It only reads.
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
    """Returns when no run is under way.

    On a terminal one picture is redrawn, elsewhere each change is a new one.
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
