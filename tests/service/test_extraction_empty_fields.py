"""A field that was left empty on paper stays empty: the next label is not its value."""

from __future__ import annotations

import pytest
from test_extraction import NUMBER, TEXT, found, grid, line


def test_a_label_beside_an_empty_field_is_not_its_value():
    """Whether or not the schema asks for the other field."""
    row = [line("Spouse:", 0.1, 0.5), line("Occupation", 0.4, 0.5), line("Baker", 0.6, 0.5)]
    assert found("x", lines=row, spouse=TEXT, occupation=TEXT) == {
        "spouse": None,
        "occupation": "Baker",
    }
    assert found("x", lines=row, spouse=TEXT) == {"spouse": None}


def test_the_label_below_an_empty_field_is_not_its_value():
    """In a form's left column."""
    column = [
        line("First name", 0.1, 0.50),
        line("Bob", 0.4, 0.50),
        line("Middle name", 0.1, 0.53),
        line("Last name", 0.1, 0.56),
        line("Smith", 0.4, 0.56),
    ]
    assert found("x", lines=column, first_name=TEXT, middle_name=TEXT) == {
        "first_name": "Bob",
        "middle_name": None,
    }
    below = [line("Spouse:", 0.1, 0.5), line("Children: 2", 0.1, 0.53)]
    assert found("x", lines=below, spouse=TEXT) == {"spouse": None}


def test_what_the_schema_asks_for_is_a_label():
    """Though nothing else shows it."""
    column = [line("Spouse", 0.1, 0.5), line("Children", 0.1, 0.53), line("Two", 0.1, 0.56)]
    assert found("x", lines=column, spouse=TEXT, children=TEXT) == {
        "spouse": None,
        "children": "Two",
    }


def test_two_labels_and_their_values_in_one_row():
    """The first value has a neighbour, too, but that one is a label with a value of its own."""
    row = [
        line("Customer", 0.1, 0.5),
        line("Ferry Inn", 0.25, 0.5),
        line("Invoice number", 0.4, 0.5),
        line("INV-5 of 2026", 0.6, 0.5),
    ]
    assert found("x", lines=row, customer=TEXT) == {"customer": "Ferry Inn"}


@pytest.mark.parametrize(
    "text", ["Middle name:\nLast name\nSmith", "Middle name:\nChildren: 2", "Middle name:\nPlace:"]
)
def test_the_next_line_of_a_text_may_be_the_next_label(text):
    """It looks like one."""
    assert found(text, middle_name=TEXT) == {"middle_name": None}


def test_a_name_below_its_label_is_found():
    """Also where the line below it follows closely."""
    assert found("Customer:\nFerry Inn\nKiel", customer=TEXT) == {"customer": "Ferry Inn"}
    column = [line("Customer", 0.1, 0.5), line("Ferry Inn", 0.1, 0.53), line("Kiel", 0.1, 0.56)]
    assert found("x", lines=column, customer=TEXT) == {"customer": "Ferry Inn"}


def test_a_header_over_two_columns_of_words_is_no_pair():
    """Item and price are two headers."""
    assert found(grid(["Item", "Price"], ["Bob", "on request"]), item=TEXT) == {"item": None}
    assert found(grid(["Name", "Town"], ["Bob", "Berlin"]), name=TEXT, town=TEXT) == {
        "name": None,
        "town": None,
    }


@pytest.mark.parametrize("filler", ["______", "......", "-", "–", ". . . .", "--", "____ ____"])
def test_a_line_to_write_on_is_no_value(filler):
    """Nor is a dash."""
    assert found(f"Spouse: {filler}", spouse=TEXT) == {"spouse": None}
    assert found(grid(["Spouse", filler], ["Trade", "Smith"]), spouse=TEXT, trade=TEXT) == {
        "spouse": None,
        "trade": "Smith",
    }
    assert found(f"Total: {filler}", total=NUMBER) == {"total": None}
