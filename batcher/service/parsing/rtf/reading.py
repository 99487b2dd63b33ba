"""Read the control words of an RTF document in their order, each by what it belongs to.

A control word may begin a destination, such as `\\footnote`, whose text belongs elsewhere or isn't
shown at all; all else is a property that the group's end takes back, or something to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from batcher.service.parsing.pages import PageBlock
from batcher.service.parsing.rtf.asides import Asides
from batcher.service.parsing.rtf.inserts import Inserts
from batcher.service.parsing.rtf.layout import Layout
from batcher.service.parsing.rtf.tokens import (
    CLOSE,
    HEX,
    OPEN,
    SYMBOL,
    TEXT,
    Token,
    codec_of,
    tokens,
)
from batcher.service.parsing.rtf.walk import Acts, Walk
from batcher.service.parsing.rtf.words import (
    ASIDES,
    BRACKETED,
    BREAKS_NO_PAGE,
    CAPTURED,
    CAPTURED_GROUPS,
    CHARACTERS,
    ENCODINGS,
    FONTS,
    MATH,
    NESTED,
    NUMBER_FORMATS,
    PARTLY_SHOWN,
    PARTS,
    SHOWN,
    SHOWN_THOUGH_STARRED,
    SKIPPED,
    SKIPPED_GROUPS,
    STYLES,
    SYMBOLS,
    TAG,
)

Properties = Mapping[str, Callable[[int], None]]  # by control word: what takes its number


class Reading:
    """One walk over a document's tokens."""

    def __init__(self, *, from_html: bool = True) -> None:
        """If the document was made from HTML and `from_html` is set, the HTML is what is read."""
        self._turns_back = from_html
        self._walk = Walk()
        self._layout = Layout(self._walk)
        self._asides = Asides(self._walk, self._layout)
        self._inserts = Inserts(self._walk)
        self._acts: Acts = {**self._layout.acts, **self._asides.acts}
        self._openers: Acts = {**self._inserts.openers, **self._own_openers()}
        self._properties: Properties = {**self._of_the_text(), **self._of_the_document()}

    def _own_openers(self) -> Acts:
        return {
            "fonttbl": lambda: self._walk.enter(FONTS),
            "stylesheet": lambda: self._walk.enter(STYLES),
            "nesttableprops": lambda: self._walk.enter(NESTED),
            "formfield": lambda: self._walk.enter(CAPTURED),
            "htmltag": self._html_tag,
        }

    def _of_the_text(self) -> Properties:
        return {
            "f": self._set("font", int),
            "v": self._set("hidden", bool),
            "deleted": self._set("deleted", bool),
            "htmlrtf": self._set("only_rtf", bool),
            "intbl": self._set("in_table", bool),
            "itap": self._set("in_table", bool),
            "s": self._set("style", int),
            "outlinelevel": self._set("level", int),
            "ls": self._set("is_item", bool),
            "pagebb": self._set("breaks_before", bool),
            "cellx": self._layout.edge,
        }

    def _of_the_document(self) -> Properties:
        section_breaks = ("none", "col", "page", "even", "odd")
        formats = NUMBER_FORMATS.items()
        return {
            "ansicpg": self._set_code_page,
            "deff": self._set_default_font,
            "fromhtml": self._from_html,
            **{name: self._set_encoding(codec) for name, codec in ENCODINGS.items()},
            **{f"sbk{kind}": self._set_section_break(kind) for kind in section_breaks},
            **{f"ftnn{name}": self._set_note_format("footnote", one) for name, one in formats},
            **{f"aftnn{name}": self._set_note_format("endnote", one) for name, one in formats},
        }

    @property
    def html(self) -> list[str] | None:
        """Return the HTML that the document was made from, in pieces, or None if it wasn't."""
        return self._walk.html

    @property
    def pages(self) -> list[list[PageBlock]]:
        """Return the blocks of each page, once everything is read."""
        return self._walk.flow.pages

    @property
    def unread(self) -> list[str]:
        """Return a sentence for each part that could not be read."""
        return list(self._walk.unread)

    @property
    def pictures(self) -> Mapping[int, int]:
        """Return the number of pictures without an alternative text, by page."""
        return self._walk.pictures

    def read(self, raw: bytes, start: int) -> None:
        """Read the document that begins at `start`."""
        ended = False
        for token in tokens(raw, start):
            if ended:
                self._tell_what_follows(token)
                continue
            self._take(token)
            ended = token[0] == CLOSE and not self._walk.is_within_groups
        self._walk.close_all()
        if not ended:
            self._walk.unread["the file breaks off; what stood after its end is missing"] = None
        self._walk.body.finish()
        self._layout.write_footers()

    def _tell_what_follows(self, token: Token) -> None:
        if token[0] != TEXT or token[3].strip(b"\0 \r\n\t\x1a"):
            self._walk.unread["what follows the end of the RTF in the file is not read"] = None

    def _take(self, token: Token) -> None:
        kind, name, number, text = token
        if kind == TEXT:
            self._walk.take(text)
        elif kind == OPEN:
            self._walk.open()
        elif kind == CLOSE:
            self._walk.close()
        elif kind == HEX:
            self._walk.take(bytes((number or 0,)))
        elif kind == SYMBOL:
            self._take_symbol(name)
        elif not self._walk.passes_over():
            self._take_word(name, number)

    def _take_symbol(self, name: str) -> None:
        if name == "*":
            self._walk.starred = True
        elif not self._walk.passes_over():
            if name in "\r\n":
                self._take_word("par", None)
            elif name in SYMBOLS:
                self._walk.emit(SYMBOLS[name])

    def _take_word(self, name: str, number: int | None) -> None:
        self._walk.end_characters()
        starred = self._walk.starred
        self._walk.starred = False
        state = self._walk.state
        if state.mode == SKIPPED or self._walk.deeper:
            return
        if self._begins(name):
            return
        if starred:
            self._walk.enter(SKIPPED)
        elif name == "u":
            self._walk.unicode(number)
        elif name == "uc":
            state.fallback = max(0, min(number or 0, 100))
        elif name in CHARACTERS:
            self._walk.put(CHARACTERS[name])
        elif state.mode == FONTS:
            self._walk.fonts.define(name, number)
        elif state.mode == STYLES:
            self._walk.styles.define(name, number)
        elif state.mode == CAPTURED:
            self._inserts.form_word(name, number)
        elif name in self._properties:
            self._properties[name](1 if number is None else number)
        elif name in self._acts and state.mode in (SHOWN, NESTED, TAG):
            self._acts[name]()
        elif name in MATH and state.mode == SHOWN:
            self._walk.put(MATH[name])

    def _begins(self, name: str) -> bool:
        """Enter the destination that a word begins, and tell whether it is one."""
        state = self._walk.state
        if name in SKIPPED_GROUPS or (name.endswith("Pr") and name not in PARTLY_SHOWN):
            self._walk.enter(SKIPPED)
        elif state.mode in (FONTS, STYLES):
            return False
        elif name in ASIDES:
            self._asides.begin(name)
        elif name in CAPTURED_GROUPS:
            self._inserts.capture(name)
        elif name in self._openers:
            self._openers[name]()
        elif name in PARTLY_SHOWN:
            self._walk.enter(PARTS)
        elif name in SHOWN_THOUGH_STARRED:
            return True
        elif name == "ud" and state.mode == PARTS:  # what stands before in ANSI
            self._walk.enter(SHOWN)
        elif name in BRACKETED and state.mode == SHOWN:
            before, after = BRACKETED[name]
            self._walk.put(before)
            state.on_close = lambda: self._walk.put(after)
        else:
            return False
        return True

    def _set(self, name: str, value: Callable[[int], Any]) -> Callable[[int], None]:
        return lambda number: setattr(self._walk.state, name, value(number))

    def _set_encoding(self, codec: str) -> Callable[[int], None]:
        return lambda _number: setattr(self._walk.fonts, "encoding", codec)

    def _set_code_page(self, number: int) -> None:
        fonts = self._walk.fonts
        fonts.encoding = codec_of(number, fonts.encoding)

    def _set_default_font(self, number: int) -> None:
        self._walk.fonts.default = number
        self._walk.state.font = number

    def _set_section_break(self, kind: str) -> Callable[[int], None]:
        breaks = kind not in BREAKS_NO_PAGE
        return lambda _number: setattr(self._layout, "section_breaks", breaks)

    def _set_note_format(self, kind: str, format_: str) -> Callable[[int], None]:
        return lambda _number: self._asides.formats.update({kind: format_})

    def _from_html(self, number: int) -> None:
        if number and self._turns_back and self._walk.html is None:
            self._walk.html = []

    def _html_tag(self) -> None:
        self._walk.enter(TAG if self._walk.html is not None else SKIPPED)
