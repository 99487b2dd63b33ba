"""Extraction by rules, one property a test: what is found, and above all what is left null."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from batcher.service.extraction.citing import plain
from batcher.service.extraction.document_index import gather, rows_of
from batcher.service.extraction.filling import fill
from batcher.service.extraction.schema import Field, read_schema
from batcher.service.extraction.values import MISSING, cast, customs_of
from batcher.service.parsing.tables import FORMATS

PAGE = {"left": 0.0, "top": 0.0, "width": 1.0, "height": 1.0, "page": 1, "original_page": 1}
TEXT = {"type": "string"}
NUMBER = {"type": "number"}
DATE = {"type": "string", "format": "date"}


def block(content: str, type: str = "Text") -> dict[str, Any]:
    return {"type": type, "bbox": PAGE, "content": content, "confidence": "high"}


def found(*content: Any, lines: list[Any] | None = None, **properties: Any) -> Any:
    """The plain answer of a schema over blocks of text, of which some may be tables, or over lines
    with places.
    """
    blocks = [one if isinstance(one, dict) else block(one) for one in content]
    result = {"chunks": [{"blocks": blocks}], "ocr": {"lines": lines} if lines else None}
    return plain(fill(read_schema({"type": "object", "properties": properties}), gather(result)))


def grid(*rows: list[str]) -> dict[str, Any]:
    return block(FORMATS["md"](list(rows)), "Table")


def line(text: str, left: float, top: float) -> dict[str, Any]:
    box = {
        "left": left,
        "top": top,
        "width": 0.01 * len(text),
        "height": 0.02,
        "page": 1,
        "original_page": 1,
    }
    return {"text": text, "bbox": box, "confidence": None}


# --- whole documents ------------------------------------------------------------------------------

BENCH = Path(__file__).parents[1] / "bench" / "extraction.py"


def test_no_example_is_read_wrong() -> None:
    """Over 300 fields of twenty documents, some of unlike layouts: most are right, some null, none
    wrong.
    """
    bench = importlib.util.module_from_spec(
        spec := importlib.util.spec_from_file_location("bench", BENCH)
    )
    spec.loader.exec_module(bench)
    verdicts = bench.measure(json.loads(BENCH.with_suffix(".json").read_text()), bench.ROOT)
    assert verdicts["wrong"] == 0 and verdicts["null"] < 0.15 * verdicts.total()


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "kind", "value"),
    [
        ("Invoice number: INV-7", "invoice_number", TEXT, "INV-7"),
        ("Invoice No. INV-7", "invoiceNumber", TEXT, "INV-7"),
        ("Invoice # 4711", "invoice_number", TEXT, "4711"),
        ("Date of issue: 14 January 2026", "issue_date", DATE, "2026-01-14"),
        ("Payment due: 2026-02-14", "due_date", DATE, "2026-02-14"),
        ("Grand total 1,204.50 EUR", "total", NUMBER, 1204.5),
        ("VAT 20 % 116.68", "tax_amount", NUMBER, 116.68),
        ("VAT 20 % 116.68", "vat_rate", NUMBER, 20),
        ("Bill to: Ferry Inn", "customer", TEXT, "Ferry Inn"),
        ("Vendor: Quay Stores, Ltd", "supplier_name", TEXT, "Quay Stores, Ltd"),
        ("E-mail: a@example.com", "email", {"type": "string", "format": "email"}, "a@example.com"),
        ("Paid: yes", "paid", {"type": "boolean"}, True),
        ("Status: Shipped.", "status", {"enum": ["open", "shipped"]}, "shipped"),
        ("Pages: 12", "pages", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, 12),
        ("lnvoice number: INV-7", "invoice_number", TEXT, "INV-7"),
        ("DATE 03/22/26 TIME 14:05", "date", DATE, "2026-03-22"),
        ("Sales Tax (8.25%) $33.41", "tax", NUMBER, 33.41),
        ("Rechnung Nr. 2026-117", "invoice_number", TEXT, "2026-117"),
        ("MwSt. 19 % 169,29 €", "vat_amount", NUMBER, 169.29),
        ("Zahlbar bis: 21.03.2026", "due_date", DATE, "2026-03-21"),
        ("Total TTC 1 060,29 €", "total", NUMBER, 1060.29),
    ],
)
def test_a_label_names_its_field(text, name, kind, value):
    """By the same words, another spelling, a synonym, or with a slip of the OCR."""
    assert found(text, **{name: kind}) == {name: value}


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("TOTAL POINTS 1250", "total", NUMBER),
        ("Loyalty points total: 1,250", "total", NUMBER),
        ("Total savings: 3.20", "total", NUMBER),
        ("Subtotal 18.00", "total", NUMBER),
        ("Total excl. VAT 18.00", "total", NUMBER),
        ("Due date: 2026-02-14", "date", DATE),
        ("Order date: 2026-02-14", "delivery_date", DATE),
        ("Invoice date: 2026-02-14", "due_date", DATE),
        ("VAT: 116.68", "vat_number", TEXT),
        ("Order number: A-9", "invoice_number", TEXT),
        ("Customer number: 88", "customer_name", NUMBER),
        ("Date: 03/04/2026", "date", DATE),
        ("Total: see overleaf", "total", NUMBER),
        ("Quantity: 6 brass lanterns", "quantity", {"type": "integer"}),
        ("Status: shipped late", "status", {"enum": ["open", "shipped"]}),
        ("Each inspection costs 310.00 EUR", "total", NUMBER),
        ("Phone: 555", "fax", TEXT),
        ("Balance: 7.5", "count", {"type": "integer"}),
    ],
)
def test_what_names_something_else_is_no_answer(text, name, kind):
    """A word too many, another kind of value, or two readings: null."""
    assert found(text, **{name: kind}) == {name: None}


def test_two_values_for_one_label_are_none():
    """Which of them was meant isn't said; the same value twice is one."""
    assert found("Total: 5.00", "Total: 6.00", total=NUMBER) == {"total": None}
    assert found("Total: 5.00", "Total: 5.00", total=NUMBER) == {"total": 5.0}


