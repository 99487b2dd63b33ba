"""Mail: all text parts are read, in the charset that they have; attachments are named."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from marked_eml import marked
from parsed_documents import read, text_of

from batcher.service.parsing.mail.headers import decoded
from batcher.service.parsing.pages import DocumentProblem


def test_every_place_is_read_once(tmp_path: Path) -> None:
    mail, markers = marked()
    text = text_of(read(tmp_path / "a.eml", mail))
    assert {place: text.count(word) for place, word in markers.items()} == dict.fromkeys(markers, 1)
    assert "not shown" not in text and "not the chosen one" not in text


def test_what_is_not_opened_is_named(tmp_path: Path) -> None:
    mail, markers = marked()
    parsed = read(tmp_path / "a.eml", mail)
    names = [place for place in markers if place.startswith(("name", "attachment"))]
    assert len(parsed.notes) == len(names) + 1
    for place in names:
        assert any(markers[place] in note for note in parsed.notes), place
    assert f"{markers['name of an attachment']}.pdf (application/pdf)" in text_of(parsed)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("=?utf-8?Q?Lamp_oil_=E2=80=93_again?=", "Lamp oil – again"),
        ("=?utf-8?b?w6Q=?= =?utf-8?b?w7Y=?= x", "äö x"),
        ("=?utf-8?B?w?= =?utf-8?B?6Q=?= rest", "rest"),
        ("=?UTF-8?Q?=C3?=\r\n =?UTF-8?Q?=A4?=", "ä"),
        ("=?iso-8859-8-i?b?+ezl7Q==?=", "שלום"),
        ("=?utf-8*de?q?Gr=C3=B6=C3=9Fe?=", "Größe"),
        ("=?utf-8?q?with blanks in it?=", "with blanks in it"),
        ("=?no-such-set?q?plain?=", "plain"),
        ("=?utf-8?q?never ended", "=?utf-8?q?never ended"),
        ("=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
        ('"=?utf-8?q?M=C3=BCller=2C_A?=" <a@b.c>', '"Müller, A" <a@b.c>'),
        ("folded\r\n\tline", "folded line"),
    ],
)
def test_encoded_words_are_decoded(written: str, shown: str) -> None:
    found = decoded(written)
    assert found == shown or (shown == "rest" and found.endswith(shown))


def test_headers_with_raw_bytes_are_decoded(tmp_path: Path) -> None:
    mail = "Subject: Größe\nFrom: Müller <a@b.c>\n\nx".encode()
    assert text_of(read(tmp_path / "a.eml", mail)).startswith("# Größe\n\nFrom: Müller <a@b.c>")
    mail = "Subject: Größe\n\nx".encode("cp1252")
    assert text_of(read(tmp_path / "a.eml", mail)).startswith("# Größe")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_a_mail_that_was_saved_as_unicode(tmp_path: Path, encoding: str) -> None:
    mail = "Subject: s\nContent-Type: text/plain; charset=iso-8859-1\n\nGröße".encode(encoding)
    assert text_of(read(tmp_path / "a.eml", mail)) == "# s\n\nGröße"


@pytest.mark.parametrize("charset", ["windows-1251", "koi8-r", "", "none-such"])
def test_the_body_is_decoded_as_declared_or_guessed(tmp_path: Path, charset: str) -> None:
    text = "Высылаю счёт за март, с уважением"
    kind = f"text/plain; charset={charset}" if charset else "text/plain"
    raw = text.encode("koi8-r" if charset == "koi8-r" else "cp1251")
    mail = f"Subject: s\nContent-Type: {kind}\n\n".encode() + raw
    assert text_of(read(tmp_path / "a.eml", mail)) == f"# s\n\n{text}"


@pytest.mark.parametrize(
    ("html", "shown"),
    [("<p>rich</p>", "rich"), ("<style>p{}</style><p> &nbsp; </p>", "plain"), ("", "plain")],
)
def test_the_richest_alternative_that_is_not_empty(tmp_path: Path, html: str, shown: str) -> None:
    """Also where the calendar or something unknown comes last."""
    parts = [("text/plain", "plain"), ("text/html", html), ("text/x-amp-html", "amp")]
    inner = "".join(f"--b\nContent-Type: {kind}\n\n{text}\n" for kind, text in parts)
    mail = f"Subject: s\nContent-Type: multipart/alternative; boundary=b\n\n{inner}--b--"
    assert text_of(read(tmp_path / "a.eml", mail)) == f"# s\n\n{shown}"


@pytest.mark.parametrize("kind", ["text/html", "text/plain"])
def test_an_invitation_is_read_beside_its_text(tmp_path: Path, kind: str) -> None:
    """The text seldom says when and where; the calendar's description says what the text does."""
    calendar = (
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Review\nDTSTART:20260302T140000Z\nLOCATION:Hall 7\n"
        "DESCRIPTION:please come\nEND:VEVENT\nEND:VCALENDAR"
    )
    parts = [(kind, "please come"), ("text/calendar; method=REQUEST", calendar)]
    inner = "".join(f"--b\nContent-Type: {kind}\n\n{text}\n" for kind, text in parts)
    mail = f"Subject: s\nContent-Type: multipart/alternative; boundary=b\n\n{inner}--b--"
    assert text_of(read(tmp_path / "a.eml", mail)) == (
        "# s\n\nplease come\n\nSummary: Review\nStart: 2026-03-02 14:00 UTC\nLocation: Hall 7"
    )


