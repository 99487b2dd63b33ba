"""Write the values of cells as a spreadsheet shows them, by the number formats of their cells.

Format codes are those of ECMA-376, part 1, 18.8.30 and 18.8.31, which XLS and XLSB share. Names of
months and days are English. Text that is too wide for its column isn't cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

GENERAL: Final = "General"
# The codes of numFmtId 14 and 22, and of 27 to 36 and 50 to 58, stand for the short date of whoever
# looks at the sheet, which the file doesn't tell. ISO 8601 can't be mistaken for another.
_DATE: Final = "yyyy-mm-dd"
BUILT_IN: Final = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    5: '"$"#,##0_);("$"#,##0)',
    6: '"$"#,##0_);[Red]("$"#,##0)',
    7: '"$"#,##0.00_);("$"#,##0.00)',
    8: '"$"#,##0.00_);[Red]("$"#,##0.00)',
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    12: "# ?/?",
    13: "# ??/??",
    14: _DATE,
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    22: _DATE + " h:mm",
    **dict.fromkeys((*range(27, 32), 36, *range(50, 55), 57, 58), _DATE),
    **dict.fromkeys((32, 33, 34, 35, 55, 56), "h:mm:ss"),
    37: "#,##0_);(#,##0)",
    38: "#,##0_);[Red](#,##0)",
    39: "#,##0.00_);(#,##0.00)",
    40: "#,##0.00_);[Red](#,##0.00)",
    41: '_(* #,##0_);_(* (#,##0);_(* "-"_);_(@_)',
    42: '_("$"* #,##0_);_("$"* (#,##0);_("$"* "-"_);_(@_)',
    43: '_(* #,##0.00_);_(* (#,##0.00);_(* "-"??_);_(@_)',
    44: '_("$"* #,##0.00_);_("$"* (#,##0.00);_("$"* "-"??_);_(@_)',
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss.0",
    48: "##0.0E+0",
    49: "@",
}
_MONTHS: Final = (
    "January February March April May June July August September October November December"
).split()
_DAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_LAST_DAY: Final = 2_958_465  # 9999-12-31; later dates are shown as a row of hashes
_LEAP_1900: Final = 60  # the serial number of 1900-02-29, which never was
_LONGEST: Final = 255  # characters of a format code, by the specification
_EXACT: Final = 10**15  # spreadsheets keep 15 digits

_TOKEN: Final = re.compile(
    r"""
      "(?P<quoted>[^"]*)"?
    | \\(?P<escaped>.)
    | _(?P<space>.)
    | \*(?P<fill>.)
    | \[\$(?P<currency>[^\]-]*)(?:-[^\]]*)?\]
    | \[(?P<elapsed>h+|m+|s+)\]
    | \[(?P<relation><=|>=|<>|<|>|=)\s*(?P<limit>-?[\d.]+(?:E[+-]?\d+)?)\]
    | \[[^\]]*\]
    | (?P<general>General)
    | (?P<noon>AM/PM|A/P|上午/下午)
    | (?P<exponent>E[+-])
    | (?P<fraction>(?<=s)\.0+|(?<=s\])\.0+)
    | (?P<date>y+|m+|d+|h+|s+|e+|a{3,4}|b[12]|b+|g+)
    | (?P<digit>[0\#?])
    | (?P<mark>[.,%/@])
    | (?P<literal>.)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_USUAL: Final = re.compile(r"(?P<before>l*)(?P<whole>#,##0|#*0)(?P<part>\.0+)?(?P<after>l*%?l*)")
_RELATIONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": lambda value, limit: value < limit,
    ">": lambda value, limit: value > limit,
    "<=": lambda value, limit: value <= limit,
    ">=": lambda value, limit: value >= limit,
    "=": lambda value, limit: value == limit,
    "<>": lambda value, limit: value != limit,
}


@dataclass(frozen=True, slots=True)
class _Token:
    """A part of a section. `kind` is the name of its group in `_TOKEN`; literals are "literal"."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class _Plain:
    """A section like `#,##0.00 "€"`: what is written before and after a number, and how it is."""

    before: str
    after: str
    template: str  # for `str.format`
    unit: Decimal  # of the last decimal
    factor: int


@dataclass(frozen=True, slots=True)
class _Section:
    tokens: tuple[_Token, ...]
    condition: tuple[str, float] | None
    plain: _Plain | None = None

    def has(self, kind: str, text: str = "") -> bool:
        return any(t.kind == kind and (not text or t.text == text) for t in self.tokens)


class NumberFormat:
    """A format code, ready to write values; get one by `number_format`."""

    def __init__(self, code: str, *, since_1904: bool = False) -> None:
        self._since_1904 = since_1904
        sections = [_section(part) for part in _parts(code[:_LONGEST])][:4]
        self._text = sections[-1] if len(sections) == 4 or sections[-1].has("mark", "@") else None
        if self._text is not None:
            sections = sections[:-1]
        self._sections = sections

    def number(self, value: float) -> str:
        """Return a number, a date or a time as it is shown."""
        if not self._sections:
            return general(value)
        section, is_absolute = self._chosen(value)
        return _shown(section, abs(value) if is_absolute else value, self._since_1904).strip()

    def text(self, value: str) -> str:
        """Return a text as it is shown."""
        if self._text is None:
            return value
        kept = "".join(
            value if token.kind == "general" or token.text == "@" else token.text
            for token in self._text.tokens
        )
        return kept.strip()

    def _chosen(self, value: float) -> tuple[_Section, bool]:
        """Return the section for `value`, and whether it shows by itself a negative number."""
        sections = self._sections
        if any(section.condition for section in sections):
            return self._by_condition(value)
        if value < 0 and len(sections) > 1:
            return sections[1], True
        return sections[2 if value == 0 and len(sections) > 2 else 0], False

    def _by_condition(self, value: float) -> tuple[_Section, bool]:
        sections = self._sections
        for section in sections[:2]:
            if section.condition is None:
                continue
            relation, limit = section.condition
            if _RELATIONS[relation](value, limit):
                return section, relation.startswith("<") and limit == 0
        both = len(sections) > 2 and all(section.condition for section in sections[:2])
        last = sections[2] if both else sections[min(1, len(sections) - 1)]
        says_sign = len(sections) == 2 and sections[0].condition in ((">", 0.0), (">=", 0.0))
        return last, says_sign


@lru_cache(maxsize=1024)
def number_format(code: str, since_1904: bool = False) -> NumberFormat:
    """Return the format of a code; `since_1904` tells from which year days are counted."""
    return NumberFormat(code, since_1904=since_1904)


def general(value: float) -> str:
    """Return a number in the format General, with all of the 15 digits that a sheet keeps."""
    if value != value or value in (float("inf"), float("-inf")):
        return "#NUM!"
    if value == int(value) and abs(value) < _EXACT:
        return str(int(value))
    text = f"{value:.15g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    if -9 <= int(exponent) < 0:
        return f"{Decimal(text):f}"
    return f"{mantissa}E{exponent[0]}{exponent[1:].zfill(2)}"


# --- reading a code -------------------------------------------------------------------------------


def _parts(code: str) -> list[str]:
    """Split a code at its semicolons."""
    parts = [""]
    for found in re.finditer(r'"[^"]*"?|\\.|[_*].|\[[^\]]*\]|.', code, re.DOTALL):
        if found[0] == ";":
            parts.append("")
        else:
            parts[-1] += found[0]
    return parts


def _section(code: str) -> _Section:
    tokens: list[_Token] = []
    condition = None
    for found in _TOKEN.finditer(code):
        kind = found.lastgroup
        if found["relation"]:
            condition = (found["relation"], _limit(found["limit"]))
        elif kind is not None and kind != "fill":
            tokens.append(_token(kind, found[kind]))
    return _Section(tuple(_with_minutes(tokens)), condition, _plain(tokens))


def _plain(tokens: Sequence[_Token]) -> _Plain | None:
    """Return the section in short if it is one of the usual ones, which most cells have."""
    kinds = "".join(
        token.text if token.kind in ("digit", "mark") else "l" if token.kind == "literal" else "x"
        for token in tokens
    )
    found = _USUAL.fullmatch(kinds)
    if found is None:
        return None
    places = len(found["part"] or ".") - 1
    return _Plain(
        "".join(token.text for token in tokens[: found.end("before")]),
        "".join(token.text for token in tokens[found.start("after") :]),
        "{:,f}" if "," in found["whole"] else "{:f}",
        Decimal(1).scaleb(-places),
        100 if "%" in found["after"] else 1,
    )


def _limit(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _token(kind: str, text: str) -> _Token:
    if kind == "space":
        return _Token("literal", " ")
    if kind in ("quoted", "escaped", "currency", "literal"):
        return _Token("literal", text)
    if kind in ("date", "elapsed"):
        return _Token(kind, text.lower())
    return _Token(kind, text)


def _with_minutes(tokens: list[_Token]) -> list[_Token]:
    """Tell minutes from months: they come after hours or before seconds."""
    dated = [n for n, token in enumerate(tokens) if token.kind in ("date", "elapsed")]
    for place, number in enumerate(dated):
        if tokens[number].kind != "date" or tokens[number].text not in ("m", "mm"):
            continue
        before = tokens[dated[place - 1]].text if place else ""
        after = tokens[dated[place + 1]].text if place + 1 < len(dated) else ""
        if before.startswith("h") or after.startswith("s"):
            tokens[number] = _Token("date", tokens[number].text.replace("m", "i"))
    return tokens


# --- numbers --------------------------------------------------------------------------------------


def _shown(section: _Section, value: float, since_1904: bool) -> str:
    if section.plain is not None and abs(value) < _EXACT:
        return _in_short(section.plain, value)
    if section.has("date") or section.has("elapsed") or section.has("noon"):
        return _moment(section, value, since_1904)
    if section.has("general"):
        return "".join(general(value) if t.kind == "general" else t.text for t in section.tokens)
    if value != value or value in (float("inf"), float("-inf")):
        return "#NUM!"
    if section.has("mark", "/") and section.has("digit"):
        return _fraction(section.tokens, value)
    if section.has("exponent"):
        return _scientific(section.tokens, value)
    return _decimal(section.tokens, value)


def _in_short(plain: _Plain, value: float) -> str:
    rounded = (_exactly(value) * plain.factor).quantize(plain.unit, ROUND_HALF_UP)
    sign = "-" if rounded < 0 else ""
    return sign + plain.before + plain.template.format(abs(rounded)) + plain.after


def _decimal(tokens: Sequence[_Token], value: float) -> str:
    if not any(token.kind == "digit" for token in tokens):
        sign = "-" if value < 0 else ""
        return sign + "".join(token.text for token in tokens if token.text not in ("@", ","))
    before, after = _halves(tokens)
    scaled = _exactly(value) * 100 ** sum(t.kind == "mark" and t.text == "%" for t in tokens)
    scaled = scaled.scaleb(-3 * (_trailing_commas(before) + _trailing_commas(after)))
    places = sum(token.kind == "digit" for token in after)
    whole, part = _digits(abs(scaled), places)
    text = _whole(before, whole) + _part(after, part)
    if whole and not any(token.kind == "digit" for token in before):
        text = _whole(before, "") + whole + _part(after, part)
    is_zero = not whole.strip("0") and not part.strip("0")
    return "-" + text if value < 0 and not is_zero else text


def _exactly(value: float) -> Decimal:
    """Return the number with the 15 digits that a spreadsheet shows at most."""
    return Decimal(f"{value:.15g}")


def _halves(tokens: Sequence[_Token]) -> tuple[list[_Token], list[_Token]]:
    """Return what stands before the decimal point, and what from it on."""
    for number, token in enumerate(tokens):
        if token.kind == "mark" and token.text == ".":
            return list(tokens[:number]), list(tokens[number:])
    return list(tokens), []


def _trailing_commas(tokens: Sequence[_Token]) -> int:
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


def _whole(tokens: Sequence[_Token], digits: str) -> str:
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


def _part(tokens: Sequence[_Token], digits: str) -> str:
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


def _scientific(tokens: Sequence[_Token], value: float) -> str:
    at = next(n for n, token in enumerate(tokens) if token.kind == "exponent")
    before, after = _halves(tokens[:at])
    places = sum(token.kind == "digit" for token in after)
    step = max(1, sum(token.kind == "digit" for token in before))
    exact = abs(_exactly(value))
    power = exact.adjusted() if exact else 0
    power -= power % step
    whole, part = _digits(exact.scaleb(-power), places)
    if len(whole) > step:  # rounding made it 10.0
        power += step
        whole, part = _digits(exact.scaleb(-power), places)
    sign = "-" if power < 0 else "+" if tokens[at].text[1] == "+" else ""
    mantissa = _whole(before, whole) + _part(after, part)
    exponent = _whole(tokens[at + 1 :], str(abs(power)) if power else "")
    return ("-" if value < 0 else "") + mantissa + "E" + sign + exponent


def _fraction(tokens: Sequence[_Token], value: float) -> str:
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
    found = _nearest(Fraction(_exactly(abs(value))), wanted)
    whole = found.numerator // found.denominator if has_whole else 0
    rest = found - whole
    sign = "-" if value < 0 and found else ""
    before = _whole(whole_places, str(whole) if whole else "") if has_whole else ""
    ends = "".join(token.text for token in tokens[end:])
    if has_whole and not rest:
        return sign + (before.strip() or "0") + ends
    below = int(wanted) if wanted.strip("0").isdigit() else rest.denominator
    return f"{sign}{before}{rest * below}/{below}{ends}"


def _closed_up(tokens: Sequence[_Token]) -> list[_Token]:
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


# --- dates and times ------------------------------------------------------------------------------


def _moment(section: _Section, value: float, since_1904: bool) -> str:
    tokens = section.tokens
    decimals = max((len(t.text) - 1 for t in tokens if t.kind == "fraction"), default=0)
    ticks = _ticks(value, decimals)
    if ticks is None or (value < 0 and not section.has("elapsed")):
        return general(value)
    per_second = 10**decimals
    days, ticks_of_day = divmod(abs(ticks), 86_400 * per_second)
    seconds, below = divmod(ticks_of_day, per_second)
    clock = _Clock(days, seconds, below, decimals, section.has("noon"), since_1904)
    sign = "-" if ticks < 0 else ""
    return sign + "".join(clock.written(token) for token in tokens)


def _ticks(value: float, decimals: int) -> int | None:
    """Return the seconds since day 0, in units of the last decimal shown; None if out of range."""
    if not abs(value) < _LAST_DAY + 1:
        return None
    ticks: int = round(value * 86_400 * 10**decimals)
    return ticks


@dataclass(frozen=True, slots=True)
class _Clock:
    """A moment: the number of its day, and the seconds of that day with their decimals."""

    days: int
    seconds: int
    below: int
    decimals: int
    has_noon: bool
    since_1904: bool

    def written(self, token: _Token) -> str:
        if token.kind == "date":
            return self._date(token.text)
        if token.kind == "elapsed":
            total = self.days * 86_400 + self.seconds
            unit = {"h": 3600, "m": 60, "s": 1}[token.text[0]]
            return str(total // unit).zfill(len(token.text))
        if token.kind == "fraction":
            return "." + str(self.below).zfill(self.decimals)
        if token.kind == "noon":
            first, last = token.text.split("/")
            return last if self.seconds >= 43_200 else first
        return "" if token.kind == "mark" and token.text == "@" else token.text

    def _date(self, code: str) -> str:
        hours = self.seconds // 3600
        if self.has_noon:
            hours = (hours - 1) % 12 + 1
        match code[0]:
            case "h":
                return str(hours).zfill(min(len(code), 2))
            case "i":
                return str(self.seconds // 60 % 60).zfill(len(code))
            case "s":
                return str(self.seconds % 60).zfill(min(len(code), 2))
        year, month, day, weekday = self._day()
        match code[0]:
            case "y":
                return f"{year % 100:02}" if len(code) <= 2 else f"{year:04}"
            case "e":
                return str(year)
            case "b" if code[1:] not in ("1", "2"):
                return f"{(year + 543) % 100:02}" if len(code) <= 2 else str(year + 543)
            case "m":
                return _named(month, code, _MONTHS[month - 1])
            case "d":
                return _named(day, code, weekday)
            case "a":
                return weekday if len(code) == 4 else weekday[:3]
        return ""  # eras and calendars

    def _day(self) -> tuple[int, int, int, str]:
        """Return year, month, day and the weekday's name."""
        if self.since_1904:
            found = date(1904, 1, 1) + timedelta(self.days)
        elif self.days == _LEAP_1900:
            return 1900, 2, 29, "Wednesday"
        elif self.days == 0:
            return 1900, 1, 0, "Saturday"
        elif self.days < _LEAP_1900:
            # one weekday early, as in the sheets that believe in the leap day
            found = date(1899, 12, 31) + timedelta(self.days)
            return found.year, found.month, found.day, _DAYS[(found.weekday() - 1) % 7]
        else:
            found = date(1899, 12, 30) + timedelta(self.days)
        return found.year, found.month, found.day, _DAYS[found.weekday()]


def _named(number: int, code: str, name: str) -> str:
    match len(code):
        case 1 | 2:
            return str(number).zfill(len(code))
        case 3:
            return name[:3]
        case 5:
            return name[0]
    return name
