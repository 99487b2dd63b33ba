"""Texts in the encodings that people's files have, declared, marked or guessed."""

from __future__ import annotations

import pytest

from batcher.service.parsing.text.decoding import REPLACEMENT, decode

TEXTS = {
    "cp1252": "Die Prüfung der Geräte – über 20 € für Müller & Söhne, «très cher à payer»",
    "cp1250": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw",
    "cp1251": "Все люди рождаются свободными и равными в своём достоинстве и правах",
    "koi8-r": "Все люди рождаются свободными и равными в своём достоинстве и правах",
    "cp1253": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια",
    "cp1254": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar",
    "cp1255": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם",
    "cp1256": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق",
    "shift_jis": "すべての人間は、生まれながらにして自由であり、平等である。",
    "euc_jp": "すべての人間は、生まれながらにして自由であり、平等である。",
    "gb18030": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。",
    "big5": "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心。",
    "cp949": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_an_encoding_is_guessed(encoding: str) -> None:
    """A guess is never called sure."""
    found = decode(TEXTS[encoding].encode(encoding))
    assert (found.text, found.sure) == (TEXTS[encoding], False)


@pytest.mark.parametrize(
    "text",
    [
        "10 µm ± 2 µm",
        "item;tol\nshaft;±0,5\nhole;±0,2",
        "price\n5 €",
        "“Quote” – it’s €\n5",
        "1 ½ cups flour\n¾ cup milk\n¼ tsp salt",
        "Fee: ¥ 1000",
        "Total ÷ 4",
        "2 × 3 = 6",
        "See ¶ 3 and § 4",
        "¬ a ¦ b",
        "3 ½ cups at 350 ºF, 1ª edición",
        "20°C, 5 m³, 3 m²",
        "±½",
        "R²=0.98, mean±SD",
        "©Acme, Product® and Name™",
        "¿Qué? ¡Olé!",
        "it’s",
        "‘slug’",
        "à la carte",
        "Œuvre",
        "ÄÖÜäöüß",
        "Ž",
    ],
)
def test_signs_in_a_western_text_are_no_letters_of_another_alphabet(text: str) -> None:
    assert decode(text.encode("cp1252")).text == text


RUSSIAN = "привет мир это обычный текст на русском языке и больше ничего"


@pytest.mark.parametrize("encoding", ["koi8-r", "cp1251", "iso8859-5"])
@pytest.mark.parametrize(
    "text", [RUSSIAN, RUSSIAN.upper(), RUSSIAN.title()], ids=["lower", "upper", "title"]
)
def test_the_case_of_a_russian_text_stays(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("iso8859-2", "Chcę wziąć książkę, żeby się uczyć"),
        ("iso8859-2", "Příliš žluťoučký kůň úpěl ďábelské ódy"),
        ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy"),
        ("cp1251", "Цена: 5 € ± 2 %"),
        ("cp874", "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน"),
        ("cp932", "ﾔﾏﾀﾞ ﾀﾛｳ 1000\nｽｽﾞｷ ｲﾁﾛｳ 2000\n"),
        ("cp932", "単価 500 円、送料込み"),
        ("mac_roman", "Größe und Übermaß, schön für Müller"),
    ],
)
def test_words_of_another_alphabet_are_shown_by_their_letters(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize(
    "raw",
    [b"2026 ok\0" * 50, b"<p>hello\0 world</p>", b"abc\0def\0\nghi", "2026 ök\0".encode() * 50],
)
def test_text_that_is_padded_with_zeros_isnt_utf_16(raw: bytes) -> None:
    assert decode(raw).text == raw.decode()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        "Größe 4 über 5",
        "Все люди рождаются свободными и равными",
        "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι",
        "すべての人間は、 生まれながらにして 自由であり、\n平等である。\n",
        "מסמך אחד ועוד אחד",
    ],
)
def test_utf_16_is_known_by_its_blanks(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize(
    ("label", "encoding", "text"),
    [
        ("iso-8859-15", "cp1252", "“20 €” – für Müller"),
        ("iso-8859-15", "iso8859-15", "20 € für Müller"),
        ("iso-8859-2", "cp1250", "„Wziąć książkę” – proszę"),
        ("iso-8859-2", "iso8859-2", "Wziąć książkę"),
    ],
)
def test_the_set_of_windows_is_known_by_what_isos_doesnt_have(
    label: str, encoding: str, text: str
) -> None:
    assert decode(text.encode(encoding), label).text == text


@pytest.mark.parametrize("label", ["us-ascii", "ascii", "utf-8"])
@pytest.mark.parametrize("encoding", ["cp1252", "koi8-r", "cp1251", "euc_jp"])
def test_a_label_that_its_bytes_prove_wrong_is_left_for_a_guess(label: str, encoding: str) -> None:
    found = decode(TEXTS[encoding].encode(encoding), label)
    assert (found.text, found.sure) == (TEXTS[encoding], False)


@pytest.mark.parametrize("encoding", TEXTS)
def test_a_declared_encoding_is_sure(encoding: str) -> None:
    found = decode(TEXTS[encoding].encode(encoding), encoding.upper())
    assert (found.text, found.sure) == (TEXTS[encoding], True)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_unicode_is_known_with_and_without_its_mark(encoding: str) -> None:
    text = "Größe 4\r\nÄrger über 5 €\r\n"
    assert decode(text.encode(encoding), "iso-8859-1").text == text


@pytest.mark.parametrize(
    ("label", "encoding"),
    [
        ("ISO-8859-8-I", "iso8859-8"),
        ("iso-8859-1", "cp1252"),
        ("gb2312", "gb18030"),
        ("ks_c_5601-1987", "cp949"),
        ("x-sjis", "cp932"),
        ("windows-874", "cp874"),
        ("'utf-16'", "utf-16-le"),
        ("iso-2022-jp", "iso-2022-jp"),
    ],
)
def test_labels_mean_what_browsers_take_them_for(label: str, encoding: str) -> None:
    text = {"iso8859-8": "שלום", "gb18030": "鎔", "cp949": "똠", "cp932": "①", "cp874": "ไทย"}.get(
        encoding, "– “20 €”" if encoding == "cp1252" else "日本 text"
    )
    assert decode(text.encode(encoding), label).text == text


@pytest.mark.parametrize("label", ["", "none such", "hex", "unicode_escape", "idna", "utf-8", None])
def test_a_label_that_is_wrong_costs_nothing(label: str | None) -> None:
    assert decode("20 € für Müller".encode("cp1252"), label).text == "20 € für Müller"


@pytest.mark.parametrize("encoding", ["utf-8", "euc_jp"])
def test_a_stray_byte_costs_one_character(encoding: str) -> None:
    """And the text is no longer sure."""
    text = "見積書 " * 20
    raw = text.encode(encoding)
    found = decode(raw[:60] + b"\xff" + raw[60:], encoding)
    assert found.text.replace(REPLACEMENT, "") == text
    assert (found.text.count(REPLACEMENT), found.sure) == (1, False)


def test_japanese_mail_that_declares_nothing() -> None:
    assert decode("見積書".encode("iso-2022-jp")).text == "見積書"


def test_binary_content_is_decoded_to_something() -> None:
    assert decode(bytes(range(256)) * 9).sure is False
    assert decode(b"").text == ""
