"""PDF: every word once, wherever it stands; what is not read is named; odd files are read too."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from marked_pdf import (
    UPSIDE_DOWN,
    UPWARDS,
    File,
    line,
    marked,
    scanned,
    short,
    with_attachment,
    with_pinned_file,
    with_xfa,
)

from batcher.service.parsing import Parsed, parse
from batcher.service.parsing.pages import DocumentProblem, PageBlock, table
from batcher.service.parsing.pdf import document
from batcher.service.parsing.pdf.rewording import (
    difference,
    reworded,
    with_halves_apart,
    with_unknown_signs,
)
from batcher.service.parsing.pdf.turning import Reading
from batcher.service.parsing.scans.ocr import NO_ENGINE


@pytest.fixture(autouse=True)
def _without_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "has_engine", lambda: False)


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def reading(content: bytes, **settings: Any) -> Parsed:
        path = tmp_path / "it.pdf"
        path.write_bytes(content)
        return parse(path, extension="pdf", options={"settings": settings})

    return reading


def text_of(parsed: Parsed) -> str:
    return "\n\n".join(chunk["content"] for chunk in parsed.result["chunks"])


def blocks_of(parsed: Parsed) -> Iterator[dict[str, Any]]:
    for chunk in parsed.result["chunks"]:
        yield from chunk["blocks"]


@pytest.mark.parametrize("place", marked()[1])
def test_a_marker_comes_out_once(read: Any, place: str) -> None:
    """In whatever place it stands."""
    content, places = marked()
    assert text_of(read(content)).count(places[place]) == 1


def test_no_word_comes_out_twice(read: Any) -> None:
    """Of the page's words none is added that a block has already."""
    content, places = marked()
    words = Counter(re.findall(r"\w+mark\b", text_of(read(content))))
    assert {words[word] for word in places.values() if word.endswith("mark")} <= {0, 1}


def test_words_that_are_cut_at_the_end_of_a_line_keep_their_hyphen(read: Any) -> None:
    """Joined without it, "dual-encoder" would be another word."""
    assert "dual-\nencoder" in text_of(read(marked()[0]))


def test_a_letter_that_is_cut_off_at_the_end_of_a_line_keeps_its_hyphen(read: Any) -> None:
    """It is written once, and not once more behind the paragraph."""
    rows = [
        "The dense encoder maps any text passage of the corpus to a d-",
        "dimensional vector of real numbers, and builds an index of the",
        "passages that are retrieved at the run time of the program.",
    ]
    made = File()
    made.page(b"".join(line(row, 60, 700 - 14 * number) for number, row in enumerate(rows)))
    assert text_of(read(made.bytes())).split() == " ".join(rows).split()


def test_a_word_whose_second_half_is_emphasised_keeps_its_hyphen() -> None:
    """Where the page has it; a star within a word that wasn't cut stays as it is."""
    blocks = [PageBlock("Text", "it is com*plementary to it. For* example, k*i* is")]
    (block,) = with_halves_apart(blocks, "it is com-\nplementary to it. For example, ki is")
    assert block.content == "it is com-\n*plementary to it. For* example, k*i* is"


def test_a_line_to_sign_on_is_written_once(read: Any) -> None:
    """As it stands on the page, without the backslashes that Markdown would need."""
    assert text_of(read(short("Signed by *hand*: __________ (a_b)"))) == (
        "Signed by *hand*: __________ (a_b)"
    )


def test_words_are_compared_one_by_one() -> None:
    """However many there are: of these texts the letters are the same, and the number of words."""
    missing, spare = difference("fly.The elec-\ntric", [PageBlock("Text", "fly. The electric")])
    assert (missing, spare) == (Counter(["elec", "tric"]), Counter(["electric"]))


def test_words_that_are_missing_keep_their_order() -> None:
    """Which decides what is put right first: any process gives the same answer."""
    words = [f"word{number}" for number in range(50)]
    missing, spare = difference(" ".join(words), [PageBlock("Text", " ".join(words[::-1]).upper())])
    assert list(missing) == words
    assert list(spare) == [word.upper() for word in reversed(words)]


def test_parts_in_another_order_have_the_same_words() -> None:
    """As where columns lie side by side; only what is left over is told."""
    blocks = [PageBlock("Text", words) for words in ("c d", "a b", "", "e a")]
    assert difference("a b c d e f", blocks) == (Counter(["f"]), Counter(["a"]))


