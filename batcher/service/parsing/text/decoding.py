"""Decode the bytes of a text: by its byte order mark, as UTF-8, as it declares, or by a guess.

A byte that doesn't fit costs one character, U+FFFD, and the certainty, never the text around it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

REPLACEMENT: Final = "\ufffd"
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What labels mean in practice, as the WHATWG encoding standard has it: each name on the left is
# used for texts of the larger encoding on the right, or isn't known to Python at all.
_MEANT: Final = {
    "ansi_x3.4-1968": "ascii",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "ansi": "cp1252",
    "x-cp1252": "cp1252",
    "iso-8859-9": "cp1254",
    "latin5": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "logical": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-6-e": "iso8859-6",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "ms_kanji": "cp932",
    "x-euc-jp": "euc_jp",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "x-gbk": "gb18030",
    "gbk": "gb18030",
    "cp936": "gb18030",
    "big5": "big5hkscs",
    "x-x-big5": "big5hkscs",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "korean": "cp949",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
    "unicode-1-1-utf-8": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
    "unicode": "utf-16",
    "ucs-2": "utf-16",
    "iso-10646-ucs-2": "utf-16",
}
# Windows' sets that differ from ISO's in letters too, so that a label isn't enough: a text is of
# them if it has what are control characters in ISO's.
_WINDOWS: Final = {
    "iso8859-2": "cp1250",
    "iso8859-7": "cp1253",
    "iso8859-8": "cp1255",
    "iso8859-13": "cp1257",
    "iso8859-15": "cp1252",
}
_ISO_CONTROLS: Final = re.compile(rb"[\x80-\x84\x86-\x9f]")  # 85 ends lines on some machines
# Python's codecs for text that aren't character sets: their bytes mean something else.
_NO_CHARSETS: Final = frozenset(
    "idna punycode unicode_escape raw_unicode_escape undefined mbcs oem".split()
)
# These write every character with bytes below 128, so that their texts are valid UTF-8 as well.
_SEVEN_BIT: Final = frozenset(
    "iso2022_jp iso2022_jp_1 iso2022_jp_2 iso2022_jp_3 iso2022_jp_ext iso2022_kr hz utf-7".split()
)
# a capital within a word, or letters of two scripts: the wrong encoding's work
_ODD_CASE: Final = re.compile(
    r"[a-zа-яёα-ωάέήίόύώ][À-ÖØ-ÞŒŠŽŸА-ЯЁΑ-Ω]|[a-z][\u0370-\u0e7f]|[\u0370-\u0e7f][a-z]"
)
# what Chinese, Japanese and Korean are written with; all use the marks and the wide forms
_KANA: Final = "\u3040-\u30ff\uff61-\uff9f"
_HAN: Final = "\u3400-\u9fff"
_HANGUL: Final = "\uac00-\ud7a3"
_WIDE_FORMS: Final = "\u3000-\u303f\uff00-\uff60"
_CONTROLS: Final = re.compile(rb"[\0-\x08\x0e-\x1f\x7f]")
_SHIFTS: Final = re.compile(rb"\x1b\$[@B]")  # a text begins Japanese characters with it
# What a text without any hint may be, the likelier first, and for each alphabet the letters above
# ASCII of the languages that are written in it. Encodings of one family differ in few bytes, so
# that only these tell French from Czech.
_WESTERN: Final = (
    "àâæçéèêëîïôœùûüÿ",
    "äöüßé",
    "áàçéèíïñóòúü",
    "áâãàçéêíóôõúü",
    "àèéìíòóùú",
    "åäöæøéèüóà",
    "áéíóúýþðæö",
    "éèêëïöüáíó",
)
_LATIN_2: Final = (
    "ąćęłńóśźż",
    "áčďéěíňóřšťúůýž",
    "áäčďéíĺľňóôŕšťúýž",
    "áéíóöőúüű",
    "ăâîşţ",
    "čćđšž",
)
_RUSSIAN: Final = "абвгдежзийклмнопрстуфхцчшщъыьэюяё"
_LANGUAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "cp1252": _WESTERN,
    "cp1255": ("אבגדהוזחטיךכלםמןנסעףפץצקרשת",),
    "cp1251": (_RUSSIAN, "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя’", "абвгдежзиіўйклмнопрстуфхцчшыьэюяё"),
    "cp1250": _LATIN_2,
    "cp1254": ("çğıöşüâîûİ",),
    "cp1253": ("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",),
    "cp1256": ("ابتثجحخدذرزسشصضطظعغفقكلمنهويىئءأآإؤةپچژگ،؟؛ًٌٍَُِّْـ",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),
    "koi8_r": (_RUSSIAN,),
    "iso8859_2": _LATIN_2,
    "iso8859_5": (_RUSSIAN,),
    "cp874": ("กขคฆงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรฤลวศษสหฬอฮฯะัาำิีึืุูเแโใไๆ็่้๊๋์",),
    "mac_roman": _WESTERN,
}
_SCRIPTS: Final[Mapping[str, re.Pattern[str]]] = {
    "cp932": re.compile(f"[{_KANA}{_HAN}{_WIDE_FORMS}]"),
    "gb18030": re.compile(f"[{_HAN}{_WIDE_FORMS}]"),
    "cp949": re.compile(f"[{_HANGUL}{_WIDE_FORMS}]"),
    "euc_jp": re.compile(f"[{_KANA}{_HAN}{_WIDE_FORMS}]"),
    "big5": re.compile(f"[{_HAN}{_WIDE_FORMS}]"),
}
# the older sets within them, which hold nearly all characters that a text has
_NARROW: Final = {"cp949": "euc_kr", "gb18030": "gb2312"}
# Signs stand in texts of any language and speak for none. Those of the first kind stand anywhere,
# those of the second not between letters, those of the third not after a letter: there they are
# letters of another encoding, as in the Polish "wzi±æ".
_QUOTES: Final = "\xa0\xad«»“”„‘’‚‹›–—…·•´×÷€№"
_AFTER_WORDS: Final = "§©®™°ªº²³¹†‡‰¨¸"
_BEFORE_WORDS: Final = "¡¿¢£¤¥¦¬¯±µ¶¼½¾"
_SIGNS: Final = re.compile(
    rf"[{_QUOTES}]|[{_AFTER_WORDS}](?![^\W\d_])|(?<![^\W\d_])[{_AFTER_WORDS}{_BEFORE_WORDS}]"
)
# two characters or more, of which those above ASCII may be letters
_LATIN_WORD: Final = re.compile(r"[A-Za-z\x80-\U0010ffff]{2,}")
_OTHER_WORD: Final = re.compile(r"[\x80-\U0010ffff]{2,}")
# wide ones alone too, but not beside a Latin letter
_EASTERN_WORD: Final = re.compile(r"[\x80-\U0010ffff]{2,}|(?<![A-Za-z])[\u3000-\ud7a3](?![A-Za-z])")
_WORDS: Final = {
    "cp1252": re.compile(r"[\x80-\U0010ffff]"),  # has words like the French "à"
    **dict.fromkeys(("cp1250", "cp1254", "cp1257", "iso8859_2", "mac_roman"), _LATIN_WORD),
}
# bytes that a guess is made from
_SAMPLE: Final = 1 << 16
_GOOD_FIT: Final = 0.8  # real texts have a few foreign names and rare characters
_LEAST_FIT: Final = 0.5  # what fits less isn't shown to be of any language
_UNFIT: Final = (0.0, 0.0)
# These are about two thirds of a text in their alphabet. They tell encodings apart that write the
# same alphabet in another order, as KOI8-R does with lowercase where cp1251 has capitals.
_FREQUENT: Final = frozenset(
    "оеаинтсрвлі" + "יוהלאתרבשמ" + "αοιετσνηρκ" + "اليمنرتبود" + "านรเงกอม่้ั" + "éäöüßàèçñóíãåøæêáúœ"
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and whether it is surely right: neither guessed nor with bytes that don't fit."""

    text: str
    sure: bool