def test_two_fields_for_one_label_get_none():
    """A city is in two addresses of the schema, and the document names one."""
    address = {"type": "object", "properties": {"city": TEXT}}
    answer = found("City: Kiel", sender=address, recipient=address)
    assert answer == {"sender": {"city": None}, "recipient": {"city": None}}


def test_the_better_named_field_gets_the_value():
    """And the other one gets what is left."""
    answer = found("Total: 1,234.50", "Total due: 1,200.00", total=NUMBER, amount_due=NUMBER)
    assert answer == {"total": 1234.5, "amount_due": 1200.0}


def test_what_a_description_denies_doesn_t_count():
    """Its other words do."""
    points = {"type": "number", "description": "What was paid, not the loyalty points"}
    assert found("Loyalty points: 12", total=points) == {"total": None}
    by = {"type": "string", "description": "The purchase order quoted by the customer"}
    assert found("Purchase order: PO-9", reference=by) == {"reference": "PO-9"}


@pytest.mark.parametrize(
    ("text", "number", "date"),
    [
        ("Number: A-7 Due Date: 2026-02-14", "A-7", "2026-02-14"),
        ("Due date: 2026-02-14 Number: A-7", "A-7", "2026-02-14"),
        ("Number: seven Due date: 2026-02-14", None, "2026-02-14"),
        ("Customer: Harbour Trust Due Date: 2026-02-14", None, None),
    ],
)
def test_several_labels_in_one_line(text, number, date):
    """Each has its own value; where value and label run into each other, neither is taken."""
    assert found(text, number=TEXT, due_date=DATE) == {"number": number, "due_date": date}


def test_values_stand_beside_and_below_their_labels():
    """By their places on the page, whatever order the blocks come in."""
    lines = [
        line("1,463.40", 0.8, 0.5),
        line("Total EUR", 0.6, 0.5),
        line("Subtotal", 0.6, 0.45),
        line("1,219.50", 0.8, 0.45),
        line("Invoice number", 0.1, 0.1),
        line("INV-5", 0.1, 0.125),
    ]
    answer = found("all of it", lines=lines, total=NUMBER, subtotal=NUMBER, invoice_number=TEXT)
    assert answer == {"total": 1463.4, "subtotal": 1219.5, "invoice_number": "INV-5"}


def test_words_of_an_ocr_are_joined_before_they_are_read():
    """A label in two words, a value in two words."""
    lines = [
        line("Issue", 0.1, 0.1),
        line("date:", 0.16, 0.101),
        line("22", 0.22, 0.1),
        line("March 2026", 0.25, 0.1),
    ]
    assert found("x", lines=lines, issue_date=DATE) == {"issue_date": "2026-03-22"}


# --- what stands without a label ------------------------------------------------------------------


