"""Find where a JSON value ends and whether it is complete, at any size and depth.

This is for text that msgspec refuses and a service may send: NaN, lone surrogates, control
characters in strings, a thousand levels. Strings are skipped; all syntax between them is checked.
No values are built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from mmap import mmap
from typing import Final

import msgspec

Text = bytes | memoryview | mmap


class NotWhole(ValueError):
    """The text isn't JSON, or is incomplete."""


# Bytes that msgspec checks in about 30 ms, during which the rest of the process stands still.
QUICK: Final = 64 << 20
_GAP: Final = rb"[ \t\n\r]*+"
_STRING: Final = rb'"[^"\\]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\]*+)*+"'
_NUMBER: Final = rb"-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?+[0-9]++)?+"
_PLAIN: Final = rb"(?:%b|%b|true|false|null|NaN|-?Infinity)" % (_STRING, _NUMBER)


def _closed(value: bytes) -> bytes:
    """Return a pattern for `value`, or an object or list of such values.

    Each level of nesting in the pattern saves one turn of the loop.
    """
    member = rb"%b%b%b:%b%b%b" % (_GAP, _STRING, _GAP, _GAP, value, _GAP)
    item = rb"%b%b%b" % (_GAP, value, _GAP)
    object_ = rb"\{(?:%b(?:,%b)*+|%b)\}" % (member, member, _GAP)
    list_ = rb"\[(?:%b(?:,%b)*+|%b)\]" % (item, item, _GAP)
    return rb"(?:%b|%b|%b)" % (value, object_, list_)


_VALUE: Final = _closed(_PLAIN)
_KEY: Final = rb"%b%b:%b" % (_STRING, _GAP, _GAP)
_SPACE: Final = re.compile(_GAP)
_ONE: Final = re.compile(_VALUE, re.DOTALL)
_NAME: Final = re.compile(rb"(%b)%b:%b" % (_STRING, _GAP, _GAP), re.DOTALL)
# As many values as are followed by a comma; in an object also the name of the next one.
_RUN: Final = {
    ord("{"): re.compile(
        rb"(?:%b%b%b%b,)*+%b(%b)?+" % (_GAP, _KEY, _VALUE, _GAP, _GAP, _KEY), re.DOTALL
    ),
    ord("["): re.compile(rb"(?:%b%b%b,)*+%b" % (_GAP, _VALUE, _GAP, _GAP), re.DOTALL),
}
_CLOSES: Final = {ord("{"): ord("}"), ord("["): ord("]")}
_COMMA: Final = ord(",")


def is_whole(text: Text) -> bool:
    """Tell whether the text is exactly one object or list.

    A number doesn't count, since one that was cut off looks complete.
    """
    start = _after_gap(text, 0)
    if len(text) <= QUICK and text[start : start + 1] in (b"{", b"[") and _is_strict(text):
        return True
    try:
        return _byte(text, start) in _CLOSES and _after_gap(text, end_of(text, start)) == len(text)
    except NotWhole:
        return False


def _is_strict(text: Text) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def members(text: Text) -> Iterator[tuple[bytes, int, int]]:
    """Yield for each member of an object its name, in quotes, and where its value starts and ends.

    Raises NotWhole if the text is no complete object.
    """
    at = _after_gap(text, 0)
    if _byte(text, at) != ord("{"):
        raise NotWhole("no object")
    at = _after_gap(text, at + 1)
    while name := _NAME.match(text, at):
        end = end_of(text, name.end())
        yield name[1], name.end(), end
        at = _after_gap(text, end)
        if _byte(text, at) != _COMMA:
            break
        at = _after_gap(text, at + 1)
    if _byte(text, at) != ord("}") or _after_gap(text, at + 1) != len(text):
        raise NotWhole(f"byte {at} is out of place")


def items(text: Text) -> Iterator[tuple[int, int]]:
    """Yield where each value of a list starts and ends.

    Raises NotWhole if the text is no complete list.
    """
    at = _after_gap(text, 0)
    if _byte(text, at) != ord("["):
        raise NotWhole("no list")
    at = _after_gap(text, at + 1)
    follows = _byte(text, at) != ord("]")
    while follows:
        end = end_of(text, at)
        yield at, end
        at = _after_gap(text, end)
        follows = _byte(text, at) == _COMMA
        at = _after_gap(text, at + 1) if follows else at
    if _byte(text, at) != ord("]") or _after_gap(text, at + 1) != len(text):
        raise NotWhole(f"byte {at} is out of place")


def end_of(text: Text, start: int) -> int:
    """Return where the value that starts at `start` ends. Raises NotWhole."""
    if value := _ONE.match(text, start):
        return value.end()
    opened = bytearray()
    at = start
    is_fresh = True
    while True:
        if is_fresh:
            opened.append(_opening(text, at))
            at += 1
        at, follows = _pass_values(text, at, opened[-1], is_fresh=is_fresh)
        is_fresh = not follows
        while not is_fresh and not follows.startswith(b","):
            opened.pop()
            if not opened:
                return at
            at, follows = _after_value(text, at, opened[-1])


def _pass_values(text: Text, at: int, kind: int, *, is_fresh: bool) -> tuple[int, bytes]:
    """Skip all values that the pattern matches; return the place and what follows.

    What follows is ",", "}", "]", or nothing for one more level.
    """
    run = _RUN[kind].match(text, at)
    assert run is not None
    here = run.end()
    has_name = kind == ord("{") and run[1] is not None
    if kind == ord("[") or has_name:
        if value := _ONE.match(text, here):
            return _after_value(text, value.end(), kind)
        if _byte(text, here) in _CLOSES:
            return here, b""
    is_empty = is_fresh and not has_name and here == _after_gap(text, at)
    if is_empty and _byte(text, here) == _CLOSES[kind]:
        return here + 1, bytes([_CLOSES[kind]])
    raise NotWhole(f"byte {here} is out of place")


def _after_value(text: Text, at: int, kind: int) -> tuple[int, bytes]:
    at = _after_gap(text, at)
    found = _byte(text, at)
    if found not in (_COMMA, _CLOSES[kind]):
        raise NotWhole(f"byte {at} is out of place")
    return at + 1, bytes([found])


def _opening(text: Text, at: int) -> int:
    found = _byte(text, at)
    if found not in _CLOSES:
        raise NotWhole(f"byte {at} is out of place")
    return found


def _after_gap(text: Text, at: int) -> int:
    gap = _SPACE.match(text, at)
    assert gap is not None
    return gap.end()


def _byte(text: Text, at: int) -> int:
    if at >= len(text):
        raise NotWhole("it ends too early")
    return text[at]
