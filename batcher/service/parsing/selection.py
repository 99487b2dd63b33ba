"""Select the pages of a document by `settings.page_range`.

A range is a page number from 1, a `{start, end}` pair, the name of a sheet, or a list of these. An
end that is left out, or lies beyond the document, is its last page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from batcher.service.parsing.pages import DocumentProblem, Page, misconfigured


def selected(pages: list[Page], asked: Any) -> list[Page]:
    """Return the wanted pages, with `number` counting from 1; all pages if `asked` is None.

    Raises DocumentProblem INVALID_CONFIG if the range is malformed or selects no page.
    """
    if asked is None:
        return pages
    wanted = {number for part in _parts(asked) for number in _numbers(part, pages)}
    inside = [page for page in pages if page.original in wanted]
    if not inside:
        raise misconfigured(f"page_range lies outside of the document's {len(pages)} pages")
    return [replace(page, number=number) for number, page in enumerate(inside, start=1)]


def absent(pages: list[Page], asked: Any) -> list[str]:
    """Return a sentence on numbers and ranges that lie beyond the document, if there are any."""
    spans = [_span(part) for part in _parts(asked) if not isinstance(part, str)]
    beyond = sorted({start for start, _ in spans if start > len(pages)})
    if not beyond:
        return []
    numbers = ", ".join(map(str, beyond))
    return [f"settings.page_range: of its {len(pages)} pages the document has none with {numbers}"]


def cut_short(asked: Any, most: int) -> list[Any]:
    """Return a range that selects as much if that is up to `most` pages, and more than that if not.

    It can be read without reading the whole of a long document. Raises DocumentProblem
    INVALID_CONFIG if the range is malformed, or selects more by its numbers alone.
    """
    parts: list[Any] = []
    certain: set[int] = set()
    for part in _parts(asked):
        if isinstance(part, str):
            parts.append(part)
            continue
        start, end = _span(part)
        last = start + most if end is None else min(end, start + most)
        parts.append({"start": start, "end": last})
        certain.update(() if end is None else range(start, last + 1))
    if len(certain) > most:
        raise too_wide(most)
    return parts


def too_wide(most: int) -> DocumentProblem:
    """Return the error for a range of more pages than a document is classified by."""
    return misconfigured(f"page_range: a document is classified by {most} pages at most")


def _parts(asked: Any) -> list[Any]:
    if asked is None:
        return []
    return asked if isinstance(asked, list) else [asked]


def _numbers(part: Any, pages: list[Page]) -> Iterable[int]:
    if isinstance(part, str):
        return _named(part, pages)
    start, end = _span(part)
    return range(start, min(len(pages) if end is None else end, len(pages)) + 1)


def _span(part: Any) -> tuple[int, int | None]:
    """Return the first page and the last one, None if that is the document's."""
    start: int | None
    end: int | None
    match part:
        case int() if not isinstance(part, bool):
            start, end = part, part
        case Mapping():
            start, end = part.get("start"), part.get("end")
        case _:
            raise misconfigured(f"page_range {part!r} is neither a page nor a range")
    start = 1 if start is None else start
    if start < 1 or (end is not None and end < 1):
        raise misconfigured(f"page_range {part!r}: pages are counted from 1")
    if end is not None and end < start:
        raise misconfigured(f"page_range {part!r} is no range: {start} comes after {end}")
    return start, end


def _named(name: str, pages: list[Page]) -> list[int]:
    found = [page.original for page in pages if page.name == name]
    if not found:
        raise misconfigured(f"page_range {name!r} is no sheet of this document")
    return found
