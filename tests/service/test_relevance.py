"""By which words pages and documents are told apart: numbers are words, and what a description
denies is none.
"""

from __future__ import annotations

from typing import Any

import pytest
from test_extraction import block

from batcher.service.classification.classifying import classify
from batcher.service.classification.relevance import terms_of
from batcher.service.classification.splitting import split


def pages(*texts: str) -> dict[str, Any]:
    blocks = [block(text) for text in texts]
    placed = [
        {**one, "bbox": {**one["bbox"], "page": number, "original_page": number}}
        for number, one in enumerate(blocks, start=1)
    ]
    return {"chunks": [{"blocks": placed}]}


def mapped(sections: dict[str, str], *texts: str) -> dict[str, list[int]]:
    asked = [{"name": name, "description": text} for name, text in sections.items()]
    return split(pages(*texts), {"split_description": asked})["section_mapping"]


def chosen(categories: dict[str, str], text: str) -> dict[str, Any]:
    asked = [{"category": name, "criteria": [one]} for name, one in categories.items()]
    return classify(pages(text), {"classification_schema": asked})


def test_numbers_are_words_as_they_stand():
    """Years, forms and quarters, exactly; a letter stays with its number."""
    assert terms_of("Report W-2 of Q1/2024, 1099-INT, 50s") == [
        "report", "w2", "q1", "2024", "1099", "int", "50s"
    ]  # fmt: skip


FORMS = {"form_1040": "Form 1040, income", "form_8949": "Form 8949, income"}


@pytest.mark.parametrize(
    ("categories", "text", "category"),
    [
        (FORMS, "Form 1040\nincome", "form_1040"),
        (FORMS, "Form 8949\nincome", "form_8949"),
        ({"form_8949": FORMS["form_8949"]}, "Form 1040\nincome", "unknown"),
        ({"W-2": "Form W-2", "1099": "Form 1099"}, "Form W-2\nWage", "W-2"),
        ({"W-2": "Form W-2", "1099": "Form 1099"}, "Form 1099-INT\nInterest income", "1099"),
        ({"1040": "1040", "8949": "8949"}, "Form 1040\nincome", "1040"),
        (
            {"either": "Form 1040 or Form 8949, income", "neither": "rent, lease"},
            "Form 8949\nincome",
            "either",
        ),
    ],
)
def test_documents_are_told_apart_by_numbers(categories, text, category):
    """A form of another number is another form."""
    assert chosen(categories, text)["result"]["category"] == category


def test_a_criterion_with_another_number_is_not_met():
    """Words that only go with its number don't speak for it."""
    answer = chosen(FORMS, "Form 1040\nincome")
    met = [
        one["criteria_confidence"][0]["confidence"]
        for one in answer["response_confidence"]["categories"]
    ]
    assert met == ["high", "low"]


def test_pages_are_told_apart_by_numbers():
    """Each quarter's report has its own page."""
    sections = {"Q1 report": "Report for Q1 2024", "Q2 report": "Report for Q2 2024"}
    found = mapped(sections, "Report Q1 2024 sales", "Report Q2 2024 sales")
    assert found == {"Q1 report": [1], "Q2 report": [2]}
    found = mapped({"W-2": "W-2 form", "1099": "1099 form"}, "Form W-2 Wage", "Form 1099-INT")
    assert found == {"W-2": [1], "1099": [2]}


INVOICE = "Invoice number 17\nAmount due 5.00\nPaid by card"
TERMS = "General terms and conditions of sale apply."


@pytest.mark.parametrize(
    "denied",
    [
        "any page that is not an invoice and has no amount due",
        "everything except invoices: no invoice number, no amount due",
        "a page that isn't an invoice",
        "pages without an amount due or invoice number",
        "pages that don\u2019t show an invoice number",
    ],
)
def test_what_a_description_denies_selects_nothing(denied):
    """It would select just the pages that it excludes."""
    assert mapped({"Other pages": denied}, INVOICE, TERMS) == {"Other pages": []}
    assert chosen({"rest": denied}, INVOICE)["result"]["category"] == "unknown"


@pytest.mark.parametrize(
    "said",
    [
        "shows an invoice no and an amount due",
        "invoice no., amount due",
        "not only an invoice but also an amount due",
        "not a contract; an invoice with amount due",
    ],
)
def test_what_only_looks_like_a_denial_counts(said):
    """The abbreviation of number, "not only", and what follows a denial."""
    assert mapped({"Bills": said}, INVOICE, TERMS) == {"Bills": [1]}


def test_a_gap_of_one_page_is_bridged():
    """It may be the back of a page; more pages, if they have words, are something else."""
    sections = {"Invoices": "invoice number, amount due"}
    assert mapped(sections, INVOICE, TERMS, INVOICE) == {"Invoices": [1, 2, 3]}
    assert mapped(sections, INVOICE, TERMS, TERMS, TERMS, INVOICE) == {"Invoices": [1, 5]}
    assert mapped(sections, INVOICE, "", "-", "", INVOICE) == {"Invoices": [1, 2, 3, 4, 5]}
    assert mapped(sections, INVOICE, "", TERMS, "", INVOICE) == {"Invoices": [1, 2, 3, 4, 5]}


def test_sections_of_one_name_share_its_pages():
    """The answer maps names to pages, and loses none."""
    asked = [{"name": "A", "description": text} for text in ("amount due", "terms, conditions")]
    found = split(pages(INVOICE, TERMS), {"split_description": asked})
    assert found["section_mapping"] == {"A": [1, 2]}
    assert [one["pages"] for one in found["splits"]] == [[1], [2]]


def partitions(*texts: str) -> list[dict[str, Any]]:
    asked = {"name": "Invoices", "description": "invoice, amount due", "partition_key": "number"}
    (found,) = split(pages(*texts), {"split_description": [asked]})["splits"]
    return found["partitions"]


def test_pages_before_the_first_key_are_a_partition():
    """Of an empty name and low confidence, so that no page of the section is lost."""
    first = "Invoice, amount due 5"
    second = "Invoice, amount due 6\n\nNumber: 18"
    assert partitions(first, second) == [
        {"name": "", "pages": [1], "conf": "low"},
        {"name": "18", "pages": [2], "conf": "high"},
    ]
    assert partitions(second) == [{"name": "18", "pages": [1], "conf": "high"}]
    assert partitions(first) is None
