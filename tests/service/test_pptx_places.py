"""Every word of a presentation is read once, or its place is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import parsed_documents
import pytest
from marked_pptx import (
    UNREAD,
    at,
    cell,
    chart,
    graphic,
    group,
    mark,
    marked,
    marked_parts,
    paragraph,
    reference,
    relations,
    shape,
    slide,
    strict,
    zipped,
)
from parsed_documents import blocks_of, typed

from batcher.service.parsing import Parsed
from batcher.service.parsing.pages import DocumentProblem


def read(path: Path, content: bytes | dict[str, str], **options: Any) -> Parsed:
    made = content if isinstance(content, bytes) else zipped(content)
    return parsed_documents.read(path, made, **options)


def deck(*slides: str, **more: str) -> dict[str, str]:
    """A presentation of these slides, without a layout; `more` are parts by name."""
    parts, _ = marked_parts()
    listed = "".join(f'<p:sldId r:id="rId{n}"/>' for n in range(1, len(slides) + 1))
    names = parts["ppt/presentation.xml"].partition("<p:sldIdLst>")[0]
    return {
        "_rels/.rels": parts["_rels/.rels"],
        "ppt/presentation.xml": f"{names}<p:sldIdLst>{listed}</p:sldIdLst>"
        '<p:sldSz cx="9144000" cy="6858000"/></p:presentation>',
        "ppt/_rels/presentation.xml.rels": relations(
            *((f"rId{n}", "slide", f"slides/slide{n}.xml") for n in range(1, len(slides) + 1))
        ),
        **{f"ppt/slides/slide{n}.xml": content for n, content in enumerate(slides, start=1)},
        **more,
    }


def check_places(parsed: Parsed, places: dict[str, str]) -> None:
    content = "\n".join(block["content"] for block in blocks_of(parsed))
    found = {
        place: len(re.findall(rf"\b{re.escape(word)}\b", content)) for place, word in places.items()
    }
    assert {place: times for place, times in found.items() if times != 1} == {}
    assert not re.search("fallback|hidden below|hidden too|Click to|not available", content)
    for place, sentence in UNREAD.items():
        assert sum(sentence in note for note in parsed.notes) == 1, (place, parsed.notes)
    assert len(parsed.notes) == len(UNREAD)


@pytest.mark.parametrize("extension", ["pptx", "pptm", "potx", "ppsx"])
def test_every_place_is_read_once(tmp_path, extension):
    """Whatever the file is called; what can't be read is named."""
    content, places = marked()
    assert len(places) >= 40
    check_places(read(tmp_path / f"a.{extension}", content), places)


def test_strict_presentations_are_read_alike(tmp_path):
    """Their namespaces differ, and nothing else."""
    parts, places = marked_parts()
    check_places(read(tmp_path / "a.pptx", strict(parts)), places)


def test_places_tell_the_types_of_blocks(tmp_path):
    """Titles, lists, margins, comments, figures and tables."""
    content, places = marked()
    of = {text: type_ for type_, text in typed(read(tmp_path / "a.pptx", content))}
    told = {
        "title": "Title",
        "subtitle": "Section Header",
        "bullet": "List Item",
        "footer": "Footer",
        "slide number": "Page Number",
        "layout": "Header",
        "master": "Footer",
        "notes": "Comment",
        "linked picture": "Figure",
        "diagram's parent": "List Item",
    }
    assert {place: of.get(places[place]) for place in told} == told
    assert of[f"1. {places['numbered']}"] == "List Item"
    assert of[f"{places['author of a comment']}: {places['comment']}"] == "Comment"


def test_a_chart_is_a_table_of_its_data(tmp_path):
    """A row for each category, a column for each series, numbers as they are shown."""
    parts, places = marked_parts()
    tables = [
        content for type_, content in typed(read(tmp_path / "a.pptx", parts)) if type_ == "Table"
    ]
    assert (
        f"|  | {places['series']} | {places['second series']} |\n| --- | --- | --- |\n"
        f"| {places['category']} | 4711.25 | 15.5% |\n| b | 2 | 50.0% |"
    ) in tables


def test_points_with_their_own_places_keep_them(tmp_path):
    """As in a scatter chart, where each series has its own horizontal values."""
    series = "".join(
        f"<c:ser>{reference('tx', 'str', name)}{reference('xVal', 'num', x)}"
        f"{reference('yVal', 'num', y)}</c:ser>"
        for name, x, y in (("tin", "1", "2"), ("oil", "3", "4"))
    )
    parts = deck(
        slide(graphic("chart", '<c:chart r:id="rId1"/>')),
        **{
            "ppt/slides/_rels/slide1.xml.rels": relations(("rId1", "chart", "/ppt/c.xml")),
            "ppt/c.xml": chart(series),
        },
    )
    (found,) = [text for type_, text in typed(read(tmp_path / "a.pptx", parts)) if type_ == "Table"]
    assert found == "|  | tin |  | oil |\n| --- | --- | --- | --- |\n| 1 | 2 | 3 | 4 |"


