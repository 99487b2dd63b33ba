"""Write dates and times, by the tokens of a format's section. Names are English."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from batcher.service.parsing.sheets.format_code import Section, Token
from batcher.service.parsing.sheets.shown_numbers import general

_MONTHS: Final = (
    "January February March April May June July August September October November December"
).split()
_DAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_LAST_DAY: Final = 2_958_465  # 9999-12-31; later dates are shown as a row of hashes
_LEAP_1900: Final = 60  # the serial number of 1900-02-29, which never was


def moment(section: Section, value: float, since_1904: bool) -> str:
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

    def written(self, token: Token) -> str:
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
