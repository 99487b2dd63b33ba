"""Read e-mail files (EML): subject, people, date and all parts that are text, also forwarded ones.

Attachments are named, not opened.
"""

from __future__ import annotations

import binascii
import email
import email.policy
import re
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from pathlib import Path
from typing import Any, Final, TypeAlias

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.mail.headers import decoded, fields, heading
from batcher.service.parsing.mail.invitations import calendar_block
from batcher.service.parsing.markup.html import HtmlWriter, shows_text
from batcher.service.parsing.pages import DocumentProblem, Page, PageBlock, corrupt, numbered
from batcher.service.parsing.text.decoding import decode
from batcher.service.parsing.text.plain import paragraphs

Part: TypeAlias = "Message[Any, Any]"

_CALENDAR: Final = "text/calendar"
# The alternatives that a reader would choose from, the richest first.
_RICHEST: Final = ("text/html", "text/enriched", "text/richtext", "text/plain", _CALENDAR)
_ENCRYPTED: Final = frozenset(
    "multipart/encrypted application/pkcs7-mime application/x-pkcs7-mime".split()
)
# Messages within messages; the other kinds of `message/` are only headers, such as reports.
_MESSAGES: Final = frozenset("message/rfc822 message/global message/news".split())
_OUTLOOK: Final = frozenset("application/ms-tnef application/vnd.ms-tnef".split())
_SIGNATURES: Final = frozenset(
    "application/pgp-signature application/pkcs7-signature application/x-pkcs7-signature".split()
)
_NO_TEXT: Final = frozenset("text/vcard text/x-vcard text/directory".split())
# whole lines in the alphabet of base64, with nothing else on them
_BASE64: Final = re.compile(r"(?:[ \t]*+[A-Za-z0-9+/=]*+[ \t]*+(?:\r?\n|\Z))*+")
_ENRICHED: Final = re.compile(r"<param>[^<]*</param>|<(?!<)/?[A-Za-z][\w-]*>")


