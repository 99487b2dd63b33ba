"""Every word that a workbook of LibreOffice shows comes out once; what isn't read is named."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import marked_ods
import pytest
from marked_xlsx import changed
from parsed_documents import read, text_of, types_of

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing import DocumentProblem
from batcher.service.parsing.sheets import workbook

CONTENT, WORDS = marked_ods.marked()


@pytest.mark.parametrize("place", WORDS)
def test_every_place_is_read_once(tmp_path: Path, place: str) -> None:
    assert text_of(read(tmp_path / "a.ods", CONTENT)).count(WORDS[place]) == 1


def test_nothing_that_isnt_shown_is_read(tmp_path: Path) -> None:
    """Deleted text, caches of other documents, and headers of pages that aren't used."""
    text = text_of(read(tmp_path / "a.ods", CONTENT))
    unshown = ("deletedtext", "externaltext", "ddetext", "unusedheader", "unusedpage")
    assert not [word for word in unshown if word in text]


def test_what_isnt_read_is_named(tmp_path: Path) -> None:
    notes = read(tmp_path / "a.ods", CONTENT).notes
    assert len(notes) == len(marked_ods.UNREAD)
    assert all(any(reason in note for note in notes) for reason in marked_ods.UNREAD)


def test_what_is_beside_the_cells_has_its_own_types(tmp_path: Path) -> None:
    types = types_of(read(tmp_path / "a.ods", CONTENT))
    assert types["headertext"] == "Header"
    assert types["footertext"] == "Footer"
    assert types["A2: noteauthor: notetext"] == "Comment"


@pytest.mark.parametrize(
    ("excluded", "lost"),
    [("hidden_sheets", "hiddencell"), ("hidden_rows", "hiddenrow")],
)
def test_what_is_hidden_can_be_left_out(tmp_path: Path, excluded: str, lost: str) -> None:
    text = text_of(read(tmp_path / "a.ods", CONTENT, spreadsheet={"exclude": [excluded]}))
    assert lost not in text and "celltext" in text


def test_a_document_that_breaks_off_is_read_to_there(tmp_path: Path) -> None:
    cut = marked_ods.CONTENT[: marked_ods.CONTENT.index("grouprow")].encode()
    parsed = read(tmp_path / "a.ods", changed(CONTENT, {"content.xml": cut}))
    assert "celltext" in text_of(parsed) and "sheetname" in text_of(parsed)
    assert any("can't be read" in note for note in parsed.notes)


@pytest.mark.parametrize("part", ["styles.xml", "Object 1/content.xml"])
def test_a_broken_part_costs_that_part(tmp_path: Path, part: str) -> None:
    parsed = read(tmp_path / "a.ods", changed(CONTENT, {part: b"<no xml"}))
    assert "celltext" in text_of(parsed)
    assert sum("can't be read" in note for note in parsed.notes) == 1


def test_a_cell_that_is_repeated_a_billion_times_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MOST_CELLS", 1 << 20)
    old = 'table:number-columns-repeated="16384"/>'
    new = 'table:number-columns-repeated="16384"><text:p>many</text:p></table:table-cell>'
    content = marked_ods.CONTENT.replace(old, new).encode()
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "a.ods", changed(CONTENT, {"content.xml": content}))
    assert caught.value.name == ErrorName.DOCUMENT_TOO_LARGE


def test_an_encrypted_document_is_named_so(tmp_path: Path) -> None:
    out = io.BytesIO(CONTENT)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("META-INF/manifest.xml", "<manifest:encryption-data/>")
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "a.ods", out.getvalue())
    assert caught.value.name == ErrorName.DOCUMENT_PASSWORD_PROTECTED
