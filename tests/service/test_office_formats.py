"""Word and Outlook files of old, RTF, and what is hidden in a workbook."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from compound_file import write_compound

from batcher.service.parsing import parse
from batcher.service.parsing.pages import DocumentProblem

TEXT = (
    "Minutes\rLamp oil \x13 HYPERLINK x \x14is "
    "low\x15.\rpart\x07stock\x07\x07tin\x073\x07\x07\x0cSecond page\r"
)


def read(path: Path, **options: Any) -> list[tuple[str, str, int]]:
    chunks = parse(path, extension=path.suffix, options=options).result["chunks"]
    return [
        (b["type"], b["content"], b["bbox"]["page"]) for chunk in chunks for b in chunk["blocks"]
    ]


def fault(path: Path) -> str:
    with pytest.raises(DocumentProblem) as caught:
        read(path)
    return caught.value.name


def word(
    path: Path, *pieces: tuple[str, str], flags: int = 0x0200, lengths: Iterable[int] = ()
) -> Path:
    """A document saved in as many pieces, each in its encoding.

    `lengths` are those of the body and of what stands beside it.
    """
    main = bytearray(1024)
    struct.pack_into("<H", main, 0x0A, flags)
    parts = list(lengths) or [sum(len(text) for text, _ in pieces)]
    struct.pack_into(f"<{len(parts)}I", main, 0x4C, *parts)
    bounds = [0]
    places = b""
    for text, encoding in pieces:
        start = len(main) * 2 | 1 << 30 if encoding == "cp1252" else len(main)
        main += text.encode(encoding)
        bounds.append(bounds[-1] + len(text))
        places += struct.pack("<HIH", 0, start, 0)
    listed = struct.pack(f"<{len(bounds)}I", *bounds) + places
    formats = b"\x01\x02\x00ab"
    table = formats + b"\x02" + struct.pack("<I", len(listed)) + listed
    struct.pack_into("<II", main, 0x1A2, 0, len(table))
    write_compound(path, {"WordDocument": bytes(main), "1Table": table})
    return path


def test_an_old_word_document_is_read_piece_by_piece(tmp_path):
    """In whatever encoding each piece was saved; fields show their result, breaks make pages."""
    half = len(TEXT) // 2
    path = word(tmp_path / "a.doc", (TEXT[:half], "cp1252"), (TEXT[half:], "utf-16-le"))
    assert read(path) == [
        ("Text", "Minutes", 1),
        ("Text", "Lamp oil is low.", 1),
        ("Table", "| part | stock |\n| --- | --- |\n| tin | 3 |", 1),
        ("Text", "Second page", 2),
    ]


def test_what_stands_beside_the_body_comes_after_it(tmp_path):
    """Footnotes, headers, comments, endnotes and text boxes, but not macros."""
    parts = ("Body.\r", "foot\r", "head\r", "macro\r", "comment\r", "end\r", "box\r", "top\r")
    path = word(tmp_path / "a.doc", *((part, "cp1252") for part in parts), lengths=map(len, parts))
    assert [(kind, content) for kind, content, _ in read(path)] == [
        ("Text", "Body."),
        ("Text", "foot"),
        ("Header", "head"),
        ("Comment", "comment"),
        ("Text", "end"),
        ("Text", "box"),
        ("Header", "top"),
    ]


def test_an_encrypted_word_document_wants_a_password(tmp_path):
    """By its own flag."""
    assert (
        fault(word(tmp_path / "a.doc", ("x", "cp1252"), flags=0x0300))
        == "DOCUMENT_PASSWORD_PROTECTED"
    )


@pytest.mark.parametrize("extension", ["doc", "msg"])
@pytest.mark.parametrize("kept", [600, 1500, 2600])
def test_a_cut_off_compound_file_is_corrupt(tmp_path, extension, kept):
    """Wherever it ends."""
    path = word(tmp_path / f"a.{extension}", (TEXT, "cp1252"))
    path.write_bytes(path.read_bytes()[:kept])
    assert fault(path) in {"DOCUMENT_CORRUPT", "DOCUMENT_EMPTY"}


def test_an_outlook_message_is_read(tmp_path):
    """Subject, people, body, and the names of what is attached."""
    said = {
        "0037": "Lamp oil",
        "0C1A": "Ada",
        "0C1F": "ada@example.org",
        "0E04": "Ben",
        "1000": "Two litres.\r\n",
    }
    parts = {f"__substg1.0_{tag}001F": text.encode("utf-16-le") for tag, text in said.items()}
    parts["__attach_version1.0_#00000000/__substg1.0_3707001F"] = "list.pdf".encode("utf-16-le")
    write_compound(tmp_path / "a.msg", parts)
    assert [(kind, content) for kind, content, _ in read(tmp_path / "a.msg")] == [
        ("Title", "Lamp oil"),
        ("Key Value", "From: Ada <ada@example.org>\nTo: Ben"),
        ("Text", "Two litres."),
        ("Text", "Attachments: list.pdf"),
    ]


def test_rich_text_is_read(tmp_path):
    """Paragraphs, characters beyond ASCII, and tables."""
    path = tmp_path / "a.rtf"
    table = r"\trowd part\cell stock\cell\row\trowd tin\cell 3\cell\row"
    path.write_text(
        r"{\rtf1\ansi\ansicpg1252 Caf\'e9 and \u8364?5.\par Second.\par"
        + table
        + r"\pard End.\par}"
    )
    assert [(kind, content) for kind, content, _ in read(path)] == [
        ("Text", "Café and €5."),
        ("Text", "Second."),
        ("Table", "| part | stock |\n| --- | --- |\n| tin | 3 |"),
        ("Text", "End."),
    ]


def workbook(path: Path) -> Path:
    """Two sheets, the second hidden; in the first, row 2 and column C are."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in WORKBOOK.items():
            archive.writestr(name, content)
    return path


