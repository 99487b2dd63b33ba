"""What a number is measured in: its unit, its currency, and whether it counts thousands.

A field or a label may say it, so may the number itself. Where they differ the number is no answer;
nothing is converted.
"""

from __future__ import annotations

import re
from typing import Final

from batcher.service.extraction.schema import Field
from batcher.service.extraction.words import NEGATION

CURRENCIES: Final = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR"}
CODES: Final = frozenset(
    "EUR USD GBP CHF JPY CNY INR AUD CAD NZD SEK NOK DKK PLN CZK HUF RON TRY ZAR BRL MXN".split()
)
# Codes that are also words or names in capitals; they count only beside a number.
WORDS_TOO: Final = frozenset({"TRY", "RON", "CAD"})
UNITS: Final = frozenset(
    "kg g mg t l L ml m cm mm km m² km² pcs pc h hr hrs hour hours day days month months year "
    "years page pages ° °c kwh "
    "w W kw v V a A lb lbs oz in ft min mins minutes s sec seconds".split()
)
UNIT_NAMES: Final = {
    name: names.split()[0]
    for names in (
        "kg kgs kilo kilos kilogram kilograms",
        "g gram grams",
        "mg milligram milligrams",
        "t ton tons tonne tonnes",
        "lb lbs pound pounds",
        "oz ounce ounces",
        "km kilometre kilometres kilometer kilometers",
        "m metre metres meter meters",
        "cm centimetre centimetres centimeter centimeters",
        "mm millimetre millimetres millimeter millimeters",
        "ft foot feet",
        "inch inches",
        "l litre litres liter liters",
        "ml millilitre millilitres milliliter milliliters",
        "h hr hrs hour hours",
        "min mins minute minutes",
        "s sec seconds",
        "days day",
        "weeks week",
        "months month",
        "years year",
    )
    for name in names.split()
}
SHORT_LABEL: Final = 3  # most words of a label that ends in a currency's code
_ANY_CODE: Final = "|".join(sorted(CODES))
_BY_SIGN: Final = re.compile(
    r"(?P<before>(?<![A-Za-z])[A-Za-z]{0,3})(?P<sign>[€$£¥₹])\s?\d|\d\s?(?P<after>[€$£¥₹])"
)
_BY_CODE: Final = re.compile(rf"\b({_ANY_CODE})\s?[-−]?\d|\d\s?({_ANY_CODE})\b")
_AT_END: Final = re.compile(rf"(?:^|[\s(])({_ANY_CODE})[):]*$")
_MONEY: Final = "EUR|USD|GBP|CHF"
_SCALES: Final = {
    1_000: re.compile(
        rf"[('’$€£¥]\s?000s?\b|\b(?:thousands?|tausend|tsd)\b|[€$£¥]\s?k\b|\b[kt][€$£¥]"
        rf"|\b(?:{_MONEY})\s?k\b|\b[kt](?:{_MONEY})\b",
        re.IGNORECASE,
    ),
    1_000_000: re.compile(
        rf"\b(?:millions?|millionen|mio|mln|mn)\b|[€$£¥]\s?mn?\b|\bm[€$£¥]"
        rf"|\b(?:{_MONEY})\s?mn?\b|\bm(?:{_MONEY})\b",
        re.IGNORECASE,
    ),
    1_000_000_000: re.compile(
        r"\b(?:billions?|milliarden|mrd|bn)\b|[€$£¥]\s?bn\b", re.IGNORECASE
    ),
}  # fmt: skip
_SUFFIX: Final = re.compile(r"\d\s?([^\W\d_]+)\.?$")
_IN_UNIT: Final = re.compile(r"(?:\bin |[(\[]\s?|^)([^\W\d_]+)\b")


def currencies_in(text: str) -> set[str]:
    """Return the ISO 4217 codes of the currencies that a text names by sign, word or code.

    A dollar with a letter before it is another country's, and stands for itself, such as "C$".
    """
    found = {"EUR"} if re.search(r"\beuros?\b", text, re.IGNORECASE) else set()
    for match in _BY_SIGN.finditer(text):
        sign = match["sign"] or match["after"]
        before = match["before"] or ""
        is_another = sign == "$" and before and before.upper() not in ("US", "USD")
        found.add(f"{before}$" if is_another else CURRENCIES[sign])
    found |= {code for match in _BY_CODE.findall(text) for code in match if code}
    at_end = _AT_END.search(text) if len(text.split()) <= SHORT_LABEL else None
    return found | ({at_end[1]} - WORDS_TOO if at_end else set())


def scale_of(text: str) -> int:
    """Return how many one counts for in what a text speaks of, 1 if it doesn't say."""
    return next((scale for scale, said in _SCALES.items() if said.search(text)), 1)


def fits(field: Field, label: str, value: str = "", context: str = "") -> bool:
    """Tell whether a number is in the scale, the unit and the currency that its field names.

    `context` is what stands above a table. A number that says nothing of a unit fits, and so does
    whatever is asked for as no number.
    """
    if field.kind not in ("number", "integer"):
        return True
    about = f"{field.name.replace('_', ' ')} {field.title} {NEGATION.sub(' ', field.description)}"
    if scale_of(f"{label} {context}") not in (1, scale_of(about)):
        return False
    wanted = _units_of(field, about)
    shown = _units_in(label) | _unit_behind(value)
    if wanted and not shown <= wanted:
        return False
    asked = _codes_in(about)
    return not asked or currencies_in(value) | _codes_in(label, exact=True) <= asked


def _units_of(field: Field, about: str) -> set[str]:
    words = {word for word in field.name.casefold().split("_")[1:] if len(word) > 1}
    named = {UNIT_NAMES[word] for word in words if word in UNIT_NAMES}
    return named | _units_in(field.title) | _units_in(field.description)


def _units_in(text: str) -> set[str]:
    """Return the units in a text such as "Weight (kg)", "weight in kg" or "kg"."""
    return {
        UNIT_NAMES[word]
        for word in _IN_UNIT.findall(text.casefold())
        if word in UNIT_NAMES and (len(word) > 1 or f"({word})" in text or text == word)
    }


def _unit_behind(value: str) -> set[str]:
    unit = _SUFFIX.search(value.strip())
    name = unit[1].casefold() if unit else ""
    return {UNIT_NAMES[name]} if name in UNIT_NAMES else set()


def _codes_in(text: str, *, exact: bool = False) -> set[str]:
    """Return the codes among a text's words; of a field's name also those in lower case."""
    words = set(re.findall(r"[^\W_]+", text if exact else text.upper()))
    return words & (CODES - WORDS_TOO)
