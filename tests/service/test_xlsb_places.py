"""Every word that a binary workbook shows comes out once."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import marked_xlsb
import pytest
from marked_xlsx import changed
from parsed_documents import read, text_of, types_of

CONTENT, WORDS = marked_xlsb.marked()


@pytest.mark.parametrize("place", WORDS)
def test_every_place_is_read_once(tmp_path: Path, place: str) -> None:
    assert text_of(read(tmp_path / "a.xlsb", CONTENT)).count(WORDS[place]) == 1


def test_what_is_beside_the_cells_has_its_own_types(tmp_path: Path) -> None:
    types = types_of(read(tmp_path / "a.xlsb", CONTENT))
    assert types["headertext"] == "Header"
    assert types["B1: noteauthor: notetext"] == "Comment"


@pytest.mark.parametrize(
    ("excluded", "lost"),
    [
        ("hidden_sheets", "hiddencell"),
        ("hidden_rows", "hiddenrow"),
        ("hidden_cols", "hiddencolumn"),
    ],
)
def test_what_is_hidden_can_be_left_out(tmp_path: Path, excluded: str, lost: str) -> None:
    text = text_of(read(tmp_path / "a.xlsb", CONTENT, spreadsheet={"exclude": [excluded]}))
    assert lost not in text and "sharedtext" in text


@pytest.mark.parametrize(
    "part", ["xl/styles.bin", "xl/comments1.bin", "xl/worksheets/b.bin", "xl/drawings/drawing1.xml"]
)
@pytest.mark.parametrize("kept", [0.45, 0.9])
def test_a_broken_part_costs_that_part(tmp_path: Path, part: str, kept: float) -> None:
    with zipfile.ZipFile(BytesIO(CONTENT)) as archive:
        whole = archive.read(part)
    cut = whole[: int(len(whole) * kept) | 1]
    parsed = read(tmp_path / "a.xlsb", changed(CONTENT, {part: cut}))
    assert "plaintext" in text_of(parsed)
    assert sum("can't be read" in note for note in parsed.notes) == 1


def test_a_broken_cell_costs_that_cell(tmp_path: Path) -> None:
    """Its text isn't among those of the workbook."""
    with zipfile.ZipFile(BytesIO(CONTENT)) as archive:
        sheet = archive.read("xl/worksheets/a.bin")
    first = b"\x07\x0c" + bytes(8)  # a record of 12 bytes: column, style, and the text's number
    assert sheet.count(first + bytes(4)) == 1
    broken = sheet.replace(first + bytes(4), first + b"\x63\0\0\0")
    parsed = read(tmp_path / "a.xlsb", changed(CONTENT, {"xl/worksheets/a.bin": broken}))
    assert "plaintext" in text_of(parsed) and "hiddencolumn" in text_of(parsed)
    assert any("cells of the sheet 'sheetname' can't be read: A1" in n for n in parsed.notes)
