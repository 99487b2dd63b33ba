"""Write numbers as fractions, by the tokens of a format's section."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from batcher.service.parsing.sheets.format_code import Token
from batcher.service.parsing.sheets.shown_numbers import digits_before_point, exactly


def fraction(tokens: Sequence[Token], value: float) -> str:
    """Write a number as a fraction, after its whole part if the format has a place for that."""
    tokens = _closed_up(tokens)
    at = next(n for n, token in enumerate(tokens) if token.kind == "mark" and token.text == "/")
    start = at
    while start and tokens[start - 1].kind == "digit":
        start -= 1
    end = at + 1
    while end < len(tokens) and (tokens[end].kind == "digit" or tokens[end].text.isdigit()):
        end += 1
    whole_places = tokens[:start]
    has_whole = any(token.kind == "digit" for token in whole_places)
    wanted = "".join(token.text for token in tokens[at + 1 : end])
    found = _nearest(Fraction(exactly(abs(value))), wanted)
    whole = found.numerator // found.denominator if has_whole else 0
    rest = found - whole
    sign = "-" if value < 0 and found else ""
    before = digits_before_point(whole_places, str(whole) if whole else "") if has_whole else ""
    ends = "".join(token.text for token in tokens[end:])
    if has_whole and not rest:
        return sign + (before.strip() or "0") + ends
    below = int(wanted) if wanted.strip("0").isdigit() else rest.denominator
    return f"{sign}{before}{rest * below}/{below}{ends}"


def _closed_up(tokens: Sequence[Token]) -> list[Token]:
    """Leave out the blanks around the slash."""
    found = list(tokens)
    at = next(n for n, token in enumerate(found) if token.kind == "mark" and token.text == "/")
    while at + 1 < len(found) and found[at + 1].text == " ":
        del found[at + 1]
    while at and found[at - 1].text == " ":
        del found[at - 1]
        at -= 1
    return found


def _nearest(value: Fraction, wanted: str) -> Fraction:
    """Return the nearest fraction with the denominator that the format names, or has places for."""
    if wanted.strip("0").isdigit():
        return Fraction(int(value * int(wanted) + Fraction(1, 2)), int(wanted))
    return _convergent(value, 10 ** min(len(wanted) or 1, 7) - 1)


def _convergent(value: Fraction, most: int) -> Fraction:
    """Return the last convergent of the continued fraction whose denominator is at most `most`.

    Excel takes it even where another fraction is nearer: it shows 12.3 as 12 1/3, not 12 2/7.
    """
    before, found = (0, 1), (1, 0)  # numerator and denominator
    left = value
    while True:
        whole = left.numerator // left.denominator
        following = whole * found[0] + before[0], whole * found[1] + before[1]
        if following[1] > most:
            break
        before, found = found, following
        if left == whole:
            break
        left = 1 / (left - whole)
    return Fraction(*found)
