"""ODT, FODT and ODP: a marker in each place comes out once, and what can't be read is named."""

from __future__ import annotations

from pathlib import Path

import marked_odt as made
import pytest
from parsed_documents import placed, read

from batcher.service.parsing import Parsed
from batcher.service.parsing.opendocument import tables
from batcher.service.parsing.opendocument import walk as walking
from batcher.service.parsing.pages import DocumentProblem

DOCUMENTS = {
    "odt": (made.marked, made.TEXT_UNSEEN),
    "fodt": (made.marked_flat, made.TEXT_UNSEEN),
    "odp": (made.marked_slides, made.SLIDE_UNSEEN),
}


@pytest.fixture(params=DOCUMENTS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def parsed(tmp_path: Path, raw: bytes, extension: str = "odt") -> Parsed:
    return read(tmp_path / f"a.{extension}", raw)


def content_of(result: Parsed) -> str:
    return "\n".join(content for _, content, _ in placed(result))


def text(body: str, automatic: str = "", **more: str) -> bytes:
    """Return a package whose text is `body`."""
    styles = f"<office:automatic-styles>{automatic}</office:automatic-styles>"
    inner = f"{styles}<office:body><office:text>{body}</office:text></office:body>"
    return made.package("odt", {"content.xml": made.document("content", inner), **more})


def test_every_place_is_read_once(tmp_path: Path, kind: str) -> None:
    make, _ = DOCUMENTS[kind]
    raw, words = make()
    content = content_of(parsed(tmp_path, raw, kind))
    assert {place: content.count(word) for place, word in words.items()} == dict.fromkeys(words, 1)


def test_what_is_not_shown_is_not_read(tmp_path: Path, kind: str) -> None:
    make, unseen = DOCUMENTS[kind]
    content = content_of(parsed(tmp_path, make()[0], kind))
    assert [one for one in unseen if made.marker(one) in content] == []


def test_pictures_with_an_alternative_text_are_read(tmp_path: Path, kind: str) -> None:
    make, _ = DOCUMENTS[kind]
    assert parsed(tmp_path, make()[0], kind).notes == []


def test_pictures_without_an_alternative_text_are_counted(tmp_path: Path) -> None:
    frame = '<text:p>w<draw:frame><draw:image xlink:href="a.png"/></draw:frame></text:p>'
    notes = parsed(tmp_path, text(frame * 2)).notes
    assert notes == ["2 pictures without an alternative text not read"]


def test_blocks_have_their_types_and_pages(tmp_path: Path) -> None:
    raw, words = made.marked()
    found = places(parsed(tmp_path, raw), words)
    assert found["title"] == ("Title", 1)
    assert found["heading"] == found["subtitle"] == ("Section Header", 1)
    assert found["nested-item"] == ("List Item", 1)
    assert found["comment"] == ("Comment", 1)
    assert found["header"] == ("Header", 1)
    assert found["alt-title"] == ("Figure", 1)
    assert found["second-page"] == ("Text", 2)
    assert found["header-of-landscape"] == ("Header", 3)


def test_each_slide_is_a_page(tmp_path: Path) -> None:
    raw, words = made.marked_slides()
    found = places(parsed(tmp_path, raw, "odp"), words)
    assert found["title"] == ("Title", 1)
    assert found["nested-outline-item"] == ("List Item", 1)
    assert found["cell"] == ("Table", 1)
    assert found["second-title"] == ("Title", 2)
    assert found["third-slide"] == ("Text", 3)


def places(result: Parsed, words: dict[str, str]) -> dict[str, tuple[str, int]]:
    return {
        place: (kind, page)
        for kind, content, page in placed(result)
        for place, word in words.items()
        if word in content
    }


LEVELS = """<text:list-style style:name="L">
<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>
<text:list-level-style-number text:level="2" style:num-format="a" text:display-levels="2"/>
<text:list-level-style-number text:level="3" style:num-format="i" style:num-suffix=")"/>
</text:list-style>"""


def items(*inner: str, more: str = "") -> str:
    held = "".join(f"<text:list-item>{one}</text:list-item>" for one in inner)
    return f'<text:list text:style-name="L" {more}>{held}</text:list>'


def test_lists_have_the_numbers_that_are_shown(tmp_path: Path) -> None:
    """Of all levels, started anew, gone on with, and not taken by a second paragraph."""
    third = items(*["<text:p>c</text:p>"] * 4)
    second = items("<text:p>b</text:p>", f"<text:p>b</text:p>{third}")
    body = (
        items(
            "<text:p>a</text:p><text:p>on</text:p>",
            f"<text:p>a</text:p>{second}",
            "<text:p>a</text:p>",
        )
        + "<text:p>between</text:p>"
        + items("<text:p>goes on</text:p>", more='text:continue-numbering="true"')
        + items("<text:p>anew</text:p>")
    )
    found = [content for _, content, _ in placed(parsed(tmp_path, text(body, LEVELS)))]
    assert found == [
        *("1. a", "on", "2. a", "2.a b", "2.b b", "i) c", "ii) c", "iii) c", "iv) c", "3. a"),
        *("between", "4. goes on", "1. anew"),
    ]


def test_nested_tables_stay_as_large_as_their_words(tmp_path: Path) -> None:
    cell = "<table:table><table:table-row><table:table-cell><text:p>w</text:p>"
    end = "</table:table-cell></table:table-row></table:table>"
    content = content_of(parsed(tmp_path, text(cell * 60 + end * 60)))
    assert content.count("w") == 60 and len(content) < 200


def test_depth_without_end_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    deep = "<text:section><text:p>w</text:p>" * 50_000 + "</text:section>" * 50_000
    found = parsed(tmp_path, text(deep))
    assert content_of(found).count("w") > 500
    assert any("content.xml is damaged" in note for note in found.notes)


def test_rows_that_are_repeated_without_end_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MOST_REPEATED", 1 << 16)
    row = '<table:table-row table:number-rows-repeated="1000000">'
    cell = (
        '<table:table-cell table:number-columns-repeated="9"><text:p>w</text:p></table:table-cell>'
    )
    nested = f"<table:table>{row}<table:table-cell>" * 9 + "<text:p>v</text:p>"
    nested += "</table:table-cell></table:table-row></table:table>" * 9
    body = f"<table:table>{row}{cell}</table:table-row></table:table>{nested}"
    found = parsed(tmp_path, text(body))
    assert content_of(found).count("w") == 9000
    assert found.notes == ["rows or cells that are repeated very often are not all read"]


def test_elements_without_end_are_an_error_with_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "MOST_VISITS", 1000)
    with pytest.raises(DocumentProblem) as raised:
        parsed(tmp_path, text("<text:p>w</text:p>" * 1001))
    assert raised.value.name == "DOCUMENT_TOO_LARGE"


