"""Select the pages of a document by `settings.page_range`.

A range is a page number from 1, a `{start, end}` pair, the name of a sheet, or a list of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from batcher.service.parsing.pages import Page, misconfigured


def selected(pages: list[Page], asked: Any) -> list[Page]:
    """Return the wanted pages, with `number` counting from 1; all pages if `asked` is None.

    Raises DocumentProblem INVALID_CONFIG if the range is malformed or selects no page.
    """
    if asked is None:
        return pages
    parts = asked if isinstance(asked, list) else [asked]
    wanted = {number for part in parts for number in _numbers(part, pages)}
    inside = [page for page in pages if page.original in wanted]
    if not inside:
        raise misconfigured(f"page_range lies outside of the document's {len(pages)} pages")
    return [replace(page, number=number) for number, page in enumerate(inside, start=1)]


def _numbers(part: Any, pages: list[Page]) -> Iterable[int]:
    match part:
        case bool():
            raise misconfigured(f"page_range {part!r} is neither a page nor a range")
        case int():
            return [part]
        case str():
            return _named(part, pages)
        case dict():
            return range(part.get("start") or 1, min(part.get("end") or len(pages), len(pages)) + 1)
        case _:
            raise misconfigured(f"page_range {part!r} is neither a page nor a range")


def _named(name: str, pages: list[Page]) -> list[int]:
    found = [page.original for page in pages if page.name == name]
    if not found:
        raise misconfigured(f"page_range {name!r} is no sheet of this document")
    return found
