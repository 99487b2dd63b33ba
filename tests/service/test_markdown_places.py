"""Every word that a Markdown document shows comes out once, in a block of its type."""

from __future__ import annotations

from pathlib import Path

import marked_markdown
import pytest
from effort import calls_of
from parsed_documents import read, text_of, types_of

CONTENT, WORDS = marked_markdown.marked()


@pytest.mark.parametrize("place", WORDS)
def test_every_place_is_read_once(tmp_path: Path, place: str) -> None:
    assert text_of(read(tmp_path / "a.md", CONTENT)).count(WORDS[place]) == 1


def test_what_isnt_shown_is_left_out(tmp_path: Path) -> None:
    text = text_of(read(tmp_path / "a.md", CONTENT))
    assert not [sign for sign in ("hiddencomment", "**", "~~", "<span", "&amp;") if sign in text]


def test_blocks_have_the_types_of_their_marks(tmp_path: Path) -> None:
    types = types_of(read(tmp_path / "a.md", CONTENT))
    assert types["title: fronttitle"] == "Key Value"
    assert types["atxtitle"] == types["setexttitle"] == "Title"
    assert types["setextheader"] == types["closedheader"] == "Section Header"
    assert types["bulletone continued"] == types["nestedbullet"] == "List Item"
    assert types["3. thirditem"] == "List Item"
    assert types["| headcell | righthead |\n| --- | --- |\n| bodycell | pipe\\|cell |"] == "Table"


def test_code_keeps_its_lines(tmp_path: Path) -> None:
    content = b"~~~\nif x:\n    y\n~~~\n"
    assert text_of(read(tmp_path / "a.md", content)) == "if x:\n    y"


def test_what_is_nested_too_deep_is_read_as_text(tmp_path: Path) -> None:
    """No word is lost, and the answer says so."""
    parsed = read(tmp_path / "a.md", b"top\n\n" + b"> " * 400 + b"bottom\n")
    assert text_of(parsed).count("bottom") == 1 and text_of(parsed).count("top\n") == 1
    assert any("nested" in note for note in parsed.notes)


@pytest.mark.parametrize(
    "part", ["[", "*a ", "`" * 7 + " ", "> ", "- ", "![", "<a ", "| ", "[a](b) ", "a_b__c ", "\\["]
)
def test_effort_grows_with_the_size(tmp_path: Path, part: str) -> None:
    """Four times the size is about four times the work, not sixteen times."""
    small, large = (
        calls_of(lambda: read(tmp_path / "a.md", b"word\n\n" + part.encode() * count))  # noqa: B023
        for count in (500, 2_000)
    )
    assert large < 8 * small + 10_000