ENCRYPTED = """<manifest xmlns="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
 xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">
<file-entry m:full-path="content.xml"><encryption-data/></file-entry></manifest>"""


@pytest.mark.parametrize(
    "raw",
    [
        made.package("odt", {"content.xml": "\x80", "META-INF/manifest.xml": ENCRYPTED}),
        made.package("odt", {"encrypted-package": "x", "META-INF/manifest.xml": "<a><b/></a>"}),
    ],
)
def test_an_encrypted_package_wants_a_password(tmp_path: Path, raw: bytes) -> None:
    """As LibreOffice wrote them until 2024, each part by itself, and since then as a whole."""
    with pytest.raises(DocumentProblem) as raised:
        parsed(tmp_path, raw)
    assert raised.value.name == "DOCUMENT_PASSWORD_PROTECTED"


def test_a_bad_part_costs_that_part(tmp_path: Path) -> None:
    """Styles that aren't XML, an object that is missing, one of a program that isn't known."""
    frames = (
        '<draw:frame><draw:object xlink:href="./Gone"/></draw:frame>'
        '<draw:frame><draw:object-ole xlink:href="./Old"/><draw:image/></draw:frame>'
    )
    raw = text(f"<text:p>words{frames}</text:p>", **{"styles.xml": "<not xml"})
    found = parsed(tmp_path, raw)
    assert content_of(found).strip() == "words"
    told = " / ".join(found.notes)
    assert "styles.xml" in told and "Gone/content.xml" in told and "another program" in told


def test_an_object_that_holds_itself_is_read_once(tmp_path: Path) -> None:
    frame = '<draw:frame><draw:object xlink:href="./Object"/></draw:frame>'
    inner = f"<office:body><office:text><text:p>inner</text:p>{frame}</office:text></office:body>"
    raw = text(frame, **{"Object/content.xml": made.document("content", inner)})
    assert content_of(parsed(tmp_path, raw)) == "inner"


@pytest.mark.parametrize("extension", ["docx", "ods", "bin"])
def test_a_package_is_known_by_the_type_that_it_declares(tmp_path: Path, extension: str) -> None:
    assert content_of(parsed(tmp_path, text("<text:p>words</text:p>"), extension)) == "words"


def test_a_flat_file_that_breaks_off_is_read_so_far_and_says_so(tmp_path: Path) -> None:
    raw, _ = made.marked_flat()
    found = parsed(tmp_path, raw[: raw.index(b"Beside:")], "fodt")
    assert made.marker("repeated-row-cell") in content_of(found)
    assert any("the document is damaged" in note for note in found.notes)


def test_what_stands_for_a_page_number_is_no_text(tmp_path: Path) -> None:
    """LibreOffice leaves it so where a page doesn't know its number."""
    number = "<text:page-number>{}</text:page-number>"
    paragraphs = (f"<text:p>{number.format(told)}</text:p>" for told in ("&lt;number&gt;", "3"))
    assert content_of(parsed(tmp_path, text("".join(paragraphs)))) == "3"


SPLIT = """<text:p>begins <text:soft-page-break/>here</text:p><text:p>next</text:p>"""


def test_a_paragraph_over_two_pages_stays_whole(tmp_path: Path) -> None:
    found = placed(parsed(tmp_path, text(SPLIT)))
    assert found == [("Text", "begins here", 1), ("Text", "next", 2)]


def test_master_pages_may_follow_each_other_in_a_circle(tmp_path: Path) -> None:
    """And have no name, as those of a damaged file."""
    page = (
        '<style:master-page style:name="{}" style:next-style-name="{}"><style:header>'
        "<text:p>header {}</text:p></style:header></style:master-page>"
    )
    pages = "".join(page.format(*names) for names in (("Standard", "", 1), ("", "Standard", 2)))
    styles = made.document("styles", f"<office:master-styles>{pages}</office:master-styles>")
    found = parsed(tmp_path, text("<text:p>words</text:p>", **{"styles.xml": styles}))
    assert sorted(content_of(found).split("\n")) == ["header 1", "header 2", "words"]


def test_a_table_in_the_middle_of_a_line_is_read(tmp_path: Path) -> None:
    """Only a damaged file has one there."""
    cell = "<table:table-cell>a <text:p>cell</text:p> b</table:table-cell>"
    table = f"<table:table><table:table-row>{cell}</table:table-row></table:table>"
    found = parsed(tmp_path, text(f"<text:p>before {table} after</text:p>"))
    assert "".join(content_of(found).split()).replace("|", "") == "beforecell---after"
