"""Blocks of labels and values are read line by line; a paragraph stays one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batcher.service.parsing import parse
from batcher.service.parsing.keyvalues import as_key_values
from batcher.service.parsing.pages import PageBlock

INVOICE = (
    Path(__file__).parents[2] / "examples" / "documents" / "invoices" / "2026" / "INV-2026-001.pdf"
)
WHOLE = SimpleNamespace(x=0, y=0, width=500, height=500)


def item(text: str, x: float, y: float) -> Any:
    return SimpleNamespace(text=text, x=x, y=y, width=5 * len(text), height=10)


@pytest.mark.parametrize(
    ("items", "content"),
    [
        ([item("Due: 1 May", 0, 20), item("Number: A-7", 0, 5)], "Number: A-7\nDue: 1 May"),
        (
            [item("Subtotal", 0, 5), item("583.40", 90, 6), item("VAT 20 % 116.68", 0, 20)],
            "Subtotal 583.40\nVAT 20 % 116.68",
        ),
        ([item("Number: A-7", 0, 5), item("Thank you for 2.50 orders.", 0, 20)], None),
        ([item("Number: A-7 is due on: Monday", 0, 5)], None),
        ([item("Costs 3.10 EUR", 0, 5), item("each, and 2.50 more.", 0, 20)], None),
    ],
)
def test_each_line_must_be_a_label_with_its_value(items, content):
    """Sorted as they stand on the page, whatever order they come in."""
    block = PageBlock("Text", " ".join(one.text for one in items))
    read = as_key_values(block, WHOLE, items)
    assert (read.type, read.content) == (
        ("Key Value", content) if content else (block.type, block.content)
    )


def test_an_invoice_s_head_is_key_values():
    """So an extract from an earlier parse finds them without any places."""
    blocks = [
        b
        for chunk in parse(INVOICE, extension="pdf", options={}).result["chunks"]
        for b in chunk["blocks"]
    ]
    (head, sums) = [b["content"] for b in blocks if b["type"] == "Key Value"]
    assert (
        head.split("\n")[0] == "Invoice number: INV-2026-001"
        and sums == "Subtotal 583.40\nVAT 20 % 116.68"
    )
