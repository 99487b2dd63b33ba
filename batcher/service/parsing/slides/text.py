"""Turn the paragraphs of a shape into blocks: text, and list items with their numbers as shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.numbering import formatted_number, stands_for_number
from batcher.service.parsing.office.equations import latex
from batcher.service.parsing.office.package import descend, local

DEEPEST: Final = 8  # the last level of a list; the first is 0
_HEADINGS: Final = frozenset({"Title", "Section Header"})
_BULLETS: Final = frozenset({"buNone", "buChar", "buAutoNum", "buBlip"})
_NO_TEXT: Final = frozenset({"pPr", "rPr", "endParaRPr", "fldPr", "extLst"})
_IN_EQUATION: Final = "/math}t"  # the end of the name of an equation's text
_LAST_NUMBER: Final = 32767  # of a list, by the format
# the schemes that aren't decimal, by how they begin
_SCHEMES: Final = {
    "alphaLc": "lowerLetter",
    "alphaUc": "upperLetter",
    "romanLc": "lowerRoman",
    "romanUc": "upperRoman",
}


@dataclass(slots=True)
class _Numbers:
    """The last number of each level of the lists in one shape."""

    last: dict[int, int] = field(default_factory=dict)

    def next(self, level: int, start: int) -> int:
        self.close(level + 1)
        self.last[level] = self.last[level] + 1 if level in self.last else start
        return self.last[level]

    def close(self, level: int) -> None:
        """End the lists of this level and below."""
        self.last = {above: number for above, number in self.last.items() if above < level}


def write_body(flow: Flow, body: Any, type_: str, styles: Sequence[Any] = ()) -> None:
    """Write the paragraphs of `body` as a block of `type_`, and those with bullets as list items.

    `styles` are the elements with the properties of levels that the body inherits, nearest first.
    A heading is one line without bullets.
    """
    numbers = _Numbers()
    own = body.find("{*}lstStyle")
    chain = list(styles) if own is None else [own, *styles]
    flow.begin(type_)
    for paragraph in body.iterfind("{*}p"):
        pieces = list(_pieces(paragraph))
        if type_ in _HEADINGS:
            flow.write(" ".join(["".join(pieces).replace("\n", " "), ""]))
        elif any(piece.strip() for piece in pieces):  # a paragraph without text shows no bullet
            _write_paragraph(flow, pieces, _mark(paragraph, chain, numbers))
    flow.end()


def text_of(node: Any) -> str:
    """Return the text of all paragraphs below `node`, on one line."""
    paragraphs = (below for below in descend(node) if local(below) == "p")
    return " ".join(" ".join("".join(_pieces(paragraph)).split()) for paragraph in paragraphs)


def _write_paragraph(flow: Flow, pieces: Sequence[str], mark: str | None) -> None:
    """Write a paragraph; `mark` is the number of a list item, and None outside of lists."""
    if mark is None:
        _write_lines(flow, pieces)
        flow.break_line()
        return
    with flow.block("List Item"):
        flow.write(f"{mark} ")
        _write_lines(flow, pieces)


def _write_lines(flow: Flow, pieces: Sequence[str]) -> None:
    for piece in pieces:
        if piece == "\n":
            flow.break_line()
        else:
            flow.write(piece)


def _pieces(paragraph: Any) -> Iterator[str]:
    """Yield the text of a paragraph; a line break is "\\n"."""
    for node in descend(paragraph, without=_NO_TEXT):
        name = local(node)
        if name == "br":
            yield "\n"
        elif name == "t" and not node.tag.endswith(_IN_EQUATION) and not _is_unnumbered(node):
            yield (node.text or "").replace("\n", " ")
        elif name == "oMath":
            yield latex(node)


def _is_unnumbered(node: Any) -> bool:
    """Tell whether a text stands for the slide's number."""
    field = node.getparent()
    is_number = field is not None and local(field) == "fld" and field.get("type") == "slidenum"
    return is_number and stands_for_number(node.text or "")


# --- bullets and numbers --------------------------------------------------------------------------


def _mark(paragraph: Any, styles: Sequence[Any], numbers: _Numbers) -> str | None:
    """Return the number before a list item, "" for a bullet, and None if it is no list item."""
    properties = paragraph.find("{*}pPr")
    level = 0 if properties is None else _whole(properties, "lvl", most=DEEPEST)
    bullet = _bullet(properties, level, styles)
    if bullet is None or local(bullet) == "buNone":
        numbers.close(level)
        return None
    if local(bullet) != "buAutoNum":
        numbers.close(level)
        return ""
    number = numbers.next(level, _whole(bullet, "startAt", most=_LAST_NUMBER) or 1)
    return _written(number, bullet.get("type", ""))


def _bullet(properties: Any, level: int, styles: Sequence[Any]) -> Any:
    """Return the element that says which bullet a paragraph has, or None if nothing does."""
    inherited = (style.find(f"{{*}}lvl{level + 1}pPr") for style in styles)
    for found in (properties, *inherited):
        for child in () if found is None else found:
            if local(child) in _BULLETS:
                return child
    return None


def _written(number: int, scheme: str) -> str:
    """Return a number as the scheme writes it, such as `romanUcParenBoth`: "(IV)"."""
    formats = (name for start, name in _SCHEMES.items() if scheme.startswith(start))
    digits = formatted_number(number, next(formats, "decimal"))
    if scheme.endswith("ParenBoth"):
        return f"({digits})"
    if scheme.endswith("ParenR"):
        return f"{digits})"
    return f"{digits}." if scheme.endswith("Period") else digits


def _whole(node: Any, name: str, *, most: int) -> int:
    """Return an attribute as a number from 0 to `most`; 0 if it is none."""
    value = node.get(name, "")
    return min(int(value), most) if value.isdecimal() and len(value) < 10 else 0
