"""Read the shapes of OpenDocument: text boxes, pictures, formulas and embedded documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from batcher.service.parsing.office import mathml
from batcher.service.parsing.opendocument.notes import Notes
from batcher.service.parsing.opendocument.styles import qname
from batcher.service.parsing.opendocument.walk import (
    ALT,
    SHAPES,
    Readers,
    Step,
    Walk,
    alt_text,
    elements,
)
from batcher.service.parsing.pages import DocumentProblem, PageBlock

_TITLES: Final = {"title": "Title", "subtitle": "Section Header"}
_TEXT_OF_FRAMES: Final = frozenset((qname("draw:text-box"), qname("table:table")))
_NO_SHAPES: Final = frozenset((qname("office:annotation"), qname("text:note")))
_NOT_READ: Final = {
    qname("draw:object-ole"): "an embedded object of another program is not read",
    qname("draw:plugin"): "embedded sound and video are not read",
    qname("draw:applet"): "an embedded program is not read",
    qname("draw:floating-frame"): "a document that is linked in a frame is not read",
}


class Shapes:
    """Frames and shapes; those of a line of text wait for its end."""

    def __init__(self, walk: Walk, *, notes: Notes, controls: Mapping[str, str]) -> None:
        self._walk = walk
        self._notes = notes
        self._controls = controls
        self._beside: list[Step] = []  # text boxes and pictures of the open paragraph
        self._objects: set[Any] = set()  # roots of embedded documents that were read

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            **dict.fromkeys(SHAPES - _NO_SHAPES, self._shape),
            qname("draw:frame"): self._frame,
            qname("draw:control"): self._control,
        }

    def beside_the_line(self, node: Any) -> None:
        """Keep for later what isn't part of the line; a formula is, and so is a note's mark."""
        if self._walk.is_hidden:
            return
        if node.tag == qname("text:note"):
            self._walk.write(self._notes.mark(node))
        if node.tag in (qname("text:note"), qname("office:annotation")):
            self._notes.waiting.append(node)
            return
        formula = self._formula(node)
        if formula is None:
            self._beside.append(node)
        else:
            self._walk.write(f" {formula} ")

    def taken(self) -> list[Step]:
        """Return what waits for the end of the paragraph, which it does no longer."""
        beside = self._beside
        self._beside = []
        return beside

    def _formula(self, frame: Any) -> str | None:
        """Return the formula that a frame holds, or None if it holds something else."""
        for holder in frame.iterchildren(qname("draw:object")):
            try:
                root = self._walk.package.embedded(holder)
            except DocumentProblem:
                return None  # it is told when the frame itself is read
            if root is not None and root.tag == qname("math:math"):
                return mathml.linear(root) if self._is_new(root) else ""
        return None

    def _is_new(self, root: Any) -> bool:
        """Tell whether an embedded document is met for the first time; one may even hold itself."""
        if root in self._objects:
            self._walk.unread["an embedded object that is shown several times is read once"] = None
            return False
        self._objects.add(root)
        return True

    def _shape(self, node: Any) -> None:
        alt = alt_text(node)
        inside = [child for child in elements(node) if child.tag not in ALT]
        type_ = _TITLES.get(node.get(qname("presentation:class"), ""), "")
        figure = [lambda: self._walk.flow.add(PageBlock("Figure", alt))] if alt else []
        self._walk.do(*figure, *self._walk.elsewhere(inside, type_))

    def _frame(self, node: Any) -> None:
        """A frame shows the first of its children that can be shown; the others stand for it."""
        children = [child for child in elements(node) if child.tag not in ALT]
        text = [child for child in children if child.tag in _TEXT_OF_FRAMES]
        if text:
            type_ = _TITLES.get(node.get(qname("presentation:class"), ""), "")
            self._walk.do(*self._described(node), *self._walk.elsewhere(text[:1], type_))
            return
        holder = next((one for one in children if one.tag == qname("draw:object")), None)
        if holder is not None and self._embedded(node, holder):
            return
        self._picture(node, children)

    def _described(self, node: Any) -> list[Step]:
        """Return a step that writes the alternative text, if there is one."""
        alt = alt_text(node)
        return [lambda: self._walk.flow.add(PageBlock("Figure", alt))] if alt else []

    def _picture(self, node: Any, children: Sequence[Any]) -> None:
        for child in children:
            if child.tag in _NOT_READ:
                self._walk.unread[_NOT_READ[child.tag]] = None
        if any(child.tag == qname("draw:image") for child in children):
            if not alt_text(node) and all(child.tag not in _NOT_READ for child in children):
                self._walk.pictures[self._walk.flow.page_number] += 1
            self._walk.flow.add(PageBlock("Figure", alt_text(node), sure=False))
        elif alt_text(node):
            self._walk.flow.add(PageBlock("Figure", alt_text(node)))

    def _embedded(self, node: Any, holder: Any) -> bool:
        """Read a formula, a chart, a sheet or another document within this one."""
        try:
            root = self._walk.package.embedded(holder)
        except DocumentProblem as problem:
            self._walk.unread[f"an embedded object can't be read: {problem.message}"] = None
            return False
        if root is None:
            return False
        if not self._is_new(root):
            return True
        figure = self._described(node)
        if root.tag == qname("math:math"):
            formula = mathml.linear(root)
            self._walk.do(*figure, lambda: self._walk.flow.add(PageBlock("Text", formula)))
            return True
        body = root.find(qname("office:body"))
        styles = self._walk.package.styles_of(root)
        self._walk.do(
            *figure, *self._walk.elsewhere([body] if body is not None else [], styles=styles)
        )
        return body is not None

    def _control(self, node: Any) -> None:
        text = self._controls.get(node.get(qname("draw:control"), ""), "")
        alt = alt_text(node)
        for shown in filter(None, (text, alt)):
            self._walk.flow.add(PageBlock("Text", shown))
