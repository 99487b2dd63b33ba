"""Write the numbers of lists, headings and notes as OpenDocument and RTF documents show them."""

from __future__ import annotations

from typing import Final

from batcher.service.parsing.word import numbering

_ROMAN: Final = {"i": "lowerRoman", "I": "upperRoman"}


def formatted_number(number: int, format_: str) -> str:
    """Return a list's number as shown; `format_` is 1, a, A, i or I. Others are written as 1.

    After z comes aa and then ab, unlike Word's bb.
    """
    if not format_:
        return ""
    if format_ in _ROMAN:
        return numbering.formatted_number(number, _ROMAN[format_])
    if format_ in ("a", "A") and number > 0:
        return _letters(number, format_)
    return str(number)


def _letters(number: int, first: str) -> str:
    letters = ""
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord(first) + letter) + letters
    return letters
