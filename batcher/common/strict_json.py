"""Check and repair JSON so that every reader accepts it: no NaN, lone surrogates or invalid UTF-8.

Valid JSON is passed on unchanged; what can't be repaired is None.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, Final

import msgspec

Buffer = bytes | memoryview

MISFITS: Final = (msgspec.DecodeError, ValueError, RecursionError)
LARGEST_MENDED: Final = 256 << 20  # bytes; repairing takes several times as many in memory
_PIECE: Final = 1 << 20
_BOM: Final = codecs.BOM_UTF8
_NUMBER: Final = rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_TOKEN: Final = re.compile(
    rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|-?(?:Infinity|NaN)|'
    + _NUMBER,  # an unterminated string reaches to the end
    re.DOTALL,
)
_ODD_TEXT: Final = re.compile(rb"[\x00-\x1f]|\\u[dD][89a-fA-F]")
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_ENDLESS: Final = b"0" * 4_301  # digits; Python and msgspec refuse integers with as many
_SKIPPED: Final = msgspec.json.Decoder(msgspec.Raw)


def is_strict(body: Buffer) -> bool:
    """Tell whether the text is one JSON value in UTF-8 that isn't nested too deeply for msgspec.

    It is checked without copying it.
    """
    try:
        _SKIPPED.decode(body)
    except MISFITS:
        return False
    return _is_utf8(body)


def is_readable(body: Buffer) -> bool:
    """Tell whether the text is strict JSON without numbers of more digits than readers accept."""
    return is_strict(body) and not _has_endless_digits(body)


def mended(body: Buffer) -> bytes | None:
    """Return the text as strict JSON, or None if it isn't JSON or is larger than `LARGEST_MENDED`.

    NaN and infinities become null, numbers out of range become strings, and lone surrogates U+FFFD.
    """
    if len(body) > LARGEST_MENDED:
        return None
    fixed = _TOKEN.sub(_mended_token, bytes(body).removeprefix(_BOM))
    return fixed if is_strict(fixed) else None


def encoded(value: Any) -> bytes:
    """Return `value` as JSON; lone surrogates become "?"."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )


def sound(text: str) -> str:
    """Return `text` with "?" for lone surrogates, which UTF-8 can't hold."""
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
    """Tell whether there is a run of too many digits, in a string or a number.

    It uses only passes in C: a regular expression would be the slowest step of all for a result.
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
