"""Cut RTF into its tokens, and decode its characters: the lexical half of reading RTF."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final

OPEN, CLOSE, WORD, HEX, SYMBOL, TEXT = range(6)
# kind; a control word or a symbol; a word's number or a byte; text as bytes in some code page
Token = tuple[int, str, int | None, bytes]

_TOKEN: Final = re.compile(
    rb"([{}])|\\(?:([a-zA-Z]{1,40})(-?\d{1,10})? ?|'([0-9a-fA-F]{2})|([^a-zA-Z]))|([^\\{}]+)",
    re.DOTALL,
)
SYMBOL_FONT: Final = "symbol"  # stands for a codec in fonts whose bytes are signs, not letters
# by the number of \fcharset
CHARSETS: Final = {
    0: "cp1252",
    2: SYMBOL_FONT,
    77: "mac_roman",
    78: "shift_jis",
    79: "euc_kr",
    80: "gb2312",
    81: "big5",
    83: "mac_hebrew",
    84: "mac_arabic",
    85: "mac_greek",
    86: "mac_turkish",
    89: "mac_cyrillic",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gb18030",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    254: "cp437",
    255: "cp850",
    256: "mac_roman",
}
CODE_PAGES: Final = {
    708: "iso8859_6",
    709: "cp1256",
    710: "cp1256",
    936: "gb18030",
    1361: "johab",
    10000: "mac_roman",
    10001: "shift_jis",
    10004: "mac_arabic",
    10006: "mac_greek",
    10007: "mac_cyrillic",
    10029: "mac_latin2",
    10081: "mac_turkish",
    20127: "ascii",
    20866: "koi8_r",
    21866: "koi8_u",
    54936: "gb18030",
    65001: "utf-8",
}


def tokens(raw: bytes, start: int = 0) -> Iterator[Token]:
    r"""Yield the tokens from `start` on. What `\bin` announces is passed over; so are lone bars."""
    at = start
    end = len(raw)
    match = _TOKEN.match
    while at < end:
        found = match(raw, at)
        if found is None:  # a backslash at the very end
            return
        at = found.end()
        which = found.lastindex
        if which == 6:
            yield TEXT, "", None, found[6]
        elif which == 1:
            yield (OPEN if found[1] == b"{" else CLOSE), "", None, b""
        elif which == 4:
            yield HEX, "", int(found[4], 16), b""
        elif which == 5:
            yield SYMBOL, found[5].decode("latin-1"), None, b""
        else:
            word = found[2].decode("ascii")
            number = None if found[3] is None else int(found[3])
            if word == "bin":
                at += max(0, number or 0)
            else:
                yield WORD, word, number, b""


def codec_of(code_page: int, default: str) -> str:
    """Return Python's name for a Windows code page, or the default if there is none."""
    name = CODE_PAGES.get(code_page, f"cp{code_page}")
    try:
        codecs.lookup(name)
    except LookupError:
        return default
    return name


def decoded(raw: bytes, codec: str) -> str:
    """Decode bytes in a code page; what can't be decoded becomes U+FFFD."""
    try:
        return raw.decode(codec, "replace")
    except LookupError:
        return raw.decode("cp1252", "replace")
