"""Bound the depth of HTML before it is parsed: a tree builder looks through all open elements for
each tag, so that 50,000 nested lists take half a minute.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

DEEPEST: Final = 500  # open elements; browsers stop at about as many
_TAG: Final = re.compile(r"<(/?)([A-Za-z][^\s/>]*)[^>]*>")
# elements without an end, those that the next one ends, and those whose content is no markup
_UNCOUNTED: Final = frozenset(
    "area base br col embed hr img input link meta param source track wbr p li dt dd option"
    " optgroup tr td th tbody thead tfoot colgroup html head body script style title textarea"
    " noscript iframe xmp template rt rp".split()
)


def flattened(text: str) -> str:
    """Return HTML without the tags, not the text, of elements deeper than `DEEPEST`."""
    if text.count("<") < DEEPEST:
        return text
    open_: Counter[str] = Counter()
    depth = 0
    kept: list[str] = []
    start = 0
    for tag in _TAG.finditer(text):
        name = tag[2].lower()
        if name in _UNCOUNTED:
            continue
        if not tag[1]:
            open_[name] += 1
            depth += 1
        elif open_[name]:
            open_[name] -= 1
            depth -= 1
        if depth > DEEPEST or (tag[1] and depth == DEEPEST and kept):
            kept += [text[start : tag.start()], " "]
            start = tag.end()
    return "".join([*kept, text[start:]]) if kept else text
