"""Read what is inserted into the text of RTF: fields, shapes, pictures and objects."""

from __future__ import annotations

from batcher.service.parsing.pages import PageBlock
from batcher.service.parsing.rtf.state import Field, Shape, shown_by
from batcher.service.parsing.rtf.walk import Acts, Walk
from batcher.service.parsing.rtf.words import CAPTURED, PARTS, SHOWN, SKIPPED
from batcher.service.parsing.rtf.writer import Writer


class Inserts:
    """Fields, shapes, pictures and objects."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._fields: list[Field] = []  # open ones, and so the shapes
        self._shapes: list[Shape] = []
        self._object_class = ""

    @property
    def openers(self) -> Acts:
        """Return the method for each group that is read here."""
        return {
            "field": self._field_begins,
            "shp": self._shape_begins,
            "shpgrp": self._shape_begins,
            "pict": self._picture_begins,
            "object": self._object_begins,
        }

    def capture(self, name: str) -> None:
        """Capture the text of a group, which says something of other text."""
        state = self._walk.state
        hidden = state.hidden or state.deleted
        captured: list[str] = []
        writer = state.writer
        inside_field = state.mode == CAPTURED
        state.capture = captured
        state.mode = CAPTURED

        def take() -> None:
            text = "".join(captured)
            if name in ("listtext", "pntext"):
                if not hidden and not inside_field:
                    writer.label = text
            elif name == "mchr":
                writer.line.append(f" {text} ")
            elif name == "atnauthor":
                self._walk.author = text.strip()
            elif name == "objclass":
                self._object_class = text.strip()
            elif name == "ffl" and self._fields:
                self._fields[-1].choices.append(text)
            elif name == "fldinst" and self._fields:
                self._fields[-1].instruction.append(text)
            elif self._shapes and name == "sn":
                self._shapes[-1].name = text.strip()
            elif self._shapes and name == "sv":
                self._shapes[-1].properties[self._shapes[-1].name] = text

        state.on_close = take

    def form_word(self, name: str, number: int | None) -> None:
        """Take a control word within a captured group."""
        if name in ("ffres", "ffdefres", "fftype") and self._fields:
            self._fields[-1].form[name] = number or 0
        elif name in ("par", "line"):
            self._walk.put(" ")
        elif name == "f":
            self._walk.state.font = number or 0

    def _field_begins(self) -> None:
        if self._walk.state.mode in (SHOWN, CAPTURED):
            self._fields.append(Field(self._walk.written))
            self._walk.state.on_close = self._field_ends

    def _field_ends(self) -> None:
        """Show what a field without a result shows all the same."""
        found = self._fields.pop()
        if found.written == self._walk.written and self._walk.state.mode == SHOWN:
            self._walk.put(shown_by(found))

    def _shape_begins(self) -> None:
        state = self._walk.state
        shape = Shape()
        self._shapes.append(shape)
        writer = state.writer
        hidden = state.hidden or state.deleted
        self._walk.enter(PARTS, lambda: self._shape_ends(shape, writer, hidden=hidden))

    def _shape_ends(self, shape: Shape, writer: Writer, *, hidden: bool) -> None:
        self._shapes.pop()
        if hidden or self._walk.html is not None:
            return
        alt = shape.properties.get("wzDescription", "").strip()
        lettering = shape.properties.get("gtextUNICODE", "").strip()
        if lettering:
            writer.beside.append(PageBlock("Text", lettering))
        if shape.pictures and not alt:
            self._walk.pictures[self._walk.flow.page_number] += 1
        if alt or shape.pictures:
            writer.beside.append(PageBlock("Figure", alt, sure=not shape.pictures))

    def _picture_begins(self) -> None:
        """A picture of its own is a figure; one within a shape belongs to the shape."""
        if self._walk.state.mode == CAPTURED and self._shapes:
            self._shapes[-1].pictures += 1
            self._walk.enter(SKIPPED)
            return
        self._shape_begins()
        self._shapes[-1].pictures += 1

    def _object_begins(self) -> None:
        self._object_class = ""
        self._walk.state.on_close = self._object_ends

    def _object_ends(self) -> None:
        told = f" ({self._object_class})" if self._object_class else ""
        self._walk.unread[f"the data of an embedded object{told} are not read"] = None
