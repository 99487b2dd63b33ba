r"""Read RTF: every visible word once, in its order, with tables, notes, headers and text boxes.

RTF is a stream of groups and control words. A control word may begin a destination, such as
`\footnote`, whose text belongs elsewhere or isn't shown at all; all else is a property that the
group's end takes back. The walk keeps its own stack of groups and is linear in the file's size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.kinds import START
from batcher.service.parsing.markup.html import html_blocks
from batcher.service.parsing.numbering import formatted_number
from batcher.service.parsing.office.symbols import PRIVATE, symbol
from batcher.service.parsing.pages import Page, PageBlock, corrupt, numbered
from batcher.service.parsing.rtf.state import Field, Shape, State, shown_by
from batcher.service.parsing.rtf.tokens import (
    CHARSETS,
    CLOSE,
    HEX,
    OPEN,
    SYMBOL,
    SYMBOL_FONT,
    TEXT,
    Token,
    codec_of,
    decoded,
    tokens,
)
from batcher.service.parsing.rtf.words import (
    ASIDES,
    BODY_LEVEL,
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
    WITH_TEXT,
)
from batcher.service.parsing.rtf.writer import Writer

MOST_GROUPS: Final = 10_000  # open at once; what lies deeper is left out, and told
MOST_ASIDES: Final = 20  # notes within text boxes within notes, and so on


def read_rtf(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the blocks of an RTF document; pages end at the page breaks that the file holds.

    Raises DocumentProblem if the file holds no RTF or no text.
    """
    pages, unread = rtf_pages(path.read_bytes())
    return numbered(pages, unread)


def rtf_blocks(raw: bytes) -> list[PageBlock]:
    """Return the blocks of an RTF text, such as a mail's body.

    Raises DocumentProblem if it is no RTF.
    """
    return [block for page in rtf_pages(raw)[0] for block in page]


def rtf_pages(raw: bytes) -> tuple[list[list[PageBlock]], list[str]]:
    """Return the blocks of each page, and a sentence for each part that could not be read.

    RTF that was made from HTML, as Outlook does, is turned back into it. Raises DocumentProblem if
    it is no RTF.
    """
    start = raw.find(START)
    if start < 0:
        raise corrupt("the file holds no RTF; it doesn't begin with {\\rtf")
    reading = _Reading()
    reading.read(raw, start)
    if reading.html is not None:
        html = "".join(reading.html)
        blocks = html_blocks(html.encode("utf-8", "replace"), "utf-8") if html.strip() else []
        if any(block.content for block in blocks):
            return [blocks], reading.unread
        reading = _Reading(from_html=False)
        reading.read(raw, start)
    return reading.pages, reading.unread


