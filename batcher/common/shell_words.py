"""Paths and names as they are typed in the commands that messages suggest."""

from __future__ import annotations

import shlex


def typed(path: object) -> str:
    """Return a path as it is typed in a shell; one that begins with a dash is no option there."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def typed_name(name: str) -> str:
    """Return a document's name as the last argument of a command.

    A name isn't a path, so "--" says that one which begins with a dash is no option.
    """
    quoted = shlex.quote(name)
    return f"-- {quoted}" if name.startswith("-") else quoted
