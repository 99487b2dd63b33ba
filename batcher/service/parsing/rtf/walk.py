"""Walk the groups of an RTF document, and put characters where the open group's text belongs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from html import escape
from typing import Final

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.office.symbols import PRIVATE, symbol
from batcher.service.parsing.rtf.definitions import Fonts, Styles
from batcher.service.parsing.rtf.state import State
from batcher.service.parsing.rtf.tokens import SYMBOL_FONT, decoded
from batcher.service.parsing.rtf.words import (
    CAPTURED,
    FONTS,
    SHOWN,
    SKIPPED,
    STYLES,
    TAG,
    WITH_TEXT,
)
from batcher.service.parsing.rtf.writer import Writer

Acts = Mapping[str, Callable[[], None]]  # what to do, by control word

MOST_GROUPS: Final = 10_000  # open at once; what lies deeper is left out, and told


class Walk:
    """The open groups, and the text that was written so far.

    `state` is what holds in the innermost group, `html` the HTML that the document was made from,
    if it was, and `deeper` the number of open groups below the deepest that is read. `written`
    counts characters, and `author` is that of the next comment.
    `pictures` counts those without an alternative text, by page.
    """

    def __init__(self) -> None:
        self.html: list[str] | None = None
        self.flow = Flow()
        self.body = Writer(self.flow)
        self.state = State(self.body)
        self.fonts = Fonts()
        self.styles = Styles()
        self.deeper = 0
        self.starred = False
        self.passed_over = 0  # characters still to be left out after a \\u
        self.written = 0
        self.body_begun = False
        self.author = ""
        self.unread: dict[str, None] = {}
        self.pictures: Counter[int] = Counter()
        self._left_out = State(self.body, mode=SKIPPED)  # of all groups within one left out
        self._around: list[State] = []
        self._bytes = bytearray()  # characters that aren't decoded yet
        self._high = 0  # the first half of a character beyond U+FFFF

    @property
    def is_within_groups(self) -> bool:
        """Tell whether any group is open."""
        return bool(self._around or self.deeper)

    def close_all(self) -> None:
        """Close the groups that a file which breaks off left open."""
        self.end_characters()
        self.deeper = 0
        while self._around:
            self.close()

    def open(self) -> None:
        """Open a group, which inherits the properties of the one around it."""
        self.end_characters()
        self.passed_over = 0
        if len(self._around) >= MOST_GROUPS:
            self.deeper += 1
            self.unread[f"what lies within more than {MOST_GROUPS} groups is not read"] = None
            return
        self._around.append(self.state)
        if self.state.mode == SKIPPED:
            self.state = self._left_out
            return
        self.state = replace(self.state, on_close=None)
        if self.state.mode == STYLES:
            self._begin_style()

    def _begin_style(self) -> None:
        name: list[str] = []
        self.styles.begin()
        self.state.capture = name
        self.state.on_close = lambda: self.styles.end("".join(name))

    def close(self) -> None:
        """Close the innermost group."""
        self.end_characters()
        self.passed_over = 0
        self.starred = False
        if self.deeper:
            self.deeper -= 1
        elif self._around:
            if self.state.on_close is not None:
                self.state.on_close()
            self.state = self._around.pop()

    def enter(self, mode: int, on_close: Callable[[], None] | None = None) -> None:
        """Say how the rest of this group is read, and what is to be done at its end."""
        self.state.mode = mode
        if on_close is not None:
            self.state.on_close = on_close

    def take(self, text: bytes) -> None:
        """Take characters as they stand in the file."""
        if self.deeper or self.state.mode not in WITH_TEXT:
            return
        text = text.translate(None, b"\r\n\0")
        if self.passed_over:
            left_out = min(self.passed_over, len(text))
            self.passed_over -= left_out
            text = text[left_out:]
        self._bytes += text

    def passes_over(self) -> bool:
        """Leave out a character that stands for a \\u before it, and tell whether this is one."""
        if not self.passed_over:
            return False
        self.passed_over -= 1
        return True

    def end_characters(self) -> None:
        """Decode and put the characters that were taken so far."""
        if self._bytes:
            codec = self.fonts.codec(self.state.font)
            raw = bytes(self._bytes)
            self._bytes.clear()
            if codec == SYMBOL_FONT and self.state.mode != FONTS:
                self.put("".join(self._sign(PRIVATE + code) for code in raw))
            else:
                self.put(decoded(raw, codec))

    def _sign(self, code: int) -> str:
        """Return the character of a symbol font, as far as it has one in Unicode."""
        is_known = self.fonts.is_of_symbols(self.state.font)
        font = self.fonts.name_of(self.state.font) if is_known else "Symbol"
        shown = symbol(code, font)
        if shown is None and self.state.mode == SHOWN and code & 0xFF > ord(" "):
            self.unread[f"characters of the font {font} have no place in Unicode"] = None
        return shown or " "

    def emit(self, text: str) -> None:
        """Put characters after those that were taken."""
        self.end_characters()
        self.put(text)

    def put(self, text: str) -> None:
        """Add characters to wherever this group's text belongs."""
        state = self.state
        if state.mode == FONTS:
            self.fonts.name(text)
        elif state.mode in (CAPTURED, STYLES):
            state.capture.append(text)
        elif state.mode == TAG and self.html is not None:
            self.html.append(text)
        elif state.mode == SHOWN and not (state.hidden or state.deleted):
            self.written += len(text)
            self.body_begun = self.body_begun or state.writer is self.body
            if self.html is None:
                state.writer.line.append(text)
            elif not state.only_rtf and state.writer is self.body:
                self.html.append(escape(text, quote=False))

    def unicode(self, number: int | None) -> None:
        """Put a character by its number; one beyond U+FFFF comes in two halves."""
        self.end_characters()
        self.passed_over = self.state.fallback
        code = (number or 0) + (0x10000 if (number or 0) < 0 else 0)
        high = self._high
        self._high = code if 0xD800 <= code < 0xDC00 else 0
        if self._high:
            return
        if high and 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)
        if 0xF000 <= code <= 0xF0FF:  # where Word puts the signs of symbol fonts
            self.put(self._sign(code))
        elif 0xD800 <= code < 0xE000 or not 0 <= code <= 0x10FFFF:
            self.put("\ufffd")
        elif code:
            self.put(chr(code))

    def break_html(self, text: str) -> None:
        """Add white space to the HTML that the document was made from."""
        state = self.state
        if self.html is not None and not state.only_rtf and state.writer is self.body:
            self.html.append(text)