def test_spanned_cells_keep_later_ones_in_their_columns(tmp_path):
    """A value stands under its own heading."""
    parts, places = marked_parts()
    tables = [text for type_, text in typed(read(tmp_path / "a.pptx", parts)) if type_ == "Table"]
    assert tables[0] == (
        f"| {places['merged cell']} |  | {places['head cell']} |\n| --- | --- | --- |\n"
        f"|  |  | {places['cell']} |"
    )


def test_blocks_have_their_places_on_the_slide(tmp_path):
    """Also those within groups, which have coordinates of their own, and turned ones."""
    transform = (
        '<a:xfrm><a:off x="914400" y="914400"/><a:ext cx="914400" cy="914400"/>'
        '<a:chOff x="0" y="0"/><a:chExt cx="100" cy="100"/></a:xfrm>'
    )
    small = '<a:xfrm><a:off x="50" y="0"/><a:ext cx="50" cy="100"/></a:xfrm>'
    within = group(shape(paragraph("within"), place=small)).replace(
        "<p:grpSpPr/>", f"<p:grpSpPr>{transform}</p:grpSpPr>"
    )
    turned = shape(paragraph("turned"), place=at(4, 5, 4, 1)).replace(
        "<a:xfrm>", '<a:xfrm rot="5400000">'
    )
    found = {
        block["content"]: [block["bbox"][side] for side in ("left", "top", "width", "height")]
        for block in blocks_of(read(tmp_path / "a.pptx", deck(slide(within, turned))))
    }
    assert found["within"] == pytest.approx([0.15, 0.133333, 0.05, 0.133333], abs=1e-5)
    assert found["turned"] == pytest.approx([0.55, 0.466667, 0.1, 0.533333], abs=1e-5)


def test_a_slide_is_read_as_people_read_it(tmp_path):
    """The title first, then column by column, each below its own heading."""
    placed = {
        "right text": (5, 2.5, 3, 3),
        "left text": (1, 2.5, 3, 3),
        "right head": (5, 2, 3, 0.5),
        "left head": (1, 2.02, 3, 0.5),
        "below": (1, 6.2, 7, 0.5),
    }
    shapes = [shape(paragraph(text), place=at(*place)) for text, place in placed.items()]
    title = shape(paragraph("title"), mark=mark("title"), place=at(1, 7, 7, 0.4))
    parsed = read(tmp_path / "a.pptx", deck(slide(*shapes[:4], title)))
    assert [text for _, text in typed(parsed)] == [
        "title",
        "left head",
        "left text",
        "right head",
        "right text",
    ]
    parsed = read(tmp_path / "a.pptx", deck(slide(shapes[4], *shapes[:2])))
    assert [text for _, text in typed(parsed)] == ["left text", "right text", "below"]


def test_what_has_no_bullet_is_no_list_item(tmp_path):
    """Levels are bulleted by the shape, its layout or the master, unless a paragraph says no."""
    level = '<a:lvl1pPr><a:buChar char="-"/></a:lvl1pPr>'
    styles = f"<p:txStyles><p:bodyStyle>{level}</p:bodyStyle></p:txStyles>"
    parts, _ = marked_parts()
    parts["ppt/slides/slide1.xml"] = slide(
        shape(
            paragraph("first")
            + paragraph("plain", "<a:pPr><a:buNone/></a:pPr>")
            + "<a:p/>"
            + paragraph("deeper", '<a:pPr lvl="1"/>'),
            mark=mark(index=1),
        )
    )
    parts["ppt/slideMasters/slideMaster1.xml"] = parts["ppt/slideMasters/slideMaster1.xml"].replace(
        "</p:sldMaster>", f"{styles}</p:sldMaster>"
    )
    found = typed(read(tmp_path / "a.pptx", parts))
    assert found[:2] == [("List Item", "first"), ("Text", "plain\ndeeper")]


def test_numbers_of_lists_are_as_shown(tmp_path):
    """Each scheme, each level for itself, from where it starts."""
    numbers = [
        paragraph("a", '<a:pPr><a:buAutoNum type="romanUcPeriod" startAt="3"/></a:pPr>'),
        paragraph("b", '<a:pPr lvl="1"><a:buAutoNum type="alphaLcParenBoth"/></a:pPr>'),
        paragraph("c", '<a:pPr lvl="1"><a:buAutoNum type="alphaLcParenBoth"/></a:pPr>'),
        paragraph("d", '<a:pPr><a:buAutoNum type="romanUcPeriod" startAt="3"/></a:pPr>'),
        paragraph("e", '<a:pPr lvl="1"><a:buAutoNum type="arabicParenR"/></a:pPr>'),
    ]
    found = typed(read(tmp_path / "a.pptx", deck(slide(shape("".join(numbers))))))
    assert [text for _, text in found] == ["III. a", "(a) b", "(b) c", "IV. d", "1) e"]


# --- one bad part ---------------------------------------------------------------------------------

