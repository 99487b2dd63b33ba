"""Read the texts of a PDF's Info dictionary, which liteparse doesn't return.

Only what names the document is read, by its place in the bytes and not by the cross-reference
table. So damaged files are read as well; encrypted ones aren't, as their texts aren't plain.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

NAMES: Final = {
    b"/Title": "title",
    b"/Author": "author",
    b"/Subject": "subject",
    b"/Keywords": "keywords",
}
LONGEST: Final = 64 << 10  # bytes of the dictionary, and of a text elsewhere
UNPACKED: Final = 64 << 20  # bytes decompressed in search of it
_REFERENCE: Final = re.compile(rb"/Info\s{1,9}(\d{1,10})\s{1,9}\d{1,5}\s{1,9}R\b")
_PACKAGE: Final = b"/ObjStm"
_COUNT: Final = re.compile(rb"/N\s{1,9}(\d{1,9})\b")
_FIRST: Final = re.compile(rb"/First\s{1,9}(\d{1,9})\b")
_STREAM: Final = re.compile(rb"\bstream\r?\n")
_TOKEN: Final = re.compile(
    rb"(?P<open><<|\[)|(?P<close>>>|\])|(?P<text>\()|<(?P<hex>[0-9A-Fa-f\s]*)>"
    rb"|(?P<name>/[^\s()<>\[\]{}/%]*)|(?P<comment>%[^\r\n]*)|(?P<word>[^\s()<>\[\]{}/%]+)|[{}<>)]"
)
_STRING: Final = re.compile(rb"\\(?:\r\n|[0-7]{1,3}|.)|[()]", re.DOTALL)
_ESCAPED: Final = {
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"b": b"\b",
    b"f": b"\f",
    b"\n": b"",
    b"\r": b"",
    b"\r\n": b"",
}
# PDFDocEncoding where it isn't Latin-1, by Annex D of the standard.
_SPECIAL: Final = dict(zip(range(0x18, 0x20), "˘ˇˆ˙˝˛˚˜", strict=True)) | dict(
    zip(range(0x80, 0x9F), "•†‡…—–ƒ⁄‹›−‰„“”‘’‚™ﬁﬂŁŒŠŸŽıłœšž", strict=True)
)


def info_of(content: bytes) -> dict[str, str]:
    """Return title, author, subject and keywords, as far as they are there, of an open PDF."""
    references = _REFERENCE.findall(content)
    if not references:
        return {}
    # an update of the file stands after what it replaces
    found = _object(content, int(references[-1]))
    texts = dict(_texts(content, found or b""))
    return {name: shown for name, text in texts.items() if (shown := decoded(text))}


def _object(content: bytes, number: int) -> bytes | None:
    """Return the beginning of the object, or None; the last one of that number counts."""
    start = None
    for match in re.finditer(rb"(?<!\d)%d\s{1,9}\d{1,5}\s{1,9}obj\b" % number, content):
        start = match.end()
    if start is not None:
        return content[start : start + LONGEST]
    return _packed_object(content, number)


def _packed_object(content: bytes, number: int) -> bytes | None:
    """Return the object out of the compressed stream that holds it, or None."""
    found = None
    for count, first, unpacked in packed_objects(content):
        numbers = unpacked[:first].split()[: 2 * count]
        wanted = b"%d" % number
        for name, offset in zip(numbers[::2], numbers[1::2], strict=False):
            if name == wanted and offset.isdigit():
                place = first + int(offset)
                found = unpacked[place : place + LONGEST]
    return found


def packed_objects(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield each stream of objects, decompressed: their number, where the first is, its bytes.

    No more than `UNPACKED` bytes are decompressed.
    """
    left = UNPACKED
    for count, first, stream in _packages(content):
        try:
            unpacked = zlib.decompressobj().decompress(stream, left)
        except zlib.error:
            continue
        left -= len(unpacked)
        yield count, first, unpacked
        if left <= 0:
            return


def _packages(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield for each stream of objects: how many there are, where they begin, and its bytes."""
    place = 0
    while (marked := content.find(_PACKAGE, place)) >= 0:
        begin = max(place, content.rfind(b"obj", place, marked))
        stream = _STREAM.search(content, marked)
        if stream is None:
            return
        # on from its end: so every byte is looked at once
        end = content.find(b"endstream", stream.end())
        place = end if end >= 0 else len(content)
        dictionary = content[begin : stream.start()]
        count = _COUNT.search(dictionary)
        first = _FIRST.search(dictionary)
        if count and first and b"endobj" not in dictionary:
            yield int(count[1]), int(first[1]), content[stream.end() : place]


def _texts(content: bytes, dictionary: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the texts of the dictionary by our names; those elsewhere are looked up.

    Each name counts once, as each look-up takes time.
    """
    depth = 0
    place = 0
    name = None
    left = dict(NAMES)
    words: list[bytes] = []  # since the name: perhaps a reference, as in "/Title 7 0 R"
    while match := _TOKEN.search(dictionary, place):
        place = match.end()
        text = None
        match match.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth -= 1
                if depth <= 0:
                    return
            case "text":
                text, place = _literal(dictionary, place)
            case "hex":
                text = _unhexed(match["hex"])
            case "name":
                name = left.pop(match["name"], None) if depth == 1 else None
                words = []
            case "word":
                words.append(match["word"])
                if words[2:] == [b"R"] and words[0].isdigit() and name is not None:
                    text = text_at_start(_object(content, int(words[0])) or b"")
        if text is not None and name is not None and depth == 1:
            yield name, text
            name = None


def text_at_start(content: bytes) -> bytes | None:
    """Return the first text of the content, if it begins with one."""
    match = _TOKEN.search(content)
    if match is None:
        return None
    if match.lastgroup == "text":
        return _literal(content, match.end())[0]
    return _unhexed(match["hex"]) if match.lastgroup == "hex" else None


def _literal(content: bytes, start: int) -> tuple[bytes, int]:
    """Return the text whose opening parenthesis stands before `start`, and where it ends."""
    parts: list[bytes] = []
    depth = 1
    place = start
    for match in _STRING.finditer(content, start):
        parts.append(content[place : match.start()])
        place = match.end()
        token = match[0]
        depth += (token == b"(") - (token == b")")
        if depth == 0:
            return b"".join(parts), place
        parts.append(_unescaped(token[1:]) if token.startswith(b"\\") else token)
    return b"".join([*parts, content[place:]]), len(content)


def _unescaped(code: bytes) -> bytes:
    if code.isdigit():
        return bytes([int(code, 8) & 0xFF]) if code[0] < ord("8") else code
    return _ESCAPED.get(code, code)


def _unhexed(digits: bytes) -> bytes:
    bare = b"".join(digits.split())
    return bytes.fromhex((bare + b"0" * (len(bare) % 2)).decode("ascii"))


def decoded(text: bytes) -> str:
    """Return a text of a PDF without what can't be shown, on one line."""
    if text.startswith((b"\xfe\xff", b"\xff\xfe")):
        shown = text.decode("utf-16", "replace")
    elif text.startswith(b"\xef\xbb\xbf"):
        shown = text.decode("utf-8-sig", "replace")
    else:
        shown = text.decode("latin-1").replace("\xa0", "€").translate(_SPECIAL)
    return " ".join("".join(c if c.isprintable() else " " for c in shown).split())
