"""Read the paragraphs and headings of OpenDocument, and what stands in their lines."""

from __future__ import annotations

from typing import Any

from batcher.service.parsing.numbering import stands_for_number
from batcher.service.parsing.opendocument.lists import Lists
from batcher.service.parsing.opendocument.notes import Notes
from batcher.service.parsing.opendocument.paging import Paging
from batcher.service.parsing.opendocument.shapes import Shapes
from batcher.service.parsing.opendocument.styles import STYLE, ParagraphStyle, qname
from batcher.service.parsing.opendocument.walk import Readers, Walk


class Paragraphs:
    """Paragraphs with their spans and breaks."""

    def __init__(
        self, walk: Walk, *, lists: Lists, notes: Notes, paging: Paging, shapes: Shapes
    ) -> None:
        self._walk = walk
        self._lists = lists
        self._notes = notes
        self._paging = paging
        self._shapes = shapes

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            qname("text:p"): self._paragraph,
            qname("text:h"): self._paragraph,
            qname("text:span"): self._span,
            qname("text:a"): self._span,
            qname("text:s"): self._blank,
            qname("text:tab"): self._blank,
            qname("text:line-break"): self._line_break,
            qname("text:ruby-text"): self._ruby_text,
            qname("text:page-number"): self._page_number,
        }

    def _paragraph(self, node: Any) -> None:
        style = self._walk.place.styles.paragraph(node.get(STYLE, ""))
        if self._walk.in_paragraph:  # only in broken files
            self._walk.do(
                self._walk.flow.break_line, *self._walk.within(node), self._walk.flow.break_line
            )
            return
        self._walk.do(*self._paging.page_before(style), lambda: self._begin_paragraph(node, style))

    def _begin_paragraph(self, node: Any, style: ParagraphStyle) -> None:
        self._walk.flow.begin(self._type_of(node, style))
        self._walk.in_paragraph = True
        self._walk.is_hidden = style.hidden
        leads = [self._notes.taken_lead(), self._lists.label(node, style)]
        self._walk.do(
            *(lead + " " for lead in leads if lead),
            *self._walk.within(node),
            lambda: self._end_paragraph(style),
        )

    def _end_paragraph(self, style: ParagraphStyle) -> None:
        self._walk.flow.end()
        self._walk.in_paragraph = False
        self._walk.is_hidden = False
        beside = self._shapes.taken()
        notes = [] if self._walk.tables else self._notes.taken()
        self._walk.do(*beside, *notes, lambda: self._paging.page_after(style))

    def _type_of(self, node: Any, style: ParagraphStyle) -> str:
        if self._walk.place.has_type:
            return ""
        if node.tag == qname("text:h"):
            return style.type or "Section Header"
        return style.type or ("List Item" if self._walk.place.lists else "")

    def _span(self, node: Any) -> None:
        hides = self._walk.place.styles.hides(node.get(STYLE, ""))
        if hides is None or hides == self._walk.is_hidden:
            self._walk.descend(node)
            return
        self._walk.is_hidden = hides
        self._walk.do(*self._walk.within(node), lambda: setattr(self._walk, "is_hidden", not hides))

    def _blank(self, _node: Any) -> None:
        self._walk.write(" ")

    def _line_break(self, _node: Any) -> None:
        self._walk.flow.break_line()

    def _ruby_text(self, node: Any) -> None:
        self._walk.do(" (", *self._walk.within(node), ")")

    def _page_number(self, node: Any) -> None:
        if not stands_for_number("".join(node.itertext())):
            self._walk.descend(node)
