"""Read what stands within a line of HTML: quotations, readings of characters, and equations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from batcher.service.parsing.markup.tree import children, count_elements
from batcher.service.parsing.markup.writer import Readers, Writer

# what stands between the parts of an equation
_SIGNS: Final[Mapping[str, tuple[str, ...]]] = {
    "mfrac": ("/",),
    "msup": ("^",),
    "msub": ("_",),
    "msubsup": ("_", "^"),
    "munder": ("_",),
    "mover": ("^",),
    "munderover": ("_", "^"),
}


class Lines:
    """Parts of a line that have signs of their own around them."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            **dict.fromkeys(_SIGNS, self._equation),
            "q": self._quotation,
            "rt": self._reading,
            "msqrt": self._root,
        }

    def _quotation(self, node: Any) -> Iterator[Any]:
        self._writer.write("“")
        yield from children(node)
        self._writer.write("”")

    def _reading(self, node: Any) -> Iterator[Any]:
        """Put what stands above the characters in brackets after them."""
        self._writer.write("(")
        yield from children(node)
        self._writer.write(")")

    def _equation(self, node: Any) -> Iterator[Any]:
        signs = iter(("", *_SIGNS[node.tag]))
        for child in children(node):
            if not child.is_element_node:
                continue
            self._writer.write(next(signs, " "))
            is_group = count_elements(child) > 1
            self._writer.write("(" if is_group else "")
            yield child
            self._writer.write(")" if is_group else "")

    def _root(self, node: Any) -> Iterator[Any]:
        self._writer.write("√(")
        yield from children(node)
        self._writer.write(")")
