"""Which number a label or a column speaks of: line 1 is not line 2, and 2024 is not 2025."""

from __future__ import annotations

import pytest
from test_extraction import NUMBER, TEXT, block, found, grid, line

YEARS = grid(["", "2024", "2025"], ["Revenue", "5,000", "6,000"], ["Cost", "1,000", "2,000"])


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("Q1 sales: 500", "q2_sales", NUMBER),
        ("Address line 1: Main St 5", "address_line_2", TEXT),
        ("Revenue 2024: 5", "revenue_2025", NUMBER),
        ("Revenue 2024: 5", "revenue", NUMBER),
        ("Revenue: 5", "revenue_2025", NUMBER),
        ("Box 1: 5000", "box_12", NUMBER),
        ("Phone 1: 030 123456", "phone2", TEXT),
    ],
)
def test_another_number_in_a_label_names_something_else(text, name, kind):
    """Also where only one of the two has a number."""
    assert found(text, **{name: kind}) == {name: None}


@pytest.mark.parametrize(
    ("text", "name", "kind", "value"),
    [
        ("Q2 sales: 500", "q2_sales", NUMBER, 500),
        ("Q2 sales: 500", "q2Sales", NUMBER, 500),
        ("Phone 2: 030 123456", "phone2", TEXT, "030 123456"),
        ("VAT 20 %: 116.68", "tax_amount", NUMBER, 116.68),
        ("Sales Tax (8.25%) $33.41", "tax", NUMBER, 33.41),
        ("2. Name: Ada", "name", TEXT, "Ada"),
    ],
)
def test_the_same_number_in_name_and_label(text, name, kind, value):
    """The number of a list's item and a rate in a label don't count."""
    assert found(text, **{name: kind}) == {name: value}


def test_numbered_lines_go_to_their_own_fields():
    """Both are asked for and both are there."""
    lines = {"address_line_1": TEXT, "address_line_2": TEXT}
    assert found("Address line 1: Main St 5", "Address line 2: Flat 3", **lines) == {
        "address_line_1": "Main St 5",
        "address_line_2": "Flat 3",
    }


def test_a_list_s_number_before_a_label_in_a_table():
    """As forms have it."""
    table = grid(["1. Name", "Ada"], ["(2) Place", "Kiel"], ["3 Trade", "Smith"])
    assert found(table, name=TEXT, place=TEXT, trade=TEXT) == {
        "name": "Ada",
        "place": "Kiel",
        "trade": "Smith",
    }


def test_a_description_may_say_the_number():
    """And it is the only one there."""
    wanted = {"type": "number", "description": "Revenue of 2025"}
    assert found("Revenue 2025: 6", revenue=wanted) == {"revenue": 6}
    assert found("Revenue 2024: 5", revenue=wanted) == {"revenue": None}


def test_the_year_above_a_column_says_whose_value_it_is():
    """Without a year there are two values for one label."""
    fields = dict.fromkeys(("revenue_2024", "revenue_2025", "cost_2025", "revenue"), NUMBER)
    assert found(YEARS, **fields) == {
        "revenue_2024": 5000,
        "revenue_2025": 6000,
        "cost_2025": 2000,
        "revenue": None,
    }
    one = grid(["", "2025"], ["Revenue", "6,000"])
    assert found(one, revenue_2025=NUMBER, revenue_2024=NUMBER) == {
        "revenue_2025": 6000,
        "revenue_2024": None,
    }


def test_words_above_a_column_say_it_as_well():
    """Budget and actual."""
    table = grid(["", "Budget", "Actual"], ["Revenue", "5", "6"], ["Cost", "1", "2"])
    assert found(table, actual_revenue=NUMBER, revenue=NUMBER) == {
        "actual_revenue": 6,
        "revenue": None,
    }


def test_two_values_beside_one_label_are_none():
    """In a table without a header, and on a page."""
    table = grid(["Report 7", "", ""], ["Revenue", "5,000", "6,000"], ["Invoice #", "10045", ""])
    assert found(table, revenue=NUMBER, invoice_number=TEXT) == {
        "revenue": None,
        "invoice_number": "10045",
    }
    pieces = [line("Revenue", 0.1, 0.5), line("5,000", 0.4, 0.5), line("6,000", 0.6, 0.5)]
    assert found("all", lines=pieces, revenue=NUMBER) == {"revenue": None}


def test_a_row_with_one_value_still_answers():
    """Whatever column it is in."""
    assert found(grid(["", "2024", "2025"], ["Revenue", "", "6,000"]), revenue_2025=NUMBER) == {
        "revenue_2025": 6000
    }


def test_a_column_of_another_year_is_not_the_property_s():
    """One of the same year is."""
    sales = {
        "type": "array",
        "items": {"type": "object", "properties": {"region": TEXT, "sales_2025": NUMBER}},
    }
    one = grid(["Region", "Sales 2024"], ["North", "1"], ["South", "2"])
    both = grid(["Region", "Sales 2024", "Sales 2025"], ["North", "1", "3"], ["South", "2", "4"])
    assert found(one, rows=sales) == {"rows": []}
    assert [row["sales_2025"] for row in found(both, rows=sales)["rows"]] == [3, 4]


def test_a_list_below_a_numbered_heading():
    """Its number is the heading's, not the field's."""
    content = (block("2.1 Decisions", "Section Header"), block("Keep it.", "List Item"))
    assert found(*content, decisions={"type": "array", "items": TEXT}) == {
        "decisions": ["Keep it."]
    }
