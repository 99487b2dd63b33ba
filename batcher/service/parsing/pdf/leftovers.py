"""Complete a page's blocks by the words that liteparse reads on it and puts into no block.

Such are words set sideways or at an angle, words within figures, page numbers, and words that were
cut at the end of a line, which liteparse joins without their hyphen. Each word is written once.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, Final

from batcher.service.parsing.pages import Box, PageBlock, table

Boxed = Callable[[Any], Box]

_WORD: Final = re.compile(r"\w+")
_CUT: Final = re.compile(r"(?:(\w+)\W+)?(\w{2,})[-\u2010]$")
_HYPHENS: Final = ("-", "\u2010")
_GAP: Final = re.compile(r"\n|\s{3,}")
_PAGE_NUMBER: Final = re.compile(r"\W*\d{1,4}\W*")
_ASCII_SIGNS: Final = bytes(code for code in range(128) if not chr(code).isalnum())
# Fraction of their height by which two pieces of one word may stand apart.
_TOUCHING: Final = 0.1
# Fraction of a line's height by which the lines of a block may stand apart.
_NEAR: Final = 1.0
_UPRIGHT: Final = 5  # degrees; text that is turned further is set sideways
# Limits that keep the time linear on pages made to be slow; what they leave is still written, with
# less care for its place.
_LONGEST_WORD: Final = 100  # characters
_MOST_JOINS: Final = 200
_MOST_COMPARED: Final = 1_000_000  # pairs of an item and a block
_MOST_CUTS_OF_A_WORD: Final = 50


def completed(blocks: list[PageBlock], page: Any, boxed: Boxed) -> list[PageBlock]:
    """Return the blocks of a page with every word of liteparse's `page.text`.

    `boxed` converts a box of liteparse's. What is added is not sure.
    """
    if _weight(page.text) == _weight(_text_of(blocks)):
        return blocks
    missing, spare = _difference(page.text, blocks)
    if not missing:
        return blocks
    items = page.text_items
    if spare:
        blocks = _with_cut_words(blocks, items, missing, spare)
        blocks = _with_touching_words(blocks, items, missing, spare)
    if not missing:
        return blocks
    groups = list(_groups(_lost_items(items, blocks, missing, boxed)))
    upright = [_block_of(group, boxed) for group in groups if _is_upright(group[0])]
    sideways = [_block_of(group, boxed) for group in groups if not _is_upright(group[0])]
    whole = [*merged(blocks, upright), *sideways, *_unplaced(page.text, missing)]
    return [block for block in whole if block.content or block.type == "Figure"]


def _text_of(blocks: Sequence[PageBlock]) -> str:
    return "\n".join(block.content for block in blocks)


def _weight(text: str) -> tuple[int, int, int]:
    """Return numbers that are the same for two texts of the same words, in whatever order."""
    letters = text.encode("utf-8", "replace").translate(None, _ASCII_SIGNS)
    return len(text.split()), len(letters), sum(letters)


def _difference(text: str, blocks: Sequence[PageBlock]) -> tuple[Counter[str], Counter[str]]:
    """Return the words that the blocks lack, and those that they have beyond the text's."""
    read = Counter(_WORD.findall(text))
    written = Counter(_WORD.findall(_text_of(blocks)))
    return read - written, written - read


def _take(words: Sequence[str], missing: Counter[str]) -> bool:
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
        return replace(block, content=edit(block.content))
    rows = [[edit(cell) for cell in row] for row in block.rows]
    return block if rows == block.rows else table(rows, block.box, block.places)


# --- words that liteparse joined ------------------------------------------------------------------


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
    starts = {head[:2] for head in heads}
    for word in [word for word in spare if len(word) <= _LONGEST_WORD and word[:2] in starts]:
        for end in range(1, len(word)):
            head = word[:end]
            tail = word[end:]
            while heads.get(head) and spare[word] and _take((head, tail), missing):
                cuts[word].append(_Cut(heads[head].pop(), head, tail))
                _take((word,), spare)
    return cuts


def _recut(text: str, cuts: dict[str, list[_Cut]], *, in_place: bool) -> str:
    """Write the words of `cuts` on two lines; `in_place` only after the words that they follow."""
    if cuts.keys().isdisjoint(_WORD.findall(text)):
        return text
    parts: list[str] = []
    before = None
    end = 0
    for found in _WORD.finditer(text):
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


def _with_touching_words(
    blocks: list[PageBlock], items: Sequence[Any], missing: Counter[str], spare: Counter[str]
) -> list[PageBlock]:
    """Join pieces of words that touch on the page, such as a name and its footnote's number."""
    tries = 0
    for first, second in pairwise(items):
        if not (missing and spare) or tries == _MOST_JOINS:
            break
        pieces = (*_WORD.findall(first.text)[-1:], *_WORD.findall(second.text)[:1])
        joined = "".join(pieces)
        if len(pieces) < 2 or not missing[joined] or not _touch(first, second):
            continue
        tries += 1
        whole = _joined(blocks, pieces) if _take(pieces, spare) else None
        if whole is not None:
            blocks = whole
            _take((joined,), missing)
    return blocks


def _touch(first: Any, second: Any) -> bool:
    lowest = min(first.y + first.height, second.y + second.height)
    if lowest <= max(first.y, second.y):
        return False
    gap = max(first.x, second.x) - min(first.x + first.width, second.x + second.width)
    return bool(gap <= _TOUCHING * min(first.height, second.height))