class _Reading:
    """One walk over a document's tokens."""

    def __init__(self, *, from_html: bool = True) -> None:
        self._turns_back = from_html
        self.html: list[str] | None = None  # the HTML that the document was made from
        self._flow = Flow()
        self._body = Writer(self._flow)
        self._state = State(self._body)
        self._left_out = State(self._body, mode=SKIPPED)  # of all groups within one left out
        self._around: list[State] = []
        self._deeper = 0  # open groups below the deepest that is read
        self._starred = False
        self._encoding = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font_names: dict[int, str] = {}
        self._font_told = -1
        self._default_font = -1
        self._styles: dict[int, str] = {}
        self._style_told = 0
        self._level_told = BODY_LEVEL
        self._bytes = bytearray()  # characters that aren't decoded yet
        self._passed_over = 0  # characters still to be left out after a \\u
        self._high = 0  # the first half of a character beyond U+FFFF
        self._written = 0
        self._body_begun = False
        self._fields: list[Field] = []
        self._shapes: list[Shape] = []
        self._section_breaks = True
        self._section_ended = False
        self._footers: list[PageBlock] = []
        self._shown: set[tuple[str, ...]] = set()
        self._notes = {"footnote": 0, "endnote": 0}
        self._note_formats = {"footnote": "1", "endnote": "1"}
        self._mark: tuple[Writer, int] | None = None  # where the last note's mark stands
        self._mark_text = ""
        self._asides = 0  # open notes, comments, headers and text boxes within each other
        self._author = ""
        self._object_class = ""
        self._pictures = 0
        self._unread: dict[str, None] = {}

    @property
    def pages(self) -> list[list[PageBlock]]:
        """Return the blocks of each page, once everything is read."""
        return self._flow.pages

    @property
    def unread(self) -> list[str]:
        """Return a sentence for each part that could not be read."""
        if not self._pictures:
            return list(self._unread)
        return [*self._unread, f"pictures are not read in this format (it has {self._pictures})"]

    def read(self, raw: bytes, start: int) -> None:
        """Read the document that begins at `start`."""
        ended = False
        for token in tokens(raw, start):
            if ended:
                self._tell_what_follows(token)
                continue
            self._take(token)
            ended = token[0] == CLOSE and not self._around and not self._deeper
        self._end_characters()
        while self._around:
            self._close()
        if not ended:
            self._unread["the file breaks off; what stood after its end is missing"] = None
        self._body.finish()
        self._write_footers()

    def _tell_what_follows(self, token: Token) -> None:
        if token[0] != TEXT or token[3].strip(b"\0 \r\n\t\x1a"):
            self._unread["what follows the end of the RTF in the file is not read"] = None

    def _take(self, token: Token) -> None:
        kind, name, number, text = token
        if kind == TEXT:
            self._take_text(text)
        elif kind == OPEN:
            self._open()
        elif kind == CLOSE:
            self._close()
        elif kind == HEX:
            self._take_text(bytes((number or 0,)))
        elif kind == SYMBOL:
            self._take_symbol(name)
        elif not self._passes_over():
            self._take_word(name, number)

    # --- groups -----------------------------------------------------------------------------------

    def _open(self) -> None:
        self._end_characters()
        self._passed_over = 0
        if len(self._around) >= MOST_GROUPS:
            self._deeper += 1
            self._unread[f"what lies within more than {MOST_GROUPS} groups is not read"] = None
            return
        self._around.append(self._state)
        if self._state.mode == SKIPPED:
            self._state = self._left_out
            return
        self._state = replace(self._state, on_close=None)
        if self._state.mode == STYLES:
            self._begin_style()

    def _close(self) -> None:
        self._end_characters()
        self._passed_over = 0
        self._starred = False
        if self._deeper:
            self._deeper -= 1
        elif self._around:
            if self._state.on_close is not None:
                self._state.on_close()
            self._state = self._around.pop()

    def _enter(self, mode: int, on_close: Callable[[], None] | None = None) -> None:
        self._state.mode = mode
        if on_close is not None:
            self._state.on_close = on_close

    # --- characters -------------------------------------------------------------------------------

    def _take_text(self, text: bytes) -> None:
        if self._deeper or self._state.mode not in WITH_TEXT:
            return
        text = text.translate(None, b"\r\n\0")
        if self._passed_over:
            left_out = min(self._passed_over, len(text))
            self._passed_over -= left_out
            text = text[left_out:]
        self._bytes += text

    def _take_symbol(self, name: str) -> None:
        if name == "*":
            self._starred = True
        elif not self._passes_over():
            if name in "\r\n":
                self._take_word("par", None)
            elif name in SYMBOLS:
                self._emit(SYMBOLS[name])

    def _passes_over(self) -> bool:
        if not self._passed_over:
            return False
        self._passed_over -= 1
        return True

    def _end_characters(self) -> None:
        if self._bytes:
            codec = self._fonts.get(self._state.font, self._encoding)
            raw = bytes(self._bytes)
            self._bytes.clear()
            if codec == SYMBOL_FONT and self._state.mode != FONTS:
                self._put("".join(self._sign(PRIVATE + code) for code in raw))
            else:
                self._put(decoded(raw, codec))

    def _sign(self, code: int) -> str:
        """Return the character of a symbol font, as far as it has one in Unicode."""
        is_known = self._fonts.get(self._state.font) == SYMBOL_FONT
        font = self._font_names.get(self._state.font, "").strip(" ;") if is_known else "Symbol"
        shown = symbol(code, font)
        if shown is None and self._state.mode == SHOWN and code & 0xFF > ord(" "):
            self._unread[f"characters of the font {font} have no place in Unicode"] = None
        return shown or " "

    def _emit(self, text: str) -> None:
        self._end_characters()
        self._put(text)

    def _put(self, text: str) -> None:
        """Add characters to wherever this group's text belongs."""
        state = self._state
        if state.mode == FONTS:
            self._font_names[self._font_told] = self._font_names.get(self._font_told, "") + text
        elif state.mode in (CAPTURED, STYLES):
            state.capture.append(text)
        elif state.mode == TAG and self.html is not None:
            self.html.append(text)
        elif state.mode == SHOWN and not (state.hidden or state.deleted):
            self._written += len(text)
            self._body_begun = self._body_begun or state.writer is self._body
            if self.html is None:
                state.writer.line.append(text)
            elif not state.only_rtf and state.writer is self._body:
                self.html.append(escape(text, quote=False))

    def _unicode(self, number: int | None) -> None:
        self._end_characters()
        self._passed_over = self._state.fallback
        code = (number or 0) + (0x10000 if (number or 0) < 0 else 0)
        high = self._high
        self._high = code if 0xD800 <= code < 0xDC00 else 0
        if self._high:
            return
        if high and 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)
        if 0xF000 <= code <= 0xF0FF:  # where Word puts the signs of symbol fonts
            self._put(self._sign(code))
        elif 0xD800 <= code < 0xE000 or not 0 <= code <= 0x10FFFF:
            self._put("\ufffd")
        elif code:
            self._put(chr(code))

    # --- words ------------------------------------------------------------------------------------

    def _take_word(self, name: str, number: int | None) -> None:
        self._end_characters()
        starred = self._starred
        self._starred = False
        state = self._state
        if state.mode == SKIPPED or self._deeper:
            return
        if self._begins(name):
            return
        if starred:
            self._enter(SKIPPED)
        elif name == "u":
            self._unicode(number)
        elif name == "uc":
            state.fallback = max(0, min(number or 0, 100))
        elif name in CHARACTERS:
            self._put(CHARACTERS[name])
        elif state.mode == FONTS:
            self._font_word(name, number)
        elif state.mode == STYLES:
            self._style_word(name, number)
        elif state.mode == CAPTURED:
            self._form_word(name, number)
        elif name in _PROPERTIES:
            _PROPERTIES[name](self, 1 if number is None else number)
        elif name in _ACTS and state.mode in (SHOWN, NESTED, TAG):
            _ACTS[name](self)
        elif name in MATH and state.mode == SHOWN:
            self._put(MATH[name])

    def _begins(self, name: str) -> bool:
        """Enter the destination that a word begins, and tell whether it is one."""
        state = self._state
        if name in SKIPPED_GROUPS or (name.endswith("Pr") and name not in PARTLY_SHOWN):
            self._enter(SKIPPED)
        elif state.mode in (FONTS, STYLES):
            return False
        elif name in ASIDES:
            self._aside(name)
        elif name in CAPTURED_GROUPS:
            self._capture(name)
        elif name in _OPENERS:
            _OPENERS[name](self)
        elif name in PARTLY_SHOWN:
            self._enter(PARTS)
        elif name in SHOWN_THOUGH_STARRED:
            return True
        elif name == "ud" and state.mode == PARTS:  # what stands before in ANSI
            self._enter(SHOWN)
        elif name in BRACKETED and state.mode == SHOWN:
            before, after = BRACKETED[name]
            self._put(before)
            state.on_close = lambda: self._put(after)
        else:
            return False
        return True

    def _font_word(self, name: str, number: int | None) -> None:
        if name == "f":
            self._font_told = number or 0
        elif name == "fcharset" and (number or 0) in CHARSETS:
            self._fonts[self._font_told] = CHARSETS[number or 0]
        elif name == "cpg":
            self._fonts[self._font_told] = codec_of(number or 0, self._encoding)

    # --- styles -----------------------------------------------------------------------------------

    def _begin_style(self) -> None:
        self._style_told = 0
        self._level_told = BODY_LEVEL
        self._state.capture = []
        self._state.on_close = self._end_style

    def _style_word(self, name: str, number: int | None) -> None:
        if name == "s":
            self._style_told = number or 0
        elif name == "outlinelevel":
            self._level_told = number or 0

    def _end_style(self) -> None:
        name = "".join(self._state.capture).strip().lower()
        if name.startswith("title"):
            self._styles[self._style_told] = "Title"
        elif name.startswith(("heading", "subtitle")) or self._level_told < BODY_LEVEL:
            self._styles[self._style_told] = "Section Header"
        elif name.startswith("list"):
            self._styles[self._style_told] = "List Item"

    # --- paragraphs and pages ---------------------------------------------------------------------

    def _paragraph_ends(self) -> None:
        state = self._state
        if self.html is not None:
            self._break_html("\n")
            return
        if state.hidden or state.deleted or state.mode != SHOWN:
            return
        writer = state.writer
        if not (state.in_table or writer.row_is_open):
            self._turn_before(state)
        in_table = state.in_table or writer.row_is_open
        writer.end_paragraph(self._type(), in_table=in_table)

    def _type(self) -> str:
        state = self._state
        if state.level < BODY_LEVEL:
            return "Title" if self._styles.get(state.style) == "Title" else "Section Header"
        return self._styles.get(state.style, "List Item" if state.is_item else "Text")

    def _turn_before(self, state: State) -> None:
        if state.writer is self._body:
            self._turn_if_due(before_paragraph=state.breaks_before)

    def _turn_if_due(self, *, before_paragraph: bool) -> None:
        """Begin a page before a paragraph that wants one, or where a section begins on one."""
        turns = before_paragraph or (self._section_ended and self._section_breaks)
        self._section_ended = False
        if turns and self._body_begun:
            self._body.end_table()
            self._write_footers()
            self._flow.break_page()

    def _break_page(self) -> None:
        state = self._state
        if self.html is None and state.writer is self._body and not state.hidden:
            if any(text.strip() for text in state.writer.line) and not state.in_table:
                self._paragraph_ends()
            state.writer.break_page()

    def _soft_page(self) -> None:
        if self._state.writer is self._body:
            self._body.turns = True

    def _section_ends(self) -> None:
        if self.html is None and any(text.strip() for text in self._state.writer.line):
            self._paragraph_ends()
        self._section_ended = True
        self._section_breaks = True

    def _plain(self) -> None:
        state = self._state
        state.hidden = False
        state.deleted = False
        state.font = self._default_font

    def _pard(self) -> None:
        state = self._state
        state.in_table = False
        state.style = 0
        state.level = BODY_LEVEL
        state.is_item = False
        state.breaks_before = False
        if state.mode == SHOWN:
            state.writer.row_is_open = False

    def _column(self) -> None:
        self._put(" ")

    # --- tables -----------------------------------------------------------------------------------

    def _row_begins(self) -> None:
        if self._state.mode == SHOWN:
            self._turn_before(self._state)
            self._state.writer.edges = []
            self._state.writer.row_is_open = True

    def _edge(self, number: int) -> None:
        if self._state.mode == SHOWN:
            self._state.writer.edges.append(number)

    def _cell_ends(self) -> None:
        if self.html is None:
            self._state.writer.end_cell()

    def _row_ends(self) -> None:
        if self.html is None:
            self._state.writer.end_row()

    def _nested_cell_ends(self) -> None:
        if self.html is None:
            self._state.writer.end_nested_cell()

    def _nested_row_ends(self) -> None:
        if self.html is None:
            self._state.writer.end_nested_row()

    # --- headers, notes, comments and text boxes --------------------------------------------------

    def _aside(self, name: str) -> None:
        if self._asides >= MOST_ASIDES or self.html is not None:
            return  # only in broken files; its text stays where it is
        type_ = ASIDES[name]
        around = self._state.writer
        self._asides += 1
        hidden = self._state.hidden or self._state.deleted
        writer = Writer(Flow(), has_type=bool(type_))
        writer.flow.begin(type_ or "Text")
        self._state = State(
            writer,
            mode=SKIPPED if hidden else SHOWN,
            font=self._default_font,
            fallback=self._state.fallback,
        )
        if name == "annotation" and self._author:
            writer.line.append(self._author + ": ")
            self._author = ""
        self._state.on_close = lambda: self._end_aside(name, writer, around)

    def _end_aside(self, name: str, writer: Writer, around: Writer) -> None:
        self._asides -= 1
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
            self._footers += blocks
        elif around.line or around.row_is_open:
            around.beside += blocks
        else:
            if around is self._body:
                self._turn_if_due(before_paragraph=False)
            around.end_table()
            for block in blocks:
                around.flow.add(block)

    def _write_footers(self) -> None:
        for block in self._footers:
            self._flow.add(block)
        self._footers.clear()

    def _note_mark(self) -> None:
        r"""Write a note's number. It counts in the text, and is repeated in the note.

        Which kind of note it is, the note tells only later, by `\ftnalt`.
        """
        writer = self._state.writer
        if self._state.mode != SHOWN or self._state.hidden or self._state.deleted:
            return
        if writer is self._body or writer.flow is self._flow:
            self._notes["footnote"] += 1
            number = self._notes["footnote"]
            self._mark_text = formatted_number(number, self._note_formats["footnote"])
            self._mark = (writer, len(writer.line))
            self._put(f" [{self._mark_text}]")
        elif self._mark_text:
            self._put(f"[{self._mark_text}] ")

    def _endnote(self) -> None:
        """Count the note that has begun as an endnote, and correct its mark in the text."""
        if self._mark is None:
            return
        writer, place = self._mark
        self._mark = None
        self._notes["footnote"] -= 1
        self._notes["endnote"] += 1
        number = self._notes["endnote"]
        self._mark_text = formatted_number(number, self._note_formats["endnote"])
        if place < len(writer.line):
            writer.line[place] = f" [{self._mark_text}]"

    # --- what is captured -------------------------------------------------------------------------

    def _capture(self, name: str) -> None:
        state = self._state
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
                self._author = text.strip()
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

    def _form_word(self, name: str, number: int | None) -> None:
        if name in ("ffres", "ffdefres", "fftype") and self._fields:
            self._fields[-1].form[name] = number or 0
        elif name in ("par", "line"):
            self._put(" ")
        elif name == "f":
            self._state.font = number or 0

    def _field_begins(self) -> None:
        if self._state.mode in (SHOWN, CAPTURED):
            self._fields.append(Field(self._written))
            self._state.on_close = self._field_ends

    def _field_ends(self) -> None:
        """Show what a field without a result shows all the same."""
        found = self._fields.pop()
        if found.written == self._written and self._state.mode == SHOWN:
            self._put(shown_by(found))

    # --- shapes, pictures and objects -------------------------------------------------------------

    def _shape_begins(self) -> None:
        state = self._state
        shape = Shape()
        self._shapes.append(shape)
        writer = state.writer
        hidden = state.hidden or state.deleted
        self._enter(PARTS, lambda: self._shape_ends(shape, writer, hidden=hidden))

    def _shape_ends(self, shape: Shape, writer: Writer, *, hidden: bool) -> None:
        self._shapes.pop()
        if hidden or self.html is not None:
            return
        alt = shape.properties.get("wzDescription", "").strip()
        lettering = shape.properties.get("gtextUNICODE", "").strip()
        if lettering:
            writer.beside.append(PageBlock("Text", lettering))
        if shape.pictures:
            self._pictures += 1
        if alt or shape.pictures:
            writer.beside.append(PageBlock("Figure", alt, sure=not shape.pictures))

    def _picture_begins(self) -> None:
        """A picture of its own is a figure; one within a shape belongs to the shape."""
        if self._state.mode == CAPTURED and self._shapes:
            self._shapes[-1].pictures += 1
            self._enter(SKIPPED)
            return
        self._shape_begins()
        self._shapes[-1].pictures += 1

    def _object_begins(self) -> None:
        self._object_class = ""
        self._state.on_close = self._object_ends

    def _object_ends(self) -> None:
        told = f" ({self._object_class})" if self._object_class else ""
        self._unread[f"the data of an embedded object{told} are not read"] = None

    # --- HTML within ------------------------------------------------------------------------------

    def _from_html(self) -> None:
        if self._turns_back and self.html is None:
            self.html = []

    def _html_tag(self) -> None:
        self._enter(TAG if self.html is not None else SKIPPED)

    def _break_html(self, text: str) -> None:
        state = self._state
        if self.html is not None and not state.only_rtf and state.writer is self._body:
            self.html.append(text)


