"""Write the numbers of lists, headings and notes as documents show them."""

from __future__ import annotations


def formatted_number(number: int, format_: str) -> str:
    """Return a list's number as shown; `format_` is 1, a, A, i or I. Others are written as 1."""
    if not format_:
        return ""
    if format_ in "aA" and number > 0:
        letters = ""
        while number:
            number, letter = divmod(number - 1, 26)
            letters = chr(ord(format_) + letter) + letters
        return letters
    if format_ in "iI" and 0 < number < 4000:
        roman = _roman(number)
        return roman if format_ == "I" else roman.lower()
    return str(number)


def _roman(number: int) -> str:
    written = ""
    values = (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1)
    for value, letters in zip(values, "M CM D CD C XC L XL X IX V IV I".split(), strict=True):
        times, number = divmod(number, value)
        written += letters * times
    return written
