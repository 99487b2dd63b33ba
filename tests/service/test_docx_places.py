"""Every word that Word shows is read once, from wherever it stands; the rest is named."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import marked_docx as made
import pytest
from parsed_documents import read, typed

from batcher.service.parsing import Parsed
from batcher.service.parsing.pages import DocumentProblem


def document(tmp_path: Path, body: str, members: dict[str, str | bytes] | None = None) -> Parsed:
    return read(tmp_path / "a.docx", made.package(body, members or {}))


def text_of(answer: Parsed) -> str:
    return "\n".join(content for _, content in typed(answer))


@pytest.mark.parametrize("extension", [".docx", ".dotx", ".docm"])
@pytest.mark.parametrize("strict", [False, True])
def test_a_word_in_each_place_is_read_once(tmp_path, extension, strict):
    """Whatever is around it, in Open XML of either kind."""
    content, markers = made.marked(strict=strict)
    answer = read(tmp_path / f"a{extension}", content)
    text = text_of(answer)
    assert {place: text.count(marker) for place, marker in markers.items()} == dict.fromkeys(
        markers, 1
    )
    assert answer.notes == []


@pytest.mark.parametrize("place", made.HIDDEN)
def test_what_word_does_not_show_is_not_read(tmp_path, place):
    """Neither deleted nor hidden text, nor what only tells Word what to show."""
    answer = document(
        tmp_path,
        made.HIDDEN[place]("secret") + made.para(made.run("shown")),
        {"styles.xml": made.parts(dict.fromkeys(made.IN_PARTS, ""))["styles"]},
    )
    assert "secret" not in text_of(answer) and "shown" in text_of(answer)


@pytest.mark.parametrize(("part", "sentence"), made.UNREAD.items())
def test_what_is_not_read_is_named(tmp_path, part, sentence):
    """With its reason, and the rest is read."""
    answer = document(tmp_path, part + made.para(made.run("shown")), {"rich.rtf": "{\\rtf1 x}"})
    assert answer.notes == [sentence] and "shown" in text_of(answer)


def test_pictures_without_an_alternative_text_are_counted(tmp_path):
    """Once for the document, with the pages; a picture with a text is a figure, and not named."""
    fill = '<pic:pic><pic:blipFill><a:blip r:embed="none"/></pic:blipFill></pic:pic>'
    silent = made.para(f"<w:r>{made.drawing(fill)}</w:r>")
    cat = made.drawing(fill, 'descr="A cat"')
    described = made.para(f"<w:r>{cat}</w:r>")
    new_page = made.para('<w:r><w:br w:type="page"/></w:r>')
    body = [
        silent,
        described,
        new_page,
        described,
        new_page,
        silent,
        made.table([made.cell(silent)]),
    ]
    answer = document(tmp_path, "".join(body))
    assert answer.notes == ["pages 1, 3: 3 pictures without an alternative text not read"]
    assert typed(answer).count(("Figure", "A cat")) == 2


def test_what_is_not_read_of_html_within_is_named(tmp_path):
    """As in an HTML file of its own."""
    page = "<p>shown</p><img src=a.png width=90>"
    answer = document(tmp_path, '<w:altChunk r:id="html"/>', {"inserted.html": page})
    assert text_of(answer) == "shown"
    assert answer.notes == ["of an inserted file: 1 picture without an alternative text not read"]


LISTS = """<w:numbering><w:abstractNum w:abstractNumId="0">
<w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="Part %1"/>
</w:lvl><w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/>
<w:lvlText w:val="%1.%2)"/><w:isLgl/></w:lvl>
</w:abstractNum><w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/>
<w:lvlText w:val="%1."/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="1"/>
<w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride></w:num></w:numbering>"""


def item(list_: int, level: int = 0) -> str:
    return made.para(made.run("x"), made.listed(list_, level))


def test_list_numbers_are_as_shown(tmp_path):
    """By level and format, begun anew below a higher level and where the list says so; what is
    between two items doesn't matter.
    """
    between = made.para(made.run("between"))
    order = [(1, 0), (1, 1), (1, 1), (1, 0), (1, 1), (2, 0), (2, 0), (3, 0), (3, 0)]
    body = "".join(item(*place) + between for place in order)
    answer = document(tmp_path, body, {"numbering.xml": LISTS})
    numbers = [text.removesuffix(" x") for kind, text in typed(answer) if kind == "List Item"]
    shown = "Part III,3.1),3.2),Part IV,4.1),1.,2.,7.,8."
    assert numbers == shown.split(",")


STYLES = """<w:styles>
<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>
<w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="x1"><w:name w:val="Klausel"/>
<w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="x2"><w:basedOn w:val="x1"/></w:style>
<w:style w:type="paragraph" w:styleId="x3"><w:basedOn w:val="x3"/></w:style></w:styles>"""


@pytest.mark.parametrize(
    ("properties", "kind"),
    [
        ("", "Text"),
        ('<w:pStyle w:val="Titel"/>', "Title"),
        ('<w:pStyle w:val="x1"/>', "Section Header"),
        ('<w:pStyle w:val="x2"/>', "Section Header"),
        ('<w:pStyle w:val="x3"/>', "Text"),
        ('<w:pStyle w:val="x1"/><w:outlineLvl w:val="9"/>', "Text"),
        ('<w:outlineLvl w:val="0"/>', "Section Header"),
        ('<w:pStyle w:val="Heading2"/>', "Section Header"),
        ('<w:pStyle w:val="Überschrift 3"/>', "Section Header"),
    ],
)
def test_a_paragraphs_type_is_its_styles(tmp_path, properties, kind):
    """By its name, its outline level or what it is based on, in any language."""
    answer = document(tmp_path, made.para(made.run("x"), properties), {"styles.xml": STYLES})
    assert typed(answer) == [(kind, "x")]


def test_headers_notes_and_comments_stand_where_they_belong(tmp_path):
    """A header before its section, a note at the end of its page, a comment below its paragraph."""
    content, markers = made.marked()
    found = {text: kind for kind, text in typed(read(tmp_path / "a.docx", content))}
    assert found[markers["header"]] == found[markers["first header"]] == "Header"
    assert found[markers["footer"]] == "Footer"
    assert found[f"Ada: {markers['comment']}"] == found[markers["comment in a table"]] == "Comment"
    assert found[f"[1] {markers['footnote']}"] == found[f"[i] {markers['endnote']}"] == "Text"
    assert found[markers["alternative text"]] == "Figure"
    assert found[markers["heading"]] == "Section Header"
    assert found[f"|  | {markers['series']} |\n| --- | --- |\n| {markers['category']} | 4.3 |"]


def test_a_footnote_ends_its_page(tmp_path):
    """Before the break, even where the break is within a paragraph."""
    note = f'<w:footnote w:id="2">{made.para(made.run("note"))}</w:footnote>'
    broken = made.para(
        made.run("one") + made.reference("footnote", 2) + '<w:r><w:br w:type="page"/></w:r>'
        "<w:r><w:lastRenderedPageBreak/><w:t>two</w:t></w:r>"
    )
    answer = document(tmp_path, broken, {"footnotes.xml": f"<w:footnotes>{note}</w:footnotes>"})
    assert typed(answer) == [("Text", "one[1]"), ("Text", "[1] note"), ("Text", "two")]
    assert answer.num_pages == 2


@pytest.mark.parametrize(
    ("inner", "latex"),
    [
        ("<m:sSup><m:e>{a}</m:e><m:sup>{b}</m:sup></m:sSup>", "a^{b}"),
        ("<m:f><m:num>{a}</m:num><m:den>{b}</m:den></m:f>", "\\frac{a}{b}"),
        ("<m:rad><m:deg>{a}</m:deg><m:e>{b}</m:e></m:rad>", "\\sqrt[a]{b}"),
        ("<m:rad><m:radPr><m:degHide/></m:radPr><m:deg/><m:e>{b}</m:e></m:rad>", "\\sqrt{b}"),
        ("<m:d><m:e>{a}</m:e><m:e>{b}</m:e></m:d>", "(a|b)"),
        (
            '<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>{a}</m:sub><m:sup/>'
            "<m:e>{b}</m:e></m:nary>",
            "∑_{a} b",
        ),
    ],
)
def test_equations_are_latex(tmp_path, inner, latex):
    """With the letters of the document."""
    inner = inner.format(a=made.letters("a"), b=made.letters("b"))
    assert typed(document(tmp_path, made.para(made.maths(inner)))) == [("Text", f"${latex}$")]


def test_a_deleted_paragraph_mark_joins_two_paragraphs(tmp_path):
    """And a paragraph that is deleted as a whole leaves the next one as it is."""
    mark = f"<w:rPr><w:del {made.CHANGE}/></w:rPr>"
    gone = f"<w:del {made.CHANGE}><w:r><w:delText>gone</w:delText></w:r></w:del>"
    body = made.para(made.run("one "), mark) + made.para(made.run("two"))
    body += made.para(gone, mark) + made.para(made.run("three"), '<w:outlineLvl w:val="0"/>')
    body += made.table([made.cell(made.para(made.run("four"), mark))])
    assert typed(document(tmp_path, body)) == [
        ("Text", "one two"),
        ("Section Header", "three"),
        ("Table", "| four |\n| --- |"),
    ]


@pytest.mark.parametrize("part", ["styles", "numbering", "settings", "comments", "footnotes"])
def test_a_broken_part_costs_only_itself(tmp_path, part):
    """It is named, and everything else is read."""
    members = {f"{part}.xml": "<w:broken"}
    body = made.para(made.run("shown") + made.reference("comment", 0))
    body += made.para(made.reference("footnote", 2))
    answer = document(tmp_path, body, members)
    assert "shown" in text_of(answer)
    assert any(f"the part {part} is not read: word/{part}.xml is no XML" in n for n in answer.notes)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"PK\x03\x04 nothing", "DOCUMENT_CORRUPT"),
        (made.package("</w:wrong>", {}), "DOCUMENT_CORRUPT"),
        (made.package(made.para(made.run("x")), {})[:300], "DOCUMENT_CORRUPT"),
        (made.package("", {}).replace(b"document.xml", b"documens.xml"), "DOCUMENT_CORRUPT"),
        (made.package("<w:p/>", {}), "DOCUMENT_EMPTY"),
        (made.package(made.para(made.run("x" * (65 << 20))), {}), "DOCUMENT_TOO_LARGE"),
        (
            b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"),
            "DOCUMENT_PASSWORD_PROTECTED",
        ),
    ],
    ids="no-zip no-xml cut missing empty bomb encrypted".split(),
)
def test_a_document_that_is_not_read_says_why(tmp_path, content, name):
    """By the API's error name."""
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "a.docx", content)
    assert caught.value.name == name


