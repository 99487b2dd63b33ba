"""Read the pictures, drawings and frames of HTML, of which only texts are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from batcher.service.parsing.markup.tree import children, is_tiny
from batcher.service.parsing.markup.writer import DEEPEST_FRAME, INVISIBLE, Readers, Writer
from batcher.service.parsing.pages import PageBlock

_SHORT: Final = 2  # characters of an alternative text that stands for a letter, such as an emoji


class Pictures:
    """Pictures by their alternative texts, drawings, and documents within the document."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._frames = 0  # documents within documents that are open

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            "img": self._picture,
            "image": self._missing,
            "svg": self._drawing,
            "title": self._name,
            "iframe": self._frame,
            "frame": self._frame,
            "embed": self._missing,
        }

    def _picture(self, node: Any) -> Iterator[Any]:
        yield from ()
        attributes = node.attributes
        alternative = (attributes.get("alt") or "").strip()
        if 0 < len(alternative) <= _SHORT:
            self._writer.write(alternative)
        elif alternative:
            self.figure(alternative)
        elif "alt" not in attributes and not is_tiny(attributes):
            self._writer.flow.write(" ")
            self._writer.miss_picture()

    def figure(self, content: str) -> None:
        """Write an alternative text as a figure."""
        content = " ".join(content.translate(INVISIBLE).split())
        if content and self._writer.is_visible:
            self._writer.flow.add(PageBlock("Figure", content, sure=False))

    def _drawing(self, node: Any) -> Iterator[Any]:
        """Walk an SVG; its title is for it what an alternative text is for a picture."""
        self._writer.drawings += 1
        self._writer.flow.write(" ")
        for child in children(node):
            if child.tag == "title":
                self.figure(child.text(deep=True))
            else:
                yield child
        self._writer.flow.write(" ")
        self._writer.drawings -= 1

    def _name(self, _node: Any) -> Iterator[Any]:
        """Leave out a title that isn't a whole drawing's: it is shown only under the pointer."""
        return iter(())

    def _frame(self, node: Any) -> Iterator[Any]:
        source = node.attributes.get("srcdoc")
        if source is None:
            if node.attributes.get("src") and not is_tiny(node.attributes):
                self._writer.miss(node.tag)
            return
        if self._frames == DEEPEST_FRAME:
            self._writer.miss("")
            return
        self._frames += 1
        with self._writer.flow.block():
            yield from self._writer.document(source)
        self._frames -= 1

    def _missing(self, node: Any) -> Iterator[Any]:
        self._writer.miss(node.tag)
        yield from ()
