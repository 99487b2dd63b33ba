"""Which passwords to try on a document, and where a request carries one.

Pure: reading the passwords is left to `sources.passwords`.
"""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from batcher.common.names import name_of
from batcher.common.urls import is_url, strip_query, url_name

# The tables of a request that contain `document_password`, by endpoint; classify takes none.
PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "parse": ("settings",),
    "extract": ("parsing", "settings"),
    "split": ("parsing", "settings"),
    "pipeline": ("settings",),
}
KEY: Final = "document_password"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The passwords of a batch, which are never shown.

    `each` holds a document's own passwords, by its name; `all` are tried on every document.
    """

    all: tuple[str, ...] = field(default=(), repr=False)
    each: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.all or self.each)

    def of(self, *names: str | None) -> tuple[str, ...]:
        """Return those that may open a document with one of these names, most likely first."""
        own = [password for name in names if name for password in self.each.get(name, ())]
        return tuple(dict.fromkeys([*own, *self.all]))

    def __iter__(self) -> Iterator[str]:
        """Iterate over all passwords, including those of single documents."""
        yield from self.all
        for own in self.each.values():
            yield from own

    def __add__(self, other: Keyring) -> Keyring:
        each = {
            name: (*self.each.get(name, ()), *other.each.get(name, ()))
            for name in {*self.each, *other.each}
        }
        return Keyring((*self.all, *other.all), each)


def from_lines(text: str) -> Keyring:
    """Read one password per line, including its spaces; empty lines are skipped."""
    return Keyring(tuple(filter(None, text.replace("\r\n", "\n").split("\n"))))


def from_table(lines: Iterable[str], *, ignore: Collection[str] = ()) -> Keyring:
    """Read CSV with the columns `path` and `password`; a row without a path is for all documents.

    `ignore` names parameters of addresses that don't distinguish documents. Raises ValueError.
    """
    rows = csv.DictReader(lines, strict=True)
    if not {"path", "password"} <= set(rows.fieldnames or ()):
        raise ValueError("the columns path and password are wanted")
    everyone: list[str] = []
    each: dict[str, tuple[str, ...]] = {}
    for row in rows:
        path = row["path"]
        password = row["password"]
        for name in _names(path, ignore) if password and path else ():
            each[name] = (*each.get(name, ()), password)
        if password and not path:
            everyone.append(password)
    return Keyring(tuple(everyone), each)


def opening(endpoint: str, password: str) -> dict[str, Any]:
    """Return the options that send the password; none if the endpoint takes none."""
    tables = PLACES.get(endpoint)
    if tables is None:
        return {}
    options: dict[str, Any] = {KEY: password}
    for name in reversed(tables):
        options = {name: options}
    return options


def passwords_in(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the passwords in a request's options, wherever the endpoint wants them."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from passwords_in(value)
        elif name == KEY and isinstance(value, str):
            yield value


def _names(path: str, ignore: Collection[str]) -> set[str]:
    """Return the names that its document may have, with the shown name of an address."""
    if is_url(path):
        return {url_name(path, ignore=ignore), strip_query(path), path}
    return {name_of(posixpath.normpath(path).encode("utf-8", "surrogateescape"))}
