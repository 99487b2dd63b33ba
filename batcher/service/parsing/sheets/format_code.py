"""Read a number format's code: its sections, and the tokens of each.

Codes are those of ECMA-376, part 1, 18.8.30 and 18.8.31, which XLS and XLSB share.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_LONGEST: Final = 255  # characters of a format code, by the specification

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


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a section. `kind` is the name of its group in `_TOKEN`; literals are "literal"."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Plain:
    """A section like `#,##0.00 "€"`: what is written before and after a number, and how it is."""

    before: str
    after: str
    template: str  # for `str.format`
    unit: Decimal  # of the last decimal
    factor: int


@dataclass(frozen=True, slots=True)
class Section:
    tokens: tuple[Token, ...]
    condition: tuple[str, float] | None
    plain: Plain | None = None

    def has(self, kind: str, text: str = "") -> bool:
        return any(t.kind == kind and (not text or t.text == text) for t in self.tokens)


def sections_of(code: str) -> list[Section]:
    """Return the sections of a code, four at most."""
    return [_section(part) for part in _parts(code[:_LONGEST])][:4]


def _parts(code: str) -> list[str]:
    """Split a code at its semicolons."""
    parts = [""]
    for found in re.finditer(r'"[^"]*"?|\\.|[_*].|\[[^\]]*\]|.', code, re.DOTALL):
        if found[0] == ";":
            parts.append("")
        else:
            parts[-1] += found[0]
    return parts


def _section(code: str) -> Section:
    tokens: list[Token] = []
    condition = None
    for found in _TOKEN.finditer(code):
        kind = found.lastgroup
        if found["relation"]:
            condition = (found["relation"], _limit(found["limit"]))
        elif kind is not None and kind != "fill":
            tokens.append(_token(kind, found[kind]))
    return Section(tuple(_with_minutes(tokens)), condition, _plain(tokens))


def _plain(tokens: Sequence[Token]) -> Plain | None:
    """Return the section in short if it is one of the usual ones, which most cells have."""
    kinds = "".join(
        token.text if token.kind in ("digit", "mark") else "l" if token.kind == "literal" else "x"
        for token in tokens
    )
    found = _USUAL.fullmatch(kinds)
    if found is None:
        return None
    places = len(found["part"] or ".") - 1
    return Plain(
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


def _token(kind: str, text: str) -> Token:
    if kind == "space":
        return Token("literal", " ")
    if kind in ("quoted", "escaped", "currency", "literal"):
        return Token("literal", text)
    if kind in ("date", "elapsed"):
        return Token(kind, text.lower())
    return Token(kind, text)


def _with_minutes(tokens: list[Token]) -> list[Token]:
    """Tell minutes from months: they come after hours or before seconds."""
    dated = [n for n, token in enumerate(tokens) if token.kind in ("date", "elapsed")]
    for place, number in enumerate(dated):
        if tokens[number].kind != "date" or tokens[number].text not in ("m", "mm"):
            continue
        before = tokens[dated[place - 1]].text if place else ""
        after = tokens[dated[place + 1]].text if place + 1 < len(dated) else ""
        if before.startswith("h") or after.startswith("s"):
            tokens[number] = Token("date", tokens[number].text.replace("m", "i"))
    return tokens
