"""Read what stands beside the text of RTF: headers, footers, notes, comments and text boxes."""

from __future__ import annotations

from typing import Final

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.numbering import formatted_number
from batcher.service.parsing.pages import PageBlock
from batcher.service.parsing.rtf.layout import Layout
from batcher.service.parsing.rtf.state import State
from batcher.service.parsing.rtf.walk import Acts, Walk
from batcher.service.parsing.rtf.words import ASIDES, SHOWN, SKIPPED
from batcher.service.parsing.rtf.writer import Writer

MOST_ASIDES: Final = 20  # notes within text boxes within notes, and so on


class Asides:
    """Headers, notes, comments and text boxes; `formats` are those of the notes' numbers."""

    def __init__(self, walk: Walk, layout: Layout) -> None:
        self.formats = {"footnote": "decimal", "endnote": "decimal"}
        self._walk = walk
        self._layout = layout
        self._shown: set[tuple[str, ...]] = set()  # headers and footers
        self._notes = {"footnote": 0, "endnote": 0}
        self._mark: tuple[Writer, int] | None = None  # where the last note's mark stands
        self._mark_text = ""
        self._open = 0  # within each other

    @property
    def acts(self) -> Acts:
        """Return the method for each control word that is read here."""
        return {"chftn": self._note_mark, "ftnalt": self._endnote}

    def begin(self, name: str) -> None:
        """Begin a header, footer, note, comment or text box by the name of its group."""
        if self._open >= MOST_ASIDES or self._walk.html is not None:
            return  # only in broken files; its text stays where it is
        type_ = ASIDES[name]
        around = self._walk.state.writer
        self._open += 1
        hidden = self._walk.state.hidden or self._walk.state.deleted
        writer = Writer(Flow(), has_type=bool(type_))
        writer.flow.begin(type_ or "Text")
        self._walk.state = State(
            writer,
            mode=SKIPPED if hidden else SHOWN,
            font=self._walk.fonts.default,
            fallback=self._walk.state.fallback,
        )
        if name == "annotation" and self._walk.author:
            writer.line.append(self._walk.author + ": ")
            self._walk.author = ""
        self._walk.state.on_close = lambda: self._end_aside(name, writer, around)

    def _end_aside(self, name: str, writer: Writer, around: Writer) -> None:
        self._open -= 1
        writer.finish()
        writer.flow.end()
        blocks = writer.flow.blocks
        if name in ("footnote", "annotation"):
            around.notes += blocks
        elif name in ("shptxt", "dptxbxtext"):
            around.beside += blocks
        else:
            self._place_once(blocks, around)

    def _place_once(self, blocks: list[PageBlock], around: Writer) -> None:
        """Place a header or footer, unless an earlier section had the same."""
        kept = tuple(block.content for block in blocks)
        if kept in self._shown:
            return
        self._shown.add(kept)
        footers = [block for block in blocks if block.type == "Footer"]
        if footers:
            self._layout.footers += blocks
        elif around.line or around.row_is_open:
            around.beside += blocks
        else:
            if around is self._walk.body:
                self._layout.turn_if_due(before_paragraph=False)
            around.end_table()
            for block in blocks:
                around.flow.add(block)

    def _note_mark(self) -> None:
        r"""Write a note's number. It counts in the text, and is repeated in the note.

        Which kind of note it is, the note tells only later, by `\ftnalt`.
        """
        writer = self._walk.state.writer
        if self._walk.state.mode != SHOWN or self._walk.state.hidden or self._walk.state.deleted:
            return
        if writer is self._walk.body or writer.flow is self._walk.flow:
            self._notes["footnote"] += 1
            number = self._notes["footnote"]
            self._mark_text = formatted_number(number, self.formats["footnote"])
            self._mark = (writer, len(writer.line))
            self._walk.put(f" [{self._mark_text}]")
        elif self._mark_text:
            self._walk.put(f"[{self._mark_text}] ")

    def _endnote(self) -> None:
        """Count the note that has begun as an endnote, and correct its mark in the text."""
        if self._mark is None:
            return
        writer, place = self._mark
        self._mark = None
        self._notes["footnote"] -= 1
        self._notes["endnote"] += 1
        number = self._notes["endnote"]
        self._mark_text = formatted_number(number, self.formats["endnote"])
        if place < len(writer.line):
            writer.line[place] = f" [{self._mark_text}]"