def _joined(blocks: list[PageBlock], pieces: Sequence[str]) -> list[PageBlock] | None:
    """Join two pieces within the first block that has them, or at the end of a block and the
    beginning of the next, which become one. Returns None if they stand nowhere.
    """
    apart = re.compile(rf"(?<!\w){re.escape(pieces[0])}\s+{re.escape(pieces[1])}(?!\w)")
    for number, block in enumerate(blocks):
        if block.rows is None and apart.search(block.content):
            content = apart.sub("".join(pieces), block.content, count=1)
            return [*blocks[:number], replace(block, content=content), *blocks[number + 1 :]]
    for number, (above, below) in enumerate(pairwise(blocks)):
        if above.rows is not None or below.rows is not None:
            continue
        if above.content.endswith(pieces[0]) and below.content.startswith(pieces[1]):
            box = _around((above.box, below.box))
            whole = replace(above, content=above.content + below.content, box=box)
            return [*blocks[:number], whole, *blocks[number + 2 :]]
    return None


# --- lines that stand in no block -----------------------------------------------------------------


def _lost_items(
    items: Sequence[Any], blocks: Sequence[PageBlock], missing: Counter[str], boxed: Boxed
) -> list[Any]:
    """Return the items whose words are missing, first those that lie in no block."""
    lost: dict[int, Any] = {}
    candidates = [
        (number, words)
        for number, item in enumerate(items)
        if (words := _WORD.findall(item.text)) and all(missing[word] for word in words)
    ]
    if len(candidates) * len(blocks) <= _MOST_COMPARED:
        candidates.sort(key=lambda candidate: _lies_in_one(boxed(items[candidate[0]]), blocks))
    for number, words in candidates:
        if _take(words, missing):
            lost[number] = items[number]
    return [lost[number] for number in sorted(lost)]


def _is_upright(item: Any) -> bool:
    return bool(min(item.rotation % 360, 360 - item.rotation % 360) <= _UPRIGHT)


def _lies_in_one(box: Box, blocks: Sequence[PageBlock]) -> bool:
    across = box[0] + box[2] / 2
    down = box[1] + box[3] / 2
    return any(
        block.content
        and block.box[0] <= across <= block.box[0] + block.box[2]
        and block.box[1] <= down <= block.box[1] + block.box[3]
        for block in blocks
    )


def _groups(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Group items that follow each other closely and are turned alike."""
    group: list[Any] = []
    for item in items:
        if group and not _is_near(group[-1], item):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _is_near(first: Any, second: Any) -> bool:
    if abs(first.rotation - second.rotation) > _UPRIGHT:
        return False
    thick = _NEAR * min(first.width, first.height, second.width, second.height)
    across = max(first.x, second.x) - min(first.x + first.width, second.x + second.width)
    down = max(first.y, second.y) - min(first.y + first.height, second.y + second.height)
    return bool(max(across, down) <= max(thick, 1.0))


def _block_of(items: Sequence[Any], boxed: Boxed) -> PageBlock:
    text = items[0].text.strip()
    for above, item in pairwise(items):
        text += (" " if _on_one_line(above, item) else "\n") + item.text.strip()
    return PageBlock("Text", text, _around([boxed(item) for item in items]), sure=False)


def _on_one_line(first: Any, second: Any) -> bool:
    """Tell whether two items that are turned alike stand on one line, whichever way it runs."""
    if min(first.rotation % 180, 180 - first.rotation % 180) < 45:
        return bool(abs(first.y - second.y) < min(first.height, second.height) / 2)
    return bool(abs(first.x - second.x) < min(first.width, second.width) / 2)


def _unplaced(text: str, missing: Counter[str]) -> Iterator[PageBlock]:
    """Yield the lines of `text` that are still missing; their places are not known."""
    for line in _GAP.split(text):
        if not missing:
            return
        if missing.keys().isdisjoint(_WORD.findall(line)):
            continue
        for run in _missing_runs(line, missing):
            kind = "Page Number" if _PAGE_NUMBER.fullmatch(run) else "Text"
            yield PageBlock(kind, run, sure=False)


def _missing_runs(line: str, missing: Counter[str]) -> Iterator[str]:
    run: list[str] = []
    for word in line.split():
        letters = _WORD.findall(word)
        if _take(letters, missing) or (run and not letters):
            run.append(word)
        elif run:
            yield " ".join(run)
            run = []
    if run:
        yield " ".join(run)


def merged(blocks: Sequence[PageBlock], added: Sequence[PageBlock]) -> list[PageBlock]:
    """Put each added block behind the last one that begins above it."""
    if not added:
        return list(blocks)
    # the highest edge of a block or of any behind it; it only grows
    highest = list(accumulate((block.box[1] for block in reversed(blocks)), min))[::-1]
    places: dict[int, list[PageBlock]] = defaultdict(list)
    for block in added:
        places[bisect_right(highest, block.box[1])].append(block)
    merged = list(places[0])
    for number, block in enumerate(blocks, start=1):
        merged += [block, *places[number]]
    return merged


def _around(boxes: Sequence[Box]) -> Box:
    left = min(box[0] for box in boxes)
    top = min(box[1] for box in boxes)
    right = max(box[0] + box[2] for box in boxes)
    bottom = max(box[1] + box[3] for box in boxes)
    return left, top, right - left, bottom - top
