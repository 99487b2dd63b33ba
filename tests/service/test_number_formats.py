"""Numbers, dates and texts of cells, as spreadsheets show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.service.parsing.sheets.number_format import BUILT_IN, general, number_format


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("0.0%", 0.155, "15.5%"),
        ("#,##0.00", 1234567.891, "1,234,567.89"),
        ("0", -0.4, "0"),
        ("0.00", 2.675, "2.68"),
        ("#.##", 0.5, ".5"),
        ("00000", 42, "00042"),
        ("000-00-0000", 123456789, "123-45-6789"),
        ("(###) ###-####", 5551234567, "(555) 123-4567"),
        ('[Red]-#,##0.00 "€"', 12.5, "-12.50 €"),
        ("#,##0.00 [$€-407]", -1234.5, "-1,234.50 €"),
        ("#,##0;[Red]\\-#,##0", -42, "-42"),
        (BUILT_IN[38], -1234, "(1,234)"),
        (BUILT_IN[44], 0, "$-"),
        ("# ?/?", 1.5, "1 1/2"),
        ("# ?/8", 2.375, "2 3/8"),
        ("# ?/?", 12.3, "12 1/3"),
        ("0.00E+00", 12345.678, "1.23E+04"),
        ("##0.0E+0", 12345.678, "12.3E+3"),
        ('0,,"M"', 12_345_678, "12M"),
        ("0.0,", 1234, "1.2"),
        ('[>=100]"big";[<0]"below";"between"', 50, "between"),
        ('0;-0;"none"', 0, "none"),
        ('"only words"', 5, "only words"),
        (";;;", 5, ""),
        ('General" kg"', 5, "5 kg"),
        ("yyyy-mm-dd", 45000, "2023-03-15"),
        ("[$-409]mmmm d, yyyy;@", 45000, "March 15, 2023"),
        ("dddd", 45000, "Wednesday"),
        ('yyyy"年"m"月"d"日"', 45000, "2023年3月15日"),
        ("d.m.yy h:mm", 45000.5, "15.3.23 12:00"),
        ("h:mm AM/PM", 0.75, "6:00 PM"),
        ("[h]:mm:ss", 1.5, "36:00:00"),
        ("mm:ss.0", 0.0001, "00:08.6"),
        ("m/d/yy", 60, "2/29/00"),
        (BUILT_IN[14], 45000, "2023-03-15"),
    ],
)
def test_a_number_is_shown_as_its_format_says(code: str, value: float, shown: str) -> None:
    assert number_format(code).number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (50.0, "50"),
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.333333333333333"),
        (123456789012.0, "123456789012"),
        (1e20, "1E+20"),
        (-2.5, "-2.5"),
    ],
)
def test_a_number_without_a_format_has_the_digits_that_a_sheet_keeps(
    value: float, shown: str
) -> None:
    assert general(value) == shown


def test_days_may_be_counted_from_1904() -> None:
    assert number_format("yyyy-mm-dd", True).number(43538) == "2023-03-15"


def test_a_text_is_shown_in_the_section_for_texts() -> None:
    assert number_format('0;0;0;"see "@').text("page 4") == "see page 4"
    assert number_format("0.00").text("page 4") == "page 4"


@given(
    st.text(alphabet='0#?.,%/@E+-_*\\"[];ymdhsGenral$ <>=1', max_size=30),
    st.floats(allow_nan=True, allow_infinity=True),
)
def test_any_code_shows_any_number(code: str, value: float) -> None:
    """Files hold codes that no program would accept; none is an error here."""
    assert isinstance(number_format(code).number(value), str)
