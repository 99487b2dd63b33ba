"""Bound the attributes of HTML's tags before a text is parsed.

The tree builder compares each attribute with all those before it: 40,000 of them take seconds, and
two megabytes of them ten minutes.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

MOST_ATTRIBUTES: Final = 1000  # of a tag; pages have some tens
# How many characters are looked at for each one of the text. Pages take less than two.
_MOST_LOOKS: Final = 20
_FEW_LOOKS: Final = 1 << 20  # allowed for any text
_BLANKS: Final = r"\t\n\f\r "
_ATTRIBUTE: Final = (
    rf"[{_BLANKS}/]*+[^{_BLANKS}/>][^{_BLANKS}/>=]*+"
    rf"(?:[{_BLANKS}]*+=[{_BLANKS}]*+(?:\"[^\"]*+\"?|'[^']*+'?|[^{_BLANKS}>\"'][^{_BLANKS}>]*+)?)?+"
)
_NAME: Final = rf"<([A-Za-z][^{_BLANKS}/>]*+)"
_TAG: Final = re.compile(rf"{_NAME}(?=((?:{_ATTRIBUTE}){{0,{MOST_ATTRIBUTES}}}+)({_ATTRIBUTE})?)")
_ONE: Final = re.compile(_ATTRIBUTE)
# There is one of each in a tree, which takes the attributes of all their tags.
_MERGED: Final = frozenset({"html", "body"})
_SCRIPT: Final = re.compile(r"<script(?=[\s/>])[^<>]*+>", re.IGNORECASE)
_END_OF_SCRIPT: Final = re.compile(r"(?=</script[\s/>])", re.IGNORECASE)


def with_few_attributes(text: str) -> str | None:
    """Return the text, or None if one of its tags has more than `MOST_ATTRIBUTES`.

    Scripts may lose signs that only look like tags.
    """
    if not _is_crowded(text):
        return text
    text = "".join(map(_without_tags_in_script, _END_OF_SCRIPT.split(text)))
    return None if _is_crowded(text) else text


def _is_crowded(text: str) -> bool:
    """Tell whether a tag may have too many attributes, wherever in the text it begins.

    What looks like a tag may stand in an attribute, a comment or a script, so that each `<` is
    taken for the beginning of one, and tags may overlap; the sum of their lengths is bounded.
    """
    looks = max(_FEW_LOOKS, _MOST_LOOKS * len(text))
    merged: Counter[str] = Counter()
    for tag in _TAG.finditer(text):
        start, end = tag.span(2)
        looks -= end - start
        if tag[3] or looks < 0:
            return True
        name = tag[1].lower()
        if name in _MERGED:
            merged[name] += len(_ONE.findall(text, start, end))
            if merged[name] > MOST_ATTRIBUTES:
                return True
    return False


def _without_tags_in_script(piece: str) -> str:
    """Take the signs that begin tags from the script that a piece of the text ends with."""
    begin = _SCRIPT.search(piece)
    if begin is None:
        return piece
    return piece[: begin.end()] + piece[begin.end() :].replace("<", " ")
