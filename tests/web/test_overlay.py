"""What is drawn on a page and written beside it: bounded, whatever a result says."""

from __future__ import annotations

from batcher.reducto.result_content import Content, ShownBlock
from batcher.reducto.result_fields import Citation, ShownField
from batcher.reducto.result_places import Box
from batcher.web.overlay import CELLS_AT_MOST, CITED, side_of

PLACE = Box(0.1, 0.2, 0.3, 0.4)
BOMB = '<table><tr><td rowspan="1000" colspan="1000">x</td></tr>' + "<tr><td>y</td></tr>" * 999


def block(
    text: str, *, kind: str = "Table", box: Box | None = PLACE, number: int = 1
) -> ShownBlock:
    return ShownBlock(number, kind, 1, box, text)


def test_tables_are_cells_in_any_of_their_forms() -> None:
    """Text that is no table stays text, and so does one that would fill a million places."""
    content = Content("parse", 1)
    content.blocks = [
        block("<table><tr><th>a<th>b<tr><td>1<td><b>2</b></table>"),
        block("| a | b |\n| --- | --- |\n| 1 | 2 |"),
        block("no table"),
        block(BOMB),
        block("<table><tr><td>x", kind="Text"),
    ]
    cells = [text.cells for text in side_of(content, 1).texts]
    assert [one and (one.head, one.rows) for one in cells] == [
        (["a", "b"], [["1", "2"]]),
        (["a", "b"], [["1", "2"]]),
        None,
        None,
        None,
    ]


def test_the_cells_of_a_page_are_bounded() -> None:
    """Rows and columns are cut; when there is no room left, tables are text."""
    wide = "|" + "a|" * 100 + "\n" + "\n".join("|" + "1|" * 100 for _ in range(400))
    content = Content("parse", 1)
    content.blocks = [block(wide, number=n) for n in range(1, 4)]
    first, second, third = (text.cells for text in side_of(content, 1).texts)
    assert first is not None and first.is_cut and len(first.head) == 40
    assert second is None and third is None
    assert first.number == CELLS_AT_MOST


def test_equal_places_are_drawn_once_and_belong_to_all_their_values() -> None:
    """Of another page's places the page is told; a box as large as the page isn't drawn."""
    there = Citation(1, PLACE, "x")
    content = Content("extract", None)
    content.fields = [
        ShownField(("a",), "1", (there, Citation(2, PLACE, "x"))),
        ShownField(("b",), None, (there, Citation(1, Box(0, 0, 1, 1), "x"))),
    ]
    side = side_of(content, 1)
    (box,) = side.boxes
    assert (box.tone, box.left, box.width) == (CITED, 100.0, 300.0)
    assert [[(mark, page) for mark, page, _ in value.places] for value in side.values] == [
        [(box.mark, 1), ("", 2)],
        [(box.mark, 1), ("", 1)],
    ]
    assert side.values[1].text is None


def test_small_boxes_lie_upon_large_ones() -> None:
    """Else nobody could point at them."""
    content = Content("parse", 1)
    content.blocks = [
        block("in", kind="Text", box=Box(0.2, 0.3, 0.1, 0.1), number=1),
        block("around", kind="Odd", box=PLACE, number=2),
        block("nowhere", kind="Text", box=None, number=3),
    ]
    side = side_of(content, 1)
    assert [box.mark for box in side.boxes] == ["b2", "b1"]
    assert [text.mark for text in side.texts] == ["b1", "b2", ""]
    assert side.legend == {"Text": ("text", 2), "Odd": ("other", 1)}
