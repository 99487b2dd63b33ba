"""The numbers of lists and notes are written as the document's program shows them."""

from __future__ import annotations

import pytest

from batcher.service.parsing.numbering import LONGEST, formatted_number


@pytest.mark.parametrize(
    ("number", "format_", "shown"),
    [
        (28, "a", "ab"),
        (28, "A", "AB"),
        (703, "a", "aaa"),
        (28, "lowerLetter", "bb"),
        (53, "upperLetter", "AAA"),
        (1994, "i", "mcmxciv"),
        (4, "upperRoman", "IV"),
        (21, "ordinal", "21st"),
        (12, "ordinalText", "Twelfth"),
        (101, "ordinalText", "One hundred first"),
        (40, "ordinalText", "Fortieth"),
        (1002, "ordinalText", "1002nd"),
        (7, "decimalZero", "07"),
        (3, "none", ""),
        (3, "", ""),
        (3, "a format of later", "3"),
    ],
)
def test_a_number_is_written_in_its_format(number: int, format_: str, shown: str) -> None:
    """Word and PowerPoint repeat the letter after z; OpenDocument and HTML count with letters."""
    assert formatted_number(number, format_) == shown


@pytest.mark.parametrize("format_", ["a", "i", "lowerLetter", "upperRoman", "ordinalText"])
def test_a_number_that_a_format_lacks_is_decimal(format_: str) -> None:
    """Letters and Roman numerals have no zero and nothing below it."""
    assert formatted_number(0, format_) == "0"
    assert formatted_number(-3, format_) == "-3"


@pytest.mark.parametrize("format_", ["i", "lowerRoman", "lowerLetter", "russianUpper"])
def test_a_very_high_number_is_decimal(format_: str) -> None:
    """In repeated letters it would be thousands of characters long."""
    assert formatted_number(LONGEST + 1, format_) == str(LONGEST + 1)
