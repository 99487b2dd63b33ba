"""What an amount is in: millions are no metres, pounds no kilograms, dollars no euros."""

from __future__ import annotations

import pytest
from test_extraction import DATE, NUMBER, TEXT, block, found, grid

from batcher.service.extraction.measures import currencies_in
from batcher.service.extraction.schema import Field
from batcher.service.extraction.values import MISSING, cast, customs_of


@pytest.mark.parametrize(
    "text", ["$5M", "$1.2 M", "€5m", "5 M EUR", "5 T", "5G", "5K", "$5k", "5 bn", "$1.2 million"]
)
def test_a_magnitude_is_no_unit(text):
    """Not even in lower case, if there is a currency."""
    assert cast(text, Field((), "number"), customs_of([])) is MISSING


@pytest.mark.parametrize(
    ("text", "value"),
    [("5 m", 5), ("5 t", 5), ("5 KG", 5), ("5 V", 5), ("5 kWh", 5), ("5 Days", 5), ("5 °C", 5)],
)
def test_a_unit_is_read(text, value):
    """As it is written, a long one also in capitals."""
    assert cast(text, Field((), "number"), customs_of([])) == value


@pytest.mark.parametrize(
    "label",
    [
        "Revenue ($000)",
        "Revenue ('000)",
        "Revenue (in thousands)",
        "Revenue (in millions)",
        "Revenue in millions",
        "Revenue (€m)",
        "Revenue (EUR million)",
        "Revenue (TEUR)",
        "Revenue (T€)",
        "Revenue (USD bn)",
        "Revenue (Mio. €)",
    ],
)
def test_an_amount_in_thousands_isn_t_told_without_them(label):
    """Behind a label, beside it, and below a header."""
    assert found(f"{label}: 5", revenue=NUMBER) == {"revenue": None}
    assert found(grid([label, "5"], ["Place", "Kiel"]), revenue=NUMBER) == {"revenue": None}
    rows = {
        "type": "array",
        "items": {"type": "object", "properties": {"region": TEXT, "revenue": NUMBER}},
    }
    assert found(grid(["Region", label], ["North", "5"]), rows=rows) == {"rows": []}


def test_thousands_may_be_said_above_the_table():
    """In its corner, its heading, or the line before it."""
    table = grid(["EUR million", "Budget", "Actual"], ["Revenue", "5", "6"])
    assert found(table, actual_revenue=NUMBER) == {"actual_revenue": None}
    plain = grid(["", "2025"], ["Revenue", "6"], ["Place", "Kiel"])
    for said in (block("In thousands of USD", "Section Header"), block("(in thousands of USD)")):
        assert found(said, plain, revenue_2025=NUMBER, revenue=NUMBER) == {
            "revenue_2025": None,
            "revenue": None,
        }
    rows = {
        "type": "array",
        "items": {"type": "object", "properties": {"region": TEXT, "revenue": NUMBER}},
    }
    said = block("Revenue by region (in thousands of USD)")
    assert found(said, grid(["Region", "Revenue"], ["North", "5"]), rows=rows) == {"rows": []}


def test_a_field_in_thousands_gets_them():
    """If its description says so."""
    thousands = {"type": "number", "description": "Revenue in thousands"}
    assert found("Revenue (in thousands): 5", revenue=thousands) == {"revenue": 5}


@pytest.mark.parametrize(
    ("text", "name", "description"),
    [
        ("Weight: 5 lbs", "weight", "Weight in kg"),
        ("Weight (lbs): 5", "weight", "weight in kg"),
        ("Weight: 500 g", "weight", "kg"),
        ("Length: 500 mm", "length", "Length in metres"),
        ("Duration: 2 h", "duration", "Duration in minutes"),
        ("Total EUR: 5.00", "total_usd", ""),
        ("Total (EUR): 5.00", "total", "Total in USD"),
        ("Total: €5.00", "total_usd", ""),
        ("Total: C$5.00", "total_usd", ""),
    ],
)
def test_an_amount_in_another_unit_is_no_answer(text, name, description):
    """Whether label or value says it."""
    wanted = {"type": "number", "description": description}
    assert found(text, **{name: wanted}) == {name: None}


@pytest.mark.parametrize(
    ("text", "name", "description", "value"),
    [
        ("Weight: 5 kg", "weight", "Weight in kilograms", 5),
        ("Weight (kg): 5", "weight", "Weight in kg", 5),
        ("Weight: 5", "weight", "Weight in kg", 5),
        ("Duration: 2 hrs", "duration", "Duration in hours", 2),
        ("Total: $5.00", "total_usd", "", 5.0),
        ("Total USD: 5.00", "total_usd", "", 5.0),
        ("Total: 5.00", "total_usd", "", 5.0),
    ],
)
def test_an_amount_in_the_asked_unit_is_one(text, name, description, value):
    """Or one without a unit."""
    wanted = {"type": "number", "description": description}
    assert found(text, **{name: wanted}) == {name: value}


