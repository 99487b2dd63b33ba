"""Read the parts that belong to a sheet of an OOXML workbook: its drawings and its comments.

A part that is broken costs itself: the sheet's `unread` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from batcher.service.parsing.pages import PageBlock
from batcher.service.parsing.sheets.drawings import Drawings
from batcher.service.parsing.sheets.package import BROKEN, Package, rich_text
from batcher.service.parsing.sheets.workbook import Sheet, comment

# Reads a part with notes: yields the name of each one's cell, its author and its text.
Notes = Callable[[Package, str], Iterator[tuple[str, str, str]]]


def read_parts(
    package: Package,
    part: str,
    sheet: Sheet,
    *,
    names: frozenset[str],
    persons: Mapping[str, str],
    notes: Notes,
) -> None:
    """Add the blocks of the parts that the sheet in `part` links to.

    `names` are the sheets of the workbook, `persons` the authors of threaded comments by their ids.
    """
    by_kind: dict[str, list[str]] = {}
    for link in package.links(part).values():
        by_kind.setdefault(link.kind, []).append(link.target)
    drawings = Drawings(package, sheet, names)
    drawn = f"a drawing on the sheet {sheet.name!r}"
    for target in by_kind.get("drawing", ()):
        attempt(sheet.unread, drawn, drawings.read, target)
    for target in by_kind.get("vmlDrawing", ()):
        attempt(sheet.unread, drawn, drawings.read_legacy, target)
    commented = f"comments of the sheet {sheet.name!r}"
    answered: set[str] = set()
    for target in by_kind.get("threadedComment", ()):
        threads = _threads(package, target, persons)
        attempt(sheet.unread, commented, _add, sheet, threads, answered)
    for target in by_kind.get("comments", ()):
        found = _unanswered(notes(package, target), answered)
        attempt(sheet.unread, commented, _add, sheet, found, set())


def attempt(unread: list[str], what: str, read: Callable[..., None], *arguments: Any) -> None:
    """Read something; if it is broken, say so in `unread`."""
    try:
        read(*arguments)
    except BROKEN as error:
        unread.append(f"{what} can't be read: {error}")


def xml_notes(package: Package, part: str) -> Iterator[tuple[str, str, str]]:
    """Yield the notes of a part that is XML."""
    root = package.tree(part)
    authors = [node.text or "" for node in root.iterfind("{*}authors/{*}author")]
    for node in root.iterfind("{*}commentList/{*}comment"):
        index = int(node.get("authorId") or -1)
        author = authors[index] if 0 <= index < len(authors) else ""
        text = node.find("{*}text")
        yield node.get("ref", ""), author, "" if text is None else rich_text(text)


def _threads(
    package: Package, part: str, persons: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    for node in package.tree(part).iter("{*}threadedComment"):
        author = persons.get(node.get("personId", ""), "")
        yield node.get("ref", ""), author, node.findtext("{*}text") or ""


def _unanswered(
    notes: Iterator[tuple[str, str, str]], answered: set[str]
) -> Iterator[tuple[str, str, str]]:
    """Leave out the notes that stand for threaded comments in older programs."""
    for cell, author, text in notes:
        if cell not in answered:
            yield cell, "" if author.startswith("tc={") else author, text


def _add(sheet: Sheet, found: Iterator[tuple[str, str, str]], cells: set[str]) -> None:
    for cell, author, text in found:
        block: PageBlock = comment(cell, author, text)
        sheet.below.append(block)
        cells.add(cell)
