"""What the local service reads out of documents, and how it says that it can't."""

from pathlib import Path
from typing import Any

import pytest
from parsed_documents import blocks_of

from batcher.reducto.api_types import HOSTED_TYPES, LOCAL_TYPES, types_taken
from batcher.service.parsing import Parsed, parse
from batcher.service.parsing.kinds import EXTENSIONS
from batcher.service.parsing.pages import DocumentProblem

EXAMPLES = Path(__file__).parents[2] / "examples"


WORDS = {
    "documents/invoices/2026/INV-2026-001.pdf": "INV-2026-001",
    "documents/reports/orders-2026.csv": "|",
    "documents/reports/price-list.html": "|",
    "documents/reports/meeting-notes.md": "#",
    "documents/reports/hours.xlsx": "|",
    "documents/reports/annual-review.pptx": "lantern",
    "documents/correspondence/letter-to-museum.txt": "museum",
    "documents/correspondence/repair-agreement.docx": "lantern",
}
FAULTS = {
    "locked.pdf": "DOCUMENT_PASSWORD_PROTECTED",
    "cut-off.pdf": "DOCUMENT_CORRUPT",
    "empty.pdf": "DOCUMENT_EMPTY",
    "sketch.xyz": "DOCUMENT_UNSUPPORTED",
}


def read(path: Path, **options: Any) -> Parsed:
    return parse(path, extension=path.suffix[1:], options=options)


@pytest.mark.parametrize("name", WORDS)
def test_each_format_is_really_read(name: str) -> None:
    """The words of the document stand in the content, tables as Markdown."""
    content = "\n".join(chunk["content"] for chunk in read(EXAMPLES / name).result["chunks"])
    assert WORDS[name].lower() in content.lower()


@pytest.mark.parametrize(
    "path", [p for p in EXAMPLES.rglob("*.*") if "documents" in p.parts], ids=lambda p: p.name
)
def test_every_block_lies_on_its_page(path: Path) -> None:
    """Boxes in shares of the page, pages counted from 1, a type and a confidence for each block."""
    parsed = read(path)
    for block in blocks_of(parsed):
        box = block["bbox"]
        assert 1 <= box["page"] <= parsed.num_pages
        assert 0 <= box["left"] <= box["left"] + box["width"] <= 1.0001
        assert 0 <= box["top"] <= box["top"] + box["height"] <= 1.0001
        assert block["type"] and block["confidence"] in ("high", "low")


def test_a_scanned_page_says_what_it_is() -> None:
    """With OCR its words are there; without, it is a figure of low confidence, never nothing."""
    found = blocks_of(read(EXAMPLES / "documents" / "correspondence" / "delivery-note-scan.pdf"))
    assert found
    assert any(block["content"] for block in found) or {block["confidence"] for block in found} == {
        "low"
    }


@pytest.mark.parametrize("name", FAULTS)
def test_a_document_that_cannot_be_read_is_called_by_its_fault(name: str) -> None:
    """By the API's own error names."""
    with pytest.raises(DocumentProblem) as caught:
        read(EXAMPLES / "trouble" / name)
    assert caught.value.name == FAULTS[name]


def test_an_encrypted_workbook_wants_a_password(tmp_path: Path) -> None:
    """Rather than being called broken."""
    path = tmp_path / "budget.xlsx"
    path.write_bytes(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le")
    )
    with pytest.raises(DocumentProblem) as caught:
        parse(path, extension="xlsx", options={})
    assert caught.value.name == "DOCUMENT_PASSWORD_PROTECTED"


def test_the_scanner_takes_what_is_read_here() -> None:
    """The table of types for `local` is the reader's own; a service known by its URL may be
    either.
    """
    assert types_taken("local") == LOCAL_TYPES == set(EXTENSIONS)
    assert (
        types_taken("reducto-eu") == HOSTED_TYPES and types_taken("") == HOSTED_TYPES | LOCAL_TYPES
    )


def test_a_document_of_too_many_pages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, and before more than those are laid out."""
    monkeypatch.setattr("batcher.service.parsing.pdf.document.MOST_PAGES", 3)
    with pytest.raises(DocumentProblem) as caught:
        read(EXAMPLES / "documents" / "handbook" / "workshop-handbook.pdf")
    assert caught.value.name == "DOCUMENT_TOO_LARGE"


def test_a_document_without_pages_is_empty(tmp_path: Path) -> None:
    """Whole, and yet nothing to be read."""
    path = tmp_path / "none.pdf"
    objects = (b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 0/Kids[]>>")
    body = b"%PDF-1.4\n" + b"".join(
        b"%d 0 obj%sendobj\n" % entry for entry in enumerate(objects, 1)
    )
    path.write_bytes(body + b"trailer<</Size 3/Root 1 0 R>>\n%%EOF")
    with pytest.raises(DocumentProblem) as caught:
        read(path)
    assert caught.value.name in {"DOCUMENT_EMPTY", "DOCUMENT_CORRUPT"}