LOST = {
    "ppt/slides/slide2.xml": "page 2: the slide can't be read",
    "ppt/charts/chart1.xml": "page 2: the shape 'Graphic' can't be read",
    "ppt/diagrams/data1.xml": "page 2: the shape 'Graphic' can't be read",
    "ppt/notesSlides/notesSlide1.xml": "page 1: the slide's notes can't be read",
    "ppt/comments/modernComment1.xml": "page 2: the slide's comments can't be read",
    "ppt/slideLayouts/slideLayout1.xml": "page 1: the slide's layout can't be read",
    "ppt/presentation.xml": "page 1: the order of slides is not known",
}


@pytest.mark.parametrize("content", ["<broken", None, "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"])
@pytest.mark.parametrize("name", LOST)
def test_a_broken_part_costs_that_part(tmp_path, name, content):
    """It is named with its page; the other words are read."""
    parts, places = marked_parts()
    if content is None:
        del parts[name]
    else:
        parts[name] = content
    parsed = read(tmp_path / "a.pptx", parts)
    words = " ".join(text for _, text in typed(parsed))
    assert places["title"] in words and places["hidden slide"] in words
    assert parsed.num_pages == 3
    if content is None or content == "<broken":
        assert any(note.startswith(LOST[name]) for note in parsed.notes), parsed.notes


def test_a_presentation_without_a_readable_slide_is_corrupt(tmp_path):
    """It isn't told as one without text."""
    with pytest.raises(DocumentProblem, match="is no XML") as caught:
        read(tmp_path / "a.pptx", deck("<broken"))
    assert caught.value.name == "DOCUMENT_CORRUPT"


@pytest.mark.parametrize("content", [b"PK\x03\x04 cut off", b"no archive at all"])
def test_what_is_no_presentation_is_corrupt(tmp_path, content):
    """And no exception of a library's."""
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "a.pptx", content)
    assert caught.value.name == "DOCUMENT_CORRUPT"


def test_groups_are_read_to_a_depth(tmp_path):
    """Deeper than people nest them; what is below is named."""
    nested = shape(paragraph("at the bottom"))
    for _ in range(60):
        nested = group(nested)
    parsed = read(tmp_path / "a.pptx", deck(slide(shape(paragraph("beside")), nested)))
    assert [text for _, text in typed(parsed)] == ["beside"]
    assert "depth of 32" in parsed.notes[0]


def test_a_wide_table_of_short_rows_is_refused(tmp_path):
    """Its Markdown would be many times as long as the document."""
    wide = "<a:tr>" + cell("x") * 1500 + "</a:tr>"
    table = f"<a:tbl>{wide}{('<a:tr>' + cell('y') + '</a:tr>') * 4000}</a:tbl>"
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "a.pptx", deck(slide(graphic("table", table))))
    assert caught.value.name == "DOCUMENT_TOO_LARGE"


def test_points_far_apart_make_no_long_table(tmp_path):
    """The number of a point is the document's to choose."""
    parts, _ = marked_parts()
    parts["ppt/charts/chart1.xml"] = parts["ppt/charts/chart1.xml"].replace(
        'idx="1"', 'idx="999999999"'
    )
    tables = [text for type_, text in typed(read(tmp_path / "a.pptx", parts)) if type_ == "Table"]
    assert max(text.count("\n") for text in tables) == 3


@pytest.mark.parametrize("text", ["&lt;number&gt;", "‹#›", "‹N°›"])
def test_what_stands_for_a_slides_number_is_no_text(tmp_path, text):
    """LibreOffice leaves it so on the pages of notes, which have no number of a slide."""
    parts, places = marked_parts()
    number = places["slide number"]
    parts = {name: content.replace(number, text) for name, content in parts.items()}
    words = " ".join(content for _, content in typed(read(tmp_path / "a.pptx", parts)))
    assert "number>" not in words and "‹" not in words and places["footer"] in words


def test_a_presentation_of_another_program_is_read(tmp_path):
    """As python-pptx writes it."""
    import pptx
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    deck = pptx.Presentation()
    one = deck.slides.add_slide(deck.slide_layouts[1])
    one.shapes.title.text = "Lamps"
    one.placeholders[1].text = "oil\ntin"
    one.notes_slide.notes_text_frame.text = "Speak slowly."
    data = CategoryChartData()
    data.categories = ["2025", "2026"]
    data.add_series("sold", (3, 4.5))
    place = (Inches(1), Inches(5), Inches(4), Inches(2))
    one.shapes.add_chart(XL_CHART_TYPE.PIE, *place, data)
    deck.save(str(tmp_path / "made.pptx"))
    parsed = read(tmp_path / "a.pptx", (tmp_path / "made.pptx").read_bytes())
    assert typed(parsed) == [
        ("Title", "Lamps"),
        ("List Item", "oil"),
        ("List Item", "tin"),
        ("Table", "|  | sold |\n| --- | --- |\n| 2025 | 3 |\n| 2026 | 4.5 |"),
        ("Comment", "Speak slowly."),
    ]
    assert not parsed.notes