def decode(raw: bytes, declared: str | None = None) -> Decoded:
    """Return the text of `raw`; `declared` is the character set that it names, if it names one.

    A byte order mark counts most. What is valid UTF-8 is UTF-8, whatever is declared, for nothing
    else looks like it by chance. No error is raised, also not for a set that doesn't exist.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return _replaced(raw, encoding)
    named = _codec(declared)
    wide = _wide(raw, named)
    if wide:
        return _replaced(raw, wide)
    if named in _SEVEN_BIT or (named is None and _SHIFTS.search(raw)):
        return _replaced(raw, named or "iso2022_jp")
    as_utf8 = _replaced(raw, "utf-8")
    if as_utf8.sure or _is_mostly_utf8(as_utf8.text):
        return as_utf8
    # Bytes above ASCII prove a label wrong that says ASCII or UTF-8.
    if named is not None and not named.startswith(("utf-", "ascii")):
        if named in _WINDOWS and _ISO_CONTROLS.search(raw):
            named = _WINDOWS[named]
        as_named = _replaced(raw, named)
        if as_named.sure or _is_mostly_right(as_named.text):
            return as_named
    return Decoded(_replaced(raw, _guess(raw)).text, sure=False)


def _replaced(raw: bytes, encoding: str) -> Decoded:
    text = raw.decode(encoding, "replace")
    return Decoded(text, sure=REPLACEMENT not in text)


def _codec(label: str | None) -> str | None:
    """Return Python's name of the character set that `label` means, or None."""
    cleaned = (label or "").strip().strip("\"'").lower()
    try:
        name = codecs.lookup(_MEANT.get(cleaned, cleaned)).name
        "".encode(name)  # fails for codecs of other things than text
    except (LookupError, ValueError):
        return None
    return None if name.replace("-", "_") in _NO_CHARSETS else name


