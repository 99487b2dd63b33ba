"""Plain text: its paragraphs, lists and pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from parsed_documents import read, text_of, types_of

from batcher.service.parsing import DocumentProblem


def test_lines_that_begin_with_a_mark_are_items(tmp_path: Path) -> None:
    """A number stays, for it may be referred to, and so does the sign of a number."""
    types = types_of(
        read(tmp_path / "a.txt", b"Things:\n- tin\n  of soup\n* tea\n2. toast\n- 3.50\n\nEnd")
    )
    assert types == {
        "Things:": "Text",
        "tin\n  of soup": "List Item",
        "tea": "List Item",
        "2. toast": "List Item",
        "- 3.50": "List Item",
        "End": "Text",
    }


def test_a_form_feed_begins_a_page(tmp_path: Path) -> None:
    parsed = read(tmp_path / "a.txt", b"first\n\fsecond\n\f")
    blocks = parsed.result["chunks"][0]["blocks"]
    assert [(block["content"], block["bbox"]["page"]) for block in blocks] == [
        ("first", 1),
        ("second", 2),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_ends_are_understood(tmp_path: Path, end: str) -> None:
    content = f"one{end}two{end}{end}three".encode()
    assert text_of(read(tmp_path / "a.log", content)) == "one\ntwo\n\nthree"


def test_a_stray_byte_costs_one_character_and_confidence(tmp_path: Path) -> None:
    parsed = read(tmp_path / "a.txt", "Zoë und Jürgen, für später".encode() + b" \xff")
    (block,) = parsed.result["chunks"][0]["blocks"]
    assert block["content"].startswith("Zoë und Jürgen, für später")
    assert block["confidence"] == "low"


@pytest.mark.parametrize("extension", ["xml", "json"])
def test_text_of_another_kind_is_refused_with_what_to_type(tmp_path: Path, extension: str) -> None:
    """As text it is read if that is asked for."""
    path = tmp_path / f"a.{extension}"
    with pytest.raises(DocumentProblem, match="force_file_extension"):
        read(path, b"<a>word</a>")
    forced = read(path, b"<a>word</a>", settings={"force_file_extension": "txt"})
    assert text_of(forced) == "<a>word</a>"
