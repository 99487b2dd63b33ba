"""Read documents that are text: plain, Markdown and CSV.

These formats have no pages and no positions, so everything is on page 1.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.decoding import decode
from batcher.service.parsing.pages import (
    Page,
    PageBlock,
    empty,
    numbered,
    table,
)

_LIST_ITEM: Final = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")


def read_text(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the paragraphs and list items of a plain text."""
    return one_page(list(_paragraphs(_decoded(path))))


def read_markdown(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the headings, paragraphs, list items and tables of a Markdown file."""
    return one_page([_markdown_block(text) for text in _markdown_parts(_decoded(path))])


def read_csv(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the file as one table; the delimiter is detected.

    Raises DocumentProblem if there are no cells.
    """
    text = _decoded(path)
    csv.field_size_limit(1 << 24)
    try:
        dialect: Any = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel_tab if "\t" in text[:4096] else csv.excel
    rows = [
        row
        for row in csv.reader(io.StringIO(text, newline=""), dialect)
        if any(cell.strip() for cell in row)
    ]
    if not rows:
        raise empty("the table has no cells")
    return [Page(1, 1, [table(rows)], cells=sum(map(len, rows)))]


def paragraphs(raw: bytes, declared: str | None) -> Iterator[PageBlock]:
    """Yield the blocks of plain text; `declared` is the charset from its headers, if any."""
    return _paragraphs(decode(raw, declared).text)


# --- plain text and Markdown ----------------------------------------------------------------------


def _decoded(path: Path) -> str:
    return decode(path.read_bytes()).text


def _paragraphs(text: str) -> Iterator[PageBlock]:
    for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        if part.strip():
            yield PageBlock(
                "List Item" if _LIST_ITEM.match(part) and "\n" not in part.strip() else "Text",
                part.strip(),
            )


def _markdown_parts(text: str) -> Iterator[str]:
    """Yield paragraphs; each heading, list item and fenced block is a part of its own."""
    part: list[str] = []
    fenced = False
    for line in text.replace("\r\n", "\n").split("\n"):
        fence = line.lstrip().startswith("```")
        if not fenced and (
            not line.strip() or line.startswith("#") or _LIST_ITEM.match(line) or fence
        ):
            yield "\n".join(part)
            part = []
        part.append(line)
        if (fence and fenced) or (line.startswith("#") and not fenced):
            yield "\n".join(part)
            part = []
        fenced = fenced != fence
    yield "\n".join(part)


def _markdown_block(text: str) -> PageBlock:
    stripped = text.strip()
    heading = re.match(r"(#{1,6})\s+(.*)", stripped)
    if heading and "\n" not in stripped:
        return PageBlock(
            "Title" if len(heading[1]) == 1 else "Section Header", heading[2].strip("# ")
        )
    if stripped.startswith("|") and "\n" in stripped:
        return PageBlock("Table", stripped)
    item = _LIST_ITEM.match(text)
    return (
        PageBlock("List Item", text[item.end() :].strip()) if item else PageBlock("Text", stripped)
    )


def one_page(blocks: list[PageBlock], unread: Sequence[str] = ()) -> list[Page]:
    """Return the blocks that have content as page 1; see `pages.numbered`."""
    return numbered([blocks], unread)
