"""Replace the entities that an XML document declares in itself, of which HTML knows nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5
from typing import Final

MOST_EXPANDED: Final = 1 << 20  # characters that entities add to a document
_QUOTED: Final = r"\"[^\"]*+\"|'[^']*+'"
_ASIDE: Final = r"<!--.*?-->|<\?.*?\?>"
# `subset` is what stands in brackets; a comment or a quotation without an end makes it none.
_DOCTYPE: Final = re.compile(
    rf"(?P<before>\ufeff?(?:\s++|{_ASIDE})*+)<!DOCTYPE(?:[^\[>\"']++|{_QUOTED})*+"
    rf"\[(?P<subset>(?:[^\]\"'<]++|{_QUOTED}|{_ASIDE}|<(?!!--|\?))*+)\]\s*+>",
    re.DOTALL,
)
_DECLARATION: Final = re.compile(
    rf"<!ENTITY\s++(?P<name>[\w.:-]++)\s++(?P<value>{_QUOTED})|{_ASIDE}|{_QUOTED}", re.DOTALL
)
_REFERENCE: Final = re.compile(r"&([\w.:-]++);")


def with_entities(text: str) -> str:
    """Return a document without the declarations that its type holds.

    Its entities are replaced where they stand for plain text; those that HTML has, HTML replaces.
    """
    found = _DOCTYPE.match(text)
    if found is None:
        return text
    values: dict[str, str] = {}
    for name, value in _plain_entities(found["subset"]):
        values.setdefault(name, value)  # of several declarations the first holds
    left = MOST_EXPANDED

    def expanded(reference: re.Match[str]) -> str:
        nonlocal left
        value = values.get(reference[1])
        if value is None or len(value) > left:
            return reference[0]
        left -= len(value)
        return value

    return found["before"] + _REFERENCE.sub(expanded, text[found.end() :])


def _plain_entities(subset: str) -> Iterator[tuple[str, str]]:
    """Yield names and values without markup and without references to other entities."""
    for declaration in _DECLARATION.finditer(subset):
        name = declaration["name"]
        if name is None or f"{name};" in html5:
            continue
        value = declaration["value"][1:-1]
        if "<" not in value and not _REFERENCE.search(value):
            yield name, value.replace('"', "&quot;").replace("'", "&#39;").replace(">", "&gt;")
