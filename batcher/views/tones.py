"""Colours of lines for people, on terminals that show them and where nobody asks for none."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, TextIO

COLOUR: Final = ("auto", "always", "never")


class Tone(Enum):
    """What a line is about. The values are the codes of ANSI terminals."""

    PLAIN = ""
    GOOD = "32"
    WARNING = "33"
    BAD = "31"
    FAINT = "2"


def is_coloured(choice: str, stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether lines on `stream` are coloured. `choice` is one of `COLOUR`.

    With auto, NO_COLOR (any text) forbids it, FORCE_COLOR (any text but 0) demands it, and else a
    terminal gets colours that isn't a dumb one. See no-color.org and force-color.org.
    """
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"


def painted(words: str, tone: Tone) -> str:
    """Return the words in the colour of their tone, each line by itself."""
    if not tone.value:
        return words
    return "\n".join(f"\x1b[{tone.value}m{line}\x1b[0m" for line in words.split("\n"))
