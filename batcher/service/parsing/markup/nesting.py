"""Bound the work of HTML's tree builder before a text is parsed.

It looks through all open elements for each tag, so that 50,000 nested lists would take half a
minute, and opens unclosed `<b>` and the like again in each paragraph.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

DEEPEST: Final = 500  # open elements; browsers stop at about as many
DEEPEST_STYLES: Final = 50  # open elements that only style their text
# options from which the parser's time shows: within a `select`, it grows with their square
_MANY_OPTIONS: Final = 1000
SELECT: Final = "x-select"  # what a `select` of many options is called after `flattened`
_TAG: Final = re.compile(r"<(/?)([A-Za-z][^\s/<>]*+)[^<>]*+>")
_OPTION: Final = re.compile(r"<option(?=[\s/>])", re.IGNORECASE)
_SELECT: Final = re.compile(r"<(/?)select(?=[\s/>])", re.IGNORECASE)
_STYLES: Final = frozenset("a b big code em font i nobr s small strike strong tt u".split())
# elements without an end, those that the next one ends, and those whose content is no markup
_UNCOUNTED: Final = frozenset(
    "area base br col embed hr img input link meta param source track wbr p li dt dd option"
    " optgroup tr td th tbody thead tfoot colgroup html head body script style title textarea"
    " noscript iframe xmp template rt rp".split()
)


def flattened(text: str) -> str:
    """Return HTML without the tags, not the text, of elements that are nested too deep."""
    if len(_OPTION.findall(text)) > _MANY_OPTIONS:
        text = _SELECT.sub(rf"<\1{SELECT}", text)
    if text.count("<") < DEEPEST_STYLES:
        return text
    open_: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    depth = 0
    styles = 0
    kept: list[str] = []
    start = 0
    for tag in _TAG.finditer(text):
        name = tag[2].lower()
        if name in _UNCOUNTED:
            continue
        step = -1 if tag[1] else 1
        counted = dropped if step < 0 and dropped[name] else open_
        if step > 0 and (depth >= DEEPEST or (name in _STYLES and styles >= DEEPEST_STYLES)):
            counted = dropped
        if step < 0 and not counted[name]:
            continue  # it ends nothing
        counted[name] += step
        if counted is dropped:
            kept += [text[start : tag.start()], " "]
            start = tag.end()
            continue
        depth += step
        styles += step if name in _STYLES else 0
    return "".join([*kept, text[start:]]) if kept else text