def test_entities_are_not_expanded(tmp_path):
    """They could refer to other files, or grow without limit."""
    content = made.package(made.para(made.run("shown") + made.run("&secret;")), {})
    path = tmp_path / "a.docx"
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        text = archive.read("word/document.xml").decode()
    declared = f'<!DOCTYPE d [<!ENTITY secret SYSTEM "file://{path}">]>{text}'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", declared)
    assert typed(read(path, out.getvalue())) == [("Text", "shown")]


@pytest.mark.parametrize("depth", [60, 600])
def test_nested_tables_are_linear(tmp_path, depth):
    """Each word once, however deep it stands."""
    body = "<w:tbl><w:tr><w:tc>" * depth + made.para(made.run("deep"))
    body += "<w:p/></w:tc></w:tr></w:tbl>" * depth
    assert typed(document(tmp_path, body)) == [("Table", "| deep |\n| --- |")]


def test_a_chart_shown_twice_is_written_once(tmp_path):
    """So is a file that is inserted twice."""
    chart = made.para(f"<w:r>{made.drawing(made.CHART.format('chart'))}</w:r>")
    members = {"chart.xml": made.parts(dict.fromkeys(made.IN_PARTS, "word"))["chart"]}
    answer = document(tmp_path, chart * 2, dict(members))
    assert [kind for kind, _ in typed(answer)] == ["Figure", "Table"] and answer.notes == []
