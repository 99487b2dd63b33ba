"""Read the forms of HTML: what their fields show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from batcher.service.parsing.markup.nesting import SELECT
from batcher.service.parsing.markup.pictures import Pictures
from batcher.service.parsing.markup.tree import children
from batcher.service.parsing.markup.writer import Readers, Writer

_SHOWN_INPUTS: Final = frozenset(
    "text search tel url email number date month week time datetime-local color submit reset"
    " button".split()
)


class Forms:
    """Fields, and choices between options."""

    def __init__(self, writer: Writer, pictures: Pictures) -> None:
        self._writer = writer
        self._pictures = pictures

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            "input": self._input,
            "textarea": self._text_area,
            **dict.fromkeys(("select", SELECT), self._writer.block),
            **dict.fromkeys(("option", "optgroup"), self._choice),
        }

    def _input(self, node: Any) -> Iterator[Any]:
        yield from ()
        attributes = node.attributes
        kind = (attributes.get("type") or "text").lower()
        if kind == "image":
            self._pictures.figure(attributes.get("alt") or "")
        elif kind in _SHOWN_INPUTS:
            shown = attributes.get("value") or attributes.get("placeholder") or ""
            self._writer.write(f" {shown} ")

    def _text_area(self, node: Any) -> Iterator[Any]:
        text = node.text(deep=True)
        with self._writer.flow.block(keeps_space=True):
            self._writer.write(text if text.strip() else node.attributes.get("placeholder") or "")
            yield from ()

    def _choice(self, node: Any) -> Iterator[Any]:
        """Write an option, or the name of a group of them, on a line of its own."""
        self._writer.flow.break_line()
        label = node.attributes.get("label")
        if label:
            self._writer.write(label)
            self._writer.flow.break_line()
        if not label or node.tag == "optgroup":
            yield from children(node)
        self._writer.flow.break_line()