def test_many_blocks_in_another_order_have_the_same_words() -> None:
    """Also where no more of them are looked for one by one."""
    words = [f"a{number} b{number}" for number in range(500)]
    blocks = [PageBlock("Text", word) for word in reversed(words)]
    assert difference(" ".join([*words, "c"]), blocks) == (Counter(["c"]), Counter())


def test_a_word_that_is_torn_apart_is_joined() -> None:
    """If the page has it whole, and not its pieces."""
    blocks = [PageBlock("Text", "Berg- und T al b ah n to al l")]
    missing, spare = difference("Berg- und Talbahn to al l", blocks)
    assert reworded(blocks, [], missing, spare)[0].content == "Berg- und Talbahn to al l"
    assert not missing and not spare


def test_the_text_of_merged_cells_stands_in_the_first() -> None:
    """Where the page has it once; cells that are alike on the page stay."""
    block = table([["Interest rates", "Interest rates", "rates"], ["4 %", "4 %", "5 %"]])
    missing, spare = difference("Interest rates 4 % 4 % 5 %", [block])
    whole = reworded([block], [], missing, spare)[0]
    assert whole.rows == [["Interest rates", "", ""], ["4 %", "4 %", "5 %"]]


def test_a_list_keeps_its_numbers(read: Any) -> None:
    """As they stand on the page."""
    assert {"1. Numbermark", "2. the second of them"} <= {
        block["content"] for block in blocks_of(read(marked()[0]))
    }


def test_a_page_that_lies_on_its_side_is_read_in_its_order(read: Any) -> None:
    """Line by line, with boxes on the page as it is."""
    rows = [line(f"row {n} of this page", 100, 700 - 40 * n) for n in range(4)]
    made = File()
    made.page(b"".join(rows), rotate=90)
    parsed = read(made.bytes(), return_ocr_data=True)
    text = " ".join(text_of(parsed).split())
    assert [text.find(f"row {n} of this page") >= 0 for n in range(4)] == [True] * 4
    assert text.find("row 0") < text.find("row 3")
    boxes = [found["bbox"] for found in parsed.result["ocr"]["lines"]]
    # the page is seen turned clockwise: its first line is the rightmost
    assert boxes[0]["left"] > boxes[-1]["left"]
    assert all(box["height"] > box["width"] for box in boxes)


def test_the_boxes_of_words_upside_down_are_known(read: Any) -> None:
    """On the page as it is, with each word's own."""
    made = File()
    made.page(
        line("An upright line of text", 100, 700)
        + line("Head over heels", 300, 300, turn=UPSIDE_DOWN)
    )
    parsed = read(made.bytes(), return_ocr_data=True)
    block = next(one for one in blocks_of(parsed) if one["content"] == "Head over heels")
    words = {word["text"]: word["bbox"] for word in parsed.result["ocr"]["words"]}
    assert 0.3 < block["bbox"]["left"] < 0.5 and 0.6 < block["bbox"]["top"] < 0.7
    assert words["heels"]["left"] < words["over"]["left"] < words["Head"]["left"]


def test_an_upright_line_of_a_page_that_lies_on_its_side_is_not_torn(read: Any) -> None:
    """As a header over a wide table; its letters stand wide."""
    made = File()
    made.page(
        b"".join(line(f"row {n} of the table", 100 + 40 * n, 100, turn=UPWARDS) for n in range(9))
        + b"BT /F 11 Tf 100 800 Td [(Re)-90(por)-80(t)-40( of)-30( the)-60( y)-120(ear)] TJ ET\n"
    )
    assert text_of(read(made.bytes())).count("Report of the year") == 1


def test_the_boxes_of_words_set_sideways_are_known(read: Any) -> None:
    """So that a figure's axis or a stamp in the margin can be shown."""
    made = File()
    made.page(line("An upright line of text", 100, 700) + line("Sideways", 40, 300, turn=UPWARDS))
    block = next(block for block in blocks_of(read(made.bytes())) if block["content"] == "Sideways")
    assert block["bbox"]["left"] < 0.1 < block["bbox"]["top"]
    assert block["bbox"]["height"] > block["bbox"]["width"]
    assert block["confidence"] == "low"


