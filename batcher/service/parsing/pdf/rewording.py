"""Set a page's blocks right where they write words otherwise than the page's text, or twice.

liteparse joins words that are cut at the end of a line without their hyphen, tears words apart
whose letters stand wide, and repeats the text of merged cells.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Final

from batcher.service.parsing.pages import Box, PageBlock, table

WORD: Final = re.compile(r"\w+")
_CUT: Final = re.compile(r"(?:(\w+)\W+)?(\w+)[-\u2010]$")
_UNSEEN: Final = "".join(map(chr, (*range(9), *range(0x0E, 0x1C))))
_MARKS: Final = str.maketrans(dict.fromkeys(_UNSEEN, "\ufffd"))
# Emphasis of a whole line that begins within a word: "com*plementary to sparse. For* example".
_HALVED: Final = re.compile(r"(\w+)(\*+)(?=\w)")
_HYPHENS: Final = ("-", "\u2010")
# Fraction of their height by which two pieces of one word may stand apart.
_TOUCHING: Final = 0.1
# Limits that keep the time linear on pages made to be slow.
_LONGEST_WORD: Final = 100  # characters
_MOST_JOINS: Final = 200
_MOST_CUTS_OF_A_WORD: Final = 50
_MOST_PIECES: Final = 8  # of a word that is torn apart
_MOST_ELSEWHERE: Final = 50  # blocks that are looked for in vain


def difference(text: str, blocks: Sequence[PageBlock]) -> tuple[Counter[str], Counter[str]]:
    """Return the words of `text` that the blocks lack, and those that they have beyond it."""
    left, over = _uncommon(text.split(), [block.content.split() for block in blocks])
    read = Counter(left)
    written = Counter(over)
    more: Counter[str] = Counter()
    # What both have as often stands between spaces alike, and so do its words. Their order is that
    # of the page, not of a set: what is put right first depends on it.
    for token in {**read, **written}:
        times = read.get(token, 0) - written.get(token, 0)
        if times:
            for word in WORD.findall(token):
                more[word] += times
    return +more, -more


def _uncommon(tokens: list[str], parts: Sequence[list[str]]) -> tuple[list[str], list[str]]:
    """Return the tokens without the parts that stand among them, and the parts that don't.

    Parts are looked for in their order only: most are there, and to count all takes longer.
    """
    left: list[str] = []
    over: list[str] = []
    at = 0
    elsewhere = 0
    for part in filter(None, parts):
        start = _index(tokens, part[0], at) if elsewhere < _MOST_ELSEWHERE else len(tokens)
        end = start + len(part)
        if tokens[start:end] == part:
            left += tokens[at:start]
            at = end
        else:
            over += part
            elsewhere += 1
    return left + tokens[at:], over


def _index(tokens: list[str], token: str, start: int) -> int:
    try:
        return tokens.index(token, start)
    except ValueError:
        return len(tokens)


def reworded(
    blocks: list[PageBlock], items: Sequence[Any], missing: Counter[str], spare: Counter[str]
) -> list[PageBlock]:
    """Return the blocks with the page's own words; takes these from `missing` and `spare`.

    `items` are liteparse's text items of the page.
    """
    blocks = [_without_repeats(block, spare) for block in blocks]
    if missing and spare:
        blocks = _with_cut_words(blocks, items, missing, spare)
    if missing and spare:
        blocks = [_edited(block, lambda text: _rejoined(text, missing, spare)) for block in blocks]
    if missing and spare:
        blocks = _with_touching_words(blocks, items, missing, spare)
    return blocks


def take(words: Sequence[str], missing: Counter[str]) -> bool:
    """Take the words from the missing ones; return False and take none if one isn't there."""
    if len(words) == 1:  # by far the most frequent case
        if words[0] not in missing:
            return False
        wanted: Mapping[str, int] = {words[0]: 1}
    else:
        wanted = Counter(words)
    if not wanted or any(missing[word] < times for word, times in wanted.items()):
        return False
    for word, times in wanted.items():
        missing[word] -= times
        if not missing[word]:
            del missing[word]
    return True


