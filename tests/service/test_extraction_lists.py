"""Which rows of which table are a list's items, and where they stand."""

from __future__ import annotations

from typing import Any

import pytest
from test_extraction import ITEMS, NUMBER, PAGE, TEXT, block, found, grid

from batcher.service.extraction.document_index import gather, rows_of
from batcher.service.extraction.filling import fill
from batcher.service.extraction.schema import read_schema
from batcher.service.parsing.tables import FORMATS

HEADER = ["Item", "Qty", "Amount"]
LANTERN = ["Lantern", "6", "507.00"]
WICK = ["Wick", "12", "38.40"]


def items(*rows: list[str]) -> list[Any]:
    return [item["description"] for item in found(grid(HEADER, *rows), goods=ITEMS)["goods"]]


@pytest.mark.parametrize(
    "row",
    [
        ["Grand total", "", "545.40"],
        ["Total due", "", "545.40"],
        ["Amount due", "", "545.40"],
        ["Zwischensumme", "", "545.40"],
        ["Total", "18", "545.40"],
        ["", "Total", "545.40"],
        ["Net total:", "", "545.40"],
        ["VAT 20 %", "", "109.08"],
        ["", "pcs", "EUR"],
    ],
)
def test_a_sum_at_the_end_is_no_item(row):
    """In whatever words; nor is a row without any value."""
    assert items(LANTERN, WICK, row) == ["Lantern", "Wick"]


def test_shipping_is_an_item_until_the_items_are_summed_up():
    """Below a subtotal it is a part of the sum."""
    shipping = ["Shipping", "", "5.00"]
    assert items(LANTERN, shipping, ["Total", "", "512.00"]) == ["Lantern", "Shipping"]
    assert items(LANTERN, ["Subtotal", "", "507.00"], shipping) == ["Lantern"]


def test_tables_with_one_header_below_two_headings_are_two():
    """Each answers to its own."""
    first = (block("Purchases", "Section Header"), grid(HEADER, LANTERN))
    second = (block("Returns", "Section Header"), grid(HEADER, WICK))
    answer = found(*first, *second, purchases=ITEMS, returns=ITEMS)
    assert [item["description"] for item in answer["purchases"]] == ["Lantern"]
    assert [item["description"] for item in answer["returns"]] == ["Wick"]
    assert found(*first, *second, others=ITEMS) == {"others": []}


def test_a_table_goes_on_below_its_continued_heading():
    """Or below the paper's own title, repeated on each page."""
    table = [grid(HEADER, LANTERN), {**grid(HEADER, WICK), "bbox": {**PAGE, "page": 2}}]
    head = block("Items", "Section Header")
    more = {**block("Items (continued)", "Section Header"), "bbox": {**PAGE, "page": 2}}
    assert len(found(head, table[0], more, table[1], goods=ITEMS)["goods"]) == 2
    title = block("Invoice 7", "Title")
    again = {**title, "bbox": {**PAGE, "page": 2}}
    assert len(found(title, head, table[0], again, table[1], goods=ITEMS)["goods"]) == 2


def test_one_table_answers_one_list():
    """The one that its heading names, else the one with more of its columns, else none."""
    table = grid(HEADER, LANTERN)
    named = found(block("Returns", "Section Header"), table, purchases=ITEMS, returns=ITEMS)
    assert (named["purchases"], len(named["returns"])) == ([], 1)
    assert found(table, purchases=ITEMS, returns=ITEMS) == {"purchases": [], "returns": []}
    fewer = {
        "type": "array",
        "items": {"type": "object", "properties": {"description": TEXT, "amount": NUMBER}},
    }
    both = found(table, goods=ITEMS, discounts=fewer)
    assert (len(both["goods"]), both["discounts"]) == (1, [])


def test_an_item_is_cited_on_its_own_page():
    """Though its table begins on another."""
    second = {**grid(HEADER, WICK), "bbox": {**PAGE, "page": 2}}
    schema = read_schema({"type": "object", "properties": {"goods": ITEMS}})
    blocks = [grid(HEADER, LANTERN), second]
    tree = fill(schema, gather({"chunks": [{"blocks": blocks}], "ocr": None}))
    pages = [item["amount"].spots[0][0].page for item in tree["goods"]]
    assert pages == [1, 2]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("cell", ["[[Item", "<oil>", "|x", "|", "[", "<table>"])
def test_a_table_s_format_is_told_by_all_of_it(format, cell):
    """Not by its first sign, which may be a cell's."""
    rows = [[cell, "Price"], ["Wick", "3.20"]]
    assert rows_of(FORMATS[format](rows)) == rows
