"""Draw the pages of a PDF, each with as many dots as memory allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from batcher.service.parsing.pages import Page
from batcher.service.parsing.pdf.liteparse_runs import DPI, listed, run
from batcher.service.parsing.scans.frames import PIXELS

UNDRAWN: Final = "has no picture: it can't be drawn"


def pictures_of(
    content: bytes, settings: Mapping[str, Any], numbers: Sequence[int]
) -> dict[int, bytes]:
    """Return the pages' pictures as PNG, by page number, without those that can't be drawn.

    A page is drawn with `DPI` dots per inch, or with fewer if it is so large that its picture would
    have more than `PIXELS`.
    """
    pictures: dict[int, bytes] = {}
    for dpi, pages in _resolutions(content, settings, numbers).items():
        result = run(
            content,
            password=settings.get("document_password"),
            continue_on_page_error=True,
            extract_screenshots=True,
            target_pages=listed(pages),
            dpi=dpi,
        )
        pictures |= {picture.page_num: picture.image_bytes for picture in result.screenshots}
    return pictures


def illustrated(
    pages: Sequence[Page], wanted: Sequence[int], pictures: Mapping[int, bytes]
) -> list[Page]:
    """Return the pages with their pictures; those that lack one although it is wanted say so."""
    undrawn = set(wanted) - pictures.keys()
    return [
        replace(page, unread=(*page.unread, UNDRAWN))
        if page.original in undrawn
        else replace(page, picture=pictures.get(page.original, b""))
        for page in pages
    ]


def _resolutions(
    content: bytes, settings: Mapping[str, Any], numbers: Sequence[int]
) -> dict[float, list[int]]:
    """Return the pages that are drawn with the same number of dots per inch, by this number."""
    result = run(
        content,
        password=settings.get("document_password"),
        continue_on_page_error=True,
        target_pages=listed(numbers),
    )
    found: dict[float, list[int]] = defaultdict(list)
    for page in result.pages:
        inches = page.width * page.height / 72**2
        found[min(DPI, round((PIXELS / max(inches, 1.0)) ** 0.5, 1))].append(page.page_num)
    return found
