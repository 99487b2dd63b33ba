"""End the paragraphs, table rows and pages of RTF, whose properties count at their ends."""

from __future__ import annotations

from batcher.service.parsing.pages import PageBlock
from batcher.service.parsing.rtf.state import State
from batcher.service.parsing.rtf.walk import Acts, Walk
from batcher.service.parsing.rtf.words import BODY_LEVEL, SHOWN


class Layout:
    """The paragraphs, rows and pages of a document; `footers` wait for the end of the page."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self.footers: list[PageBlock] = []
        self.section_breaks = True  # the section that ends is followed by a new page
        self._section_ended = False

    @property
    def acts(self) -> Acts:
        """Return the method for each control word that is read here."""
        return {
            "par": self._paragraph_ends,
            "page": self._break_page,
            "softpage": self._soft_page,
            "sect": self._section_ends,
            "column": self._column,
            "plain": self._plain,
            "pard": self._pard,
            "trowd": self._row_begins,
            "cell": self._cell_ends,
            "row": self._row_ends,
            "nestcell": self._nested_cell_ends,
            "nestrow": self._nested_row_ends,
        }

    def _paragraph_ends(self) -> None:
        state = self._walk.state
        if self._walk.html is not None:
            self._walk.break_html("\n")
            return
        if state.hidden or state.deleted or state.mode != SHOWN:
            return
        writer = state.writer
        if not (state.in_table or writer.row_is_open):
            self._turn_before(state)
        in_table = state.in_table or writer.row_is_open
        writer.end_paragraph(self._type(), in_table=in_table)

    def _type(self) -> str:
        state = self._walk.state
        type_ = self._walk.styles.types.get(state.style)
        if state.level < BODY_LEVEL:
            return "Title" if type_ == "Title" else "Section Header"
        if type_ is None:
            return "List Item" if state.is_item else "Text"
        return type_

    def _turn_before(self, state: State) -> None:
        if state.writer is self._walk.body:
            self.turn_if_due(before_paragraph=state.breaks_before)

    def turn_if_due(self, *, before_paragraph: bool) -> None:
        """Begin a page before a paragraph that wants one, or where a section begins on one."""
        turns = before_paragraph or (self._section_ended and self.section_breaks)
        self._section_ended = False
        if turns and self._walk.body_begun:
            self._walk.body.end_table()
            self.write_footers()
            self._walk.flow.break_page()

    def _break_page(self) -> None:
        state = self._walk.state
        if self._walk.html is None and state.writer is self._walk.body and not state.hidden:
            if any(text.strip() for text in state.writer.line) and not state.in_table:
                self._paragraph_ends()
            state.writer.break_page()

    def _soft_page(self) -> None:
        if self._walk.state.writer is self._walk.body:
            self._walk.body.turns = True

    def _section_ends(self) -> None:
        if self._walk.html is None and any(text.strip() for text in self._walk.state.writer.line):
            self._paragraph_ends()
        self._section_ended = True
        self.section_breaks = True

    def _plain(self) -> None:
        state = self._walk.state
        state.hidden = False
        state.deleted = False
        state.font = self._walk.fonts.default

    def _pard(self) -> None:
        state = self._walk.state
        state.in_table = False
        state.style = 0
        state.level = BODY_LEVEL
        state.is_item = False
        state.breaks_before = False
        if state.mode == SHOWN:
            state.writer.row_is_open = False

    def _column(self) -> None:
        self._walk.put(" ")

    def _row_begins(self) -> None:
        if self._walk.state.mode == SHOWN:
            self._turn_before(self._walk.state)
            self._walk.state.writer.edges = []
            self._walk.state.writer.row_is_open = True

    def edge(self, number: int) -> None:
        """Take the right edge of a cell of the row that is being described."""
        if self._walk.state.mode == SHOWN:
            self._walk.state.writer.edges.append(number)

    def _cell_ends(self) -> None:
        if self._walk.html is None:
            self._walk.state.writer.end_cell()

    def _row_ends(self) -> None:
        if self._walk.html is None:
            self._walk.state.writer.end_row()

    def _nested_cell_ends(self) -> None:
        if self._walk.html is None:
            self._walk.state.writer.end_nested_cell()

    def _nested_row_ends(self) -> None:
        if self._walk.html is None:
            self._walk.state.writer.end_nested_row()

    def write_footers(self) -> None:
        """Write the footers of the page that ends."""
        for block in self.footers:
            self._walk.flow.add(block)
        self.footers.clear()
