"""What the styles of an OpenDocument file say of its text: headings, page breaks, hidden text, and
the numbers of lists.

Reads no file; it is given the XML elements that hold styles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from batcher.service.parsing.numbering import formatted_number

_URN: Final = "urn:oasis:names:tc:opendocument:xmlns:"
NAMESPACES: Final = {
    "office": f"{_URN}office:1.0",
    "style": f"{_URN}style:1.0",
    "text": f"{_URN}text:1.0",
    "table": f"{_URN}table:1.0",
    "draw": f"{_URN}drawing:1.0",
    "dr3d": f"{_URN}dr3d:1.0",
    "presentation": f"{_URN}presentation:1.0",
    "form": f"{_URN}form:1.0",
    "fo": f"{_URN}xsl-fo-compatible:1.0",
    "svg": f"{_URN}svg-compatible:1.0",
    "manifest": f"{_URN}manifest:1.0",
    "xlink": "http://www.w3.org/1999/xlink",
    "dc": "http://purl.org/dc/elements/1.1/",
    "math": "http://www.w3.org/1998/Math/MathML",
    "xml": "http://www.w3.org/XML/1998/namespace",
    "loext": "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0",
}
MOST_ANCESTORS: Final = 100  # styles that one is based on; more would be a circle
MOST_LEVELS: Final = 10  # of a list and of headings, as ODF has them


def qname(name: str) -> str:
    """Return `prefix:local` as lxml writes it."""
    prefix, _, local = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


STYLE: Final = qname("text:style-name")
_NAME: Final = qname("style:name")
_PARENT: Final = qname("style:parent-style-name")
_LEVEL: Final = qname("text:level")


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """What a paragraph's or a table's style says.

    `type` is a block type or "". `list_style` is None where nothing is said, and "" where numbers
    are turned off. `master` is the master page that a new page begins with, or "".
    """

    type: str = ""
    list_style: str | None = None
    breaks_before: bool = False
    breaks_after: bool = False
    master: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a list's style: how its numbers are shown. Bullets have no `format`."""

    format: str = ""
    prefix: str = ""
    suffix: str = ""
    shown: int = 1  # levels in a number, as the 2 of "3.1"
    start: int = 1
    pattern: str = ""  # LibreOffice's "%1%.%2%)"; it goes before the others


@dataclass(slots=True)
class Counters:
    """The numbers that a list has reached, by level from 1."""

    reached: dict[int, int] = field(default_factory=dict)

    def next(self, level: int, levels: dict[int, Level], start: int | None) -> str:
        """Count one item further and return its label, such as "2.1"; "" for bullets."""
        for deeper in [one for one in self.reached if one > level]:
            del self.reached[deeper]
        first = levels.get(level, Level()).start if start is None else start
        counted = level in self.reached and start is None
        self.reached[level] = self.reached[level] + 1 if counted else first
        return self._label(level, levels)

    def _label(self, level: int, levels: dict[int, Level]) -> str:
        style = levels.get(level, Level())
        if not style.format:
            return ""
        if style.pattern:
            return re.sub(
                r"%(\d+)%", lambda found: self._number(int(found[1]), levels), style.pattern
            )
        first = max(1, level - style.shown + 1)
        numbers = (self._number(one, levels) for one in range(first, level + 1))
        return style.prefix + ".".join(filter(None, numbers)) + style.suffix

    def _number(self, level: int, levels: dict[int, Level]) -> str:
        style = levels.get(level, Level())
        return formatted_number(self.reached.get(level, style.start), style.format)


class Styles:
    """The styles that one part of a document may name."""

    def __init__(self, holders: Iterable[Any]) -> None:
        """Index the styles in `holders`; a later one goes before an earlier one of its name."""
        self._styles: dict[tuple[str, str], Any] = {}
        self._lists: dict[str, dict[int, Level]] = {}
        self.outline: dict[int, Level] = {}
        self._paragraphs: dict[tuple[str, str], ParagraphStyle] = {}
        for holder in holders:
            self._index(holder)

    def _index(self, holder: Any) -> None:
        for node in holder:
            if node.tag == qname("style:style"):
                family = node.get(qname("style:family"), "")
                self._styles[family, node.get(_NAME, "")] = node
            elif node.tag == qname("text:list-style"):
                self._lists[node.get(_NAME, "")] = dict(_levels(node))
            elif node.tag == qname("text:outline-style"):
                self.outline = dict(_levels(node))

    def levels(self, list_style: str) -> dict[int, Level]:
        """Return the levels of a list style; none if it isn't known."""
        return self._lists.get(list_style, {})

    def paragraph(self, name: str, family: str = "paragraph") -> ParagraphStyle:
        """Return what the style of this name and those that it is based on say."""
        known = self._paragraphs.get((family, name))
        if known is None:
            known = self._paragraphs[family, name] = self._read(name, family)
        return known

    def hides(self, name: str) -> bool | None:
        """Tell whether a style of characters hides its text, or None if it says nothing of it."""
        display = self._property("text", name, "style:text-properties", "text:display")
        return None if display is None else display == "none"

    def shows(self, name: str, what: str) -> bool:
        """Tell whether a slide's style turns on its `footer` or its `date-time`."""
        properties = "style:drawing-page-properties"
        shown = self._property("drawing-page", name, properties, f"presentation:display-{what}")
        return shown == "true"

    def _read(self, name: str, family: str) -> ParagraphStyle:
        properties = f"style:{family}-properties"
        before = self._property(family, name, properties, "fo:break-before")
        after = self._property(family, name, properties, "fo:break-after")
        display = self._property(family, name, "style:text-properties", "text:display")
        chain = list(self._chain(family, name))
        return ParagraphStyle(
            type=_type(chain) if family == "paragraph" else "",
            list_style=_first(chain, qname("style:list-style-name")),
            breaks_before=before == "page",
            breaks_after=after == "page",
            master=_first(chain, qname("style:master-page-name")) or "",
            hidden=display == "none",
        )

    def _chain(self, family: str, name: str) -> Iterator[Any]:
        for _ in range(MOST_ANCESTORS):
            node = self._styles.get((family, name))
            if node is None:
                return
            yield node
            name = node.get(_PARENT, "")

    def _property(self, family: str, name: str, properties: str, attribute: str) -> str | None:
        for style in self._chain(family, name):
            for node in style.iterchildren(qname(properties)):
                value: str | None = node.get(qname(attribute))
                if value is not None:
                    return value
        return None


def whole(written: str | None, default: int) -> int:
    """Return an attribute that should be a whole number, or the default."""
    return int(written) if written and re.fullmatch(r"\d{1,9}", written) else default


def _levels(style: Any) -> Iterator[tuple[int, Level]]:
    for node in style:
        if isinstance(node.tag, str) and node.get(_LEVEL):
            yield (
                whole(node.get(_LEVEL), 1),
                Level(
                    format=node.get(qname("style:num-format"), ""),
                    prefix=node.get(qname("style:num-prefix"), ""),
                    suffix=node.get(qname("style:num-suffix"), ""),
                    shown=whole(node.get(qname("text:display-levels")), 1),
                    start=whole(node.get(qname("text:start-value")), 1),
                    pattern=node.get(qname("loext:num-list-format"), ""),
                ),
            )


def _first(chain: list[Any], attribute: str) -> str | None:
    return next((node.get(attribute) for node in chain if attribute in node.attrib), None)


def _type(chain: list[Any]) -> str:
    names = {node.get(_NAME, "") for node in chain}
    if "Title" in names:
        return "Title"
    if "Subtitle" in names or _first(chain, qname("style:default-outline-level")):
        return "Section Header"
    return ""
