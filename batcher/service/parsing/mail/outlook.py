"""Read Outlook's messages (MSG): subject, people, date, body, and the messages attached to them.

Other attachments are named, not opened. Names of properties are those of [MS-OXPROPS].
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.mail.compressed_rtf import decompressed
from batcher.service.parsing.markup.html import HtmlWriter, shows_text
from batcher.service.parsing.office.ole import Compound
from batcher.service.parsing.pages import (
    DocumentProblem,
    Page,
    PageBlock,
    numbered,
)
from batcher.service.parsing.rtf.document import rtf_text
from batcher.service.parsing.text.decoding import decode
from batcher.service.parsing.text.plain import paragraphs

# messages within messages
DEEPEST: Final = 20
_CLASS, _SUBJECT, _SENDER, _ADDRESS, _SMTP = "001A 0037 0C1A 0C1F 5D01".split()
_TO, _CC, _BCC, _BODY, _RTF, _HTML = "0E04 0E03 0E02 1000 1009 1013".split()
_RECIPIENT_NAME, _RECIPIENT_SMTP, _RECIPIENT_ADDRESS = "3001 39FE 3003".split()
_LONG_NAME, _NAME, _SHOWN_NAME, _MIME = "3707 3704 3001 370E".split()
_CONTENT = "3701"
_EMBEDDED: Final = "__substg1.0_3701000D"  # the folder of a message within an attachment
# properties that have no stream of their own, and the kinds of recipients
_SENT: Final = 0x0039
_DELIVERED: Final = 0x0E06
_KIND: Final = 0x0C15
_CODE_PAGE: Final = 0x3FDE
_TEXT_PAGE: Final = 0x3FFD
_KINDS: Final = {1: "To", 2: "Cc", 3: "Bcc"}
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
_ENCRYPTED: Final = "the message is encrypted, and its body is not read"
_CODE_PAGES: Final = {
    65001: "utf-8",
    1200: "utf-16-le",
    20127: "ascii",
    20866: "koi8-r",
    21866: "koi8-u",
    50220: "iso-2022-jp",
    50221: "iso-2022-jp",
    50222: "iso-2022-jp",
    51932: "euc-jp",
    51949: "cp949",
    54936: "gb18030",
    38598: "iso8859-8",
}


def read_msg(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the message as one page.

    Raises DocumentProblem if the message is broken or has no text.
    """
    with Compound(path) as file:
        flow = Flow()
        reader = _Reader(file, flow)
        reader.write()
        return numbered(flow.pages, reader.unread, reader.pictures)


class _Reader:
    """Writes a message and those attached to it to a flow, and collects what isn't read."""

    def __init__(self, file: Compound, flow: Flow) -> None:
        self._file = file
        self._flow = flow
        self._html = HtmlWriter(flow)
        self._unread: list[str] = []
        self._pictures = 0  # of bodies that are RTF

    @property
    def unread(self) -> list[str]:
        return list(dict.fromkeys([*self._unread, *self._html.unread]))

    @property
    def pictures(self) -> Mapping[int, int]:
        """Return the number of pictures without an alternative text, by page of the flow."""
        return Counter({1: self._pictures}) + self._html.pictures

    def write(self) -> None:
        """Write the messages, the outermost first; each is followed by its attached ones."""
        todo = [("", 0)]
        while todo:
            folder, depth = todo.pop()
            message = _Message(self._file, folder)
            self._head(message, "Section Header" if depth else "Title")
            self._body(message)
            embedded = self._attachments(message)
            if depth < DEEPEST:
                todo += [(inner, depth + 1) for inner in reversed(embedded)]
            elif embedded:
                self._unread.append(f"messages within messages are read to a depth of {DEEPEST}")

    def _head(self, message: _Message, type_: str) -> None:
        lines = [f"{name}: {value}" for name, value in message.heads() if value]
        self._add(
            [PageBlock(type_, message.text(_SUBJECT)), PageBlock("Key Value", "\n".join(lines))]
        )

    def _body(self, message: _Message) -> None:
        """Write the richest form of the body that isn't empty."""
        encrypted = "SMIME" in message.text(_CLASS).upper()
        if encrypted and "MULTIPARTSIGNED" not in message.text(_CLASS).upper():
            self._unread.append(_ENCRYPTED)
        html = message.content(_HTML)
        if shows_text(html, message.code_page(_CODE_PAGE)):
            self._html.write(html, message.code_page(_CODE_PAGE))
            return
        text = message.text(_BODY)
        self._add(paragraphs(text.encode(), "utf-8") if text else self._rtf(message))

    def _rtf(self, message: _Message) -> Iterable[PageBlock]:
        raw = message.content(_RTF)
        if not raw:
            return []
        try:
            text = rtf_text(decompressed(raw))
        except (ValueError, DocumentProblem) as error:
            self._unread.append(f"the body is not read: {error}")
            return []
        self._unread += text.unread
        self._pictures += sum(text.pictures.values())
        return [block for page in text.pages for block in page]

    def _attachments(self, message: _Message) -> list[str]:
        """Write the attachments' names; return the folders of those that are messages."""
        embedded = []
        named = []
        for folder in message.folders("__attach"):
            inner = f"{folder}/{_EMBEDDED}"
            if self._file.holds(f"{inner}/__properties_version1.0"):
                embedded.append(inner)
                continue
            attachment = _Message(self._file, folder)
            name = _first(attachment.text(tag) for tag in (_LONG_NAME, _NAME, _SHOWN_NAME))
            kind = attachment.text(_MIME)
            named.append(f"{name} ({kind})" if name and kind else name or kind or "without a name")
            self._unread.append(f"attachment '{name or kind or 'without a name'}' is not opened")
        if named:
            self._add([PageBlock("Text", f"Attachments: {', '.join(named)}")])
        return embedded

    def _add(self, blocks: Iterable[PageBlock]) -> None:
        for block in blocks:
            if block.content:
                self._flow.add(block)