def test_a_business_paper_is_from_who_stands_at_its_top():
    """But not where the top is the paper's own name, and not on a letter."""
    supplier = {"supplier": {"type": "object", "properties": {"name": TEXT}}}
    assert (
        found(block("Saltmarsh Works", "Title"), "Invoice", **supplier)["supplier"]["name"]
        == "Saltmarsh Works"
    )
    assert found(block("Rechnung", "Title"), "Total 5.00", **supplier)["supplier"]["name"] is None
    assert (
        found(block("Dear reader", "Title"), "Kind regards", **supplier)["supplier"]["name"] is None
    )


def test_a_currency_is_the_one_that_all_amounts_are_in():
    """Two are none."""
    assert found("Total 5.00 €", "EUR 7.00", currency=TEXT) == {"currency": "EUR"}
    assert found("Total 5.00 €", "$7.00", currency=TEXT) == {"currency": None}


def test_a_section_s_paragraph_answers_to_its_heading():
    """Where it is one paragraph."""
    content = (block("Notice", "Section Header"), block("Three months to the end of a quarter."))
    assert found(*content, notice=TEXT) == {"notice": "Three months to the end of a quarter."}


# --- tables ---------------------------------------------------------------------------------------

ITEMS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"description": TEXT, "quantity": {"type": "integer"}, "amount": NUMBER},
    },
}
LINES = (["Item", "Qty", "Amount"], ["Lantern", "6", "507.00"], ["Wick", "12", "38.40"])


def test_a_table_s_rows_are_items():
    """Columns by their headers, sums at the end left out, and read as what they are."""
    answer = found(grid(*LINES, ["Total", "", "545.40"]), lines_of_it=ITEMS, total=NUMBER)
    assert answer["lines_of_it"] == [
        {"description": "Lantern", "quantity": 6, "amount": 507.0},
        {"description": "Wick", "quantity": 12, "amount": 38.4},
    ]
    assert answer["total"] == 545.4


def test_a_table_over_two_pages_is_one():
    """Where the header is repeated."""
    answer = found(grid(*LINES[:2]), "page 2", grid(LINES[0], LINES[2]), items=ITEMS)
    assert [item["quantity"] for item in answer["items"]] == [6, 12]


def test_the_heading_tells_two_tables_of_one_kind_apart():
    """Without one, neither is taken."""
    first = grid(["Name", "Hours"], ["Ada", "5"])
    second = grid(["Name", "Hours", "x"], ["Bob", "7", ""])
    people = {
        "type": "array",
        "items": {"type": "object", "properties": {"name": TEXT, "hours": NUMBER}},
    }
    content = (
        block("Employees", "Section Header"),
        first,
        block("Guests", "Section Header"),
        second,
    )
    assert found(*content, guests=people) == {"guests": [{"name": "Bob", "hours": 7}]}
    assert found(first, second, others=people) == {"others": []}


def test_a_column_of_another_type_is_not_the_property_s():
    """A header may say anything."""
    answer = found(grid(["Item", "Qty", "Amount"], ["Lantern", "a few", "much"]), items=ITEMS)
    assert answer["items"] == []


def test_a_table_of_labels_and_values():
    """Rows of two; a table with a header over a column of values is none of these."""
    table = grid(["Customer", "Ferry Inn"], ["Place", "Saltmarsh"], ["Total", "647.04"])
    assert found(table, customer=TEXT, total=NUMBER) == {"customer": "Ferry Inn", "total": 647.04}
    assert found(grid(["Month", "Litres"], ["April", "110"], ["May", "125"]), month=TEXT) == {
        "month": None
    }


def test_a_letterhead_taken_for_a_table():
    """Without a header any cell may label the one beside it; with one, none does."""
    letterhead = grid(
        ["12 Main St", "Invoice #", "10045"], ["Phone: 555-0100", "Due Date", "2026-04-21"]
    )
    assert found(letterhead, invoice_number=TEXT, due_date=DATE, phone=TEXT) == {
        "invoice_number": "10045",
        "due_date": "2026-04-21",
        "phone": "555-0100",
    }
    assert found(grid(["Item", "Count", "Price"], ["Total", "24", "503.00"]), total=NUMBER) == {
        "total": None
    }


@pytest.mark.parametrize("format", FORMATS)
def test_tables_are_read_in_every_format(format):
    """As an earlier parse may have written them."""
    rows = [["Item", "Price"], ["Wick, cotton", "3.20"], ['6" lamp & <oil>', "a|b"]]
    assert rows_of(FORMATS[format](rows)) == rows


