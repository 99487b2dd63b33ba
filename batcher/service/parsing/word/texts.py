"""Read the runs of a Word document: words, symbols, breaks, and equations."""

from __future__ import annotations

from typing import Any, Final

from batcher.service.parsing.office.names import attribute, child, name_of
from batcher.service.parsing.office.symbols import is_private, symbol
from batcher.service.parsing.word.walk import Readers, Steps, Walk

_FIELD_PARTS: Final = frozenset({"w:fldChar", "w:instrText"})


class Texts:
    """What stands in a line of text."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            "w:t": self._text,
            "m:t": self._text,
            "a:t": self._text,
            "w:sym": self._sym,
            "w:r": self._run,
            "m:r": self._run,
            "w:br": self._break,
            "w:cr": self._break,
            "a:br": self._break,
            "w:lastRenderedPageBreak": self._rendered_break,
            "w:ruby": self._ruby,
            "m:oMath": self._equation,
            "w:tab": self._blank,
            "w:ptab": self._blank,
            "w:noBreakHyphen": self._hyphen,
        }

    def _text(self, node: Any) -> None:
        text = (node.text or "").replace("\u00ad", "")
        if is_private(text):
            font = self._font(node.getparent())
            text = "".join(self._symbol(ord(sign), font) for sign in text)
        self._walk.write(text)

    def _font(self, run: Any) -> str:
        properties = child(run, "w:rPr")
        fonts = None if properties is None else child(properties, "w:rFonts")
        if fonts is None:
            return ""
        return attribute(fonts, "ascii") or attribute(fonts, "hAnsi") or ""

    def _symbol(self, code: int, font: str) -> str:
        found = symbol(code, font)
        if found is None:
            self._walk.document.note(f"a character of the font {font or 'of symbols'} is not read")
        return found or ""

    def _sym(self, node: Any) -> None:
        try:
            code = int(attribute(node, "char") or "", 16)
        except ValueError:
            return
        self._walk.write(self._symbol(code, attribute(node, "font") or ""))

    def _run(self, node: Any) -> Steps:
        properties = child(node, "w:rPr")
        if self._walk.is_hidden(properties):
            # a field may begin in hidden text and end in what is shown
            return [one for one in node if name_of(one.tag) in _FIELD_PARTS]
        result: Steps = node
        return result

    def _blank(self, _node: Any) -> None:
        self._walk.write(" ")

    def _hyphen(self, _node: Any) -> None:
        self._walk.write("-")

    def _break(self, node: Any) -> Steps | None:
        if attribute(node, "type") == "page":
            return self._walk.break_page()
        if not self._walk.now.fields.instructions:
            self._walk.flow.break_line()
        return None

    def _rendered_break(self, _node: Any) -> Steps | None:
        """Break the page where Word last did, unless a break that the author set says the same."""
        return None if self._walk.is_blank else self._walk.break_page()

    def _ruby(self, node: Any) -> Steps:
        above = child(node, "w:rt")
        parts = [one for one in node if name_of(one.tag) == "w:rubyBase"]
        return parts if above is None else [*parts, "(", above, ")"]

    def _equation(self, node: Any) -> Steps:
        if next(node.iter("{*}t"), None) is None:
            return ()
        mark = "$$" if name_of(node.getparent().tag) == "m:oMathPara" else "$"
        return [mark, *node, mark, " "]