def test_a_tick_that_is_drawn_with_the_words_beside_it_is_written_once(read: Any) -> None:
    """liteparse reads both as one line, whose middle lies outside of the box."""
    made = File()
    box = made.field(b"Btn", (60, 700, 70, 710), b"/T(languages)/V/Yes/AS/Yes")
    dingbats = b"<</Type/Font/Subtype/Type1/BaseFont/ZapfDingbats>>"
    made.page(
        b"BT /F 9 Tf /Z 9 Tf 62 702 Td (8) Tj /F 9 Tf ( English as it is spoken) Tj ET",
        annotations=[box],
        resources=b"/Font<</F 3 0 R/Z %d 0 R>>" % made.add(dingbats),
    )
    assert text_of(read(made.bytes())) == "✘ English as it is spoken"


def test_comments_are_comments(read: Any) -> None:
    """And what is typed onto the page is text of it."""
    types = {block["content"]: block["type"] for block in blocks_of(read(marked()[0]))}
    assert types["Notemark"] == types["Highlightmark"] == types["Shapemark"] == "Comment"
    assert types["Typedmark"] == types["Fieldmark"] == "Text"


@pytest.mark.parametrize("how", ["as it is", "escaped", "compressed"])
def test_a_comment_is_read_however_the_file_names_it(read: Any, how: str) -> None:
    """Where no page can have one, nobody looks for it."""
    made = File()
    note = made.annotation(b"Text", (400, 700, 420, 720), "a remark")
    made.page(line("A page", 60, 700), annotations=[note])
    if how == "escaped":
        made.objects = [one.replace(b"/Annots", b"/#41nnots") for one in made.objects]
    content = made.compressed() if how == "compressed" else made.bytes()
    assert (b"/Annots" in content) == (how == "as it is")
    assert "a remark" in {block["content"] for block in blocks_of(read(content))}


def test_the_lines_of_a_comment_are_lines(read: Any) -> None:
    """Which PDFs end with a carriage return."""
    made = File()
    note = made.annotation(b"Text", (400, 700, 420, 720), r"the first\r\rthe second\r")
    made.page(line("A page", 60, 700), annotations=[note])
    assert "the first\nthe second" in {block["content"] for block in blocks_of(read(made.bytes()))}


def test_a_form_of_too_many_fields_is_cut_by_name(read: Any) -> None:
    """Its text is read, and that the fields aren't is told."""
    made = File()
    fields = [
        made.field(b"Tx", (60, 60, 90, 70), b"/T(f%d)/V(many)/DA(/F 9 Tf)" % number)
        for number in range(2100)
    ]
    made.page(line("A form", 60, 700), annotations=fields)
    parsed = read(made.bytes())
    assert text_of(parsed) == "A form"
    assert any("form fields" in note for note in parsed.notes)


NAMED = {
    "an attached file": (with_attachment(), "factur-x.xml"),
    "a pinned file": (with_pinned_file(), "table.csv"),
    "a form of Adobe's": (with_xfa(), "XFA"),
    "a scan": (scanned(), NO_ENGINE),
    "a scan with a stamp": (scanned(words="Stamp"), NO_ENGINE),
}


@pytest.mark.parametrize("what", NAMED)
def test_what_is_not_read_is_named(read: Any, what: str) -> None:
    """In the notes of the answer, which is `usage.not_served`."""
    content, said = NAMED[what]
    assert any(said in note for note in read(content).notes)


