"""The fields of a Word document: text that Word computes, of which the last result is stored.

A field begins, may have an instruction, which isn't shown, then its result, and ends. Fields may
be nested and go over several paragraphs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from batcher.service.parsing.office.names import attribute, child, is_on, name_of, number, value

CHECKED: Final = "☒"
UNCHECKED: Final = "☐"
# Fields that show nothing where they stand.
_SILENT: Final = frozenset(
    """
    XE TC TA RD SET ASK NEXT NEXTIF SKIPIF PRIVATE ADVANCE DATA DATABASE ADDIN HYPERLINK TOC INDEX
    FORMTEXT
    """.split()
)
_BUTTONS: Final = frozenset({"MACROBUTTON", "GOTOBUTTON"})
UNMATCHED: Final = "unmatched"  # the mark of a field that never ends


@dataclass(slots=True)
class Field:
    """An open field; `shown` is what it shows if it has no result of its own."""

    instruction: list[str] = field(default_factory=list)
    in_result: bool = False
    written: bool = False
    shown: str = ""


@dataclass(slots=True)
class Fields:
    """The open fields of a text, the innermost last."""

    stack: list[Field] = field(default_factory=list)
    instructions: int = 0  # of the open fields, those whose result hasn't begun

    def begin(self, shown: str) -> None:
        """Open a field."""
        self.stack.append(Field(shown=shown))
        self.instructions += 1

    def separate(self) -> None:
        """Begin the result of the innermost field."""
        if self.stack and not self.stack[-1].in_result:
            self.stack[-1].in_result = True
            self.instructions -= 1

    def instruct(self, text: str) -> None:
        """Add text to the innermost field's instruction."""
        if self.stack and not self.stack[-1].in_result:
            self.stack[-1].instruction.append(text)

    def end(self) -> Field | None:
        """Close the innermost field and return it, or None if there is none."""
        if not self.stack:
            return None
        found = self.stack.pop()
        self.instructions -= not found.in_result
        if self.stack:
            self.stack[-1].written |= found.written
        return found


def mark_unmatched(root: Any) -> None:
    """Mark each field that begins and never ends below `root`; it would hide all that follows."""
    open_: list[Any] = []
    for node in root.iter("{*}fldChar"):
        around = node.getparent().getparent()
        if around is not None and name_of(around.tag) in ("w:del", "w:moveFrom"):
            continue
        kind = attribute(node, "fldCharType")
        if kind == "begin":
            open_.append(node)
        elif kind == "end" and open_:
            open_.pop()
    for node in open_:
        node.set(UNMATCHED, "1")


def form_of(node: Any) -> str:
    """Return what a form field shows that has no text: a box that is checked or not, a choice."""
    form = child(node, "w:ffData")
    if form is None:
        return ""
    box = child(form, "w:checkBox")
    if box is not None:
        checked = is_on(box, "w:checked")
        return CHECKED if (is_on(box, "w:default") if checked is None else checked) else UNCHECKED
    choices = child(form, "w:ddList")
    if choices is None:
        return ""
    entries = [attribute(one, "val") or "" for one in choices if name_of(one.tag) == "w:listEntry"]
    chosen = number(value(choices, "w:result") or value(choices, "w:default"), 0)
    return entries[chosen] if 0 <= chosen < len(entries) else ""


def shown_without_result(instruction: str) -> tuple[str, str]:
    """Return what a field without a result shows, and its name if that isn't known here."""
    words = instruction.split()
    name = words[0].upper() if words else ""
    if name in _BUTTONS:
        return " ".join(words[2:]), ""
    return "", "" if name in _SILENT else name
