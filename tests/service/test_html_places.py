"""HTML: every word that a browser shows comes out once, whatever it stands in."""

from __future__ import annotations

from pathlib import Path

import pytest
from marked_html import hidden, marked
from parsed_documents import read, text_of, typed

from batcher.service.parsing import parse
from batcher.service.parsing.pages import DocumentProblem


def blocks_of(tmp_path: Path, content: str) -> list[tuple[str, str]]:
    return typed(read(tmp_path / "page.html", content))


def test_every_place_is_read_once(tmp_path: Path) -> None:
    page, markers = marked()
    text = text_of(read(tmp_path / "page.html", page))
    assert {place: text.count(word) for place, word in markers.items()} == dict.fromkeys(markers, 1)
    assert [place for place, word in hidden().items() if word in text] == []


def test_places_stand_in_the_order_of_the_page(tmp_path: Path) -> None:
    page, markers = marked()
    text = text_of(read(tmp_path / "page.html", page))
    places = [text.index(word) for word in markers.values()]
    assert places == sorted(places)


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    page = (
        "<p>x</p><img src=a.png><img src=b.png><img src=c.png alt=''><img width=1 src=d.gif>"
        "<iframe src='https://example.org'></iframe><video></video><canvas></canvas>"
    )
    assert read(tmp_path / "page.html", page).notes == [
        "1 page within the page not read",
        "1 video not read",
        "1 drawing made by scripts not read",
        "2 pictures without an alternative text not read",
    ]


def test_elements_say_the_types_of_blocks(tmp_path: Path) -> None:
    page = (
        "<header>top</header><h1>one</h1><h3>two</h3><p>three</p><ul><li>four</ul>"
        "<img alt='a cat'><article><header>five</header></article>"
        "<table><tr><th>a<th>b<tr><td>1<td>2</table><footer>end</footer>"
    )
    assert blocks_of(tmp_path, page) == [
        ("Header", "top"),
        ("Title", "one"),
        ("Section Header", "two"),
        ("Text", "three"),
        ("List Item", "four"),
        ("Figure", "a cat"),
        ("Text", "five"),
        ("Table", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("Footer", "end"),
    ]


def test_a_list_has_the_numbers_that_it_shows(tmp_path: Path) -> None:
    page = (
        "<ol start=3><li>c<li><p>d</p><li value=9>i</ol><ol type=A><li>x<ol type=i><li>y</ol></ol>"
        "<ol reversed><li>b<li>a</ol><ol style='list-style: inside none'><li>none</ol>"
        "<ol style='list-style-type:upper-roman' start=4><li>four</ol>"
    )
    assert [content for _, content in blocks_of(tmp_path, page)] == (
        "3. c|4. d|9. i|A. x|i. y|2. b|1. a|none|IV. four".split("|")
    )


def test_words_are_apart_only_where_they_are_shown_so(tmp_path: Path) -> None:
    page = "<p>w<b>or</b>d<span> next</span><wbr>to&shy;gether <button>a</button><button>b</button>"
    assert blocks_of(tmp_path, page) == [("Text", "word nexttogether a b")]


def test_two_line_breaks_are_a_paragraph(tmp_path: Path) -> None:
    page = "<div>Hello,<br><br>first<br>second<br>\n<br>Bye</div>"
    assert [content for _, content in blocks_of(tmp_path, page)] == [
        "Hello,",
        "first\nsecond",
        "Bye",
    ]


FRAMES = {
    "of one cell": ("<table border=1><tr><td><p>Dear Ann<p>Bye", False),
    "with a margin": (
        "<table border=1><tr><td> <td><p>Dear Ann<p>Bye<td> <tr><td><td>P.S.<td></table>",
        False,
    ),
    "of a form to fill in": ("<table border=1><tr><td>Name<td> <tr><td>Date<td> </table>", True),
    "of a list": ("<table border=1><tr><td>Ann<tr><td>Ben</table>", True),
    "of a table": ("<table border=1><tr><td>Ann<td>12<tr><td>Ben<td>13</table>", True),
}


@pytest.mark.parametrize("what", FRAMES)
def test_a_frame_around_text_makes_no_table(tmp_path: Path, what: str) -> None:
    """As mails have it, whose paragraphs would become one cell; other borders are of tables."""
    content, is_table = FRAMES[what]
    path = tmp_path / "it.html"
    path.write_text(f"<body>{content}</body>")
    (chunk,) = parse(path, extension="html", options={}).result["chunks"]
    assert ([block["type"] for block in chunk["blocks"]] == ["Table"]) == is_table
    assert is_table or [block["content"] for block in chunk["blocks"]][:2] == ["Dear Ann", "Bye"]


def test_a_layout_table_is_no_table(tmp_path: Path) -> None:
    """As mails are built; the table of numbers within it stays one."""
    page = (
        "<table><tr><td></td><td><h1>Receipt</h1><p>Thank you.</p><table><tr><td>tea<td>2"
        "<tr><td>milk<td>1</table></td><td></td></tr></table>"
    )
    assert [kind for kind, _ in blocks_of(tmp_path, page)] == ["Title", "Text", "Table"]


def test_the_title_of_the_window_is_a_property(tmp_path: Path) -> None:
    """It isn't shown on the page."""
    path = tmp_path / "page.html"
    path.write_text("<title>Price\nlist</title><meta name=Author content=Ada><p>oil")
    options = {"settings": {"extract_document_properties": True}}
    parsed = parse(path, extension="html", options=options)
    assert parsed.document_properties is not None
    assert parsed.document_properties["title"] == "Price list"
    assert parsed.document_properties["author"] == "Ada"
    assert (text_of(parsed), parsed.notes) == ("oil", [])


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("<meta charset=shift_jis>", "cp932"),
        ("<meta http-equiv=Content-Type content='text/html; charset=EUC-JP'>", "euc_jp"),
        ("<?xml version='1.0' encoding='euc-jp'?>", "euc_jp"),
        ("<meta charset=utf-16>", "utf-8"),
        ("", "utf-16"),
        ("", "utf-8-sig"),
        ("", "cp932"),
    ],
)
def test_the_encoding_is_the_declared_one(tmp_path: Path, head: str, encoding: str) -> None:
    text = "見積書を送ります。よろしくお願いします。"
    page = f"{head}<html><body><p>{text}</p>".encode(encoding)
    assert text_of(read(tmp_path / "page.html", page)) == text


