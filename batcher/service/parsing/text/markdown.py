"""Read Markdown (CommonMark with tables) as the HTML that it stands for.

The addresses of links stay, written as in Markdown.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.markup.html import HtmlWriter
from batcher.service.parsing.pages import Page, numbered
from batcher.service.parsing.text.decoding import decode
from batcher.service.parsing.text.plain import text_blocks

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

DEEPEST: Final = 60  # lists and quotes within each other; the library works by recursion
MOST_OPEN: Final = 500  # brackets of a paragraph that are never closed
_FRONT_MATTER: Final = re.compile(
    r"\A(?:---[ \t]*\n(.*?\n)(?:---|\.\.\.)|\+\+\+[ \t]*\n(.*?\n)\+\+\+)[ \t]*(?:\n|\Z)", re.DOTALL
)


def read_markdown(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the document as one page.

    If lists and quotes are nested deeper than `DEEPEST`, or more than `MOST_OPEN` brackets are
    left open, the whole is read as plain text.
    Raises DocumentProblem if there is no text, or too much.
    """
    decoded = decode(path.read_bytes())
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n")
    flow = Flow()
    front = _FRONT_MATTER.match(text)
    with flow.block(sure=decoded.sure):
        if front is not None:
            with flow.block("Key Value", keeps_space=True):
                flow.write(front[1] or front[2])
        unread, pictures = _write(flow, text[front.end() if front else 0 :])
    return numbered(flow.pages, unread, pictures)


def _write(flow: Flow, text: str) -> tuple[list[str], Mapping[int, int]]:
    """Write the text to the flow, and return what of it isn't read.

    These are sentences, and the number of pictures without an alternative text by page.
    """
    if _is_unbalanced(text):
        return _write_plain(flow, text, "which has too many brackets that are never closed")
    reader = _reader()
    found: dict[str, Any] = {}
    tokens = reader.parse(text, found)
    if any(token.level >= DEEPEST for token in tokens):
        return _write_plain(flow, text, f"which is nested deeper than {DEEPEST} levels")
    shown = reader.renderer.render(tokens, reader.options, found)
    writer = HtmlWriter(flow)
    writer.write(shown.encode(errors="replace"), "utf-8")
    return writer.unread, writer.pictures


def _is_unbalanced(text: str) -> bool:
    """Tell whether a paragraph would take long: for each open bracket it is searched to its end."""
    return any(part.count("[") - part.count("]") > MOST_OPEN for part in re.split(r"\n\s*\n", text))


def _write_plain(flow: Flow, text: str, reason: str) -> tuple[list[str], Mapping[int, int]]:
    for block in text_blocks(text):
        flow.add(block)
    return [f"the structure of the document, {reason}, not read"], {}


def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"maxNesting": DEEPEST + 1})
    reader.enable(["table", "strikethrough"])
    reader.add_render_rule("link_open", _link_open)
    reader.add_render_rule("link_close", _link_close)
    return reader


def _link_open(
    _renderer: Any, tokens: Sequence[Token], index: int, _options: Any, found: dict[str, Any]
) -> str:
    found["link"] = tokens[index]
    return "" if tokens[index].markup == "autolink" else "["


def _link_close(
    _renderer: Any, _tokens: Sequence[Token], _index: int, _options: Any, found: dict[str, Any]
) -> str:
    opened = found["link"]  # links don't stand within links
    if opened.markup == "autolink":
        return ""
    title = opened.attrGet("title")
    target = f'{opened.attrGet("href")} "{title}"' if title else str(opened.attrGet("href"))
    return html.escape(f"]({target})")
