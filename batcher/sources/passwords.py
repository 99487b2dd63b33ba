"""Passwords of protected documents, read where the manifest says, and tried on whatever is at hand.

They stand in memory and in the requests they are sent with, and nowhere else: no message here
quotes one.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from batcher.common.text_files import NotText, read_text
from batcher.errors import DocumentLocked, ManifestError, Problem
from batcher.manifest.model import Source
from batcher.manifest.password_rules import Keyring, from_lines, from_table
from batcher.sources.pdf_passwords import Unlocker, wants_password


class Passwords:
    """Those of every source. Raises ManifestError where one names what isn't there."""

    def __init__(self, sources: Sequence[Source], *, where: str) -> None:
        self._rings: dict[str, Keyring] = {}
        self._unlocker = Unlocker()
        for source in sources:
            ring = ring_of(source, where)
            if ring:
                self._rings[source.folder] = self._rings[str(source.listing or source.folder)] = (
                    ring
                )

    def of(self, folder: str, *names: str | None) -> tuple[str, ...]:
        """Those that may open a document there, by one of its names."""
        ring = self._rings.get(folder)
        return ring.of(*names) if ring else ()

    def opening(self, content: bytes | Path, passwords: Sequence[str]) -> str | None:
        """The one that opens it; None where it wants none; the first where that can't be told here.
        Blocking.

        Raises DocumentLocked where it wants one that isn't among them.
        """
        wanted = wants_password(content)
        if wanted is False:
            return None
        first = passwords[0] if passwords else None
        if wanted is None:
            return first
        opened = self._unlocker.opened_by(content, ["", *passwords])
        if opened is None:
            raise DocumentLocked(_NONE_OPENS if passwords else _NONE_NAMED)
        return opened.password or None if opened.known else first

    def close(self) -> None:
        self._unlocker.close()


def ring_of(source: Source, where: str) -> Keyring:
    """Raises ManifestError where it names what isn't there."""
    return _from_environment(source, where) + _from_file(source, where)


_NONE_NAMED = "DOCUMENT_PASSWORD_PROTECTED: no password is named for it"
_NONE_OPENS = (
    "DOCUMENT_PASSWORD_PROTECTED: none of the passwords named for it opens it, so it wasn't sent"
)


def _from_environment(source: Source, where: str) -> Keyring:
    name = source.passwords_env
    if name is None:
        return Keyring()
    ring = from_lines(os.environ.get(name, ""))
    if not ring:
        hint = f"export {name}=…, one or several, each on a line"
        raise ManifestError(
            where, [Problem("source.passwords_env", f"{name} isn't set in the environment", hint)]
        )
    return ring


def _from_file(source: Source, where: str) -> Keyring:
    path = source.passwords_file
    if path is None:
        return Keyring()
    try:
        text = read_text(path)
        is_table = path.suffix.lower() == ".csv"
        ring = from_table(StringIO(text), ignore=source.ignore) if is_table else from_lines(text)
    except NotText as error:
        trouble = f"it isn't UTF-8 in line {error.line}; save it as UTF-8"  # and no byte of it
    except csv.Error:
        trouble = "it can't be read as CSV"  # in whose words what it holds might stand
    except ValueError as error:
        trouble = str(error)
    except OSError as error:
        trouble = str(error.strerror)
    else:
        if ring:
            return ring
        trouble = "it holds no password"
    raise ManifestError(where, [Problem("source.passwords_file", f"{path}: {trouble}")])
