"""Which documents a person means: by name, by where a file lies, by pattern, or by a list of names.

A name counts before a pattern, so that `a[1].pdf` means the file of that name where there is one.
"""

from __future__ import annotations

import os
import posixpath
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from batcher.common.names import is_text, name_of
from batcher.common.secrets import redact_urls
from batcher.errors import BatcherError
from batcher.ledger.queries.failed_documents import raw_path
from batcher.ledger.queries.fragments import listed
from batcher.manifest.patterns import pattern_spec

SHOWN: Final = 5  # names in a message
_PATTERN: Final = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for.

    `paths` were typed: each is a name, the path of a file or of a result, or a pattern as in a
    manifest's `include`. `listed` come from a file: for each, the names that it may stand for, the
    likelier one first. It is None if there was no file.
    """

    paths: tuple[str, ...] = ()
    listed: tuple[tuple[str, ...], ...] | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing was asked for in particular."""
        return not self.paths and self.listed is None


EVERYTHING: Final = Wanted()


@dataclass(slots=True)
class Named:
    """The documents that are meant, as the ledger spells them.

    `exact` were typed one by one; `fitting` only fit a pattern, or stand in a file, perhaps for the
    sake of another step. `unknown` was asked for in vain.
    """

    exact: set[str] = field(default_factory=set)
    fitting: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)

    def __contains__(self, source: str) -> bool:
        return source in self.exact or source in self.fitting

    def all(self) -> list[str]:
        """Return all of them, sorted."""
        return sorted(self.exact | self.fitting)


def documents_named(
    connection: sqlite3.Connection, wanted: Wanted, *, states: Iterable[str] = ()
) -> Named:
    """Return the documents that are meant, among the current ones that are in one of `states`.

    Without `states` older versions count, too.
    """
    among = f"current = 1 AND state IN ({listed(states)})" if states else "1"
    named = Named()
    missing = []
    for path in wanted.paths:
        if not _add_first(connection, among, _spellings(path), named.exact):
            missing.append(path)
    for spellings in wanted.listed or ():
        if not _add_first(connection, among, spellings, named.fitting):
            named.unknown.append(spellings[0])
    if missing:
        _look_through(connection, among, missing, named)
    return named


def named_or_refused(
    connection: sqlite3.Connection, wanted: Wanted, *, states: Iterable[str], hint: str
) -> Named:
    """Return the documents that are meant. Raises BatcherError if some name or pattern fits none.

    `hint` says what they would have to be, and where to look.
    """
    named = documents_named(connection, wanted, states=states)
    if named.unknown:
        raise BatcherError(f"{_some(named.unknown)}: {hint}")
    return named


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return redact_urls(", ".join(names[:SHOWN])) + more


def _spellings(typed: str) -> tuple[str, ...]:
    """Return the names that something typed may stand for: as it is, or as the bytes of a path."""
    raw = os.fsencode(typed)
    spelt = (name_of(raw), name_of(os.fsencode(posixpath.normpath(typed))))
    return (typed, *spelt) if is_text(typed) else spelt


def _add_first(
    connection: sqlite3.Connection, among: str, spellings: Iterable[str], into: set[str]
) -> bool:
    """Add the first of these names that a document has; return whether there is one."""
    sql = f"SELECT 1 FROM documents WHERE source = ? AND {among} LIMIT 1"
    for name in spellings:
        if connection.execute(sql, (name,)).fetchone():
            into.add(name)
            return True
    return False


def _look_through(
    connection: sqlite3.Connection, among: str, missing: Sequence[str], named: Named
) -> None:
    """Read all documents once, for those that are typed as a file, as a result or by a pattern."""
    places = {place: path for path in missing for place in _places(path)}
    patterns = {path: _matcher(path) for path in missing if _PATTERN.search(path)}
    met = set[str]()
    sql = (
        "SELECT DISTINCT source, output, folder || '/' || coalesce(place, source) FROM documents"
        f" WHERE {among}"
    )
    for source, output, place in connection.execute(sql):
        for found in (output, place):
            if found in places:
                met.add(places[found])
                named.exact.add(source)
        raw = raw_path(source) if patterns else ""
        for path, fits in patterns.items():
            if fits(raw):
                met.add(path)
                named.fitting.add(source)
    named.unknown[:0] = [path for path in missing if path not in met]


def _places(path: str) -> tuple[str, str]:
    """Return where a result, below the output, and a file would lie that this path names."""
    full = posixpath.normpath(name_of(os.fsencode(Path.cwd() / path)))
    return name_of(os.fsencode(posixpath.normpath(path))), full


def _matcher(pattern: str) -> Callable[[str], bool]:
    try:
        return pattern_spec([pattern]).match_file
    except ValueError as error:
        raise BatcherError(f"{pattern}: that is no pattern; quote it as in 'a/**/*.pdf'") from error
