"""Which passwords a document may want, and where a request carries one.

Pure: `sources.passwords` has them read.
"""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from batcher.common.names import name_of
from batcher.common.urls import is_url, strip_query, url_name

# The tables of a request that hold `document_password`, by endpoint; classify takes none.
PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "parse": ("settings",),
    "extract": ("parsing", "settings"),
    "split": ("parsing", "settings"),
    "pipeline": ("settings",),
}
KEY: Final = "document_password"


@dataclass(frozen=True, slots=True)
class Keyring:
    """`each` document has some of its own, by name; `all` are tried on every other.

    Neither is ever shown.
    """

    all: tuple[str, ...] = field(default=(), repr=False)
    each: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.all or self.each)

    def of(self, *names: str | None) -> tuple[str, ...]:
        """Those that may open a document of one of these names, likeliest first."""
        own = [password for name in names if name for password in self.each.get(name, ())]
        return tuple(dict.fromkeys([*own, *self.all]))

    def __iter__(self) -> Iterator[str]:
        """Every one of them, whomever it opens."""
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
    """A password a line, spaces and all; empty lines are none."""
    return Keyring(tuple(filter(None, text.replace("\r\n", "\n").split("\n"))))


def from_table(lines: Iterable[str], *, ignore: Collection[str] = ()) -> Keyring:
    """CSV with the columns `path` and `password`; a row without a path is for all. Raises
    ValueError.

    `ignore` names parameters of addresses that tell no documents apart.
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
    """The options that hand it over; none where the endpoint takes none."""
    tables = PLACES.get(endpoint)
    if tables is None:
        return {}
    options: dict[str, Any] = {KEY: password}
    for name in reversed(tables):
        options = {name: options}
    return options


def passwords_in(options: Mapping[str, Any]) -> Iterator[str]:
    """Those that a request's options carry, wherever the endpoint wants them."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from passwords_in(value)
        elif name == KEY and isinstance(value, str):
            yield value


def _names(path: str, ignore: Collection[str]) -> set[str]:
    """As its document may be called; an address also by the name that batcher shows of it."""
    if is_url(path):
        return {url_name(path, ignore=ignore), strip_query(path), path}
    return {name_of(posixpath.normpath(path).encode("utf-8", "surrogateescape"))}
