"""What readers of workbooks return: sheets of rows, with what stands beside the cells.

Nothing here reads a file. Sizes are bounded here, for all kinds of workbook.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.flow import MOST_PLACES, MOST_TEXT
from batcher.service.parsing.pages import DocumentProblem, PageBlock

ROWS: Final = 1_048_576
COLUMNS: Final = 16_384
MOST_CELLS: Final = 16 << 20  # of a workbook
NAMED: Final = 20  # cells that a note names; of more it tells the number


class Row(NamedTuple):
    """The cells of a row from the first to the last that isn't empty; both numbers are from 0."""

    number: int
    first: int
    cells: list[str]


@dataclass(slots=True)
class Sheet:
    """One sheet. `above` and `below` are blocks for what stands beside its cells, such as headers,
    text boxes and comments; `unread` is a sentence for each thing that could not be read, and
    `pictures` counts those without an alternative text.
    """

    name: str
    rows: list[Row] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    above: list[PageBlock] = field(default_factory=list)
    below: list[PageBlock] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    pictures: int = 0
    is_broken: bool = False
    without_value: list[tuple[int, int]] = field(default_factory=list)  # rows, columns of formulas
    broken_cells: list[str] = field(default_factory=list)  # names, also of rows

    def note_break(self, error: Exception) -> None:
        """Say that the sheet couldn't be read, or not to its end."""
        self.is_broken = True
        after = f" after row {self.rows[-1].number + 1}" if self.rows else ""
        self.unread.append(f"the sheet {self.name!r} can't be read{after}: {error}")

    def note_cells(self) -> None:
        """Name the cells that can't be read, and the formulas whose value isn't in the file."""
        if self.broken_cells:
            self.is_broken = True
            named = _named(self.broken_cells[:NAMED], len(self.broken_cells))
            self.unread.append(f"cells of the sheet {self.name!r} can't be read: {named}")
        if self.without_value:
            cells = [cell_name(*place) for place in self.without_value[:NAMED]]
            named = _named(cells, len(self.without_value))
            self.unread.append(
                f"the sheet {self.name!r} has formulas without a stored value in {named}; "
                "save it once in a program that calculates"
            )


def _named(first: Sequence[str], count: int) -> str:
    """Name the first of `count` cells, and tell how many more there are."""
    more = count - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


class Limits:
    """Counts what a workbook holds. One for all of its sheets."""

    def __init__(self) -> None:
        self._text = 0
        self._cells = 0
        self._places = 0

    def row(self, number: int, cells: Sequence[tuple[int, str]]) -> Row | None:
        """Return the row of these cells, each a column from 0 and its text; None if all are empty.

        Raises DocumentProblem if the workbook has more text than `MOST_TEXT`, or more than
        `MOST_PLACES` empty places between cells.
        """
        filled = [cell for cell in cells if cell[1].strip()]
        if not filled:
            return None
        first = min(filled)[0]
        width = max(filled)[0] - first + 1
        self._cells += len(filled)
        if self._cells > MOST_CELLS:
            raise _too_large(f"its sheets have more than {MOST_CELLS >> 20} million cells")
        self.count(sum(len(text) for _, text in filled), width - len(filled))
        texts = [""] * width
        for column, text in filled:
            texts[column - first] = text
        return Row(number, first, texts)

    def count(self, text: int, places: int = 0) -> None:
        """Count characters of text and empty places."""
        self._text += text
        self._places += places
        if self._text > MOST_TEXT:
            raise _too_large(f"it holds more than {MOST_TEXT >> 20} million characters of text")
        if self._places > MOST_PLACES:
            million = MOST_PLACES >> 20
            raise _too_large(f"its sheets have more than {million} million empty places in rows")


def _too_large(message: str) -> DocumentProblem:
    return DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, message, 413)


def numbers_in(spans: Iterable[tuple[int, int]], most: int) -> set[int]:
    """Return the numbers from the first to the last of any span that are less than `most`."""
    found: set[int] = set()
    end = 0
    for first, last in sorted(spans):
        found.update(range(max(first, end), min(last + 1, most)))
        end = max(end, last + 1)
    return found


def column_of(letters: str) -> int:
    """Return the number, from 0, of the column with these letters; -1 for none."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def cell_name(row: int, column: int) -> str:
    """Return the name of a cell, such as B2 for (1, 1)."""
    letters = ""
    left = column + 1
    while left:
        left, rest = divmod(left - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"


def comment(cell: str, author: str, text: str) -> PageBlock:
    """Return the block of a comment at a cell; its author is named once."""
    text = text.strip()
    if author and not text.startswith(author):
        text = f"{author}: {text}"
    return PageBlock("Comment", f"{cell}: {text}" if text else "")
