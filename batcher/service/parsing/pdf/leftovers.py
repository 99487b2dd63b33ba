"""Complete a page's blocks by the words that liteparse reads on it and puts into no block.

Such are words set sideways or at an angle, words within figures, and page numbers. Each word is
written once.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

from batcher.service.parsing.pages import Box, PageBlock
from batcher.service.parsing.pdf.rewording import (
    WORD,
    difference,
    reworded,
    surrounding,
    take,
    with_halves_apart,
)
from batcher.service.parsing.pdf.turning import Reading

Boxed = Callable[[Any], Box]

_GAP: Final = re.compile(r"\n|\s{3,}")
_PAGE_NUMBER: Final = re.compile(r"\W*\d{1,4}\W*")
# Fraction of a line's height by which the lines of a block may stand apart.
_NEAR: Final = 1.0
_UPRIGHT: Final = 5  # degrees; text that is turned further is set sideways
# A limit that keeps the time linear on pages made to be slow; what it leaves is still written, with
# less care for its place.
_MOST_COMPARED: Final = 1_000_000  # pairs of an item and a block


def completed(blocks: list[PageBlock], reading: Reading, boxed: Boxed) -> list[PageBlock]:
    """Return the blocks of a page with every word of its text.

    `boxed` converts a box of liteparse's. What is added is not sure.
    """
    text = reading.text
    items = reading.items
    if reading.torn:
        blocks = _without(blocks, reading.torn, boxed)
    blocks = with_halves_apart(blocks, text)
    missing, spare = difference(text, blocks)
    if spare:
        blocks = reworded(blocks, items, missing, spare)
    if not missing:
        return blocks
    groups = list(_groups(_lost_items(items, blocks, missing, boxed)))
    upright = [_block_of(group, boxed) for group in groups if _is_upright(group[0])]
    sideways = [_block_of(group, boxed) for group in groups if not _is_upright(group[0])]
    whole = [*merged(blocks, upright), *sideways, *_unplaced(text, missing)]
    return [block for block in whole if block.content or block.type == "Figure"]


def _without(blocks: Sequence[PageBlock], torn: Sequence[Any], boxed: Boxed) -> list[PageBlock]:
    """Return the blocks that are not made of torn pieces alone."""
    pieces = [PageBlock("Text", item.text, boxed(item)) for item in torn]
    if len(pieces) * len(blocks) > _MOST_COMPARED:
        return list(blocks)
    words = set(WORD.findall("\n".join(piece.content for piece in pieces)))
    return [
        block
        for block in blocks
        if not block.content
        or not words.issuperset(WORD.findall(block.content))
        or not _lies_in_one(block.box, pieces)
    ]


def _lost_items(
    items: Sequence[Any], blocks: Sequence[PageBlock], missing: Counter[str], boxed: Boxed
) -> list[Any]:
    """Return the items whose words are missing, first those that lie in no block."""
    lost: dict[int, Any] = {}
    candidates: list[tuple[int, list[str]]] = []
    for number, item in enumerate(items):
        text = item.text
        first = WORD.search(text)
        if first is None or first[0] not in missing:
            continue
        words = WORD.findall(text)
        if all(word in missing for word in words):
            candidates.append((number, words))
    if len(candidates) * len(blocks) <= _MOST_COMPARED:
        candidates.sort(key=lambda candidate: _lies_in_one(boxed(items[candidate[0]]), blocks))
    for number, words in candidates:
        if take(words, missing):
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
    return PageBlock("Text", text, surrounding([boxed(item) for item in items]), sure=False)


def _on_one_line(first: Any, second: Any) -> bool:
    """Tell whether two items that are turned alike stand on one line, whichever way it runs."""
    if min(first.rotation % 180, 180 - first.rotation % 180) < 45:
        return bool(abs(first.y - second.y) < min(first.height, second.height) / 2)
    return bool(abs(first.x - second.x) < min(first.width, second.width) / 2)


def _unplaced(text: str, missing: Counter[str]) -> Iterator[PageBlock]:
    """Yield the lines of `text` that are still missing; their places are not known."""
    for line in _GAP.split(text) if missing else ():
        if not missing:
            return
        if missing.keys().isdisjoint(WORD.findall(line)):
            continue
        for run in _missing_runs(line, missing):
            kind = "Page Number" if _PAGE_NUMBER.fullmatch(run) else "Text"
            yield PageBlock(kind, run, sure=False)


def _missing_runs(line: str, missing: Counter[str]) -> Iterator[str]:
    run: list[str] = []
    for word in line.split():
        letters = WORD.findall(word)
        if take(letters, missing) or (run and not letters):
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