def _wide(raw: bytes, named: str | None) -> str | None:
    """Return the kind of UTF-16 or UTF-32 without a mark that `raw` is, or None.

    Its texts have zeros in every other byte wherever a blank or a line's end stands. Texts in
    other encodings have zeros only as padding, between fields that can be read without them.
    """
    sample = raw[:_SAMPLE]
    if 0 not in sample:
        return None
    if named in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        return named
    zeros = [sample[start::4].count(0) for start in range(4)]
    quarter = len(sample) // 4
    if quarter and zeros[0] == zeros[1] == quarter:
        return "utf-32-be"
    if quarter and zeros[2] == zeros[3] == quarter:
        return "utf-32-le"
    low = zeros[0] + zeros[2]
    high = zeros[1] + zeros[3]
    # a fortieth: text in Cyrillic or Chinese has zeros only in blanks and line ends
    if max(low, high) * 40 < len(sample) or min(low, high) * 10 > max(low, high):
        return None
    if max(low, high) * 4 < len(sample) and _is_readable(sample.replace(b"\0", b"")):
        return None
    return "utf-16-le" if high > low else "utf-16-be"


def _is_readable(raw: bytes) -> bool:
    """Tell whether bytes are UTF-8 without control characters, but for those of lines and tabs."""
    return _CONTROLS.search(raw) is None and raw.decode("utf-8", "ignore").encode() == raw


def _is_mostly_utf8(text: str) -> bool:
    """Tell whether more characters above ASCII were valid UTF-8 than weren't.

    Other encodings make such sequences so rarely that a few strays don't speak against UTF-8.
    """
    wrong = text.count(REPLACEMENT)
    right = sum(character > "\x7f" for character in text) - wrong
    return right > wrong


def _is_mostly_right(text: str) -> bool:
    return text.count(REPLACEMENT) * 20 <= sum(character > "\x7f" for character in text) + 20


def _guess(raw: bytes) -> str:
    """Return the likeliest encoding of a text that isn't UTF-8: cp1252 unless another is shown.

    All are tried where none that the library finds fits well.
    """
    from charset_normalizer import from_bytes

    sample = _sample(raw)
    known = [*_LANGUAGES, *_SCRIPTS]
    found = from_bytes(sample, cp_isolation=known)
    named = [name for match in found for name in match.could_be_from_charset]
    for names in (["cp1252", *named], known):
        # Alphabets in our order, the usual before the rare, then others in the library's.
        ranked = [name for name in _LANGUAGES if name in names]
        ranked += [name for name in names if name in _SCRIPTS]
        fits = {name: _fit(sample, name) for name in ranked}
        best = max(ranked, key=fits.__getitem__)
        if fits[best][0] >= _GOOD_FIT:
            return best
    return best if fits[best][0] >= _LEAST_FIT else "cp1252"


def _fit(raw: bytes, encoding: str) -> tuple[float, float]:
    """Return how well `raw` in this encoding is of one language, up to 1, and how usual that is.

    Only characters in words speak for it; signs speak neither for nor against.
    """
    text = _SIGNS.sub(" ", raw.decode(_NARROW.get(encoding, encoding), "replace"))
    foreign = sum(character > "\x7f" for character in text)
    if not foreign:
        return (1.0, 1.0) if encoding == "cp1252" else _UNFIT
    if encoding in _SCRIPTS:
        words = "".join(_EASTERN_WORD.findall(text))
        return len(_SCRIPTS[encoding].findall(words)) / foreign, 0.0
    words = "".join(_WORDS.get(encoding, _OTHER_WORD).findall(text)).replace("İ", "ı").lower()
    language = max(_LANGUAGES[encoding], key=lambda letters: sum(map(words.count, letters)))
    known = [character for character in words if character in language]
    if encoding != "cp1252" and len(set(known)) < 2:
        return _UNFIT  # a letter that is the only one may be a sign of cp1252
    odd = len(_ODD_CASE.findall(text)) * 2
    usual = sum(character in _FREQUENT for character in words)
    return (len(known) - odd) / foreign, usual / foreign


def _sample(raw: bytes) -> bytes:
    """Return the lines with bytes above ASCII, as many as fit."""
    lines: list[bytes] = []
    size = 0
    for line in raw.splitlines(keepends=True):
        if not line.isascii():
            lines.append(line[:_SAMPLE])
            size += len(lines[-1])
        if size >= _SAMPLE:
            break
    return b"".join(lines)
