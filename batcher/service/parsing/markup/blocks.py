"""Read the headings, lists and breaks of HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batcher.service.parsing.markup.lists import Numbers
from batcher.service.parsing.markup.tree import children
from batcher.service.parsing.markup.writer import Readers, Writer


class Blocks:
    """Blocks that have a type of their own, and lists."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._lists: list[Numbers | None] = []
        self._items = 0

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            "h1": self._title,
            **dict.fromkeys(("h2", "h3", "h4", "h5", "h6"), self._heading),
            "header": self._header,
            "footer": self._footer,
            **dict.fromkeys(("pre", "listing", "xmp", "plaintext"), self._writer.preformatted),
            "br": self._line_break,
            "hr": self._rule,
            **dict.fromkeys(("ul", "ol", "menu", "dir"), self._list),
            "li": self._item,
        }

    def _title(self, node: Any) -> Iterator[Any]:
        return self._writer.block(node, "Title")

    def _heading(self, node: Any) -> Iterator[Any]:
        return self._writer.block(node, "Section Header")

    def _header(self, node: Any) -> Iterator[Any]:
        return self._writer.block(node, "" if self._writer.sections else "Header")

    def _footer(self, node: Any) -> Iterator[Any]:
        return self._writer.block(node, "" if self._writer.sections else "Footer")

    def _rule(self, _node: Any) -> Iterator[Any]:
        with self._writer.flow.block():
            yield from ()

    def _line_break(self, node: Any) -> Iterator[Any]:
        """Break the line; two breaks in sequence are how mails begin a paragraph."""
        if self._writer.just_broke and not self._items:
            yield from self._rule(node)
            return
        self._writer.just_broke = True
        self._writer.flow.break_line()

    def _list(self, node: Any) -> Iterator[Any]:
        self._lists.append(Numbers(node) if node.tag == "ol" else None)
        with self._writer.flow.block():
            yield from children(node)
        self._lists.pop()

    def _item(self, node: Any) -> Iterator[Any]:
        numbers = self._lists[-1] if self._lists else None
        self._items += 1
        with self._writer.flow.block("List Item"):
            self._writer.number = numbers.next_for(node) if numbers else ""
            yield from children(node)
            self._writer.number = ""
        self._items -= 1
