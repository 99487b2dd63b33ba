"""Write numbers in decimal and in scientific notation, by the tokens of a format's section."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from batcher.service.parsing.sheets.format_code import Plain, Token

EXACT: Final = 10**15  # spreadsheets keep 15 digits


def general(value: float) -> str:
    """Return a number in the format General, with all of the 15 digits that a sheet keeps."""
    if value != value or value in (float("inf"), float("-inf")):
        return "#NUM!"
    if value == int(value) and abs(value) < EXACT:
        return str(int(value))
    text = f"{value:.15g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    if -9 <= int(exponent) < 0:
        return f"{Decimal(text):f}"
    return f"{mantissa}E{exponent[0]}{exponent[1:].zfill(2)}"


def in_short(plain: Plain, value: float) -> str:
    rounded = (exactly(value) * plain.factor).quantize(plain.unit, ROUND_HALF_UP)
    sign = "-" if rounded < 0 else ""
    return sign + plain.before + plain.template.format(abs(rounded)) + plain.after


def decimal(tokens: Sequence[Token], value: float) -> str:
    if not any(token.kind == "digit" for token in tokens):
        sign = "-" if value < 0 else ""
        return sign + "".join(token.text for token in tokens if token.text not in ("@", ","))
    before, after = _halves(tokens)
    scaled = exactly(value) * 100 ** sum(t.kind == "mark" and t.text == "%" for t in tokens)
    scaled = scaled.scaleb(-3 * (_trailing_commas(before) + _trailing_commas(after)))
    places = sum(token.kind == "digit" for token in after)
    whole, part = _digits(abs(scaled), places)
    text = digits_before_point(before, whole) + _part(after, part)
    if whole and not any(token.kind == "digit" for token in before):
        text = digits_before_point(before, "") + whole + _part(after, part)
    is_zero = not whole.strip("0") and not part.strip("0")
    return "-" + text if value < 0 and not is_zero else text


def exactly(value: float) -> Decimal:
    """Return the number with the 15 digits that a spreadsheet shows at most."""
    return Decimal(f"{value:.15g}")


def _halves(tokens: Sequence[Token]) -> tuple[list[Token], list[Token]]:
    """Return what stands before the decimal point, and what from it on."""
    for number, token in enumerate(tokens):
        if token.kind == "mark" and token.text == ".":
            return list(tokens[:number]), list(tokens[number:])
    return list(tokens), []


def _trailing_commas(tokens: Sequence[Token]) -> int:
    """Count the commas right after the last digit, each of which divides by a thousand."""
    last = max((n for n, token in enumerate(tokens) if token.kind == "digit"), default=len(tokens))
    count = 0
    for token in tokens[last + 1 :]:
        if token.kind != "mark" or token.text != ",":
            break
        count += 1
    return count


def _digits(value: Decimal, places: int) -> tuple[str, str]:
    """Return the digits before and after the decimal point, rounded; no digit for a whole zero."""
    if value.is_zero():
        return "", "0" * places
    shifted = value.scaleb(places)
    # more digits than any number has would only be zeros
    digits = (
        f"{shifted.quantize(Decimal(1), ROUND_HALF_UP):f}"
        if shifted < 10**27
        else (f"{shifted:f}".split(".")[0])
    )
    digits = digits.zfill(places + 1)
    whole = digits[: len(digits) - places]
    return whole.lstrip("0"), digits[len(digits) - places :]


def digits_before_point(tokens: Sequence[Token], digits: str) -> str:
    """Write the digits before the point into their places; the first place takes all that are left
    over.
    """
    places = sum(token.kind == "digit" for token in tokens)
    last = max((n for n, token in enumerate(tokens) if token.kind == "digit"), default=-1)
    grouped = any(token.kind == "mark" and token.text == "," for token in tokens[:last])
    written: list[str] = []
    left = places
    for token in tokens:
        if token.kind != "digit":
            written.append("" if token.kind == "mark" and token.text == "," else token.text)
            continue
        first = len(digits) if left == places else left
        for place in range(max(first, left), left - 1, -1):
            written.append(_placed(digits, place, token.text, grouped))
        left -= 1
    return "".join(written)


def _placed(digits: str, place: int, kept: str, grouped: bool) -> str:
    """Return the digit at a place counted from the right, from 1, with the comma after it."""
    comma = "," if grouped and place > 1 and place % 3 == 1 else ""
    if place <= len(digits):
        return digits[-place] + comma
    if kept == "0":
        return "0" + comma
    return " " if kept == "?" else ""


def _part(tokens: Sequence[Token], digits: str) -> str:
    """Write the digits from the point on; zeros at the end stand only where the format says 0."""
    significant = len(digits.rstrip("0"))
    last_zero = 0
    number = 0
    for token in tokens:
        if token.kind == "digit":
            number += 1
            last_zero = number if token.text == "0" else last_zero
    shown = max(significant, last_zero)
    written: list[str] = []
    number = 0
    for token in tokens:
        if token.kind != "digit":
            written.append("" if token.text == "," and token.kind == "mark" else token.text)
            continue
        number += 1
        if number <= shown:
            written.append(digits[number - 1])
        elif token.text == "?":
            written.append(" ")
    return "".join(written)


def scientific(tokens: Sequence[Token], value: float) -> str:
    at = next(n for n, token in enumerate(tokens) if token.kind == "exponent")
    before, after = _halves(tokens[:at])
    places = sum(token.kind == "digit" for token in after)
    step = max(1, sum(token.kind == "digit" for token in before))
    exact = abs(exactly(value))
    power = exact.adjusted() if exact else 0
    power -= power % step
    whole, part = _digits(exact.scaleb(-power), places)
    if len(whole) > step:  # rounding made it 10.0
        power += step
        whole, part = _digits(exact.scaleb(-power), places)
    sign = "-" if power < 0 else "+" if tokens[at].text[1] == "+" else ""
    mantissa = digits_before_point(before, whole) + _part(after, part)
    exponent = digits_before_point(tokens[at + 1 :], str(abs(power)) if power else "")
    return ("-" if value < 0 else "") + mantissa + "E" + sign + exponent
