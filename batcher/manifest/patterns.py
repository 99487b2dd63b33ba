"""Patterns of file names as in .gitignore, except that the case of an extension is ignored.

`*.pdf` also matches SCAN.PDF.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pathspec import GitIgnoreSpec

_EXTENSION: Final = re.compile(r"(?<=[^/\\!])\.([^/.\[\]\\\s]+)(?=\s*$)")

_BRACES: Final = re.compile(r"(?<!\\)\{[^{}]*,[^{}]*\}")  # a shell's {a,b}


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
    try:
        return GitIgnoreSpec.from_lines(
            _EXTENSION.sub(_in_any_case, pattern) for pattern in patterns
        )
    except re.error as error:  # a range backwards, as in [z-a]
        raise ValueError(str(error)) from error


def never_matches(pattern: str) -> str:
    """Return what to write instead of a pattern that is right elsewhere, but matches nothing here.

    Empty for all others.
    """
    if _BRACES.search(pattern):
        return "there are no braces in these patterns: write one for each, or \\{ for the character"
    if pattern.lstrip("!").startswith(("./", "../")):
        return "a pattern is relative to the source's folder: leave out what stands before its name"
    return ""


def _in_any_case(extension: re.Match[str]) -> str:
    return "." + "".join(f"[{c.lower()}{c.upper()}]" if _has_cases(c) else c for c in extension[1])


def _has_cases(character: str) -> bool:
    return (
        character.lower() != character.upper()
        and len(character.lower()) == len(character.upper()) == 1
    )
