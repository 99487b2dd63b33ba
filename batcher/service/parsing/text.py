"""Read documents that are text: plain, Markdown, CSV and HTML.

These formats have no pages and no positions, so everything is on page 1.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.pages import (
    Page,
    PageBlock,
    empty,
    numbered,
    table,
)

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LIST_ITEM: Final = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_DECLARED: Final = re.compile(rb"""charset=["']?([\w-]+)""", re.IGNORECASE)
_HEADINGS: Final = {
    "h1": "Title",
    "h2": "Section Header",
    "h3": "Section Header",
    "h4": "Section Header",
}
_HTML_BLOCKS: Final = "h1, h2, h3, h4, h5, h6, p, li, table, pre, blockquote, dt, dd, figcaption"


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


def read_html(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the blocks of an HTML file."""
    return one_page(html_blocks(path.read_bytes(), None))


def html_blocks(raw: bytes, declared: str | None) -> list[PageBlock]:
    """Return the blocks of an HTML document; `declared` is the charset from its headers, if any."""
    from selectolax.lexbor import LexborHTMLParser

    declared = declared or _charset(raw)
    tree = LexborHTMLParser(_decode(raw, declared))
    tree.strip_tags(["script", "style", "noscript", "template", "head"], recursive=True)
    blocks = [block for node in tree.css(_HTML_BLOCKS) if (block := _html_block(node)) is not None]
    if not blocks and tree.body is not None:
        blocks = list(_paragraphs(tree.body.text(separator="\n")))
    return blocks


def paragraphs(raw: bytes, declared: str | None) -> Iterator[PageBlock]:
    """Yield the blocks of plain text; `declared` is the charset from its headers, if any."""
    return _paragraphs(_decode(raw, declared))


# --- plain text and Markdown ----------------------------------------------------------------------


def _decoded(path: Path) -> str:
    return _decode(path.read_bytes(), None)


def _decode(raw: bytes, declared: str | None) -> str:
    """Decode by byte order mark, else as UTF-8, else as `declared`, else as code page 1252."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return raw.decode(encoding, "replace")
    for guess in ("utf-8", declared or "cp1252"):
        try:
            return raw.decode(guess)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("cp1252", "replace")


def _charset(raw: bytes) -> str | None:
    found = _DECLARED.search(raw[:4096])
    return found[1].decode() if found else None


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


# --- HTML -----------------------------------------------------------------------------------------


def _html_block(node: Any) -> PageBlock | None:
    if node.tag == "table":
        return _html_table(node)
    if _is_within(node, {"table", *(() if node.tag == "li" else ("li", "blockquote"))}):
        return None  # its text belongs to the element around it
    content = node.text(separator=" " if node.tag != "pre" else "", strip=node.tag != "pre").strip()
    content = content if node.tag == "pre" else " ".join(content.split())
    kind = _HEADINGS.get(node.tag, "Section Header" if node.tag in ("h5", "h6") else "Text")
    return PageBlock("List Item" if node.tag == "li" else kind, content) if content else None


def _html_table(node: Any) -> PageBlock | None:
    rows = [
        [" ".join(cell.text(separator=" ").split()) for cell in row.css("th, td")]
        for row in node.css("tr")
    ]
    rows = [row for row in rows if any(row)]
    return table(rows) if rows else None


def _is_within(node: Any, tags: set[str]) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.tag in tags:
            return True
        parent = parent.parent
    return False


def one_page(blocks: list[PageBlock], unread: Sequence[str] = ()) -> list[Page]:
    """Return the blocks that have content as page 1; see `pages.numbered`."""
    return numbered([blocks], unread)