def _set(name: str, value: Callable[[int], Any]) -> Callable[[_Reading, int], None]:
    def apply(reading: _Reading, number: int) -> None:
        setattr(reading._state, name, value(number))

    return apply


def _set_code_page(reading: _Reading, number: int) -> None:
    reading._encoding = codec_of(number, reading._encoding)


def _encoding(codec: str) -> Callable[[_Reading, int], None]:
    def apply(reading: _Reading, _number: int) -> None:
        reading._encoding = codec

    return apply


def _section_break(kind: str) -> Callable[[_Reading, int], None]:
    def apply(reading: _Reading, _number: int) -> None:
        reading._section_breaks = kind not in BREAKS_NO_PAGE

    return apply


def _note_format(kind: str, format_: str) -> Callable[[_Reading, int], None]:
    def apply(reading: _Reading, _number: int) -> None:
        reading._note_formats[kind] = format_

    return apply


def _set_default_font(reading: _Reading, number: int) -> None:
    reading._default_font = number
    reading._state.font = number


def _from_html(reading: _Reading, number: int) -> None:
    if number:
        reading._from_html()


_PROPERTIES: Final[Mapping[str, Callable[[_Reading, int], None]]] = {
    "f": _set("font", int),
    "v": _set("hidden", bool),
    "deleted": _set("deleted", bool),
    "htmlrtf": _set("only_rtf", bool),
    "intbl": _set("in_table", bool),
    "itap": _set("in_table", bool),
    "s": _set("style", int),
    "outlinelevel": _set("level", int),
    "ls": _set("is_item", bool),
    "pagebb": _set("breaks_before", bool),
    "cellx": _Reading._edge,
    "ansicpg": _set_code_page,
    "deff": _set_default_font,
    "fromhtml": _from_html,
    **{name: _encoding(codec) for name, codec in ENCODINGS.items()},
    **{f"sbk{kind}": _section_break(kind) for kind in ("none", "col", "page", "even", "odd")},
    **{f"ftnn{name}": _note_format("footnote", one) for name, one in NUMBER_FORMATS.items()},
    **{f"aftnn{name}": _note_format("endnote", one) for name, one in NUMBER_FORMATS.items()},
}
_ACTS: Final[Mapping[str, Callable[[_Reading], None]]] = {
    "par": _Reading._paragraph_ends,
    "page": _Reading._break_page,
    "softpage": _Reading._soft_page,
    "sect": _Reading._section_ends,
    "column": _Reading._column,
    "plain": _Reading._plain,
    "pard": _Reading._pard,
    "trowd": _Reading._row_begins,
    "cell": _Reading._cell_ends,
    "row": _Reading._row_ends,
    "nestcell": _Reading._nested_cell_ends,
    "nestrow": _Reading._nested_row_ends,
    "chftn": _Reading._note_mark,
    "ftnalt": _Reading._endnote,
}
_OPENERS: Final[Mapping[str, Callable[[_Reading], None]]] = {
    "fonttbl": lambda reading: reading._enter(FONTS),
    "stylesheet": lambda reading: reading._enter(STYLES),
    "nesttableprops": lambda reading: reading._enter(NESTED),
    "formfield": lambda reading: reading._enter(CAPTURED),
    "htmltag": _Reading._html_tag,
    "field": _Reading._field_begins,
    "shp": _Reading._shape_begins,
    "shpgrp": _Reading._shape_begins,
    "pict": _Reading._picture_begins,
    "object": _Reading._object_begins,
}