class _Message:
    """The properties in one folder of the file: a message, a recipient or an attachment."""

    def __init__(self, file: Compound, folder: str) -> None:
        self._file = file
        self._prefix = f"{folder}/" if folder else ""
        self._folder = folder

    def folders(self, start: str) -> list[str]:
        """Return the folders within it whose name begins with `start`."""
        prefix = self._prefix + start
        return [name for name in self._file.folders(self._folder) if name.startswith(prefix)]

    def text(self, tag: str) -> str:
        """Return a text property, stored as Unicode or in a code page; "" if it is absent."""
        name = f"{self._prefix}__substg1.0_{tag}"
        if self._file.holds(f"{name}001F"):
            text = self._file.read(f"{name}001F").decode("utf-16-le", "replace")
        elif self._file.holds(f"{name}001E"):
            raw = self._file.read(f"{name}001E").rstrip(b"\0")
            text = decode(raw, self.code_page(_TEXT_PAGE)).text
        else:
            return ""
        return text.strip("\x00 \r\n")

    def content(self, tag: str) -> bytes:
        """Return a binary property, or b"". Some programs store HTML as Unicode text."""
        name = f"{self._prefix}__substg1.0_{tag}"
        if self._file.holds(f"{name}0102"):
            return self._file.read(f"{name}0102").rstrip(b"\0")
        return self.text(tag).encode()

    def heads(self) -> list[tuple[str, str]]:
        """Return the names and values of what stands above the body."""
        address = _first([self.text(_SMTP), self.text(_ADDRESS)])
        people: dict[str, list[str]] = {"To": [], "Cc": [], "Bcc": []}
        for folder in self.folders("__recip"):
            recipient = _Message(self._file, folder)
            kind = _KINDS.get(recipient.number(_KIND) or 1, "To")
            people[kind].append(recipient.person())
        shown = {"To": self.text(_TO), "Cc": self.text(_CC), "Bcc": self.text(_BCC)}
        named = [(kind, "; ".join(filter(None, people[kind])) or shown[kind]) for kind in people]
        return [("From", _with_address(self.text(_SENDER), address)), *named, ("Date", self.date())]

    def person(self) -> str:
        """Return a recipient's name and address."""
        address = _first([self.text(_RECIPIENT_SMTP), self.text(_RECIPIENT_ADDRESS)])
        return _with_address(self.text(_RECIPIENT_NAME), address)

    def date(self) -> str:
        """Return when the message was sent, in UTC, or ""."""
        ticks = self.number(_SENT) or self.number(_DELIVERED)  # tenths of a microsecond
        try:
            sent = _EPOCH + timedelta(microseconds=ticks // 10)
        except OverflowError:
            return ""
        return sent.strftime("%a, %d %b %Y %H:%M:%S +0000") if ticks else ""

    def code_page(self, tag: int) -> str | None:
        """Return the character set that the property names, or None."""
        number = self.number(tag) or self.number(_TEXT_PAGE)
        return _CODE_PAGES.get(number, f"cp{number}") if number else None

    def number(self, tag: int) -> int:
        """Return a property of fixed length, or 0. Each takes 16 bytes: type, tag, flags, value."""
        name = f"{self._prefix}__properties_version1.0"
        if not self._file.holds(name):
            return 0
        raw = self._file.read(name)
        # The header's length differs between messages and their parts, but is one of these.
        for start in range(0, len(raw) - 15, 8):
            kind, found, _flags, value = struct.unpack_from("<HHIQ", raw, start)
            if found == tag and kind in (0x0003, 0x0040):
                return int(value if kind == 0x0040 else value & 0xFFFFFFFF)
        return 0


def _with_address(name: str, address: str) -> str:
    if "@" not in address or address == name:
        return name or address
    return f"{name} <{address}>".strip()


def _first(texts: Iterable[str]) -> str:
    return next(filter(None, texts), "")