def _edited(block: PageBlock, edit: Callable[[str], str]) -> PageBlock:
    if block.rows is None:
        content = edit(block.content)
        return block if content == block.content else replace(block, content=content)
    rows = [[edit(cell) for cell in row] for row in block.rows]
    return block if rows == block.rows else table(rows, block.box, block.places)


def surrounding(boxes: Sequence[Box]) -> Box:
    left = min(box[0] for box in boxes)
    top = min(box[1] for box in boxes)
    right = max(box[0] + box[2] for box in boxes)
    bottom = max(box[1] + box[3] for box in boxes)
    return left, top, right - left, bottom - top


# --- words that are written twice -----------------------------------------------------------------


def _without_repeats(block: PageBlock, spare: Counter[str]) -> PageBlock:
    """Empty the cells that repeat what stands to their left, if the page has it once."""
    if block.rows is None or not spare:
        return block
    rows = [list(_once(row, spare)) for row in block.rows]
    return block if rows == block.rows else table(rows, block.box, block.places)


def _once(row: Sequence[str], spare: Counter[str]) -> Iterator[str]:
    left = ""  # the last cell with text of its own
    for cell in row:
        words = WORD.findall(cell) if cell and cell in left else ()
        if words and take(words, spare):
            yield ""
        else:
            left = cell or left
            yield cell


# --- words that are joined without their hyphen ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cut:
    """A word that stands on two lines, and the word before it on the first."""

    before: str | None
    head: str
    tail: str


def _with_cut_words(
    blocks: list[PageBlock], items: Sequence[Any], missing: Counter[str], spare: Counter[str]
) -> list[PageBlock]:
    """Put hyphens at the ends of lines back: without them "dual-encoder" becomes another word."""
    cuts = _cuts(items, missing, spare)
    if not cuts:
        return blocks
    blocks = [_edited(block, lambda text: _recut(text, cuts, in_place=True)) for block in blocks]
    if not cuts:  # each is where it was looked for first
        return blocks
    return [_edited(block, lambda text: _recut(text, cuts, in_place=False)) for block in blocks]


def _cuts(
    items: Sequence[Any], missing: Counter[str], spare: Counter[str]
) -> dict[str, list[_Cut]]:
    heads: dict[str, list[str | None]] = defaultdict(list)
    ends = (text for item in items if (text := item.text.rstrip()).endswith(_HYPHENS))
    for text in ends:
        if found := _CUT.search(text[-2 * _LONGEST_WORD :]):
            heads[found[2]].append(found[1])
    cuts: dict[str, list[_Cut]] = defaultdict(list)
    if not heads:
        return cuts
    starts = {head[0] for head in heads}
    for word in [word for word in spare if len(word) <= _LONGEST_WORD and word[0] in starts]:
        for end in range(1, len(word)):
            head = word[:end]
            tail = word[end:]
            while heads.get(head) and spare[word] and take((head, tail), missing):
                cuts[word].append(_Cut(heads[head].pop(), head, tail))
                take((word,), spare)
    return cuts


def _recut(text: str, cuts: dict[str, list[_Cut]], *, in_place: bool) -> str:
    """Write the words of `cuts` on two lines; `in_place` only after the words that they follow."""
    if not cuts or cuts.keys().isdisjoint(WORD.findall(text)):
        return text
    parts: list[str] = []
    before = None
    end = 0
    for found in WORD.finditer(text):
        word = found[0]
        left = cuts.get(word)
        if left:
            nearest = left[:_MOST_CUTS_OF_A_WORD]
            cut = next((cut for cut in nearest if not in_place or cut.before == before), None)
            if cut is not None:
                left.remove(cut)
                if not left:
                    del cuts[word]
                parts += [text[end : found.start()], f"{cut.head}-\n{cut.tail}"]
                end = found.end()
        before = word
    return "".join([*parts, text[end:]]) if parts else text