def read_mail(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the message as one page.

    Raises DocumentProblem if the file can't be read or has no text.
    """
    raw = path.read_bytes()
    try:
        # Headers are decoded here: the newer policies fail as a whole on malformed ones.
        message = email.message_from_bytes(_plain(raw), policy=email.policy.compat32)
        reader = MailReader()
        reader.write(message)
        return numbered(reader.flow.pages, reader.unread, reader.pictures)
    except DocumentProblem:
        raise
    except RecursionError as error:
        raise corrupt("the mail can't be read: its parts are nested too deep") from error
    # What the parser raises on malformed messages has no common base.
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise corrupt(f"the mail can't be read: {type(error).__name__}: {error}") from error


def _plain(raw: bytes) -> bytes:
    """Return the message without what stands before its headers, and as UTF-8 if it is UTF-16."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in raw[:2]:
        raw = decode(raw).text.encode()
    return raw.lstrip(b"\xef\xbb\xbf\r\n\t ")  # a mark of UTF-8, and blank lines


class MailReader:
    """Writes a message to `flow`; `unread` are sentences on what of it isn't read."""

    def __init__(self) -> None:
        self.flow = Flow()
        self._html = HtmlWriter(self.flow)
        self._unread: list[str] = []
        self._attached: list[str] = []
        self._calendars: set[Part] = set()  # beside a text that describes the same

    @property
    def unread(self) -> list[str]:
        return list(dict.fromkeys([*self._unread, *self._html.unread]))

    @property
    def pictures(self) -> Mapping[int, int]:
        """Return the number of pictures without an alternative text, by page of the flow."""
        return self._html.pictures

    def write(self, message: Part) -> None:
        """Write a message with its headers, and the names of all that is attached to it."""
        self._add(heading(message, "Title"))
        todo: list[Part] = [message]
        while todo:
            part = todo.pop()
            kind = part.get_content_type()
            inner = self._opened(part)
            if kind in _MESSAGES:
                for forwarded in inner:
                    self._add(heading(forwarded, "Section Header"))
            elif kind.startswith("message/") and inner:
                self._add(map(fields, inner))
                continue
            if not inner:
                self._leaf(part, is_body=part is message)
            todo += reversed(inner)
        self._name_attachments()

    def _opened(self, part: Part) -> list[Part]:
        """Return the parts within a part that are to be read, in order."""
        if not part.is_multipart():
            return []
        kind = part.get_content_type()
        inner: Any = part.get_payload()
        if kind in _ENCRYPTED:
            self._unread.append("the message is encrypted, and its body is not read")
        if kind != "multipart/alternative":
            return list(inner)
        found = _chosen(inner)
        self._calendars |= {one for one in found[1:] if one.get_content_type() == _CALENDAR}
        return found

    def _leaf(self, part: Part, *, is_body: bool) -> None:
        kind = part.get_content_type()
        name = _file_name(part)
        if kind.startswith("multipart/") or (is_body and kind.startswith("message/")):
            self._unread.append("the parts of the message can't be told apart: they are one text")
            kind = "text/plain"
        is_text = kind.startswith(("text/", "message/")) and kind not in _NO_TEXT
        if is_text and (is_body or part.get_content_disposition() != "attachment"):
            self._text(part, kind)
        elif kind in _ENCRYPTED:
            self._unread.append("the message is encrypted, and its body is not read")
        elif kind in _OUTLOOK or name.lower() == "winmail.dat":
            told = f"{name or 'winmail.dat'} is not opened: Outlook's own format, which may hold"
            self._unread.append(f"{told} attachments; have the sender send the mail as HTML")
        else:
            self._attach(name, kind)

    def _text(self, part: Part, kind: str) -> None:
        raw = _content(part)
        declared = _charset(part)
        if kind == "text/html":
            self._html.write(raw, declared)
        elif kind == _CALENDAR:
            repeated = "DESCRIPTION" if part in self._calendars else ""
            self._add([calendar_block(decode(raw, declared).text, without=repeated)])
        elif kind in ("text/enriched", "text/richtext"):
            text = _ENRICHED.sub("", decode(raw, declared).text).replace("<<", "<")
            self._add(paragraphs(text.encode(), "utf-8"))
        else:
            self._add(paragraphs(raw, declared))

    def _attach(self, name: str, kind: str) -> None:
        self._attached.append(f"{name} ({kind})" if name else kind)
        if kind not in _SIGNATURES:
            self._unread.append(f"attachment '{name or kind}' is not opened")

    def _name_attachments(self) -> None:
        if self._attached:
            self._add([PageBlock("Text", f"Attachments: {', '.join(self._attached)}")])

    def _add(self, blocks: Iterable[PageBlock]) -> None:
        for block in blocks:
            if block.content:
                self.flow.add(block)


def _chosen(alternatives: list[Part]) -> list[Part]:
    """Return the richest of the alternatives that shows any text, and what the others attach, also
    calendars: they say when and where, which the text may not.

    If none of them shows any, all are returned.
    """
    ranked = [part for kind in _RICHEST for part in alternatives if kind in _kinds(part)]
    for chosen in ranked:
        if _shows_text(chosen):
            others = [part for part in alternatives if part is not chosen]
            return [chosen, *(leaf for part in others for leaf in _attached(part))]
    return alternatives


def _attached(part: Part) -> Iterator[Part]:
    for inner in part.walk():
        is_text = inner.get_content_maintype() == "text" and inner.get_content_type() != _CALENDAR
        if not inner.is_multipart() and not is_text:
            yield inner


def _kinds(part: Part) -> set[str]:
    return {inner.get_content_type() for inner in part.walk()}


def _shows_text(part: Part) -> bool:
    for inner in part.walk():
        kind = inner.get_content_type()
        if inner.is_multipart() or not kind.startswith("text/"):
            continue
        raw = _content(inner)
        if shows_text(raw, _charset(inner)) if kind == "text/html" else raw.strip():
            return True
    return False


def _content(part: Part) -> bytes:
    """Return a part's bytes; one whose encoding is broken is returned as it stands."""
    if str(part.get("Content-Transfer-Encoding", "")).strip().lower() == "base64":
        return _unpacked(str(part.get_payload()))
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload
    return str(part.get_payload() or "").encode("utf-8", "surrogateescape")


def _unpacked(payload: str) -> bytes:
    """Decode base64 up to what is none, as the lines are that mailing lists add in plain text."""
    end = _BASE64.match(payload)
    packed = end[0] if end else ""
    letters = re.sub(r"[^A-Za-z0-9+/]", "", packed)
    whole = letters[: len(letters) - (len(letters) % 4 == 1)]
    data = binascii.a2b_base64(whole + "=" * (-len(whole) % 4))
    return data + payload[len(packed) :].encode("utf-8", "surrogateescape")


def _charset(part: Part) -> str | None:
    try:
        return part.get_content_charset()
    except (LookupError, ValueError):
        return None


def _file_name(part: Part) -> str:
    try:
        return decoded(part.get_filename() or "")
    except (LookupError, ValueError, TypeError):
        return ""
