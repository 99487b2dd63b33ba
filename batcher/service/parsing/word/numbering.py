"""The numbers of a Word document's lists, as they are shown: "3.", "b)", "IV.2", "Article 5".

A list's id stands for an abstract list, which has the counters, with exceptions of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from batcher.service.parsing.numbering import FORMATS, formatted_number
from batcher.service.parsing.office.names import attribute, child, is_on, name_of, number, value

LEVELS: Final = 9
BULLET: Final = "•"
_PLACE: Final = re.compile(r"%([1-9])")
LONGEST_TEXT: Final = 100  # characters of a level's text


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a list. `text` has %1 for the number of the first level, and so on.

    `restart` is the level from 1 that makes this one begin again, as any higher one does; 0 for
    none, or None for each higher level.
    """

    format: str = "decimal"
    text: str = ""
    start: int = 1
    restart: int | None = None
    legal: bool = False
    style: str = ""


@dataclass(slots=True)
class _List:
    levels: dict[int, Level]
    abstract: str
    starts: dict[int, int] = field(default_factory=dict)  # by level, until they are used


class Numbering:
    """The lists of a document with their counters; paragraphs must be asked for in order."""

    def __init__(self, root: Any = None) -> None:
        nodes = [] if root is None else list(root)
        abstract = {
            attribute(one, "abstractNumId") or "": one
            for one in nodes
            if name_of(one.tag) == "w:abstractNum"
        }
        named = {value(one, "w:styleLink"): id_ for id_, one in abstract.items()}
        self._lists: dict[str, _List] = {}
        for one in nodes:
            if name_of(one.tag) == "w:num":
                self._lists[attribute(one, "numId") or ""] = _list(one, abstract, named)
        self._counters: dict[str, list[int | None]] = {}
        self.unknown_formats: set[str] = set()

    def level_of(self, list_: str, style: str | None) -> int:
        """Return the level that a list has for the paragraphs of a style, by default the first."""
        found = self._lists.get(list_)
        levels = found.levels.items() if found else ()
        return next((at for at, level in levels if style and level.style == style), 0)

    def label(self, list_: str, at: int) -> str | None:
        """Count one paragraph and return its number, `BULLET`, or None if there is no such list."""
        found = self._lists.get(list_)
        at = max(0, min(at, LEVELS - 1))
        if found is None:
            return None
        level = found.levels.get(at, Level())
        counts = self._counters.setdefault(found.abstract, [None] * LEVELS)
        self._count(found, counts, at)
        if level.format == "bullet":
            return BULLET
        return _PLACE.sub(
            lambda place: self._shown(found, counts, int(place[1]), level), level.text
        )

    def _count(self, found: _List, counts: list[int | None], at: int) -> None:
        now = counts[at]
        start = found.starts.pop(at, None)
        if start is not None:
            counts[at] = start
        elif now is None:
            counts[at] = found.levels.get(at, Level()).start
        else:
            counts[at] = now + 1
        for below in range(at + 1, LEVELS):
            restart = found.levels.get(below, Level()).restart
            if restart is None or at < restart:
                counts[below] = None

    def _shown(self, found: _List, counts: list[int | None], place: int, level: Level) -> str:
        asked = found.levels.get(place - 1, Level())
        count = counts[place - 1]
        if count is None:  # a level that no paragraph had so far
            count = counts[place - 1] = asked.start
        if asked.format not in FORMATS and asked.format != "bullet":
            self.unknown_formats.add(asked.format)
        return formatted_number(count, "decimal" if level.legal else asked.format)


def _list(node: Any, abstract: dict[str, Any], named: dict[str | None, str]) -> _List:
    id_ = value(node, "w:abstractNumId") or ""
    if id_ in abstract:
        id_ = named.get(value(abstract[id_], "w:numStyleLink") or "", id_)
    found = _List(_levels(abstract.get(id_)), id_)
    for one in node:
        if name_of(one.tag) != "w:lvlOverride":
            continue
        at = number(attribute(one, "ilvl"), 0)
        found.levels |= _levels(one)
        start = value(one, "w:startOverride")
        if start is not None:
            found.starts[at] = number(start, 1)
            level = found.levels.get(at, Level())
            found.levels[at] = replace(level, start=found.starts[at])
    return found


def _levels(node: Any) -> dict[int, Level]:
    if node is None:
        return {}
    return {
        number(attribute(one, "ilvl"), 0): _level(one)
        for one in node
        if name_of(one.tag) == "w:lvl"
    }


def _level(node: Any) -> Level:
    restart = value(node, "w:lvlRestart")
    return Level(
        format=_format(node),
        text=(value(node, "w:lvlText") or "")[:LONGEST_TEXT],
        start=number(value(node, "w:start"), 1),
        restart=None if restart is None else number(restart, 0),
        legal=bool(is_on(node, "w:isLgl")),
        style=value(node, "w:pStyle") or "",
    )


def _format(node: Any) -> str:
    """Return a level's format. A newer one stands beside an older that means nearly the same."""
    if child(node, "w:lvlPicBulletId") is not None:
        return "bullet"
    found = value(node, "w:numFmt")
    if found is not None:
        return found
    choices = [one for one in node.iter() if name_of(one.tag) == "w:numFmt"]
    return (attribute(choices[-1], "val") if choices else None) or "decimal"
