"""Read the paragraphs of a Word document: their type, their number, and the page they begin."""

from __future__ import annotations

from typing import Any

from batcher.service.parsing.office.names import attribute, child, is_on, name_of, number, value
from batcher.service.parsing.word.numbering import BULLET
from batcher.service.parsing.word.styles import BODY, ParagraphStyle, outline_of
from batcher.service.parsing.word.walk import Readers, Step, Steps, Walk


class Paragraphs:
    """Paragraphs with their numbers."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            "w:p": self._paragraph,
        }

    def _paragraph(self, node: Any) -> Steps:
        properties = child(node, "w:pPr")
        style_id = None if properties is None else value(properties, "w:pStyle")
        style = self._walk.document.styles.paragraph(style_id)
        is_joined = _is_joined(properties)
        if is_joined and next(node.iter("{*}t"), None) is None:
            return [one for one in node if name_of(one.tag) != "w:pPr"]  # it is deleted as a whole
        steps: list[Step] = []
        if not self._walk.is_blank and _breaks_before(properties, style):
            steps += self._walk.break_page()
        return [
            *steps,
            lambda: self._begin_paragraph(style, style_id, properties),
            *node,
            lambda: self._walk.end_paragraph(properties, is_joined),
        ]

    def _begin_paragraph(
        self, style: ParagraphStyle, style_id: str | None, properties: Any
    ) -> None:
        now = self._walk.now
        now.in_paragraph = True
        now.hides = style.hidden
        if now.is_joined:
            now.is_joined = False
            return
        numbered = _number_of(properties, style)
        label = ""
        if numbered is not None and not self._walk.is_hidden(_mark_of(properties)):
            label = self._walk.document.label(*numbered, style_id) or ""
        type_ = _type_of(properties, style)
        if label and type_ == "Text":
            type_ = "List Item"
        if label == BULLET and not self._walk.tables:
            label = ""
        now.label = f"{now.label} {label}".strip()
        self._walk.flow.begin(now.type or type_)


def _breaks_before(properties: Any, style: ParagraphStyle) -> bool:
    own = None if properties is None else is_on(properties, "w:pageBreakBefore")
    return style.breaks_before if own is None else own


def _is_joined(properties: Any) -> bool:
    """Tell whether the next paragraph goes on with the text of this one.

    It does if the mark between them is deleted, or if this one is only the other's large initial.
    """
    frame = None if properties is None else child(properties, "w:framePr")
    if frame is not None and attribute(frame, "dropCap") in ("drop", "margin"):
        return True
    mark = _mark_of(properties)
    gone = () if mark is None else (child(mark, name) for name in ("w:del", "w:moveFrom"))
    return any(one is not None for one in gone)


def _mark_of(properties: Any) -> Any:
    return None if properties is None else child(properties, "w:rPr")


def _type_of(properties: Any, style: ParagraphStyle) -> str:
    outline = outline_of(properties)
    if outline is None or style.type == "Title":
        return style.type
    return "Section Header" if outline < BODY else "Text"


def _number_of(properties: Any, style: ParagraphStyle) -> tuple[str, int | None] | None:
    """Return the paragraph's list and level, or None; its own go before those of its style."""
    numbering = None if properties is None else child(properties, "w:numPr")
    own = None if numbering is None else value(numbering, "w:numId")
    list_ = own or style.list
    if list_ is None or list_ == "0":
        return None
    told = None if numbering is None else value(numbering, "w:ilvl")
    if told is not None:
        return list_, number(told, 0)
    return list_, 0 if own and own != style.list else style.level