def test_a_stray_byte_costs_one_character(tmp_path: Path) -> None:
    parsed = read(tmp_path / "page.html", "<p>Größe</p>".encode() + b"<p>a\xffb</p>")
    assert text_of(parsed) == "Größe\n\na\ufffdb"
    (chunk,) = parsed.result["chunks"]
    assert {block["confidence"] for block in chunk["blocks"]} == {"low"}


def test_empty_elements_of_xhtml_hold_nothing(tmp_path: Path) -> None:
    page = (
        "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title/>"
        "<script src='x'/></head><body><p id='a'/><p>seen</p><![CDATA[a < b]]><br/>end</body>"
    )
    assert text_of(read(tmp_path / "page.html", page)) == "seen\n\na < b\nend"


@pytest.mark.parametrize(
    "page",
    [
        "<table><tr><td>word " * 60,
        "<table><tr><th>h<td>word " * 60,
        "<ul><li>word " * 60,
        "<div>word " * 50_000,
        "<ul><li>word " * 5_000,
        "<table><tr><td>word " * 5_000,
        "<blockquote><dl><dd>word " * 5_000,
        "".join(f"<p><b id={number}>word " for number in range(2_000)),
        "<select>" + "<option>word" * 20_000,
        "<a>word " * 20_000 + "<svg>" * 20_000,
    ],
)
@pytest.mark.timeout(60)  # where each word takes longer for standing deep, it would be minutes
def test_depth_loses_no_words(tmp_path: Path, page: str) -> None:
    """None is doubled either."""
    text = text_of(read(tmp_path / "page.html", page))
    assert text.count("word") == page.count("word")
    assert len(text) < 3 * page.count("word") * len("word ") + 10_000


def test_documents_within_documents_end(tmp_path: Path) -> None:
    page = "<p>innermost</p>"
    for _ in range(6):
        quoted = page.replace("&", "&amp;").replace('"', "&quot;")
        page = f'<p>around</p><iframe srcdoc="{quoted}"></iframe>'
    parsed = read(tmp_path / "page.html", page)
    assert text_of(parsed).count("around") == 5
    assert parsed.notes == ["pages within pages are read to a depth of 4"]


def test_too_many_tags_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batcher.service.parsing.markup.tree.MOST_TAGS", 9)
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "page.html", "<p>x" * 10)
    assert caught.value.name == "DOCUMENT_TOO_LARGE"


ATTRIBUTES = " ".join(f"a{number}=1" for number in range(900))


@pytest.mark.parametrize(
    "page",
    [
        "<p " + " ".join(f"a{number}=1" for number in range(200_000)) + ">x",
        "<p " + "a/b\n" * 500_000,
        "".join(f"<body a{number}>" for number in range(100_000)),
        # what is a value and what isn't depends on where the first tag begins
        f'<!-- <a b=" --><p {ATTRIBUTES} c="<a " {ATTRIBUTES}>x',
        '<a b="' * 300_000,
        "<a =" * 300_000,
        # the tag of `b` is one too many, and would be left out
        "<b>" * 60 + f"<p {ATTRIBUTES} <b>" * 9,
    ],
    ids=lambda page: page[:20],
)
@pytest.mark.timeout(60)  # the parser alone would take minutes
def test_too_many_attributes_are_refused(tmp_path: Path, page: str) -> None:
    with pytest.raises(DocumentProblem, match="more than 1,000 attributes") as caught:
        read(tmp_path / "page.html", page)
    assert caught.value.name == "DOCUMENT_TOO_LARGE"


@pytest.mark.parametrize(
    "page",
    [
        f"<p {ATTRIBUTES}>seen",
        f"<p title='{'a word ' * 200_000}'>seen",
        f"<svg><path d='{'M 1 2 L 3 4 ' * 200_000}'/></svg>seen",
        f"<script>for (i = 0; i<n; i++) {{ {'a = b; ' * 2000} }}</script>seen",
        "<a<a<a" * 100_000 + ">seen",
        "<p title='<b class=\"c\">x</b>'>" * 10_000 + "seen",
    ],
    ids=lambda page: page[:20],
)
def test_large_values_are_no_attributes(tmp_path: Path, page: str) -> None:
    """Nor are words in a script, though one may look like a tag."""
    assert text_of(read(tmp_path / "page.html", page)) == "seen"
