"""Write the numbers of lists, headings, notes and slides as documents show them.

After z, Word and PowerPoint repeat the letter (aa, bb), while OpenDocument and HTML count with the
letters (aa, ab).
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import Final

LONGEST: Final = 5000  # a higher number in repeated letters or in Roman numerals is too long
_STANDS_FOR_NUMBER: Final = re.compile(r"\s*[<‹][^\d<>‹›]{1,20}[>›]\s*")
_ROMAN: Final = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"),
    (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_RUSSIAN: Final = "абвгдежзиклмнопрстуфхцчшщыэюя"
_ONES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def stands_for_number(text: str) -> bool:
    """Tell whether programs show a page's number instead, as of "<number>" and "‹#›"."""
    return _STANDS_FOR_NUMBER.fullmatch(text) is not None


def formatted_number(number: int, format_: str) -> str:
    """Return a number as shown.

    `format_` is one of OpenDocument and HTML (1, a, A, i, I; "" shows nothing), or Word's name of
    one, such as lowerLetter. Others, and numbers that a format doesn't have, are decimal.
    """
    if not format_:
        return ""
    if number < 1:
        return str(number)
    return FORMATS.get(format_, str)(number)


def _roman(number: int) -> str:
    if number > LONGEST:
        return str(number)
    text = ""
    for size, letters in _ROMAN:
        text += letters * (number // size)
        number %= size
    return text


def _repeated_letters(number: int, alphabet: str = string.ascii_lowercase) -> str:
    if number > LONGEST:
        return str(number)
    again, place = divmod(number - 1, len(alphabet))
    return alphabet[place] * (again + 1)


def _counted_letters(number: int) -> str:
    letters = ""
    while number:
        number, place = divmod(number - 1, len(string.ascii_lowercase))
        letters = string.ascii_lowercase[place] + letters
    return letters


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{ending or 'th'}"


def _in_words(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, one = divmod(number, 10)
        return _TENS[tens - 2] + (f"-{_ONES[one]}" if one else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{_ONES[hundreds]} hundred" + (f" {_in_words(rest)}" if rest else "")
    return str(number)


def _ordinal_in_words(number: int) -> str:
    if number >= 1000:
        return _ordinal(number)
    head, mark, last = _in_words(number).rpartition("-")
    if last.endswith("y"):
        return f"{head}{mark}{last[:-1]}ieth"
    first, blank, word = last.rpartition(" ")
    return f"{head}{mark}{first}{blank}{_ORDINALS.get(word, word + 'th')}"


def _circled(number: int) -> str:
    return chr(0x2460 + number - 1) if number <= 20 else str(number)


FORMATS: Final[dict[str, Callable[[int], str]]] = {
    "1": str,
    "a": _counted_letters,
    "A": lambda number: _counted_letters(number).upper(),
    "i": _roman,
    "I": lambda number: _roman(number).upper(),
    "decimal": str,
    "decimalZero": lambda number: f"{number:02}",
    "lowerRoman": _roman,
    "upperRoman": lambda number: _roman(number).upper(),
    "lowerLetter": _repeated_letters,
    "upperLetter": lambda number: _repeated_letters(number).upper(),
    "ordinal": _ordinal,
    "cardinalText": lambda number: _in_words(number).capitalize(),
    "ordinalText": lambda number: _ordinal_in_words(number).capitalize(),
    "decimalEnclosedCircle": _circled,
    "decimalEnclosedCircleChinese": _circled,
    "decimalEnclosedParen": lambda number: f"({number})",
    "numberInDash": lambda number: f"- {number} -",
    "hex": lambda number: f"{number:X}",
    "russianLower": lambda number: _repeated_letters(number, _RUSSIAN),
    "russianUpper": lambda number: _repeated_letters(number, _RUSSIAN).upper(),
    "none": lambda _number: "",
}
