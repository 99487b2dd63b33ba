"""Words that look alike and mean the opposite, or another party: they are not forgiven as slips."""

from __future__ import annotations

import pytest
from test_extraction import NUMBER, TEXT, found

from batcher.service.extraction.schema import Field
from batcher.service.extraction.values import MISSING, cast, customs_of

YES = {"type": "boolean"}


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("Unauthorized: yes", "authorized", YES),
        ("Uninsured: yes", "insured", YES),
        ("Inactive: yes", "active", YES),
        ("Nonrefundable: yes", "refundable", YES),
        ("Non-refundable: yes", "refundable", YES),
        ("Nondeductible: yes", "deductible", YES),
        ("Irresponsible: yes", "responsible", YES),
        ("Disconnected: yes", "connected", YES),
        ("No insurance: yes", "insurance", YES),
        ("Employer ID: 12", "employee_id", TEXT),
        ("Employer name: Quay Stores", "employee_name", TEXT),
        ("Insurer: Quay Stores", "insured", TEXT),
        ("Lessor: Quay Stores", "lessee", TEXT),
        ("Assignor: Quay Stores", "assignee", TEXT),
        ("Mortgagee: Quay Stores", "mortgagor", TEXT),
        ("Export date: 2026-01-02", "import_date", TEXT),
    ],
)
def test_an_opposite_is_no_answer(text, name, kind):
    """Null, however few letters differ."""
    assert found(text, **{name: kind}) == {name: None}


@pytest.mark.parametrize(
    ("text", "name", "kind", "value"),
    [
        ("Invoices number: 7-A", "invoice_number", TEXT, "7-A"),
        ("lnvoice number: 7-A", "invoice_number", TEXT, "7-A"),
        ("Payrnent: cash", "payment", TEXT, "cash"),
        ("Adress: Quay 5", "address", TEXT, "Quay 5"),
        ("Adresse: Quay 5", "address", TEXT, "Quay 5"),
        ("Organization: Tern", "organisation", TEXT, "Tern"),
        ("Colour: red", "color", TEXT, "red"),
        ("Quantities: 5", "quantity", NUMBER, 5),
        ("Branches: 5", "branch", NUMBER, 5),
    ],
)
def test_spellings_of_one_word_are_forgiven(text, name, kind, value):
    """A plural, a slip of the OCR, a doubled letter, British and American."""
    assert found(text, **{name: kind}) == {name: value}


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("not covered under this policy", ("covered under this policy",)),
        ("Uncovered under this insurance policy", ("Covered under this insurance policy",)),
        ("Form 1040-2024 individual", ("Form 1040-2023 individual",)),
        ("1000000004", ("1000000001", "1000000002")),
        ("DE-2025-000018-A", ("DE-2025-000017-A",)),
        ("shipped", ("shopped",)),
        ("class b", ("class a",)),
    ],
)
def test_another_choice_is_none_of_the_enum_s(text, choices):
    """A figure, a "not" or a letter more makes another one."""
    assert cast(text, Field((), "string", enum=choices), customs_of([])) is MISSING


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("PAID.", "paid"),
        ("in-progress", "in progress"),
        ("in_progress", "in progress"),
        ("lnternational shipping", "international shipping"),
        ("Internationai shipping", "international shipping"),
        ("€ 5", "€ 5"),
    ],
)
def test_a_choice_is_found_in_another_spelling(text, choice):
    """Of case and signs, and with one slip in a long word."""
    assert cast(text, Field((), "string", enum=(choice, "other")), customs_of([])) == choice