def test_a_point_before_three_figures_of_money_may_be_either():
    """Unless another amount shows it."""
    assert found("Gesamtbetrag: 1.234 EUR", total=NUMBER) == {"total": None}
    assert found("Gesamtbetrag: 1.234 EUR", "Netto: 12,50", total=NUMBER) == {"total": 1234}
    assert found("Rate: 1.234 kg", rate_of_it=NUMBER) == {"rate_of_it": None}
    assert cast("1.234", Field((), "number"), customs_of([])) == 1.234


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("We TRY harder. Total 5.00", set()),
        ("Please TRY", set()),
        ("RON SMITH", set()),
        ("TRY 5.00", {"TRY"}),
        ("5.00 CHF", {"CHF"}),
        ("Total EUR", {"EUR"}),
        ("Amount (USD)", {"USD"}),
        ("Total: $5.00", {"USD"}),
        ("US$5.00", {"USD"}),
        ("5 euros", {"EUR"}),
    ],
)
def test_a_code_counts_beside_a_number_or_at_a_label_s_end(text, codes):
    """A word in capitals is none."""
    assert currencies_in(text) == codes


@pytest.mark.parametrize("text", ["C$5.00", "A$ 5.00", "HK$5.00", "$7.00 and C$5.00"])
def test_a_dollar_with_a_letter_is_another_one(text):
    """Which, isn't guessed."""
    assert found(f"Total: {text}", currency=TEXT) == {"currency": None}


MOMENT = {"type": "string", "format": "date-time"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("13/04/2026 11:30 PM", "2026-04-13T23:30:00"),
        ("13/04/2026 12:05 a.m.", "2026-04-13T00:05:00"),
        ("2026-04-03 11:30 PM", "2026-04-03T23:30:00"),
        ("2026-04-03T23:00:00+05:00", "2026-04-03T23:00:00+05:00"),
        ("2026-04-03T23:00:00-0500", "2026-04-03T23:00:00-05:00"),
        ("2026-04-03T23:00:00Z", "2026-04-03T23:00:00Z"),
        ("2026-04-03T23:00:00.250Z", "2026-04-03T23:00:00.250Z"),
        ("2026-04-03 23:00 UTC", "2026-04-03T23:00:00Z"),
        ("2026-04-03 9:30", "2026-04-03T09:30:00"),
        ("3 April 2026 14:00", "2026-04-03T14:00:00"),
        ("April 3, 2026, 2:00 PM", "2026-04-03T14:00:00"),
        ("2026-04-03 99:99", None),
        ("2026-04-03 24:30", None),
        ("2026-04-03 13:30 PM", None),
        ("13/04/2026 11:30:00 PM EST", None),
        ("2026-04-03T23:00:00+25:00", None),
    ],
)
def test_a_moment_has_its_clock_and_its_zone(text, value):
    """Or it is none."""
    assert found(f"Delivered: {text}", delivered=MOMENT) == {"delivered": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("14:05", "14:05"),
        ("14:05:10", "14:05:10"),
        ("9:30", "09:30"),
        ("1:30 PM", "13:30"),
        ("99:99", None),
        ("13:00 PM", None),
    ],
)
def test_a_time_is_one_of_a_day(text, value):
    """In 24 hours."""
    wanted = {"type": "string", "format": "time"}
    assert found(f"Start: {text}", start=wanted) == {"start": value}


def test_a_year_of_two_figures_may_stand_first():
    """Where dashes are between them."""
    assert found("Date: 26-04-03", date=DATE) == {"date": None}
    assert found("Date: 26/04/03", date=DATE) == {"date": "2003-04-26"}


def test_nobody_is_born_in_the_future():
    """The century isn't said."""
    assert found("Date of birth: 31/12/60", birth_date=DATE) == {"birth_date": None}
    assert found("Date of birth: 31/12/75", birth_date=DATE) == {"birth_date": "1975-12-31"}


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_very_long_figures_are_read_or_left(kind):
    """A whole number is as long as it likes; a fraction beyond what a float holds is none."""
    assert cast("9" * 400, Field((), kind), customs_of([])) == int("9" * 400)
    assert cast("9" * 400 + ".5", Field((), kind), customs_of([])) is MISSING