def with_unknown_signs(blocks: list[PageBlock], text: str) -> tuple[list[PageBlock], int]:
    """Return the blocks with a mark for each sign of which the font doesn't say what it shows.

    Such a sign, perhaps a minus, comes as a control character, which nobody sees. Returns also how
    many `text`, the page's, has of them.
    """
    unknown = sum(text.count(sign) for sign in _UNSEEN if sign in text)
    if not unknown:
        return blocks, 0
    return [_marked(block) for block in blocks], unknown


def _marked(block: PageBlock) -> PageBlock:
    marked = _edited(block, lambda content: content.translate(_MARKS))
    return block if marked == block else replace(marked, sure=False)


def with_halves_apart(blocks: list[PageBlock], text: str) -> list[PageBlock]:
    """Put the hyphen and the line's end back between the halves of a word with emphasis between.

    Whether it was cut there is told by the page's text.
    """
    return [
        _edited(block, lambda content: _HALVED.sub(partial(_apart, text), content))
        if "*" in block.content
        else block
        for block in blocks
    ]


def _apart(text: str, found: re.Match[str]) -> str:
    head, mark = found.groups()
    return f"{head}-\n{mark}" if f"{head}-\n" in text or f"{head}- " in text else found[0]


# --- words that are torn apart --------------------------------------------------------------------


def _rejoined(text: str, missing: Counter[str], spare: Counter[str]) -> str:
    """Join words that follow each other and are one word of the page."""
    if spare.keys().isdisjoint(WORD.findall(text)):
        return text
    words = list(WORD.finditer(text))
    parts: list[str] = []
    end = 0
    number = 0
    while number < len(words):
        count = _pieces_at(text, words[number : number + _MOST_PIECES], missing, spare)
        if count:
            whole = words[number : number + count]
            parts += [text[end : whole[0].start()], *(piece[0] for piece in whole)]
            end = whole[-1].end()
        number += count or 1
    return "".join([*parts, text[end:]]) if parts else text


def _pieces_at(
    text: str, words: Sequence[re.Match[str]], missing: Counter[str], spare: Counter[str]
) -> int:
    """Return how many of the words are pieces of one that is missing, from the first on; 0 if the
    first is none.
    """
    joined = ""
    for count, word in enumerate(words, start=1):
        is_near = count == 1 or text[words[count - 2].end() : word.start()].isspace()
        if word[0] not in spare or not is_near:
            return 0
        joined += word[0]
        if count > 1 and joined in missing and take([piece[0] for piece in words[:count]], spare):
            take((joined,), missing)
            return count
    return 0


def _with_touching_words(
    blocks: list[PageBlock], items: Sequence[Any], missing: Counter[str], spare: Counter[str]
) -> list[PageBlock]:
    """Join blocks whose words touch on the page, such as a name and its footnote's number."""
    tries = 0
    for first, second in pairwise(items):
        if not (missing and spare) or tries == _MOST_JOINS:
            break
        pieces = (*WORD.findall(first.text)[-1:], *WORD.findall(second.text)[:1])
        joined = "".join(pieces)
        if len(pieces) < 2 or not missing[joined] or not _touch(first, second):
            continue
        tries += 1
        whole = _joined(blocks, pieces) if take(pieces, spare) else None
        if whole is not None:
            blocks = whole
            take((joined,), missing)
    return blocks


def _touch(first: Any, second: Any) -> bool:
    lowest = min(first.y + first.height, second.y + second.height)
    if lowest <= max(first.y, second.y):
        return False
    gap = max(first.x, second.x) - min(first.x + first.width, second.x + second.width)
    return bool(gap <= _TOUCHING * min(first.height, second.height))


def _joined(blocks: list[PageBlock], pieces: Sequence[str]) -> list[PageBlock] | None:
    """Join two pieces at the end of a block and the beginning of the next, which become one.

    Returns None if they stand nowhere.
    """
    for number, (above, below) in enumerate(pairwise(blocks)):
        if above.rows is not None or below.rows is not None:
            continue
        if above.content.endswith(pieces[0]) and below.content.startswith(pieces[1]):
            box = surrounding((above.box, below.box))
            whole = replace(above, content=above.content + below.content, box=box)
            return [*blocks[:number], whole, *blocks[number + 2 :]]
    return None