def row(number: int, more: str = "") -> str:
    cells = "".join(
        f'<c r="{c}{number}" t="inlineStr"><is><t>{c}{number}</t></is></c>' for c in "BCD"
    )
    return f'<row r="{number}"{more}>{cells}</row>'


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEET = f"""<worksheet xmlns="{MAIN}"><cols><col min="3" max="3" hidden="1"/></cols>
<sheetData>{row(1)}{row(2, ' hidden="1"')}{row(3)}</sheetData></worksheet>"""
WORKBOOK = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
    "_rels/.rels": f"""<Relationships xmlns="{PACKAGE}/relationships">
<Relationship Id="w" Type="{LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>""",
    "xl/workbook.xml": f"""<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets>
<sheet name="Open" sheetId="1" r:id="a"/><sheet name="Secret" sheetId="2" state="hidden" r:id="b"/>
</sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": f"""<Relationships xmlns="{PACKAGE}/relationships">
<Relationship Id="a" Type="{LINKS}/worksheet" Target="worksheets/a.xml"/>
<Relationship Id="b" Type="{LINKS}/worksheet" Target="worksheets/b.xml"/></Relationships>""",
    "xl/worksheets/a.xml": SHEET,
    "xl/worksheets/b.xml": SHEET,
}


@pytest.mark.parametrize(
    ("excluded", "sheets", "rows"),
    [
        ([], 2, "B1,C1,D1\nB2,C2,D2\nB3,C3,D3"),
        (["hidden_sheets"], 1, "B1,C1,D1\nB2,C2,D2\nB3,C3,D3"),
        (["hidden_rows"], 2, "B1,C1,D1\nB3,C3,D3"),
        (["hidden_sheets", "hidden_rows", "hidden_cols"], 1, "B1,D1\nB3,D3"),
    ],
)
def test_what_is_hidden_in_a_workbook_can_be_left_out(tmp_path, excluded, sheets, rows):
    """Sheets, rows and columns, each for itself."""
    wish = {"spreadsheet": {"exclude": excluded}, "formatting": {"table_output_format": "csv"}}
    found = read(workbook(tmp_path / "a.xlsx"), **wish)
    tables = [content for kind, content, _ in found if kind == "Table"]
    assert tables == [rows] * sheets
