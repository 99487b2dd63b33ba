"""RTF: a marker in each place comes out once, and what can't be read is named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import marked_rtf
import parsed_documents
import pytest
from parsed_documents import placed

from batcher.service.parsing import Parsed
from batcher.service.parsing.pages import DocumentProblem, PageBlock
from batcher.service.parsing.rtf.document import rtf_text

NOT_READ = {
    "1 picture without an alternative text not read",
    "the data of an embedded object (Excel.Sheet.8) are not read",
}


def parsed(tmp_path: Path, raw: bytes, extension: str = "rtf") -> Parsed:
    return parsed_documents.read(tmp_path / f"a.{extension}", raw)


def read(raw: str) -> list[tuple[str, str]]:
    pages = rtf_text(rf"{{\rtf1\ansi {raw}}}".encode("latin-1")).pages
    return shown(block for page in pages for block in page)


def shown(found: Iterable[PageBlock]) -> list[tuple[str, str]]:
    return [(block.type, block.content) for block in found]


def test_every_place_is_read_once(tmp_path: Path) -> None:
    raw, words = marked_rtf.marked()
    content = "\n".join(content for _, content, _ in placed(parsed(tmp_path, raw)))
    assert {place: content.count(word) for place, word in words.items()} == dict.fromkeys(words, 1)


def test_what_is_not_shown_is_not_read(tmp_path: Path) -> None:
    raw, _ = marked_rtf.marked()
    content = "\n".join(content for _, content, _ in placed(parsed(tmp_path, raw)))
    assert [one for one in marked_rtf.UNSEEN if marked_rtf.marker(one) in content] == []


def test_what_could_not_be_read_is_named(tmp_path: Path) -> None:
    raw, _ = marked_rtf.marked()
    notes = {note.removeprefix("page 1: ") for note in parsed(tmp_path, raw).notes}
    assert notes == NOT_READ


def test_blocks_have_their_types_and_pages(tmp_path: Path) -> None:
    raw, words = marked_rtf.marked()
    found = {
        place: (kind, page)
        for kind, content, page in placed(parsed(tmp_path, raw))
        for place, word in words.items()
        if word in content
    }
    assert found["title"] == ("Title", 1)
    assert found["style-heading"] == ("Section Header", 1)
    assert found["numbered-list-item"] == ("List Item", 1)
    assert found["cell"] == ("Table", 1)
    assert found["comment"] == ("Comment", 1)
    assert found["alt-text"] == ("Figure", 1)
    assert found["page-break"] == ("Text", 2)
    assert found["footer"] == ("Footer", 2)
    assert found["header-of-section"] == ("Header", 3)


def test_cells_stand_under_their_columns() -> None:
    """A wide cell is laid over the columns of the other rows, by the edges of the cells."""
    rows = (
        r"\trowd\cellx2000\cellx3000\pard\intbl wide\cell right\cell\row"
        r"\trowd\cellx1000\cellx2003\cellx3001\pard\intbl a\cell b\cell c\cell\row\pard"
    )
    assert read(rows) == [("Table", "| wide |  | right |\n| --- | --- | --- |\n| a | b | c |")]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"\u8364?5", "€5"),
        (r"{\uc2 \u26085\'93\'fa!}", "日!"),
        (r"{\uc0 \u8364 5}", "€5"),
        (r"\u-10179?\u-8704?", "😀"),
        (r"\u55357\'3f\u56832\'3f", "😀"),
        (r"\u-10179? alone", "alone"),
        (r"{\fonttbl{\f1\fcharset204 A;}{\f2\fcharset128 B;}}{\f1 \'cf\'f0}{\f2 \'83e}", "Прテ"),
        (r"{\fonttbl{\f3\fcharset2 Symbol;}}{\f3 a} \u61537?", "α α"),
        ("caf\xe9 \\'e9", "café é"),
        (r"a\~b\_c\-d \{x\} \\", "a b-cd {x} \\"),
        (r"a\bin5 }}}}} b", "a b"),
        ("soft \r\nwrapped", "soft wrapped"),
    ],
)
def test_characters_are_decoded(written: str, text: str) -> None:
    assert read(rf"{written}\par") == [("Text", text)]


def test_html_within_is_read_as_html() -> None:
    """Outlook writes a mail's HTML so, and RTF for readers that don't know of it."""
    raw = (
        rb"{\rtf1\ansi\ansicpg1252\fromhtml1 \deff0{\fonttbl{\f0 Arial;}}"
        rb"{\*\htmltag18 <html>}{\*\htmltag50 <body>}{\*\htmltag64 <table><tr><td>}"
        rb"\htmlrtf {\b\trowd\pard\intbl \htmlrtf0 caf\'e9 < tea\htmlrtf\cell}\htmlrtf0"
        rb"{\*\htmltag72 </td><td>}\htmlrtf \'b7\tab only rtf\htmlrtf0 5 \u8364?"
        rb"{\*\htmltag72 </td></tr></table>}{\*\mhtmltag x}{\*\htmltag84 <img src=a width=90>}"
        rb"{\*\htmltag58 </body></html>}}"
    )
    pages, unread, pictures = rtf_text(raw)
    assert shown(pages[0]) == [("Table", "| café < tea | 5 € |\n| --- | --- |")]
    assert unread == [] and pictures == {1: 1}


def test_a_file_that_breaks_off_is_read_so_far_and_says_so(tmp_path: Path) -> None:
    """Whatever is open there: a table, a note, a field, a picture."""
    raw, _ = marked_rtf.marked()
    for kept in range(1500, len(raw) - 1, 97):
        found = parsed(tmp_path, raw[:kept])
        assert any("breaks off" in note for note in found.notes), kept
    cut = parsed(tmp_path, rb"{\rtf1 body {\footnote note \trowd\cellx9 cell")
    assert [content for _, content, _ in placed(cut)] == ["body", "note cell"]


def test_lines_before_and_after_it_are_passed_over(tmp_path: Path) -> None:
    found = parsed(tmp_path, b"\xef\xbb\xbfX-Header: 1\r\n{\\rtf1 text}\0\0tail", "doc")
    assert [content for _, content, _ in placed(found)] == ["text"]
    assert found.notes == ["what follows the end of the RTF in the file is not read"]


@pytest.mark.parametrize("raw", [b"plain words", b"{\\rt", b"\x00" * 9])
def test_what_is_no_rtf_is_refused(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(DocumentProblem) as raised:
        parsed(tmp_path, raw)
    assert raised.value.name == "DOCUMENT_CORRUPT"


def test_groups_without_end_cost_what_lies_in_them(tmp_path: Path) -> None:
    raw = rb"{\rtf1 before " + rb"{\footnote x" * 30_000 + rb"}" * 30_000 + rb" after\par}"
    found = parsed(tmp_path, raw)
    assert "before  after" in {
        content.replace("before after", "before  after") for _, content, _ in placed(found)
    }
    assert found.notes == ["what lies within more than 10000 groups is not read"]
