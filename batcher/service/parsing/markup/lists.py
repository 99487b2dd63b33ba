"""Count the items of HTML's ordered lists, and write their numbers as they are shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from batcher.service.parsing.markup.tree import children, integer_of
from batcher.service.parsing.numbering import formatted_number

_LIST_STYLE: Final = re.compile(r"list-style(?:-type)?\s*:([^;]*)")
_NO_NUMBERS: Final = frozenset("none disc circle square".split())
# what style sheets call the styles that the attribute `type` calls by their first number
_STYLES: Final[Mapping[str, str]] = {
    "lower-alpha": "a",
    "lower-latin": "a",
    "upper-alpha": "A",
    "upper-latin": "A",
    "lower-roman": "i",
    "upper-roman": "I",
}


class Numbers:
    """Counts the items of an ordered list."""

    def __init__(self, node: Any) -> None:
        attributes = node.attributes
        items = sum(child.tag == "li" for child in children(node))
        self._step = -1 if "reversed" in attributes else 1
        first = items if self._step < 0 else 1
        self._next = integer_of(attributes.get("start"), first)
        self._style = _list_style(attributes) or "1"

    def next_for(self, item: Any) -> str:
        """Return the number that is shown before `item`, with its dot and a blank, or ""."""
        number = integer_of(item.attributes.get("value"), self._next)
        self._next = number + self._step
        style = _list_style(item.attributes) or self._style
        return "" if style in _NO_NUMBERS else f"{formatted_number(number, style)}. "


def _list_style(attributes: Mapping[str, str | None]) -> str:
    """Return 1, a, A, i or I, one of `_NO_NUMBERS`, or another name; "" if none is given."""
    found = _LIST_STYLE.search((attributes.get("style") or "").lower())
    if found is None:
        return attributes.get("type") or ""
    words = found[1].split()
    known = [word for word in words if word in _STYLES or word in _NO_NUMBERS]
    return _STYLES.get(known[0], known[0]) if known else "1"
