"""What is open while RTF is read: groups, fields and shapes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from batcher.service.parsing.office.symbols import PRIVATE, symbol
from batcher.service.parsing.rtf.tokens import decoded
from batcher.service.parsing.rtf.words import BODY_LEVEL, SHOWN
from batcher.service.parsing.rtf.writer import Writer

_FONT: Final = re.compile(r'\\f\s+"?([^"\\]+?)"?\s*(?:\\|$)')


@dataclass(slots=True)
class State:
    """What a group inherits from the one around it, and its end takes back."""

    writer: Writer
    mode: int = SHOWN
    font: int = -1
    fallback: int = 1  # characters after each \\u that stand for it
    hidden: bool = False
    deleted: bool = False
    only_rtf: bool = False  # of RTF made from HTML: what isn't part of the HTML
    in_table: bool = False
    style: int = 0
    level: int = BODY_LEVEL
    is_item: bool = False
    breaks_before: bool = False
    capture: list[str] = field(default_factory=list)
    on_close: Callable[[], None] | None = None


@dataclass(slots=True)
class Field:
    """An open field: its instruction, what a form's list offers, and whether a result is shown."""

    written: int
    instruction: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    form: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Shape:
    """An open shape or picture: its properties by name."""

    properties: dict[str, str] = field(default_factory=dict)
    name: str = ""
    pictures: int = 0


def shown_by(found: Field) -> str:
    """Return what a field without a result shows: a formula, a sign, or a form's value."""
    instruction = "".join(found.instruction).strip()
    words = instruction.split()
    kind = words[0].upper() if words else ""
    if kind == "EQ":
        return instruction[2:].strip()
    if kind == "SYMBOL" and len(words) > 1 and words[1].isdigit():
        font = _FONT.search(instruction)
        code = int(words[1]) & 0xFF
        named = symbol(PRIVATE + code, font[1]) if font else None
        return named or decoded(bytes((code,)), "cp1252")
    chosen = found.form.get("ffres", found.form.get("ffdefres", 0))
    if kind == "FORMDROPDOWN" and found.choices:
        if chosen >= len(found.choices):
            chosen = found.form.get("ffdefres", 0)
        return found.choices[min(max(0, chosen), len(found.choices) - 1)]
    if kind == "FORMCHECKBOX":
        return "☒" if chosen == 1 else "☐"
    return ""