@pytest.mark.parametrize(
    "mail",
    [
        "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nfirst\n--b\n\nsecond",
        "Subject: s\nContent-Type: multipart/mixed\n\nfirst\n\nsecond",
        "Subject: s\nContent-Type: multipart/mixed; boundary=other\n\n--b\n\nfirst\n--b\n\nsecond",
        "Subject: s\nContent-Type: broken/broken/broken; =\n\nfirst\n\nsecond",
        "\n\n\ufeffSubject: s\nContent-Transfer-Encoding: none such\n\nfirst\n\nsecond",
        "Subject: s\nContent-Transfer-Encoding: base64\n\nfirst?? second!",
        "From a@b.c Mon Mar 2 2026\nSubject: s\n\nfirst\n\nsecond",
    ],
)
def test_a_broken_mail_is_read_as_far_as_it_goes(tmp_path: Path, mail: str) -> None:
    text = text_of(read(tmp_path / "a.eml", mail))
    assert text.startswith("# s") and (text.count("first"), text.count("second")) == (1, 1)


def test_a_cut_attachment_costs_nothing_else(tmp_path: Path) -> None:
    data = base64.b64encode(bytes(3000)).decode()[:-3]
    mail = (
        "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nfirst\n--b\n"
        f"Content-Type: image/png; name=a.png\nContent-Transfer-Encoding: base64\n\n{data}"
    )
    assert (
        text_of(read(tmp_path / "a.eml", mail)) == "# s\n\nfirst\n\nAttachments: a.png (image/png)"
    )


def test_outlooks_own_format_is_named(tmp_path: Path) -> None:
    mail = (
        "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nfirst\n--b\n"
        "Content-Type: application/ms-tnef; name=winmail.dat\n\nx\n--b--"
    )
    (note,) = read(tmp_path / "a.eml", mail).notes
    assert note.startswith("winmail.dat is not opened")


@pytest.mark.parametrize(
    "kind", ["application/pkcs7-mime; smime-type=enveloped-data", "multipart/encrypted; boundary=b"]
)
def test_an_encrypted_body_is_named(tmp_path: Path, kind: str) -> None:
    part = "--b\nContent-Type: application/octet-stream\n\nx\n--b--"
    parsed = read(tmp_path / "a.eml", f"Subject: s\nContent-Type: {kind}\n\n{part}")
    assert "the message is encrypted, and its body is not read" in parsed.notes


@pytest.mark.parametrize(
    "kind", ["message/rfc822\n\n", "multipart/mixed; boundary=b{0}\n\n--b{0}\n"]
)
def test_parts_nested_without_end_are_refused(tmp_path: Path, kind: str) -> None:
    nested = "".join(f"Content-Type: {kind}".format(number) for number in range(2000))
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "a.eml", f"Subject: s\n{nested}\nx")
    assert caught.value.name == "DOCUMENT_CORRUPT"


def test_what_a_mailing_list_adds_to_base64_is_read(tmp_path: Path) -> None:
    body = base64.encodebytes("Größe und Gewicht, ".encode() * 9).decode()
    mail = f"Subject: s\nContent-Transfer-Encoding: base64\n\n{body}\n______\nlist of friends\n"
    text = text_of(read(tmp_path / "a.eml", mail))
    assert text.count("Größe") == 9 and text.endswith("list of friends")
