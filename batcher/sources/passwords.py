"""The passwords of protected documents: read from where the manifest says, and tried on documents.

They are kept in memory and in the requests they are sent with, and nowhere else; no message here
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
    """The passwords of all sources.

    Creating it raises ManifestError if a source names a variable or a file that isn't there.
    """

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
        """Return the passwords that may open the document of these names in `folder`."""
        ring = self._rings.get(folder)
        return ring.of(*names) if ring else ()

    def opening(self, content: bytes | Path, passwords: Sequence[str]) -> str | None:
        """Return the password that opens the document, or None if it needs none. Blocking.

        If that can't be found out here, the first of `passwords` is returned. Raises DocumentLocked
        if none of them opens the document.
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
        """End the process that tries passwords."""
        self._unlocker.close()


def ring_of(source: Source, where: str) -> Keyring:
    """Return the passwords that a source names.

    Raises ManifestError if the variable is empty, or the file is missing or unusable.
    """
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
        # without quoting a byte of it
        trouble = f"it isn't UTF-8 in line {error.line}; save it as UTF-8"
    except csv.Error:
        trouble = "it can't be read as CSV"  # csv's own message may quote the file
    except ValueError as error:
        trouble = str(error)
    except OSError as error:
        trouble = str(error.strerror)
    else:
        if ring:
            return ring
        trouble = "it holds no password"
    raise ManifestError(where, [Problem("source.passwords_file", f"{path}: {trouble}")])
