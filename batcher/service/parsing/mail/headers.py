"""Read headers of mails as people see them: encoded words decoded, broken ones too."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from email.message import Message
from typing import Any, Final

from batcher.service.parsing.pages import PageBlock
from batcher.service.parsing.text.decoding import decode

_SHOWN: Final = ("From", "To", "Cc", "Bcc", "Date")
# Encoded words of RFC 2047, with the blanks within them that the standard forbids.
_ENCODED: Final = re.compile(
    r"=\?([^?\s=]{1,80})\?([bBqQ])\?((?:[^?=]++|=(?!\?(?!=))|\?(?!=))*+)\?="
)


def heading(message: Message[Any, Any], type_: str) -> Iterator[PageBlock]:
    """Yield the subject as a block of `type_`, then people and date."""
    yield PageBlock(type_, header(message, "Subject"))
    shown = [(name, header(message, name)) for name in _SHOWN]
    lines = [f"{name}: {value}" for name, value in shown if value]
    yield PageBlock("Key Value", "\n".join(lines))


def fields(message: Message[Any, Any]) -> PageBlock:
    """Return all headers as a block: those of a report on a delivery are its content."""
    lines = [f"{name}: {decoded(value)}" for name, value in message.raw_items()]
    return PageBlock("Key Value", "\n".join(lines))


def header(message: Message[Any, Any], name: str) -> str:
    """Return a header, decoded, on one line; "" if there is none. Several are joined by commas."""
    wanted = name.lower()
    found = [value for key, value in message.raw_items() if key.lower() == wanted]
    return ", ".join(filter(None, map(decoded, found)))


def decoded(value: Any) -> str:
    """Return a header's raw value as text: bytes above ASCII and encoded words decoded."""
    raw = str(value).encode("utf-8", "surrogateescape")
    return " ".join(_words_decoded(decode(raw).text).split())


def _words_decoded(text: str) -> str:
    """Decode encoded words; bytes of neighbours are joined, for a character may lie in two."""
    kept: list[str] = []
    pending = b""
    pending_set = ""
    end = 0
    for word in _ENCODED.finditer(text):
        between = text[end : word.start()]
        label = word[1].partition("*")[0].lower()  # RFC 2231 allows a language after an asterisk
        raw = _bytes_of(word[2], word[3])
        is_next = bool(end) and not between.strip()
        if not (is_next and label == pending_set):
            kept.append(decode(pending, pending_set).text)
            pending = b""
        if not is_next:
            kept.append(between)
        pending += raw
        pending_set = label
        end = word.end()
    return "".join([*kept, decode(pending, pending_set).text, text[end:]])


def _bytes_of(encoding: str, text: str) -> bytes:
    if encoding in "qQ":
        return binascii.a2b_qp(text.encode("utf-8"), header=True)
    letters = re.sub(r"[^A-Za-z0-9+/]", "", text)
    whole = letters[: len(letters) // 4 * 4 + (len(letters) % 4 if len(letters) % 4 > 1 else 0)]
    return binascii.a2b_base64(whole + "=" * (-len(whole) % 4))
