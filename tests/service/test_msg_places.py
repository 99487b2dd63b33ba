"""Outlook's messages: the body in whatever form it is stored, people, and attached messages."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from marked_msg import LONG, marked, properties, stored, texts, written
from parsed_documents import read, text_of

from batcher.service.parsing.mail.compressed_rtf import decompressed

# the example of [MS-OXRTFCP], section 4.1
COMPRESSED = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c"
    "090020627705b06c647d0a800fa0"
)


def test_every_place_is_read_once(tmp_path: Path) -> None:
    message, markers = marked()
    parsed = read(tmp_path / "a.msg", message)
    text = text_of(parsed)
    assert {place: text.count(word) for place, word in markers.items()} == dict.fromkeys(markers, 1)
    assert "not twice" not in text and "MARKER~1" not in text and "für" in text
    assert "Date: Mon, 02 Mar 2026 12:00:00 +0000" in text
    assert parsed.notes == [f"attachment '{markers['name of an attachment']}.pdf' is not opened"]


@pytest.mark.parametrize("html", ["", "<html><style>p{}</style><p>&nbsp;</p></html>"])
def test_an_empty_form_of_the_body_gives_way(tmp_path: Path, html: str) -> None:
    streams = {**texts("", {"0037": "s", "1000": "plain"}), "__substg1.0_10130102": html.encode()}
    assert text_of(read(tmp_path / "a.msg", written(streams))) == "# s\n\nplain"


def test_texts_of_old_messages_are_in_their_code_page(tmp_path: Path) -> None:
    streams = {
        "__substg1.0_0037001E": "Счёт".encode("cp1251"),
        "__substg1.0_10130102": "<p>с уважением".encode("koi8-r"),
        "__properties_version1.0": properties(32, (LONG, 0x3FFD, 1251), (LONG, 0x3FDE, 20866)),
    }
    assert text_of(read(tmp_path / "a.msg", written(streams))) == "# Счёт\n\nс уважением"


def test_a_body_that_is_only_rtf_is_decompressed(tmp_path: Path) -> None:
    streams = {**texts("", {"0037": "s"}), "__substg1.0_10090102": stored(r"{\rtf1 only here}")}
    assert text_of(read(tmp_path / "a.msg", written(streams))) == "# s\n\nonly here"
    text = b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert decompressed(COMPRESSED) == text


def test_what_is_not_read_of_an_rtf_body_is_named(tmp_path: Path) -> None:
    rtf = r"{\rtf1 shown{\object{\*\objclass Equation.3}}}"
    streams = {**texts("", {"0037": "s"}), "__substg1.0_10090102": stored(rtf)}
    parsed = read(tmp_path / "a.msg", written(streams))
    assert parsed.notes == ["the data of an embedded object (Equation.3) are not read"]


def test_repeated_bytes_are_copied_while_they_are_written() -> None:
    """As the specification's second example; and what is cut off is read as far as it goes."""
    raw = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")
    assert decompressed(raw) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    assert decompressed(raw[:-4]).startswith(b"{\\rtf1 WXYZ")


@pytest.mark.parametrize("raw", [b"", b"x" * 40, struct.pack("<II4sI", 99, 9, b"????", 0)])
def test_a_broken_rtf_body_is_named(tmp_path: Path, raw: bytes) -> None:
    streams = {**texts("", {"0037": "s"}), "__substg1.0_10090102": raw or b"x"}
    parsed = read(tmp_path / "a.msg", written(streams))
    assert text_of(parsed) == "# s"
    assert parsed.notes[0].startswith("the body is not read: ")


def test_an_encrypted_body_is_named(tmp_path: Path) -> None:
    streams = texts("", {"0037": "s", "001A": "IPM.Note.SMIME"})
    assert read(tmp_path / "a.msg", written(streams)).notes == [
        "the message is encrypted, and its body is not read"
    ]