def test_a_sign_that_is_not_known_is_seen_and_named(
    read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minus of a font that doesn't say so would else be gone, and a number another.

    Only an embedded font has such signs, so that one is put into what liteparse read.
    """
    plain = document._plain
    reading = document.reading_of
    monkeypatch.setattr(document, "_plain", lambda text: plain(text).replace("~", "\x03"))

    def unsure(page: Any) -> Reading:
        own = reading(page)
        return Reading(own.text.replace("~", "\x03"), own.items)

    monkeypatch.setattr(document, "reading_of", unsure)
    parsed = read(short("Of ~0.9393 volts"))
    assert text_of(parsed) == "Of \ufffd0.9393 volts"
    assert parsed.notes == ["1 sign " + document.UNKNOWN]
    assert [block["confidence"] for block in blocks_of(parsed)] == ["low"]


def test_signs_in_cells_are_seen() -> None:
    """And other blocks stay as they are."""
    cells = table([["a", "b"], ["\x030.5", "1"]])
    sure = PageBlock("Text", "words")
    (marked, other), number = with_unknown_signs([cells, sure], "a b \x030.5 1 words")
    assert marked.rows == [["a", "b"], ["\ufffd0.5", "1"]] and "\ufffd0.5" in marked.content
    assert (other, number) == (sure, 1)


def test_nothing_is_named_where_all_is_read(read: Any) -> None:
    """A page without a picture of few words is no scan."""
    assert read(short("One line")).notes == []
    assert read(marked()[0]).notes == []


MENDED = {
    "whole": lambda content: content,
    "junk before the header": lambda content: b"--boundary\r\nContent-Type: x\r\n\r\n" + content,
    "a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    "a line feed before it": lambda content: b"\n" + content,
    "no header": lambda content: content.partition(b"\n")[2],
    "a PostScript header": lambda content: b"%!PS-Adobe-3.0\n" + content.partition(b"\n")[2],
    "junk behind it": lambda content: content + b"\0" * 4000 + b"<html>" * 400,
    "Illustrator's data": lambda content: content.replace(b"Nothing", b"AIPrivateData1"),
}


@pytest.mark.parametrize("how", MENDED)
def test_a_file_that_readers_open_is_read(read: Any, how: str) -> None:
    """Though its first or last bytes are not as they should be."""
    content = short("Words of the page", catalogue=b"/PieceInfo<</Nothing 1>>")
    assert text_of(read(MENDED[how](content))) == "Words of the page"


def test_a_page_that_is_broken_costs_that_page(read: Any) -> None:
    """The others are read, it is named, and pages keep their numbers."""
    made = File()
    made.page(line("The first page", 60, 700))
    made.pages.append(999)
    made.page(line("The last page", 60, 700))
    parsed = read(made.bytes())
    assert "The first page" in text_of(parsed) and "The last page" in text_of(parsed)
    assert parsed.num_pages == 3
    assert any(note.startswith("page 2: not read") for note in parsed.notes)


def test_a_box_that_cannot_be_right_costs_no_words(
    read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block's words are completed from the page's text."""
    real = document._typed

    def refuse(raw: Any, *others: Any, **how: Any) -> Any:
        if raw.text and "second" in raw.text:
            raise ValueError("cannot convert float NaN to integer")
        return real(raw, *others, **how)

    monkeypatch.setattr(document, "_typed", refuse)
    made = File()
    made.page(line("The first words", 60, 700) + line("The second words", 60, 500))
    parsed = read(made.bytes())
    assert "The first words" in text_of(parsed) and "second" in text_of(parsed)
    assert any("NaN" in note for note in parsed.notes)


BROKEN = {
    "no pages can be found": b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\n%%EOF",
    "no PDF at all": b"<html><body>404 Not Found</body></html>",
    "only a header": b"%PDF-1.7\n",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_the_documents_own_fault(read: Any, what: str) -> None:
    """By the API's names, whatever liteparse raises."""
    with pytest.raises(DocumentProblem) as caught:
        read(BROKEN[what])
    assert caught.value.name in {"DOCUMENT_CORRUPT", "DOCUMENT_EMPTY"}


@pytest.mark.parametrize("secret", ["", "with XMP"])
def test_the_title_is_that_of_info(read: Any, secret: str) -> None:
    """Which most programs write; XMP is taken first where it has a title."""
    info = b"/Title(The title)/Author(A. Writer)/Subject(\xfe\xff\x00\xfc)"
    made = File()
    made.page(line("A page", 60, 700))
    catalogue = b""
    if secret:
        packet = (
            b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
            b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc='
            b'"http://purl.org/dc/elements/1.1/"><rdf:Description><dc:title><rdf:Alt><rdf:li>'
            b"Of XMP</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"
        )
        catalogue = b"/Metadata %d 0 R" % made.stream(packet, b"/Type/Metadata/Subtype/XML")
    told = read(made.bytes(info=info, catalogue=catalogue), extract_document_properties=True)
    properties = told.document_properties
    assert properties["title"] == ("Of XMP" if secret else "The title")
    assert properties["author"] == "A. Writer"
    assert properties["subject"] == "ü"


def test_a_page_of_many_pieces_takes_no_longer_than_they_are(read: Any) -> None:
    """Twice the pieces set sideways, at most thrice the time."""

    def seconds(count: int) -> float:
        pieces = (
            line(f"w{n}x", 10 + n % 97 * 5, 10 + n // 97 * 7, size=3, turn=UPWARDS)
            for n in range(count)
        )
        made = File()
        made.page(line("upright", 60, 830) + b"".join(pieces))
        content = made.bytes()
        began = time.process_time()
        parsed = read(content)
        assert len(re.findall(r"w\d+x", text_of(parsed))) > 0.9 * count
        return time.process_time() - began

    seconds(500)
    assert seconds(8000) < 3 * 2 * max(0.1, seconds(4000))
