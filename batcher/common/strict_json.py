"""JSON as every reader takes it, of what a service or a listing may have sent: NaN, half an emoji,
no UTF-8.

What is right already is handed on as it is; what can't be mended is nothing.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, Final

import msgspec

Buffer = bytes | memoryview

MISFITS: Final = (msgspec.DecodeError, ValueError, RecursionError)
LARGEST_MENDED: Final = 256 << 20  # bytes: mending takes several times as many in memory
_PIECE: Final = 1 << 20
_BOM: Final = codecs.BOM_UTF8
_NUMBER: Final = rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_TOKEN: Final = re.compile(
    rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|-?(?:Infinity|NaN)|'
    + _NUMBER,  # a string that never ends goes to the end
    re.DOTALL,
)
_ODD_TEXT: Final = re.compile(rb"[\x00-\x1f]|\\u[dD][89a-fA-F]")
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_ENDLESS: Final = b"0" * 4_301  # digits: Python reads no integer of so many, nor does msgspec
_SKIPPED: Final = msgspec.json.Decoder(msgspec.Raw)


def is_strict(body: Buffer) -> bool:
    """Whether it is one JSON value in UTF-8, nested no deeper than a reader here can follow.

    Takes no memory.
    """
    try:
        _SKIPPED.decode(body)
    except MISFITS:
        return False
    return _is_utf8(body)


def is_readable(body: Buffer) -> bool:
    """Whether it is strict, and holds no number of more digits than readers take."""
    return is_strict(body) and not _has_endless_digits(body)


def mended(body: Buffer) -> bytes | None:
    """The same with null for what is no number, text for numbers beyond bounds, U+FFFD for half a
    character.

    None where it is no JSON even then.
    """
    if len(body) > LARGEST_MENDED:
        return None
    fixed = _TOKEN.sub(_mended_token, bytes(body).removeprefix(_BOM))
    return fixed if is_strict(fixed) else None


def encoded(value: Any) -> bytes:
    """As JSON, whatever text stands in it."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )


def sound(text: str) -> str:
    """`text`, if it can be written; else with ? for what can't."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _is_utf8(body: Buffer) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(body), _PIECE):
            decoder.decode(body[start : start + _PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _has_endless_digits(body: Buffer) -> bool:
    """In a text or a number.

    In passes of C alone: a pattern would be the slowest thing that is done to a result.
    """
    return any(
        _ENDLESS in bytes(body[max(0, start - len(_ENDLESS)) : start + _PIECE]).translate(_DIGITS)
        for start in range(0, len(body), _PIECE)
    )


def _mended_token(found: re.Match[bytes]) -> bytes:
    token = found[0]
    if token.startswith(b'"'):
        return _mended_text(token)
    if token.endswith((b"NaN", b"Infinity")):
        return b"null"
    try:
        msgspec.json.decode(token)
    except MISFITS:
        return b'"' + token + b'"'
    return token


def _mended_text(token: bytes) -> bytes:
    if _is_utf8(token) and _ODD_TEXT.search(token) is None:
        return token
    try:
        text = json.loads(token.decode("utf-8", "replace"), strict=False)
    except MISFITS:
        return token
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return msgspec.json.encode(whole)
