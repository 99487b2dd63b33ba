"""Write the number of a list's item as HTML's ordered lists show it."""

from __future__ import annotations

import string
from typing import Final

_ROMAN: Final = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"),
    (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_MOST_ROMAN: Final = 3999


def numeral(number: int, style: str) -> str:
    """Return `number` in a style: HTML's `1`, `a`, `A`, `i`, `I`, or its name in a style sheet.

    Numbers that the style can't write, and unknown styles, are written in decimal.
    """
    match style:
        case "a" | "lower-alpha" | "lower-latin" if number > 0:
            return _letters(number)
        case "A" | "upper-alpha" | "upper-latin" if number > 0:
            return _letters(number).upper()
        case "i" | "lower-roman" if 0 < number <= _MOST_ROMAN:
            return _roman(number)
        case "I" | "upper-roman" if 0 < number <= _MOST_ROMAN:
            return _roman(number).upper()
    return str(number)


def _letters(number: int) -> str:
    """Return a … z, aa, ab …"""
    letters = ""
    while number:
        number, digit = divmod(number - 1, 26)
        letters = string.ascii_lowercase[digit] + letters
    return letters


def _roman(number: int) -> str:
    written = ""
    for value, letters in _ROMAN:
        count, number = divmod(number, value)
        written += letters * count
    return written
