"""Read plain text: its paragraphs and list items, by pages if it has form feeds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.pages import Page, PageBlock, numbered
from batcher.service.parsing.text.decoding import decode

_LIST_ITEM: Final = re.compile(r"^\s*(?:[-*+•‣◦▪]|\d{1,3}[.)])\s+\S")
# not before a number, whose sign it may be
_BULLET: Final = re.compile(r"^\s*[-*+•‣◦▪]\s+(?![\d.,])")


def read_text(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the paragraphs and list items of a plain text; a form feed begins a page."""
    decoded = decode(path.read_bytes())
    parts = decoded.text.split("\f")
    return numbered(
        [[replace(block, sure=decoded.sure) for block in text_blocks(part)] for part in parts]
    )


def paragraphs(raw: bytes, declared: str | None) -> Iterator[PageBlock]:
    """Yield the blocks of plain text; `declared` is the charset from its headers, if any."""
    return text_blocks(decode(raw, declared).text)


# --- plain text -----------------------------------------------------------------------------------


def text_blocks(text: str) -> Iterator[PageBlock]:
    """Yield the paragraphs and list items of a plain text."""
    for part in re.split(r"\n[^\S\n]*\n\s*", text.replace("\r\n", "\n").replace("\r", "\n")):
        if part.strip():
            yield from _items(part)


def _items(paragraph: str) -> Iterator[PageBlock]:
    """Yield a paragraph, or the items of a list whose lines follow each other."""
    lines: list[str] = []
    for line in paragraph.strip("\n").split("\n"):
        if lines and _LIST_ITEM.match(line):
            yield _item("\n".join(lines))
            lines = []
        lines.append(line)
    yield _item("\n".join(lines))


def _item(text: str) -> PageBlock:
    if not _LIST_ITEM.match(text):
        return PageBlock("Text", text.strip())
    return PageBlock("List Item", _BULLET.sub("", text).strip())
