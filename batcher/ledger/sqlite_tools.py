"""sqlite-utils, imported without pandas and numpy.

It loads these, where they are installed, for methods that aren't used here, and that takes a fifth
of a second of every run that makes a ledger.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["Database", "Migrations"]

_UNUSED: Final = ("numpy", "pandas")


@contextmanager
def _without_unused() -> Iterator[None]:
    hidden = [name for name in _UNUSED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _without_unused():
    from sqlite_utils import Database, Migrations
