"""The types that every reader returns: pages of blocks in reading order, and a document's errors.

Boxes are fractions of the page's width and height. Nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from batcher.reducto.api_types import ErrorName

Rows = list[list[str]]  # the cells of a table; the first row is its header
# left, top, width, height, each a fraction of the page from 0 to 1
Box = tuple[float, float, float, float]

WHOLE_PAGE: Final[Box] = (0.0, 0.0, 1.0, 1.0)  # for formats that have no positions


@dataclass(frozen=True, slots=True)
class PageBlock:
    """One block of a page. `type` is one of the API's block types.

    `sure` is False if `content` may well be wrong or missing; the answer then has low confidence. A
    table keeps its `rows`, so that it can be written in another format, and the boxes of its cells
    in `places` if they are known. `image` is the name of the block's picture, and `parts` are the
    tables from which this one was merged.
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
    """A word or a line of text with its box.

    `confidence` is OCR's, from 0 to 1, or None if the text was in the document.
    """

    text: str
    box: Box
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page that was read.

    `number` counts the selected pages from 1; `original` is the page's number in the document.
    `name` is a sheet's name and `cells` its number of cells that aren't empty.

    `picture` is the whole page as PNG and `image` its name in the answer; `words` and `lines` hold
    the text with its boxes. They are filled only if an option asks for them. `unread` names what of
    it could not be read, and why, a sentence for each; without pages it stands for the document.
    `pictures` counts those without an alternative text, of which nothing is read.
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
    unread: tuple[str, ...] = ()
    pictures: int = 0


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed document.

    `result` is the API's FullResult, `credits` the cost by the API's old rate card, `images` the
    PNG or PDF files by name, and `notes` one sentence for each option that was asked for and not
    served, and for each part of the document that could not be read. `billed` has the API's name
    for what each page is billed as.
    """

    result: dict[str, Any]
    num_pages: int
    credits: float
    images: dict[str, bytes] = field(default_factory=dict)
    document_properties: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    billed: list[str] = field(default_factory=list)


class DocumentProblem(Exception):
    """The document or the request's options can't be served.

    `name` is the API's error name and `code` the HTTP status.
    """

    def __init__(self, name: ErrorName, message: str, code: int) -> None:
        super().__init__(name, message, code)
        self.name = name
        self.message = message
        self.code = code


def empty(message: str) -> DocumentProblem:
    """Return the error for a document without content."""
    return DocumentProblem(ErrorName.DOCUMENT_EMPTY, message, 422)


def corrupt(message: str) -> DocumentProblem:
    """Return the error for a document that can't be read."""
    return DocumentProblem(ErrorName.DOCUMENT_CORRUPT, message, 415)


def unsupported(message: str) -> DocumentProblem:
    """Return the error for a document of a type that isn't read here."""
    return DocumentProblem(ErrorName.DOCUMENT_UNSUPPORTED, message, 415)


def protected(message: str = "the document needs a password") -> DocumentProblem:
    """Return the error for a document that needs another password, or one at all."""
    return DocumentProblem(ErrorName.DOCUMENT_PASSWORD_PROTECTED, message, 442)


def misconfigured(message: str) -> DocumentProblem:
    """Return the error for an option that can't be honoured."""
    return DocumentProblem(ErrorName.INVALID_CONFIG, message, 400)


def table(
    rows: Rows, box: Box = WHOLE_PAGE, places: list[list[Box | None]] | None = None
) -> PageBlock:
    """Return a Table block with its content as Markdown."""
    return PageBlock("Table", markdown_table(rows), box, rows=rows, places=places)


def numbered(
    pages: list[list[PageBlock]],
    unread: Sequence[str] = (),
    pictures: Mapping[int, int] = MappingProxyType({}),
) -> list[Page]:
    """Return the blocks of each page as pages; what could not be read is told with the first.

    `pictures` has the number of pictures without an alternative text by page.

    Raises DocumentProblem if no page has a block with content.
    """
    kept = [
        [block for block in blocks if block.content or block.type == "Figure"] for blocks in pages
    ]
    if not any(kept):
        raise empty("; ".join(["the document has no text", *unread]))
    return [
        Page(
            number,
            number,
            blocks,
            unread=tuple(unread) if number == 1 else (),
            pictures=pictures.get(number, 0),
        )
        for number, blocks in enumerate(kept, start=1)
    ]


def unread_of(pages: Sequence[Page]) -> list[str]:
    """Return what of the pages could not be read, each reason once, with the numbers of its pages.

    A reason that concerns several pages begins with them: "pages 2, 5: …". In a document of one
    page it stands alone. Pictures without an alternative text are counted over all pages.
    """
    concerned: dict[str, list[int]] = {}
    for page in pages:
        for reason in page.unread:
            concerned.setdefault(reason, []).append(page.original)
    if pictures := sum(page.pictures for page in pages):
        shown_on = [page.original for page in pages if page.pictures]
        concerned[pictures_not_read(pictures)] = shown_on
    if len(pages) == 1:
        return list(concerned)
    return [f"{_listed(numbers)}: {reason}" for reason, numbers in concerned.items()]


def pictures_not_read(number: int) -> str:
    """Return the sentence that names pictures without an alternative text."""
    what = "1 picture" if number == 1 else f"{number} pictures"
    return f"{what} without an alternative text not read"


def _listed(numbers: Sequence[int]) -> str:
    """Return "page 2" or "pages 2, 5-7"."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    told = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
    return f"page {told}" if len(numbers) == 1 else f"pages {told}"


def markdown_table(rows: Rows) -> str:
    """Return `rows` as a Markdown table whose first row is the header; short rows are padded.

    `rows` must not be empty.
    """
    width = max(map(len, rows))
    lines = [[_cell(cell) for cell in row] + [""] * (width - len(row)) for row in rows]
    head, *body = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + " --- |" * width, *body])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