def test_lists_of_plain_values():
    """From a column, from items below a heading, from behind a label."""
    texts = {"type": "array", "items": TEXT}
    assert found(grid(["Part", "Store"], ["Glass", "A1"], ["Tin", "B2"]), parts=texts) == {
        "parts": ["Glass", "Tin"]
    }
    content = (
        block("Decisions", "Section Header"),
        block("Keep it.", "List Item"),
        block("Mend it.", "List Item"),
    )
    assert found(*content, decisions=texts) == {"decisions": ["Keep it.", "Mend it."]}
    assert found("Keywords: brass, glass; tin", keywords=texts) == {
        "keywords": ["brass", "glass", "tin"]
    }
    assert found("Nothing", keywords=texts) == {"keywords": []}


def test_a_list_s_odd_cell_is_left_out_and_the_best_label_wins():
    """One cell that is no number spoils no column; a list behind the very label comes before one
    behind a synonym.
    """
    numbers = {"type": "array", "items": NUMBER}
    assert found(grid(["Part", "Weights"], ["Tin", "3"], ["Oil", "some"]), weights=numbers) == {
        "weights": [3]
    }
    texts = {"type": "array", "items": TEXT}
    assert found("Vendors: A, B", "Suppliers: C, D", suppliers=texts) == {"suppliers": ["C", "D"]}


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.56", 1234.56),
        ("1.234,56", 1234.56),
        ("1 234,56", 1234.56),
        ("1'234.56", 1234.56),
        ("12,5", 12.5),
        ("1,234", 1234),
        ("1,234,567", 1234567),
        ("0.125", 0.125),
        ("€ 12.00", 12.0),
        ("12.00 EUR", 12.0),
        ("(45.10)", -45.1),
        ("45.10-", -45.1),
        ("-3", -3),
        ("20 %", 20),
        ("5 kg", 5),
        ("12,-", 12),
        ("1,23,4", MISSING),
        ("1.2.3", MISSING),
        ("12 lanterns", MISSING),
        ("INV-7", MISSING),
        ("10-20", MISSING),
        ("", MISSING),
    ],
)
def test_numbers_are_read_as_they_are_written(text, value):
    """Or not at all."""
    assert cast(text, Field((), "number"), customs_of([])) == value


def test_a_document_s_other_numbers_tell_what_a_mark_means():
    """1.234 is a thousand where decimals have a comma."""
    assert cast("1.234", Field((), "number"), customs_of(["12,50", "3,20"])) == 1234
    assert cast("1.234", Field((), "number"), customs_of(["12.50"])) == 1.234


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-14", "2026-01-14"),
        ("14 January 2026", "2026-01-14"),
        ("14. Januar 2026", "2026-01-14"),
        ("January 14, 2026", "2026-01-14"),
        ("Wednesday, 14 Jan 2026", "2026-01-14"),
        ("14.1.2026", "2026-01-14"),
        ("01/14/2026", "2026-01-14"),
        ("14/01/26", "2026-01-14"),
        ("03/03/2026", "2026-03-03"),
        ("03/04/2026", MISSING),
        ("31.02.2026", MISSING),
        ("2026", MISSING),
        ("next Tuesday", MISSING),
    ],
)
def test_dates_are_read_where_they_can_mean_one_day_only(text, value):
    """As ISO."""
    assert cast(text, Field((), "string", format="date"), customs_of([])) == value


def test_another_date_shows_which_is_the_month():
    """13/02 can only be a day first."""
    assert (
        cast("03/04/2026", Field((), "string", format="date"), customs_of(["13/02/2026"]))
        == "2026-04-03"
    )
    assert (
        cast("03/04/2026", Field((), "string", format="date"), customs_of(["02/13/2026"]))
        == "2026-03-04"
    )


# --- schemas --------------------------------------------------------------------------------------


def test_a_schema_as_pydantic_writes_it():
    """References, nullable unions, titles of their own."""
    schema = {
        "$defs": {
            "Line": {
                "type": "object",
                "properties": {"amount": {"title": "Amount", "type": "number"}},
            }
        },
        "type": "object",
        "title": "Invoice",
        "properties": {
            "total": {
                "anyOf": [{"type": "number"}, {"type": "null"}],
                "default": None,
                "title": "Total",
            },
            "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
            "first": {"$ref": "#/$defs/Line", "description": "The first line"},
        },
    }
    total, lines, first = read_schema(schema).children
    assert (total.kind, total.title) == ("number", "Total")
    assert lines.item is not None and lines.item.children[0].kind == "number"
    assert (first.kind, first.description) == ("object", "The first line")
