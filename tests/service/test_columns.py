"""The order of recognised lines, by their places alone."""

from __future__ import annotations

import re

import pytest
from effort import calls_of

from batcher.service.parsing.pages import Word
from batcher.service.parsing.scans.columns import Piece
from batcher.service.parsing.scans.paragraphs import blocks_of

LINE = 10.0  # height
PROSE = "some words of an ordinary line"


def piece(text: str, left: float, top: float, *, wide: float = 200, sure: float = 0.9) -> Piece:
    words = tuple(Word(word, (0.1, 0.1, 0.1, 0.1), sure) for word in text.split())
    return Piece(words, left, top, left + wide, top + LINE, LINE)


def column(name: str, left: float, top: float = 0, lines: int = 5) -> list[Piece]:
    return [piece(f"{name}{n} {PROSE}", left, top + 15 * n) for n in range(lines)]


def names(pieces: list[Piece]) -> list[str]:
    """The first word of each line, in the order of the blocks."""
    return [
        line.split()[0] for block in blocks_of(pieces) for line in block.content.split("\n") if line
    ]


def test_no_pieces_are_no_blocks() -> None:
    """An empty page has none."""
    assert blocks_of([]) == []


@pytest.mark.parametrize("shift", [0, 7])
def test_columns_are_read_before_lines(shift: int) -> None:
    """Whether or not their lines are in step."""
    pieces = column("a", 0) + column("b", 230, shift)
    assert names(pieces) == [f"{side}{n}" for side in "ab" for n in range(5)]


def test_three_columns() -> None:
    """From left to right."""
    pieces = column("c", 460) + column("b", 230) + column("a", 0)
    assert names(pieces) == [f"{side}{n}" for side in "abc" for n in range(5)]


def stretched(name: str, left: float, lines: int = 8) -> list[Piece]:
    """Lines of a column of 200, each with two gaps of a letter's height somewhere."""
    pieces = []
    for n in range(lines):
        first = 35 + 17 * n % 50
        second = 115 + 23 * n % 60
        pieces += [
            piece(f"{name}{n} shall", left, 15 * n, wide=first),
            piece("require", left + first + 12, 15 * n, wide=second - first - 12),
            piece("consent", left + second + 12, 15 * n, wide=188 - second),
        ]
    return pieces


def test_columns_of_stretched_lines_are_read_before_lines() -> None:
    """Their words stand apart like cells, but their gaps aren't below each other."""
    text = "\n".join(block.content for block in blocks_of(stretched("a", 0) + stretched("b", 220)))
    order = [f"{side}{n}" for side in "ab" for n in range(8)]
    assert re.findall(r"\b[ab]\d", text) == order


def test_a_table_of_many_short_cells_stays_one() -> None:
    """Between its cells there are gutters on either side of the widest one."""
    pieces = [
        piece("4711.00", left, 15 * n, wide=40) for n in range(8) for left in (0, 60, 120, 220, 280)
    ]
    (block,) = blocks_of(pieces)
    assert block.type == "Table" and {len(row) for row in block.rows or []} == {5}


def test_a_line_across_parts_the_columns_above_from_those_below() -> None:
    """What is above it is read first."""
    heading = piece("across", 0, 90, wide=430)
    pieces = [*column("a", 0), *column("b", 230), heading]
    pieces += [*column("c", 0, 115), *column("d", 230, 115)]
    found = names(pieces)
    order = ["a4", "b0", "b4", "across", "c0", "c4", "d0"]
    assert sorted(order, key=found.index) == order


def test_rows_of_short_cells_are_a_table() -> None:
    """They are read across, though there is a gutter."""
    rows = [("Anchor", "12.50"), ("Candle", "4711"), ("Kettle", "88.10")]
    pieces = [
        piece(cell, 250 * n, 15 * down, wide=60)
        for down, row in enumerate(rows)
        for n, cell in enumerate(row)
    ]
    (block,) = blocks_of(pieces)
    assert block.type == "Table" and block.rows == [list(row) for row in rows]


def test_the_marks_of_a_list_are_no_column() -> None:
    """They stay with their lines."""
    pieces = [
        part
        for n in range(4)
        for part in (piece(f"{n}.", 0, 15 * n, wide=8), piece(f"{PROSE}", 30, 15 * n))
    ]
    (block,) = blocks_of(pieces)
    assert block.content.split("\n") == [f"{n}. {PROSE}" for n in range(4)]


def test_pieces_with_no_wider_space_than_between_words_are_one_line() -> None:
    """Engines part lines in odd places."""
    (block,) = blocks_of([piece("one", 0, 0, wide=30), piece("two", 34, 0, wide=30)])
    assert block.content == "one two"


def test_a_doubtful_word_makes_its_block_doubtful() -> None:
    """However sure the others are."""
    far = piece("far below", 0, 400)
    doubtful, sure = blocks_of([piece("4711", 0, 0, sure=0.3), *column("a", 0, 15, 20), far])
    assert (doubtful.sure, sure.sure) == (False, True)


def test_a_page_without_end_is_laid_out_in_time() -> None:
    """Four times the lines are about four times the work, not sixteen times."""

    def laid_out(lines: int) -> None:
        assert len(names(column("a", 0, lines=lines) + column("b", 230, lines=lines))) == 2 * lines

    assert calls_of(lambda: laid_out(160)) < 6 * calls_of(lambda: laid_out(40))
