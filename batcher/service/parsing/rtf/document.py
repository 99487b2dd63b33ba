r"""Read RTF: every visible word once, in its order, with tables, notes, headers and text boxes.

RTF is a stream of groups and control words. The walk over them keeps its own stack of groups and is
linear in the file's size.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from batcher.service.parsing.kinds import START
from batcher.service.parsing.markup.html import html_text
from batcher.service.parsing.pages import Page, PageBlock, corrupt, numbered
from batcher.service.parsing.rtf.reading import Reading


def read_rtf(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return the blocks of an RTF document; pages end at the page breaks that the file holds.

    Raises DocumentProblem if the file holds no RTF or no text.
    """
    text = rtf_text(path.read_bytes())
    return numbered(text.pages, text.unread, text.pictures)


class Text(NamedTuple):
    """The blocks of each page, sentences on what isn't read, and the pictures without a text.

    `pictures` has the number of those that have no alternative text, by page.
    """

    pages: list[list[PageBlock]]
    unread: list[str]
    pictures: Mapping[int, int]


def rtf_text(raw: bytes) -> Text:
    """Return what a document or the body of a mail holds.

    RTF that was made from HTML, as Outlook does, is turned back into it. Raises DocumentProblem if
    it is no RTF.
    """
    start = raw.find(START)
    if start < 0:
        raise corrupt("the file holds no RTF; it doesn't begin with {\\rtf")
    reading = Reading()
    reading.read(raw, start)
    if reading.html is not None:
        html = "".join(reading.html)
        told = html_text(html.encode("utf-8", "replace"), "utf-8")
        if any(block.content for block in told.blocks):
            return Text([told.blocks], [*reading.unread, *told.unread], {1: told.pictures})
        reading = Reading(from_html=False)
        reading.read(raw, start)
    return Text(reading.pages, reading.unread, reading.pictures)
