"""Patterns of file names as in .gitignore, except that the case of an extension is ignored.

`*.pdf` also matches SCAN.PDF.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pathspec import GitIgnoreSpec

_EXTENSION: Final = re.compile(r"(?<=[^/\\!])\.([^/.\[\]\\\s]+)(?=\s*$)")


def bad_pattern(patterns: Iterable[str]) -> str | None:
    """Return the first pattern that is invalid, quoted for a message; None if there is none."""
    for pattern in patterns:
        try:
            pattern_spec([pattern])
        except ValueError:
            return repr(pattern)
    return None


def pattern_spec(patterns: Iterable[str]) -> GitIgnoreSpec:
    """Compile the patterns. Raises ValueError if one is invalid."""
    return GitIgnoreSpec.from_lines(_EXTENSION.sub(_in_any_case, pattern) for pattern in patterns)


def _in_any_case(extension: re.Match[str]) -> str:
    return "." + "".join(f"[{c.lower()}{c.upper()}]" if _has_cases(c) else c for c in extension[1])


def _has_cases(character: str) -> bool:
    return (
        character.lower() != character.upper()
        and len(character.lower()) == len(character.upper()) == 1
    )
