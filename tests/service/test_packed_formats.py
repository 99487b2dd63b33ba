"""Mail, ODT and EPUB: read without a package of their own, refused where they are broken."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from batcher.service.parsing import parse
from batcher.service.parsing.pages import DocumentProblem

MAIL = b"""From: Ada <ada@example.org>
To: Ben <ben@example.org>
Subject: =?utf-8?q?Lamp_oil_=E2=80=93_again?=
Content-Type: text/html; charset=iso-8859-1

<h1>Order</h1><p>Two litres for the caf\xe9.</p>
<table><tr><th>part</th></tr><tr><td>wick</td></tr></table>
"""
ODT = """<o:document-content xmlns:o='urn:oasis:names:tc:opendocument:xmlns:office:1.0'
 xmlns:text='urn:oasis:names:tc:opendocument:xmlns:text:1.0'
 xmlns:table='urn:oasis:names:tc:opendocument:xmlns:table:1.0'>
<text:h>Stock</text:h><text:p>Tin is low.</text:p>
<text:list><text:list-item><text:p>wicks</text:p></text:list-item></text:list>
<table:table><table:table-row><table:table-cell><text:p>part</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell><text:p>tin</text:p></table:table-cell></table:table-row></table:table>
</o:document-content>"""
CONTAINER = "<container><rootfiles><rootfile full-path='book/package.opf'/></rootfiles></container>"
PACKAGE = """<package><manifest>
<item id='a' href='one%20more.html'/><item id='b' href='two.html'/></manifest>
<spine><itemref idref='b'/><itemref idref='a'/></spine></package>"""


def read(path: Path) -> list[tuple[str, str, int]]:
    chunks = parse(path, extension=path.suffix, options={}).result["chunks"]
    return [
        (b["type"], b["content"], b["bbox"]["page"]) for chunk in chunks for b in chunk["blocks"]
    ]


def packed(path: Path, **parts: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_mail_is_read_with_its_headers(tmp_path):
    """Subject, people, and a body in the charset that it declares."""
    path = tmp_path / "order.eml"
    path.write_bytes(MAIL)
    found = [(kind, content) for kind, content, _ in read(path)]
    assert found == [
        ("Title", "Lamp oil – again"),
        ("Key Value", "From: Ada <ada@example.org>\nTo: Ben <ben@example.org>"),
        ("Title", "Order"),
        ("Text", "Two litres for the café."),
        ("Table", "| part |\n| --- |\n| wick |"),
    ]


def test_a_text_document_keeps_its_structure(tmp_path):
    """Headings, paragraphs, list items and tables in their order."""
    found = read(packed(tmp_path / "stock.odt", **{"content.xml": ODT}))
    assert [kind for kind, _, _ in found] == ["Section Header", "Text", "List Item", "Table"]


def test_a_book_is_read_in_the_order_of_its_spine(tmp_path):
    """Each chapter a page, whatever order the archive has."""
    chapters = {"book/one more.html": "<p>the end</p>", "book/two.html": "<p>the beginning</p>"}
    path = packed(
        tmp_path / "b.epub",
        **{"META-INF/container.xml": CONTAINER, "book/package.opf": PACKAGE, **chapters},
    )
    assert read(path) == [("Text", "the beginning", 1), ("Text", "the end", 2)]


@pytest.mark.parametrize(
    "content",
    ["", "<not xml", "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/hostname'>]><a>&b;</a>"],
)
def test_broken_or_hostile_markup_is_the_document_s_fault(tmp_path, content):
    """It is refused, and no other file is read for it."""
    with pytest.raises(DocumentProblem) as caught:
        read(packed(tmp_path / "x.odt", **{"content.xml": content}))
    assert caught.value.name in {"DOCUMENT_CORRUPT", "DOCUMENT_EMPTY"}
