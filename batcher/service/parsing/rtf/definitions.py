"""Keep the fonts and styles of an RTF document, which its tables define and its text refers to."""

from __future__ import annotations

from batcher.service.parsing.rtf.tokens import CHARSETS, SYMBOL_FONT, codec_of
from batcher.service.parsing.rtf.words import BODY_LEVEL


class Fonts:
    """The fonts by number: their names, and the codecs of the characters set in them.

    `encoding` is the document's own codec and `default` the number of its default font.
    """

    def __init__(self) -> None:
        self.encoding = "cp1252"
        self.default = -1
        self._codecs: dict[int, str] = {}
        self._names: dict[int, str] = {}
        self._told = -1  # the font that is being defined

    def define(self, word: str, number: int | None) -> None:
        """Take a control word of the table of fonts."""
        if word == "f":
            self._told = number or 0
        elif word == "fcharset" and (number or 0) in CHARSETS:
            self._codecs[self._told] = CHARSETS[number or 0]
        elif word == "cpg":
            self._codecs[self._told] = codec_of(number or 0, self.encoding)

    def name(self, text: str) -> None:
        """Add to the name of the font that is being defined."""
        self._names[self._told] = self._names.get(self._told, "") + text

    def name_of(self, font: int) -> str:
        """Return a font's name, or "" if the document doesn't define it."""
        return self._names.get(font, "").strip(" ;")

    def codec(self, font: int) -> str:
        """Return the codec of text set in a font."""
        return self._codecs.get(font, self.encoding)

    def is_of_symbols(self, font: int) -> bool:
        """Tell whether a font has signs of its own in place of letters."""
        return self._codecs.get(font) == SYMBOL_FONT


class Styles:
    """The styles by number: the block types that they stand for, where these aren't Text."""

    def __init__(self) -> None:
        self.types: dict[int, str] = {}
        self._told = 0
        self._level = BODY_LEVEL

    def begin(self) -> None:
        """Begin the definition of a style."""
        self._told = 0
        self._level = BODY_LEVEL

    def define(self, word: str, number: int | None) -> None:
        """Take a control word of the table of styles."""
        if word == "s":
            self._told = number or 0
        elif word == "outlinelevel":
            self._level = number or 0

    def end(self, name: str) -> None:
        """End the definition of the style with this name."""
        name = name.strip().lower()
        if name.startswith("title"):
            self.types[self._told] = "Title"
        elif name.startswith(("heading", "subtitle")) or self._level < BODY_LEVEL:
            self.types[self._told] = "Section Header"
        elif name.startswith("list"):
            self.types[self._told] = "List Item"
