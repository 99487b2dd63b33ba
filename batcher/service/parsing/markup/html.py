"""Read HTML: every word that a browser shows, once, in reading order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.markup.blocks import Blocks
from batcher.service.parsing.markup.forms import Forms
from batcher.service.parsing.markup.lines import Lines
from batcher.service.parsing.markup.pictures import Pictures
from batcher.service.parsing.markup.tables import Tables
from batcher.service.parsing.markup.writer import Writer
from batcher.service.parsing.pages import Page, PageBlock, numbered


def read_html(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the blocks of an HTML file as one page.

    Raises DocumentProblem if the file has no text, or too much of it.
    """
    flow = Flow()
    writer = HtmlWriter(flow)
    writer.write(path.read_bytes())
    return numbered(flow.pages, writer.unread, writer.pictures)


class HtmlText(NamedTuple):
    """The blocks of an HTML document, and what of it isn't read.

    `unread` has a sentence for each kind of part, `pictures` the number of those that have no
    alternative text.
    """

    blocks: list[PageBlock]
    unread: list[str]
    pictures: int


def html_text(raw: bytes, declared: str | None = None) -> HtmlText:
    """Return what an HTML document within another document holds.

    `declared` is the charset from the document's headers, if any. Raises DocumentProblem if the
    document is too large.
    """
    flow = Flow()
    writer = HtmlWriter(flow)
    writer.write(raw, declared)
    return HtmlText(flow.blocks, writer.unread, writer.pictures.total())


def shows_text(raw: bytes, declared: str | None = None) -> bool:
    """Tell whether an HTML document shows any text; mails may hold an empty one beside their text.

    Raises DocumentProblem if the document is too large.
    """
    return bool(html_text(raw, declared).blocks)


class HtmlWriter:
    """Writes HTML documents to a flow, and counts what of them isn't read."""

    def __init__(self, flow: Flow) -> None:
        self._writer = Writer(flow)
        pictures = Pictures(self._writer)
        self._writer.readers = {
            **Blocks(self._writer).readers,
            **Tables(self._writer).readers,
            **pictures.readers,
            **Lines(self._writer).readers,
            **Forms(self._writer, pictures).readers,
        }

    @property
    def pictures(self) -> Counter[int]:
        """Return the number of pictures without an alternative text, by page of the flow."""
        return self._writer.pictures

    @property
    def unread(self) -> list[str]:
        """Return one sentence for each kind of part that isn't read."""
        return self._writer.unread

    def write(self, raw: bytes, declared: str | None = None, *, is_xml: bool = False) -> None:
        """Write a document.

        `declared` is the character set from the document's headers, if any; `is_xml` is True where
        the file is XHTML whatever it says, as in EPUB.

        Raises DocumentProblem if the document is too large.
        """
        self._writer.read(raw, declared, is_xml=is_xml)
