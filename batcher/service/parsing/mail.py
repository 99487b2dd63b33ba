"""Read e-mail files (EML): subject, people, date and body.

Attachments are named, not opened.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.pages import Page, PageBlock, corrupt
from batcher.service.parsing.text import html_blocks, one_page, paragraphs

HEADERS: Final = ("From", "To", "Cc", "Date")


def read_mail(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the message as one page.

    Raises DocumentProblem if the file can't be read or has no text.
    """
    try:
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert isinstance(message, EmailMessage)  # the policy makes it one
        return one_page(list(_blocks(message)))
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:  # What the parser raises on malformed headers.
        raise corrupt(f"the mail can't be read: {error}") from error


def _blocks(message: EmailMessage) -> Iterator[PageBlock]:
    yield PageBlock("Title", str(message["Subject"] or "").strip())
    heads = [f"{name}: {message[name]}" for name in HEADERS if message[name]]
    yield PageBlock("Key Value", "\n".join(heads))
    body = message.get_body(("html", "plain"))
    if body is not None:
        yield from _body(body)
    names = [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]
    yield PageBlock("Text", f"Attachments: {', '.join(names)}" if names else "")


def _body(body: Any) -> Iterator[PageBlock]:
    raw = body.get_payload(decode=True) or b""
    declared = body.get_content_charset()
    if body.get_content_subtype() == "html":
        return iter(html_blocks(raw, declared))
    return paragraphs(raw, declared)
