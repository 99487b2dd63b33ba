"""Tell text from the nonsense that broken fonts and poor scans leave, to choose between two."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]{2,}|\d+")
_LATIN: Final = re.compile(r"[A-Za-z]+")
_VOWEL: Final = re.compile(r"[aeiouyAEIOUY]")
_CLUSTER: Final = re.compile(r"[bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ]{5,}")
_CASES: Final = re.compile(r"[a-z][A-Z]\w*[a-z][A-Z]|[a-z][A-Z]{2}")
LONGEST: Final = 30  # letters; a longer word is several, or none
# Letters that stand for glyphs nobody could name.
_NAMELESS: Final = frozenset({"Co", "Cn", "Cc"})


def worth(texts: Iterable[str]) -> int:
    """Return how many characters of the texts are in words that somebody may have written."""
    return sum(_worth(word) for text in texts for word in text.split())


def _worth(word: str) -> int:
    if "\ufffd" in word or any(unicodedata.category(sign) in _NAMELESS for sign in word):
        return 0
    return sum(len(part) for part in _WORD.findall(word) if _is_plausible(part))


def _is_plausible(part: str) -> bool:
    if not _LATIN.fullmatch(part):
        return True
    if len(part) > LONGEST or _CLUSTER.search(part) or _CASES.search(part):
        return False
    return part.isupper() or bool(_VOWEL.search(part))
