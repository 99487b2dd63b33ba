"""Tell text of fonts that don't say which letters they show; such text is other letters and signs.

Whether letters alone are the right ones isn't judged: no language is known here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from batcher.service.parsing.pages import PageBlock

# Signs that stand for letters where a font doesn't say which it shows, and their share of a page's
# letters from which on its text is doubted.
_NO_LETTER: Final = r"\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd"
_SIGN: Final = r"\]\[\\^`{}@~<>?;#$%*=+"
_ODD: Final = re.compile(rf"[{_NO_LETTER}]|\w[{_SIGN}]\w")
_MAYBE_ODD: Final = re.compile(rf"[{_NO_LETTER}{_SIGN}]")
_SHARE: Final = 0.01
# What people write with such signs: addresses of mail and of the web, and paths. Brackets that are
# closed again belong to code. The numbers keep the time linear.
_WRITTEN: Final = re.compile(
    r"[\w.+-]{1,64}@[\w.-]{1,253}"
    r"|\b(?:https?|ftp|file)://\S+|\bwww\.\S+"
    r"|\b[A-Za-z]:\\\S*|\\\\\S+|(?:\w{1,64}\\){1,9}\w{1,64}\.\w{1,5}\b"
)
_CLOSED: Final = re.compile(r"\[([^\[\]]{0,40})\]")
_DEEPEST: Final = 3  # brackets within each other
# Signs that hardly anybody writes between letters. They lie between the capital and the small ones,
# so a font whose letters are counted from another number shows some of them in most words; its
# space is often an accent. Their share is that of a block's letters.
_STRANGE: Final = r"\]\[\\^`\u02c6-\u02dd"
_MAYBE_STRANGE: Final = re.compile(rf"[{_STRANGE}\ue000-\uf8ff]")
_BETWEEN: Final = re.compile(rf"(?<=[^\W\d_])[{_STRANGE}]{{1,2}}(?=[^\W\d_])|[\ue000-\uf8ff]{{2,}}")
_FEWEST: Final = 2
_BLOCK_SHARE: Final = 0.03
# Digits come as other signs too: "%&)$" for 1250. What is in brackets, as "(+/-)", is written so.
_FIGURES: Final = re.compile(r"[!-/\s]{4,}")
_BRACKETED: Final = re.compile(r"\([^()]*\)")
_DIFFERENT: Final = 4


def is_odd(text: str) -> bool:
    """Tell whether a page's text may be garbled; code and formulas may look like it too."""
    enough = max(3, len(text) * _SHARE)
    if len(_MAYBE_ODD.findall(text)) < enough:  # a tenth of the time, and true of nearly all
        return False
    return len(_ODD.findall(_without_written(text))) >= enough


def _without_written(text: str) -> str:
    text = _WRITTEN.sub(" ", text)
    for _ in range(_DEEPEST):
        text = _CLOSED.sub(r" \1 ", text)
    return text


def with_doubts(blocks: list[PageBlock]) -> tuple[list[PageBlock], bool]:
    """Return the blocks, those not sure whose text is garbled, and whether there are any."""
    garbled = [_is_garbled(block) for block in blocks]
    if not any(garbled):
        return blocks, False
    return [
        replace(block, sure=False) if doubted else block
        for block, doubted in zip(blocks, garbled, strict=True)
    ], True


def _is_garbled(block: PageBlock) -> bool:
    text = block.content
    if _MAYBE_STRANGE.search(text):
        found = _BETWEEN.findall(_without_written(text))
        if sum(map(len, found)) >= max(_FEWEST, len(text) * _BLOCK_SHARE):
            return True
    pieces = text.splitlines() if block.rows is None else [c for row in block.rows for c in row]
    return any(map(_is_garbled_number, pieces))


def _is_garbled_number(piece: str) -> bool:
    if not _FIGURES.fullmatch(piece):
        return False
    signs = "".join(_BRACKETED.sub("", piece).split())
    return len(set(signs)) >= _DIFFERENT
