"""Every word that a workbook of today's Excel shows comes out once; what isn't read is named."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import marked_xlsx
import pytest
from effort import calls_of
from marked_xlsx import changed
from parsed_documents import read, text_of, types_of

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing import DocumentProblem

CONTENT, WORDS = marked_xlsx.marked()


@pytest.mark.parametrize("place", WORDS)
def test_every_place_is_read_once(tmp_path: Path, place: str) -> None:
    assert text_of(read(tmp_path / "a.xlsx", CONTENT)).count(WORDS[place]) == 1


def test_nothing_that_isnt_shown_is_read(tmp_path: Path) -> None:
    """Readings above characters, what older programs see, codes of page numbers."""
    text = text_of(read(tmp_path / "a.xlsx", CONTENT))
    assert not [word for word in ("reading", "not available", "&P", "other") if word in text]


def test_what_isnt_read_is_named(tmp_path: Path) -> None:
    notes = read(tmp_path / "a.xlsx", CONTENT).notes
    assert len(notes) == len(marked_xlsx.UNREAD)
    for reason in marked_xlsx.UNREAD:
        assert any(reason in note for note in notes)


def test_what_is_beside_the_cells_has_its_own_types(tmp_path: Path) -> None:
    types = types_of(read(tmp_path / "a.xlsx", CONTENT))
    assert types["sheetname"] == "Section Header"
    assert types["headerleft\nheadercenter\nheaderright"] == "Header"
    assert types["footertext  /"] == "Footer"
    assert types["B2: noteauthor:\nnote2026"] == "Comment"
    assert types["C2: threadauthor: threadtext"] == "Comment"
    assert types["boxtext"] == "Text"


def test_strict_files_are_read_alike(tmp_path: Path) -> None:
    """Strict Office Open XML has other names for the same elements."""
    strict = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(CONTENT)) as old, zipfile.ZipFile(strict, "w") as new:
        for name in old.namelist():
            part = old.read(name).replace(
                b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
                b"http://purl.oclc.org/ooxml/spreadsheetml/main",
            )
            new.writestr(
                name,
                part.replace(
                    b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
                    b"http://purl.oclc.org/ooxml/officeDocument/relationships",
                ),
            )
    usual = read(tmp_path / "a.xlsx", CONTENT)
    assert text_of(read(tmp_path / "b.xlsx", strict.getvalue())) == text_of(usual)


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ("xl/comments1.xml", {"note2026", "noteauthor"}),
        ("xl/charts/chart1.xml", {"charttitle", "axistitle", "seriesname"}),
        ("xl/worksheets/b.xml", {"hiddencell"}),
        ("xl/styles.xml", {"prefixtext", "percent15.5%"}),
        ("xl/persons/person.xml", {"threadauthor"}),
    ],
)
def test_a_broken_part_costs_that_part(tmp_path: Path, part: str, lost: set[str]) -> None:
    """The others are read, and the answer names it."""
    parsed = read(tmp_path / "a.xlsx", changed(CONTENT, {part: b"<no xml"}))
    text = text_of(parsed)
    assert "sharedtext" in text and "boxtext" in text
    assert not [word for word in lost if word in text]
    assert sum("can't be read" in note for note in parsed.notes) == 1


def test_a_sheet_that_breaks_off_is_read_to_there(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(CONTENT)) as archive:
        sheet = archive.read("xl/worksheets/a.xml")
    cut = sheet[: sheet.index(b'<row r="4"')]
    parsed = read(tmp_path / "a.xlsx", changed(CONTENT, {"xl/worksheets/a.xml": cut}))
    assert "linktext" in text_of(parsed) and "prefixtext" not in text_of(parsed)
    assert any("after row 3" in note for note in parsed.notes)


def test_a_stray_cell_in_the_last_corner_costs_nothing(tmp_path: Path) -> None:
    rows = (
        b'<row r="1"><c r="A1"><v>12</v></c></row>'
        b'<row r="1048576"><c r="XFD1048576"><v>13</v></c></row>'
    )
    sheet = b"<worksheet><sheetData>" + rows + b"</sheetData></worksheet>"
    parsed = read(tmp_path / "a.xlsx", changed(CONTENT, {"xl/worksheets/b.xml": sheet}))
    assert "| 12 |" in text_of(parsed) and "| 13 |" in text_of(parsed)


@pytest.mark.parametrize(
    "rows",
    [
        # a cell at both ends of many rows
        b"".join(
            b'<row r="%d"><c r="A%d"><v>1</v></c><c r="XFD%d"><v>2</v></c></row>' % (n, n, n)
            for n in range(1, 1000)
        ),
        # steps, so that each row begins where the one above ends
        b"".join(
            b'<row r="%d"><c r="%c%c%d"><v>1</v></c></row>' % (n, 65 + n // 26, 65 + n % 26, n)
            for n in range(1, 676)
        )
        * 20,
    ],
)
def test_more_empty_places_than_a_table_can_have_are_refused(tmp_path: Path, rows: bytes) -> None:
    sheet = b"<worksheet><sheetData>" + rows + b"</sheetData></worksheet>"
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "a.xlsx", changed(CONTENT, {"xl/worksheets/b.xml": sheet}))
    assert caught.value.name == ErrorName.DOCUMENT_TOO_LARGE


def test_a_text_that_many_cells_refer_to_is_counted_each_time(tmp_path: Path) -> None:
    """A shared text of a megabyte in a thousand cells is a gigabyte."""
    strings = b"<sst><si><t>" + b"word " * 200_000 + b"</t></si></sst>"
    cells = b"".join(b'<row><c t="s"><v>0</v></c></row>' for _ in range(1000))
    parts = {
        "xl/sharedStrings.xml": strings,
        "xl/worksheets/a.xml": b"<worksheet><sheetData>" + cells + b"</sheetData></worksheet>",
    }
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "a.xlsx", changed(CONTENT, parts))
    assert caught.value.name == ErrorName.DOCUMENT_TOO_LARGE


def test_effort_grows_with_the_rows(tmp_path: Path) -> None:
    """Four times the rows are about four times the work, not sixteen times."""
    spent = []
    for count in (500, 2_000):
        rows = b"".join(
            b"<row><c><v>%d</v></c><c t='inlineStr'><is><t>a</t></is></c></row>" % number
            for number in range(count)
        )
        sheet = b"<worksheet><sheetData>" + rows + b"</sheetData></worksheet>"
        content = changed(CONTENT, {"xl/worksheets/b.xml": sheet})
        spent.append(calls_of(lambda: read(tmp_path / "a.xlsx", content)))  # noqa: B023
    assert spent[1] < 6 * spent[0]


def test_cells_without_names_follow_each_other(tmp_path: Path) -> None:
    sheet = (
        b"<worksheet><sheetData><row><c><v>1</v></c><c><v>2</v></c></row></sheetData></worksheet>"
    )
    parsed = read(tmp_path / "a.xlsx", changed(CONTENT, {"xl/worksheets/b.xml": sheet}))
    assert "| 1 | 2 |" in text_of(parsed)


def test_a_workbook_without_a_sheet_that_can_be_read_is_corrupt(tmp_path: Path) -> None:
    parts = dict.fromkeys(
        ("xl/worksheets/a.xml", "xl/worksheets/b.xml", "xl/drawings/drawing2.xml"), b"<"
    )
    rels = dict.fromkeys(("xl/worksheets/_rels/a.xml.rels",), None)
    with pytest.raises(DocumentProblem, match="sheetname") as caught:
        read(tmp_path / "a.xlsx", changed(CONTENT, {**parts, **rels}))
    assert caught.value.name == ErrorName.DOCUMENT_CORRUPT


def chart_text(tmp_path: Path, series: str, more: str = "") -> str:
    """Return the text of a workbook whose first chart has these series."""
    space = "<c:chartSpace xmlns:c='urn:c' xmlns:cx='urn:cx'>{}</c:chartSpace>"
    part = space.format(f"<c:barChart>{series}</c:barChart>{more}").encode()
    return text_of(read(tmp_path / "a.xlsx", changed(CONTENT, {"xl/charts/chart1.xml": part})))


def values(name: str, points: dict[int, str], cells: str, code: str = "General") -> str:
    """Return an element of a series with these values, taken from these cells."""
    told = "".join(f"<c:pt idx='{at}'><c:v>{text}</c:v></c:pt>" for at, text in points.items())
    cache = f"<c:numCache><c:formatCode>{code}</c:formatCode>{told}</c:numCache>"
    return f"<c:{name}><c:numRef><c:f>{cells}</c:f>{cache}</c:numRef></c:{name}>"


def test_the_values_of_a_chart_stand_by_their_categories(tmp_path: Path) -> None:
    """And are formatted as it shows them, where they are from another workbook."""
    months = values("cat", {0: "Jan", 1: "Feb", 2: "Mar"}, "[1]other!$A$2:$A$4", "")
    shares = values("val", {0: "0.155", 2: "0.3"}, "[1]other!$B$2:$B$4", "0.0%")
    name = values("tx", {0: "Share"}, "[1]other!$B$1", "")
    text = chart_text(tmp_path, f"<c:ser>{name}{months}{shares}</c:ser>")
    assert "|  | Share |\n| --- | --- |\n| Jan | 15.5% |\n| Feb |  |\n| Mar | 30.0% |" in text


def test_each_series_of_a_chart_has_its_own_horizontal_values(tmp_path: Path) -> None:
    first = values("xVal", {0: "1"}, "[1]o!$A$1") + values("yVal", {0: "10"}, "[1]o!$B$1")
    second = values("xVal", {0: "2"}, "[1]o!$C$1") + values("yVal", {0: "20"}, "[1]o!$D$1")
    text = chart_text(tmp_path, f"<c:ser>{first}</c:ser><c:ser>{second}</c:ser>")
    assert "| 1 | 10 | 2 | 20 |" in text


def test_levels_of_categories_are_one_column(tmp_path: Path) -> None:
    levels = "".join(
        f"<c:lvl><c:pt idx='0'><c:v>{name}</c:v></c:pt></c:lvl>" for name in ("May", "2026")
    )
    categories = f"<c:cat><c:multiLvlStrCache>{levels}</c:multiLvlStrCache></c:cat>"
    series = f"<c:ser>{categories}{values('val', {0: '5'}, '[1]other!$A$1')}</c:ser>"
    assert "| 2026 May | 5 |" in chart_text(tmp_path, series)


def test_only_the_series_that_are_in_no_cell_are_a_table(tmp_path: Path) -> None:
    here = values("val", {0: "7"}, "sheetname!$A$4")
    there = values("val", {0: "4321"}, "[1]other!$A$4")
    names = [f"<c:tx><c:v>{name}</c:v></c:tx>" for name in ("innername", "outername")]
    series = f"<c:ser>{names[0]}{here}</c:ser><c:ser>{names[1]}{there}</c:ser>"
    text = chart_text(tmp_path, series)
    assert "| outername |\n| --- |\n| 4321 |" in text
    assert text.count("innername") == text.count("outername") == 1


def test_an_extended_chart_of_cells_is_no_table(tmp_path: Path) -> None:
    """Its formula is a name that the program makes for cells of the workbook."""
    data = (
        "<cx:chartData><cx:data id='0'><cx:numDim type='val'><cx:f>_xlchart.v1.1</cx:f><cx:lvl>"
        "<cx:pt idx='0'>4321</cx:pt></cx:lvl></cx:numDim></cx:data></cx:chartData>"
    )
    assert "4321" not in chart_text(tmp_path, "", data)


def test_data_of_a_chart_that_are_nowhere_are_named(tmp_path: Path) -> None:
    series = f"<c:ser>{values('val', {}, '[1]other!$A$1')}</c:ser>"
    part = f"<c:chartSpace xmlns:c='urn:c'>{series}</c:chartSpace>".encode()
    parsed = read(tmp_path / "a.xlsx", changed(CONTENT, {"xl/charts/chart1.xml": part}))
    told = "a chart on the sheet 'sheetname' can't be read: its data are not in the document"
    assert any(told in note for note in parsed.notes)


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        ('<c r="B2" t="s"><v>99</v></c>', "B2"),
        ('<c r="B2" t="s"><v>x</v></c>', "B2"),
        ('<c r="ZZZZ2"><v>8</v></c>', "ZZZZ2"),
        ('<c r="ÄÖ2"><v>8</v></c>', "ÄÖ2"),
        ('</row><row r="99999999999"><c r="A1"><v>8</v></c>', "row 99999999999"),
        ('</row><row r="-1"><c r="A1"><v>8</v></c>', "row -1"),
        ('<c r="B2" t="s"><v>99</v></c>' * 25, ", ".join(["B2"] * 20) + " and 5 more"),
    ],
)
def test_a_broken_cell_costs_that_cell(tmp_path: Path, cells: str, named: str) -> None:
    """The sheet is read on, and the answer names the cell."""
    rows = (
        f'<row r="1"><c r="A1"><v>11</v></c></row><row r="2"><c r="A2"><v>12</v></c>{cells}'
        '<c><v>13</v></c></row><row r="3"><c r="A3"><v>14</v></c></row>'
    )
    sheet = f"<worksheet><cols><col hidden='1'/></cols><sheetData>{rows}</sheetData></worksheet>"
    parsed = read(tmp_path / "a.xlsx", changed(CONTENT, {"xl/worksheets/b.xml": sheet.encode()}))
    (note,) = (note for note in parsed.notes if "hiddensheet" in note)
    assert note.endswith(f"cells of the sheet 'hiddensheet' can't be read: {named}")
    text = text_of(parsed)
    assert "| 11 |" in text and "| 12 |" in text and "| 14 |" in text
