"""What every reader hands on: pages of blocks, in reading order, with boxes as shares of the
page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from batcher.reducto.api_types import ErrorName

Rows = list[list[str]]  # of a table's cells, the first row its header
Box = tuple[float, float, float, float]  # left, top, width, height, as shares of the page

WHOLE_PAGE: Final[Box] = (0.0, 0.0, 1.0, 1.0)  # where a format knows no places


@dataclass(frozen=True, slots=True)
class PageBlock:
    """`type` is one of the API's; `sure` False where what stands in `content` may well be wrong or
    missing.

    A table keeps its `rows`, so that it can be written in another format, and the places of their
    cells where they are known; `image` names its picture, `parts` are the tables it was merged
    from.
    """

    type: str
    content: str
    box: Box = WHOLE_PAGE
    sure: bool = True
    rows: Rows | None = None
    places: list[list[Box | None]] | None = None
    image: str | None = None
    parts: tuple[tuple[Page, PageBlock], ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or a line of them, and its place; `confidence` is OCR's, None where the text was in
    the document.
    """

    text: str
    box: Box
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Page:
    """`number` counts what was read from 1; `original` is the page's number in the document, `name`
    a sheet's.

    `picture` is the whole page as PNG where one was asked for, `image` its name in the answer.
    `words` and `lines` are what stands where, also only where asked for.
    """

    number: int
    original: int
    blocks: list[PageBlock]
    cells: int = 0
    name: str = ""
    picture: bytes = b""
    image: str | None = None
    words: tuple[Word, ...] = ()
    lines: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """`result` is the API's FullResult, `credits` by its old rate card, `notes` what was asked for
    and isn't served.
    """

    result: dict[str, Any]
    num_pages: int
    credits: float
    images: dict[str, bytes] = field(default_factory=dict)
    document_properties: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)


class DocumentProblem(Exception):
    """The document's own fault, as the API names it. `code` is HTTP's."""

    def __init__(self, name: ErrorName, message: str, code: int) -> None:
        super().__init__(name, message, code)
        self.name = name
        self.message = message
        self.code = code


def empty(message: str) -> DocumentProblem:
    return DocumentProblem(ErrorName.DOCUMENT_EMPTY, message, 422)


def corrupt(message: str) -> DocumentProblem:
    return DocumentProblem(ErrorName.DOCUMENT_CORRUPT, message, 415)


def unsupported(message: str) -> DocumentProblem:
    return DocumentProblem(ErrorName.DOCUMENT_UNSUPPORTED, message, 415)


def protected(message: str = "the document wants a password") -> DocumentProblem:
    return DocumentProblem(ErrorName.DOCUMENT_PASSWORD_PROTECTED, message, 442)


def misconfigured(message: str) -> DocumentProblem:
    return DocumentProblem(ErrorName.INVALID_CONFIG, message, 400)


def table(
    rows: Rows, box: Box = WHOLE_PAGE, places: list[list[Box | None]] | None = None
) -> PageBlock:
    return PageBlock("Table", markdown_table(rows), box, rows=rows, places=places)


def markdown_table(rows: Rows) -> str:
    """Rows as a Markdown table, the first its header; short rows are filled up."""
    width = max(map(len, rows))
    lines = [[_cell(cell) for cell in row] + [""] * (width - len(row)) for row in rows]
    head, *body = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + " --- |" * width, *body])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
