"""Every word that a workbook of Excel 97 to 2003 shows comes out once."""

from __future__ import annotations

import struct
from pathlib import Path

import marked_xls
import pytest
from compound_file import write_compound
from parsed_documents import read, text_of, types_of

CONTENT, WORDS = marked_xls.marked()


@pytest.mark.parametrize("place", WORDS)
def test_every_place_is_read_once(tmp_path: Path, place: str) -> None:
    assert text_of(read(tmp_path / "a.xls", CONTENT)).count(WORDS[place]) == 1


def test_what_isnt_read_is_named(tmp_path: Path) -> None:
    notes = read(tmp_path / "a.xls", CONTENT).notes
    assert len(notes) == len(marked_xls.UNREAD)
    assert all(any(reason in note for note in notes) for reason in marked_xls.UNREAD)


def test_what_is_beside_the_cells_has_its_own_types(tmp_path: Path) -> None:
    types = types_of(read(tmp_path / "a.xls", CONTENT))
    assert types["headertext"] == "Header"
    assert types["A1: noteauthor: notetext"] == "Comment"
    assert types["titleofchart\nchartname"] == "Figure"


@pytest.mark.parametrize(
    ("excluded", "lost"),
    [
        ("hidden_sheets", "hiddencell"),
        ("hidden_rows", "hiddenrow"),
        ("hidden_cols", "hiddencolumn"),
    ],
)
def test_what_is_hidden_can_be_left_out(tmp_path: Path, excluded: str, lost: str) -> None:
    text = text_of(read(tmp_path / "a.xls", CONTENT, spreadsheet={"exclude": [excluded]}))
    assert lost not in text and "celltext" in text


def test_records_that_break_off_cost_what_they_hold(tmp_path: Path) -> None:
    """The other sheets are read, and the answer says which isn't."""
    cut_note = struct.pack("<HHB", 0x1C, 1, 0)
    path = tmp_path / "a.xls"
    write_compound(path, {"Workbook": marked_xls.workbook(cut_note)})
    parsed = read(path, path.read_bytes())
    assert "hiddencell" in text_of(parsed)
    assert any("the sheet 'sheetname' can't be read" in note for note in parsed.notes)


def test_a_page_of_html_that_is_called_a_workbook_is_read(tmp_path: Path) -> None:
    """Many programs export one under this name."""
    page = b"<html><table><tr><td>part</td><td>7</td></tr></table></html>"
    assert "| part | 7 |" in text_of(read(tmp_path / "a.xls", page))


def test_lines_of_cells_that_are_called_a_workbook_are_read(tmp_path: Path) -> None:
    assert "| part | 7 |" in text_of(read(tmp_path / "a.xls", b"part\t7\r\ntin\t8\r\n"))
