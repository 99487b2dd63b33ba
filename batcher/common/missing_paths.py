"""Suggests the path that was probably meant, where one isn't there."""

from __future__ import annotations

import difflib
from itertools import islice
from pathlib import Path
from typing import Final

_MOST: Final = 10_000  # names of a folder that are looked at


def instead_of(path: Path, *, folder: bool = False) -> str:
    """Return a hint such as "did you mean inbox?", or an empty string if nothing is near.

    With `folder` only folders are suggested.
    """
    if path.parts[:1] == ("~",):
        return "a shell expands ~ only where it stands without quotes"
    near = _near(path)
    if near is None or (folder and not near.is_dir()):
        return ""
    return f"did you mean {near}?"


def _near(path: Path) -> Path | None:
    """Return the existing path that looks most like this one, its folders included."""
    if path.parent == path:
        return None
    parent: Path | None = path.parent
    if not path.parent.is_dir():
        parent = _near(path.parent)
    if parent is None or (parent / path.name).exists():
        return None if parent is None else parent / path.name
    name = _nearest(path.name, parent)
    return None if name is None else parent / name


def _nearest(name: str, folder: Path) -> str | None:
    try:
        names = [entry.name for entry in islice(folder.iterdir(), _MOST)]
    except OSError:
        return None
    folded = {one.casefold(): one for one in names if one[:1] != "." or name[:1] == "."}
    for one in folded.values():
        if Path(one).stem == name:  # only its extension was left out
            return one
    found = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[found[0]] if found else None
