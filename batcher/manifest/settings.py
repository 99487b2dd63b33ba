"""What the command line sets in a manifest: flags, and `-S` assignments. Pure.

A flag speaks of a key wherever it stands, `-S` of one place; so where both are given, `-S` counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batcher.errors import ManifestError, Problem
from batcher.manifest.keys import override
from batcher.manifest.values import shown


@dataclass(frozen=True, slots=True)
class Setting:
    """A flag as it was typed, and the table and the key that it sets.

    With `adds` the value is a list, to which belongs what the manifest has there already.
    """

    flag: str
    table: str
    key: str
    value: Any
    adds: bool = False

    @property
    def path(self) -> str:
        return f"{self.table}.{self.key}"


def apply(
    data: dict[str, Any],
    settings: Sequence[Setting],
    overrides: Sequence[str],
    *,
    where: str,
    tell: Callable[[str], None],
) -> None:
    """Change `data`, a manifest as it was read, by flags and `-S` assignments.

    `tell` is called with a sentence where two of these, or one and the manifest, differ. Raises
    ManifestError where an assignment isn't one, or a flag fits no table of the manifest.
    """
    for assignment in overrides:
        override(data, assignment)
    exact = list[str]()
    for setting in settings:
        rivals = [one for one in overrides if _is_about(one, setting)]
        exact += rivals
        for rival in rivals:
            tell(f"-S {rival.partition('=')[0]} counts before {setting.flag}")
        for table in _tables(data, setting, where):
            before = table.get(setting.key)
            if not rivals and not setting.adds and before not in (None, setting.value):
                tell(f"{setting.flag} counts in this run; {where} says {_pair(setting, before)}")
            table[setting.key] = _value(setting, before)
    for assignment in exact:
        override(data, assignment)


def _is_about(assignment: str, setting: Setting) -> bool:
    """Return whether a `-S` assignment sets the same key, perhaps in one of several tables."""
    path = assignment.partition("=")[0].split(".")
    return path[0] == setting.table and path[-1] == setting.key


def _tables(data: dict[str, Any], setting: Setting, where: str) -> Iterator[dict[str, Any]]:
    """Yield each table that the flag concerns; what is no table is reported by who reads it."""
    inner = data.setdefault(setting.table, {})
    if setting.table == "service" and isinstance(inner, str):  # the short form of a table
        inner = data["service"] = {"name": inner}
    tables = [
        one for one in (inner if isinstance(inner, list) else [inner]) if isinstance(one, dict)
    ]
    if setting.table != "source":
        yield from tables
        return
    # a listing says itself which documents it means
    searched = [table for table in tables if "listing" not in table]
    if tables and not searched:
        what = (
            "chooses among the files of a folder or bucket, and here documents come from a listing"
        )
        raise ManifestError(where, [Problem(setting.flag, what, "choose rows of the listing")])
    yield from searched


def _pair(setting: Setting, value: Any) -> str:
    return f"{setting.path} = {shown(value)}"


def _value(setting: Setting, before: Any) -> Any:
    if not (setting.adds and isinstance(before, list)):
        return setting.value
    return [*before, *(one for one in setting.value if one not in before)]
