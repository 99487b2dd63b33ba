"""Convert text of a document into a value of a JSON type and format, or `MISSING`.

Only text that is the value as a whole is accepted. Numbers are read the way the document writes
them elsewhere (1,234.50 or 1.234,50); a date whose day and month can't be told apart is `MISSING`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from batcher.service.extraction.measures import CODES, UNITS
from batcher.service.extraction.schema import Field
from batcher.service.extraction.words import is_spelling_of

MISSING: Final = object()
MONTHS: Final = {
    **{name: number for number, names in enumerate(
        (
            "january jan januar janvier enero",
            "february feb februar février fevrier febrero",
            "march mar märz maerz mars marzo",
            "april apr avril abril",
            "may mai mayo",
            "june jun juni juin junio",
            "july jul juli juillet julio",
            "august aug août aout agosto",
            "september sep sept septembre septiembre",
            "october oct oktober okt octobre octubre",
            "november nov novembre noviembre",
            "december dec dezember dez décembre decembre diciembre",
        ),
        start=1,
    ) for name in names.split()},
}  # fmt: skip
TRUE: Final = frozenset("yes y true x ja oui si sí 1 ☑ ☒ ✓ ✔ checked".split())
FALSE: Final = frozenset("no n false nein non 0 ☐ unchecked".split())
LONGEST: Final = 1_000  # characters of a string; longer text is a passage and no value
# Groups are bounded, or long rows of figures would be read anew from each of their groups.
_WITH_CENTS: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:[.,' ]\d{3}){0,6}([.,])\d{2}(?![\d.,])")
_EITHER: Final = re.compile(r"[1-9]\d{0,2}\.\d{3}")  # a thousand, or a fraction in thousandths
_FILLER: Final = re.compile(r"[\s_.\-–—…·*]+")  # a line to write on, or a dash for "nothing"
SIGNS: Final = re.compile(r"[€$£¥₹]")
NUMBER: Final = r"[-−+]?\d(?:[\d.,'’\u00a0\u202f ]*\d)?"
_ISO: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_NAMED: Final = re.compile(
    r"(?:\w+,? )?(\d{1,2})(?:st|nd|rd|th|\.)? (?:of |de )?([^\W\d]+)\.?,? (?:de )?(\d{4})"
)
_US_NAMED: Final = re.compile(r"(?:\w+, )?([^\W\d]+)\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})")
_FIGURES: Final = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})")
_MOMENT: Final = re.compile(r"(?P<day>.*?\d)(?:T|,? (?:at )?)(?P<clock>\d{1,2}:\d{2}.*)")
_CLOCK: Final = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?P<rest>:[0-5]\d(?:\.\d{1,6})?)?"
    r"(?:\s?(?P<half>[ap])\.?m\.?)?(?:\s?(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2}))?",
    re.IGNORECASE,
)
_EMAIL: Final = re.compile(r"[^\s@<>]+@[^\s@<>]+\.\w+")
_HYPHEN: Final = re.compile(r"(?<=[^\W\d_])[-_](?=[^\W\d_])")
_URI: Final = re.compile(r"(?:https?://|www\.)\S+")


@dataclass(frozen=True, slots=True)
class Customs:
    """How a document writes numbers and dates.

    `decimal` is its decimal mark and `day_first` whether dates begin with the day; each is None if
    the document doesn't show it.
    """

    decimal: str | None = None
    day_first: bool | None = None


def customs_of(texts: Iterable[str]) -> Customs:
    """Derive the customs from the numbers and dates in `texts`."""
    marks = {",": 0, ".": 0}
    day = month = False
    for text in texts:
        for mark in _WITH_CENTS.findall(text):
            marks[mark] += 1
        for first, mark, second, year in _FIGURES.findall(text):
            if mark == "-" and len(year) == 2:
                continue
            day = day or int(first) > 12
            month = month or int(second) > 12
    decimal = None if marks["."] == marks[","] else max(marks, key=lambda mark: marks[mark])
    return Customs(decimal, None if day == month else day)


def cast(text: str, field: Field, customs: Customs) -> Any:
    """Return the value of `field` that `text` stands for, or `MISSING`.

    An int or float for numbers, a bool, one of the enum's values, or a string in the field's
    format.
    """
    text = " ".join(text.split()).strip(" ;")
    if not text or len(text) > LONGEST:
        return MISSING
    if field.enum:
        return _chosen(text, field.enum)
    if _FILLER.fullmatch(text):
        return MISSING
    match field.kind:
        case "number":
            return _number(text, customs)
        case "integer":
            number = _number(text, customs)
            is_whole = isinstance(number, int) or (
                number is not MISSING and float(number).is_integer()
            )
            return int(number) if is_whole else MISSING
        case "boolean":
            word = text.casefold().rstrip(".")
            return True if word in TRUE else False if word in FALSE else MISSING
        case "string" | "any":
            return _string(text, field, customs)
    return MISSING


def is_percent(text: str) -> bool:
    """Tell whether a text is a number with a percent sign or word."""
    return (
        re.fullmatch(rf"{NUMBER}\s*(%|per ?cent|percent)", text.strip(), re.IGNORECASE) is not None
    )


def looks_like_value(text: str) -> bool:
    """Tell whether a text is a number, an amount, a date or a time.

    Such text may follow a label without a colon.
    """
    anyhow = Customs(".", True)
    return (
        _number(text, anyhow) is not MISSING
        or _date(text, anyhow) is not MISSING
        or _clock(text) is not None
    )


def _string(text: str, field: Field, customs: Customs) -> Any:
    match field.format or ("date" if _asks_for_iso(field) else ""):
        case "date":
            return _date(text, customs)
        case "date-time":
            return _date(text, customs, with_time=True)
        case "time":
            clock = _clock(text)
            return MISSING if clock is None else clock
        case "email":
            return text if _EMAIL.fullmatch(text) else MISSING
        case "uri" | "url":
            return text if _URI.fullmatch(text) else MISSING
    return text


def _asks_for_iso(field: Field) -> bool:
    return bool(re.search(r"YYYY-MM-DD|ISO.?8601", field.description))


def _chosen(text: str, enum: tuple[Any, ...]) -> Any:
    """Return the value of the enum that the text names; never None, since there is text.

    It is the one written in the same way, else in another case, else the one of the same words.
    """
    choices = [one for one in enum if one is not None]
    for same in (_is_same, _is_same_in_case, _has_same_words):
        found = [one for one in choices if same(text, str(one))]
        if found:
            return found[0] if len(found) == 1 else MISSING
    return MISSING


def _is_same(text: str, choice: str) -> bool:
    return text == choice


def _is_same_in_case(text: str, choice: str) -> bool:
    return text.casefold() == choice.casefold()


def _has_same_words(text: str, choice: str) -> bool:
    """Tell whether all words are the same, figures exactly and words but for a slip of the OCR."""
    said = _words_of_choice(text.rstrip("."))
    meant = _words_of_choice(choice.rstrip("."))
    return len(said) == len(meant) and all(
        word == other or (f"{word}{other}".isalpha() and is_spelling_of(word, other))
        for word, other in zip(said, meant, strict=True)
    )


def _words_of_choice(text: str) -> list[str]:
    return _HYPHEN.sub(" ", text.casefold()).split()


# --- numbers --------------------------------------------------------------------------------------


def _number(text: str, customs: Customs) -> Any:
    """Return an int, or a float if there are decimals.

    A currency, a percent sign and a unit may stand beside the number, other words may not. In
    money an m stands for millions and is no unit.
    """
    unsigned = SIGNS.sub("", text)
    bare = " ".join(word for word in unsigned.split() if word.strip(".,").upper() not in CODES)
    is_money = len(bare) < len(" ".join(text.split()))
    bare, negative = _without_sign(bare.removesuffix(",-").removesuffix(".-"))
    bare = re.sub(r"\s*(%|per ?cent|percent)$", "", bare, flags=re.IGNORECASE)
    match = re.fullmatch(rf"({NUMBER})(?:\s*([^\W\d_]+[²³]?\.?|°C?))?", bare)
    if match is None or (match[2] and (is_money or not _is_unit(match[2].rstrip(".")))):
        return MISSING
    if is_money and customs.decimal is None and _EITHER.fullmatch(match[1]):
        return MISSING
    digits = _digits(match[1], customs)
    if digits is None:
        return MISSING
    value = float(digits) if "." in digits else int(digits)
    if value == math.inf:
        return MISSING
    return -value if negative else value


def _is_unit(text: str) -> bool:
    """Tell whether a text is a unit; one letter only as it is written, since an M is no metre."""
    return text in UNITS or (len(text) > 1 and text.casefold() in UNITS)


def _without_sign(text: str) -> tuple[str, bool]:
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        return text[1:-1].strip(), True
    if text.endswith(("-", "−")):
        return text[:-1].strip(), True
    if text.startswith(("-", "−")):
        return text[1:].strip(), True
    return text.removeprefix("+").strip(), False


def _digits(text: str, customs: Customs) -> str | None:
    """Return plain digits with a point, or None if the groups form no number."""
    text = re.sub(r"['’\u00a0\u202f ](?=\d{3}(?!\d))", "", text)
    if not re.fullmatch(r"\d+(?:[.,]\d+)*", text):
        return None
    decimal = _decimal_mark(text, customs)
    whole, _, rest = text.rpartition(decimal) if decimal else (text, "", "")
    groups = re.split(r"[.,]", whole)
    grouped = len(groups) == 1 or (
        1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    )
    if not grouped or len(set(re.findall(r"[.,]", whole))) > 1 or (decimal and decimal in whole):
        return None
    return "".join(groups) + (f".{rest}" if rest else "")


def _decimal_mark(text: str, customs: Customs) -> str:
    marks = re.findall(r"[.,]", text)
    if not marks:
        return ""
    if len(set(marks)) == 2:
        return str(marks[-1])
    if len(marks) > 1:
        return ""
    mark: str = marks[0]
    before, after = text.split(mark)
    if len(after) != 3 or len(before) > 3 or before == "0":
        return mark
    if customs.decimal is not None:
        return mark if mark == customs.decimal else ""
    # In most documents 1,234 is a thousand, and 1.234 is a little more than one.
    return mark if mark == "." else ""


# --- dates ----------------------------------------------------------------------------------------


def _date(text: str, customs: Customs, *, with_time: bool = False) -> Any:
    """Return an ISO 8601 date, or `MISSING` if the figures don't show which is the month.

    With `with_time` a clock's time follows it if there is one; a time that is none makes no date.
    """
    text = text.strip().rstrip(".")
    moment = _MOMENT.fullmatch(text)
    day = _date_alone(moment["day"] if moment else text, customs)
    if day is MISSING or not moment or not with_time:
        return day
    clock = _clock(moment["clock"], with_seconds=True)
    return MISSING if clock is None else f"{day}T{clock}"


def _date_alone(text: str, customs: Customs) -> Any:
    if iso := _ISO.fullmatch(text):
        return _day(int(iso[1]), int(iso[2]), int(iso[3]))
    if named := _NAMED.fullmatch(text):
        return _day(int(named[3]), MONTHS.get(named[2].casefold(), 0), int(named[1]))
    if named := _US_NAMED.fullmatch(text):
        return _day(int(named[3]), MONTHS.get(named[1].casefold(), 0), int(named[2]))
    if figures := _FIGURES.fullmatch(text):
        return _by_figures(figures, customs)
    return MISSING


def _clock(text: str, *, with_seconds: bool = False) -> str | None:
    """Return a time of day in 24 hours, with its zone if that is said in figures or is UTC."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    hour = int(match["hour"])
    half = (match["half"] or "").casefold()
    if int(match["minute"]) > 59 or hour > 23 or (half and not 1 <= hour <= 12):
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    zone = _zone(match["zone"] or "")
    rest = match["rest"] or (":00" if with_seconds else "")
    return None if zone is None else f"{hour:02}:{match['minute']}{rest}{zone}"


def _zone(text: str) -> str | None:
    if not text.startswith(("+", "-")):
        return "Z" if text else ""
    hours, minutes = text[1:3], text[-2:]
    return f"{text[0]}{hours}:{minutes}" if int(hours) <= 14 and int(minutes) < 60 else None


def _by_figures(match: re.Match[str], customs: Customs) -> Any:
    first = int(match[1])
    mark = match[2]
    second = int(match[3])
    year = int(match[4])
    if mark == "-" and len(match[4]) == 2:
        return MISSING  # the year may as well be the first
    year += 0 if year > 99 else 2000 if year < 70 else 1900
    day_first = mark == "." or first > 12 or (second <= 12 and customs.day_first is True)
    month_first = second > 12 or customs.day_first is False
    if day_first and first != second and second > 12:
        return MISSING
    if not (day_first or month_first or first == second):
        return MISSING
    return _day(year, second, first) if day_first else _day(year, first, second)


def _day(year: int, month: int, day: int) -> Any:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return MISSING
