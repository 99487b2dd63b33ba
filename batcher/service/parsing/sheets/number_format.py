"""Write the values of cells as a spreadsheet shows them, by the number formats of their cells.

`format_code` reads the codes; this module chooses the section for a value. Text that is too wide
for its column isn't cut.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from batcher.service.parsing.sheets.format_code import Section, sections_of
from batcher.service.parsing.sheets.shown_fractions import fraction
from batcher.service.parsing.sheets.shown_moments import moment
from batcher.service.parsing.sheets.shown_numbers import (
    EXACT,
    decimal,
    general,
    in_short,
    scientific,
)

__all__ = ["BUILT_IN", "GENERAL", "NumberFormat", "general", "number_format"]

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
_RELATIONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": lambda value, limit: value < limit,
    ">": lambda value, limit: value > limit,
    "<=": lambda value, limit: value <= limit,
    ">=": lambda value, limit: value >= limit,
    "=": lambda value, limit: value == limit,
    "<>": lambda value, limit: value != limit,
}


class NumberFormat:
    """A format code, ready to write values; get one by `number_format`."""

    def __init__(self, code: str, *, since_1904: bool = False) -> None:
        self._since_1904 = since_1904
        sections = sections_of(code)
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

    def _chosen(self, value: float) -> tuple[Section, bool]:
        """Return the section for `value`, and whether it shows by itself a negative number."""
        sections = self._sections
        if any(section.condition for section in sections):
            return self._by_condition(value)
        if value < 0 and len(sections) > 1:
            return sections[1], True
        return sections[2 if value == 0 and len(sections) > 2 else 0], False

    def _by_condition(self, value: float) -> tuple[Section, bool]:
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


def _shown(section: Section, value: float, since_1904: bool) -> str:
    if section.plain is not None and abs(value) < EXACT:
        return in_short(section.plain, value)
    if section.has("date") or section.has("elapsed") or section.has("noon"):
        return moment(section, value, since_1904)
    if section.has("general"):
        return "".join(general(value) if t.kind == "general" else t.text for t in section.tokens)
    if value != value or value in (float("inf"), float("-inf")):
        return "#NUM!"
    if section.has("mark", "/") and section.has("digit"):
        return fraction(section.tokens, value)
    if section.has("exponent"):
        return scientific(section.tokens, value)
    return decimal(section.tokens, value)
