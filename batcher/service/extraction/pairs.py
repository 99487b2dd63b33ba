"""Find every pair of a label and a value that a document shows: in a line, side by side, in tables.

Deliberately generous: whether a label names a requested field is decided elsewhere. `strength` says
how surely label and value belong together, from 0 to 1.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from batcher.service.extraction.document_index import Box, Evidence, Grid, Spot, TextLine
from batcher.service.extraction.values import NUMBER, is_percent, looks_like_value

LONGEST_LABEL: Final = 50  # characters
MOST_WORDS: Final = 6
SHORT_LINE: Final = 200  # characters; a longer line is prose, for which the patterns are not made
# Characters up to which colons are searched.
LONGEST_LINE: Final = 2_000
FARTHEST: Final = 0.6  # fraction of the page's width from a label to a value on its right
LINES_BELOW: Final = 1.3  # heights of a line from a label to a value below it
# Fraction of the page's width by which left edges may differ.
ALIGNED: Final = 0.02

# Last words of labels. Without a colon, a text that ends in one is more likely a label than a
# value.
_HEADS: Final = frozenset(
    "name number date address code phone email fax price amount quantity id".split()
)
_COLON: Final = re.compile(r"(?:(?<=^)|(?<=\s))([^\W\d_][^:\n]{0,48}?)\s?[:：](?=\s|$)")
_TRAILING: Final = re.compile(
    rf"(?P<label>[^\W\d_].*?)[\s.…]+(?P<value>(?:[€$£¥]\s?)?{NUMBER}(?:\s?(?:%|[€$£¥]|[A-Z]{{3}}))?)$"
)
_NUMBERED: Final = re.compile(
    r"(?P<label>.*\b(?:no|nr|number|id|ref)\b\.?|.*[#№])\s*(?P<value>(?=.*\d)\S.*)$", re.IGNORECASE
)
_DATED: Final = re.compile(
    r"(?P<label>[^\W\d_]+(?: [^\W\d_]+){0,2})\s+"
    r"(?P<value>\d{1,4}([./-])\d{1,2}\3\d{2,4})(?:\s+[^\W\d_].*)?"
)
_PERIOD: Final = re.compile(r"(?:(?:FY|CY)\s?)?(?:19|20)\d\d(?:[/-]\d\d)?")
_PERCENT: Final = re.compile(rf"(?P<label>[^\d%]+?)\s*\(?\s*(?P<value>{NUMBER}\s?%)\)?\s*$")


@dataclass(frozen=True, slots=True)
class Pair:
    """A label and a value with the value's place; `strength` is from 0 to 1.

    `context` is what stands above a table and may say that its amounts are in thousands.
    """

    label: str
    value: str
    strength: float
    spot: Spot
    context: str = ""


def pairs_of(evidence: Evidence) -> Iterator[Pair]:
    """Yield the pairs of a document; one value may occur in several of them."""
    lines = evidence.lines
    for index, line in enumerate(lines):
        yield from _in_line(line)
        following = lines[index + 1] if index + 1 < len(lines) else None
        if (
            not line.placed
            and following is not None
            and line.text.endswith(":")
            and not following.placed
            and not reads_as_label(following.text)
        ):
            yield Pair(line.text, following.text, 0.85, following.spot)
    yield from _beside([line for line in lines if line.placed])
    yield from _under_headings(evidence)
    for grid in evidence.grids:
        context = _context(grid)
        for pair in _in_table(grid, evidence):
            yield replace(pair, context=context)


# --- in one line ----------------------------------------------------------------------------------


def _in_line(line: TextLine) -> Iterator[Pair]:
    text = line.text.strip()
    found = list(_COLON.finditer(text)) if len(text) <= LONGEST_LINE else []
    if found:
        yield from _after_colons(text, found, line.spot)
        return
    for pattern, strength in ((_TRAILING, 0.93), (_NUMBERED, 0.9), (_DATED, 0.88)):
        match = pattern.fullmatch(text) if len(text) <= SHORT_LINE else None
        if match and is_label(match["label"]):
            yield from with_rate(Pair(match["label"], match["value"], strength, line.spot))


def _after_colons(text: str, found: list[re.Match[str]], spot: Spot) -> Iterator[Pair]:
    """Yield the pairs of a line with colons.

    If the end of a value and the next label can't be told apart, neither is used.
    """
    label: str | None = found[0][1]
    for match, following in zip(found, [*found[1:], None], strict=True):
        rest = text[match.end() : following.end(1) if following else len(text)].strip()
        value, next_label = _parted(rest) if following else (rest, None)
        if label and value and is_label(label):
            yield from with_rate(Pair(label, value, 1.0, spot))
        label = next_label


def _parted(text: str) -> tuple[str | None, str | None]:
    """Split text between two colons, such as "INV-7 Invoice Date", into a value and the next label.

    The label begins after the last word with a digit, or else at the first capital.
    """
    words = text.split()
    ends = [index for index, word in enumerate(words) if any(c.isdigit() for c in word)]
    begins = [index for index, word in enumerate(words) if word[:1].isupper()]
    cut = ends[-1] + 1 if ends else begins[0] if begins else 0
    if not 0 < cut < len(words):
        return None, None
    return " ".join(words[:cut]), " ".join(words[cut:])


def with_rate(pair: Pair) -> Iterator[Pair]:
    """Yield the pair, and a second one if its label holds a percentage.

    In "VAT 20 %: 116.68" both 116.68 and 20 % are values of VAT.
    """
    yield pair
    rate = _PERCENT.fullmatch(pair.label)
    if rate:
        yield Pair(rate["label"], rate["value"], pair.strength, pair.spot)


def is_label(text: str) -> bool:
    """Tell whether a text is short and wordy enough for a label, and is no value itself."""
    text = text.strip(" :：")
    return (
        0 < len(text) <= LONGEST_LABEL
        and len(text.split()) <= MOST_WORDS
        and any(c.isalpha() for c in text)
        and not looks_like_value(text)
    )


def reads_as_label(text: str) -> bool:
    """Tell whether a text is or holds a label, so that it can't be the value of the label before.

    An empty field on a form is followed by the next field's label.
    """
    words = text.casefold().split()
    return (
        text.rstrip().endswith((":", "："))
        or _COLON.search(text) is not None
        or (0 < len(words) <= 4 and words[-1] in _HEADS)
    )


# --- by their places ------------------------------------------------------------------------------


def _beside(lines: Sequence[TextLine]) -> Iterator[Pair]:
    """Yield what stands to the right of a label on its line, or else right below it."""
    by_page: dict[int, list[TextLine]] = {}
    for line in lines:
        by_page.setdefault(line.spot.page, []).append(line)
    for page in by_page.values():
        page.sort(key=lambda line: line.spot.box[1])
        answered = _answered(page)
        taken = {id(page[index]) for index in answered}
        for index, line in enumerate(page):
            if index in answered:
                yield from with_rate(answered[index])
            elif _may_label(line) and _to_the_right(line, page, index) is None:
                yield from _pair_below(line, page, index, taken)


def _may_label(line: TextLine) -> bool:
    return is_label(line.text) and not _COLON.search(line.text[:-1])


def _answered(page: list[TextLine]) -> dict[int, Pair]:
    """Return, by the label's index, the pairs of labels and values side by side.

    From right to left, since what has a value of its own is a label and not the value of the label
    before it.
    """
    found: dict[int, Pair] = {}
    labels: set[int] = set()
    for index in sorted(range(len(page)), key=lambda index: -page[index].spot.box[0]):
        line = page[index]
        right = _to_the_right(line, page, index) if _may_label(line) else None
        if right is None or id(right) in labels:
            continue
        after = _to_the_right(right, page, index)
        if after is not None and _rivals(right.text, after.text):
            continue
        strength = _strength(line.text, right.text, asked=0.95, value=0.93, words=0.82)
        if strength:
            labels.add(id(line))
            found[index] = Pair(line.text, right.text, strength, right.spot)
    return found


def _pair_below(
    line: TextLine, page: list[TextLine], index: int, labels: set[int]
) -> Iterator[Pair]:
    """Yield a label with the text below it, unless that has a value beside or below it itself."""
    below = _below(line, page, index)
    if below is None or id(below) in labels:
        return
    next_below = _below(below, page, index)
    if not _is_amount(below.text) and next_below is not None and _is_amount(next_below.text):
        return
    strength = _strength(line.text, below.text, asked=0.85, value=0.85, words=0.8)
    if strength:
        yield Pair(line.text, below.text, strength, below.spot)


def _strength(label: str, text: str, *, asked: float, value: float, words: float) -> float:
    """Return the strength of a label with a text beside or below it, 0 if they don't look like a
    pair.

    Without a colon they may as well be two pieces of a sentence, so both must have the right form.
    """
    if reads_as_label(text):
        return 0.0
    if label.endswith((":", "：")):
        return asked
    if looks_like_value(text) or is_percent(text):
        return value
    heads = label[:1].isupper() and not text[:1].islower()
    return words if heads and len(text) <= LONGEST_LABEL and not text.endswith(".") else 0.0


def _to_the_right(line: TextLine, page: list[TextLine], index: int) -> TextLine | None:
    box = line.spot.box
    height = line.spot.box[3] - line.spot.box[1]
    near = [
        other
        for other in _around(page, index, reach=height)
        if _overlap(box, other.spot.box) > 0.5
        and 0 <= other.spot.box[0] - box[2] + 0.002 <= FARTHEST
    ]
    return min(near, key=lambda other: other.spot.box[0], default=None)


def _below(line: TextLine, page: list[TextLine], index: int) -> TextLine | None:
    left, _, _, bottom = line.spot.box
    height = bottom - line.spot.box[1]
    for other in page[index + 1 :]:
        gap = other.spot.box[1] - bottom
        if gap > LINES_BELOW * height:
            return None
        if gap > -height / 2 and abs(other.spot.box[0] - left) <= ALIGNED:
            return other
    return None


def _around(page: list[TextLine], index: int, *, reach: float) -> Iterator[TextLine]:
    """Yield the lines whose top is within `reach` of this one's; `page` is sorted by top."""
    top = page[index].spot.box[1]
    for step in (-1, 1):
        at = index + step
        while 0 <= at < len(page) and abs(page[at].spot.box[1] - top) <= reach:
            yield page[at]
            at += step


def _overlap(first: Box, second: Box) -> float:
    shared = min(first[3], second[3]) - max(first[1], second[1])
    return shared / max(1e-9, min(first[3] - first[1], second[3] - second[1]))


def _under_headings(evidence: Evidence) -> Iterator[Pair]:
    """Yield a section's heading with its text, if that is a single paragraph."""
    for heading, block, after in zip(
        evidence.blocks, evidence.blocks[1:], [*evidence.blocks[2:], None], strict=False
    ):
        if (
            heading["type"] != "Section Header"
            or block["type"] != "Text"
            or not is_label(heading["content"])
        ):
            continue
        if after is None or after["type"] != "Text":
            box = block["bbox"]
            place = (
                box["left"],
                box["top"],
                box["left"] + box["width"],
                box["top"] + box["height"],
            )
            yield Pair(heading["content"], block["content"], 0.82, Spot(box["page"], place, block))


# --- in tables ------------------------------------------------------------------------------------


def _in_table(grid: Grid, evidence: Evidence) -> Iterator[Pair]:
    """Yield the pairs of a table.

    They come from rows of two cells, rows whose only other cell is a value (as with sums at a
    table's end), and a header over a single row.
    """
    key_table = _is_key_table(grid)
    for number, row in enumerate(grid.rows):
        filled = [cell for cell in row if cell.strip()]
        two_wide = key_table and not (number == 0 and _is_header(grid))
        if (
            len(filled) == 2
            and is_label(filled[0])
            and (two_wide or (number and looks_like_value(filled[1])))
        ):
            yield from with_rate(
                Pair(filled[0], filled[1], 0.96, evidence.spot_of(filled[1], grid.spot))
            )
        for label, value in zip(row[::2], row[1::2], strict=False):
            if len(row) > 2 and label.strip().endswith(":") and value.strip():
                yield Pair(label, value, 0.95, evidence.spot_of(value, grid.spot))
        for cell in row:
            if ":" in cell:
                yield from _in_line(TextLine(cell, evidence.spot_of(cell, grid.spot)))
    yield from _stacked(grid, evidence)
    yield from _crossed(grid, evidence)
    if _has_digits(grid.rows[0]) and not _periods(grid):
        yield from _side_by_side(grid, evidence)
    elif len(grid.rows) == 2 and len(grid.rows[0]) > 2:
        for label, value in zip(*grid.rows, strict=False):
            if value.strip() and is_label(label):
                yield Pair(label, value, 0.9, evidence.spot_of(value, grid.spot))


def _context(grid: Grid) -> str:
    """Return what stands above a table, with the corner between its labels and its columns."""
    corner = grid.rows[0][:1] if len(grid.rows[0]) > 2 or _periods(grid) else []
    return " ".join((grid.heading, grid.above, *corner))


def _crossed(grid: Grid, evidence: Evidence) -> Iterator[Pair]:
    """Yield each value under the words of its row and of its column, as in "Revenue 2025"."""
    header, *body = grid.rows
    if len(header) < 2 or (len(header) == 2 and not (_periods(grid) or _is_header(grid))):
        return
    for row in body:
        cells = list(zip(header, row, strict=False))[1:]
        for head, value in cells if row and is_label(row[0]) else []:
            if _is_amount(value) and (is_label(head) or _PERIOD.fullmatch(head)):
                label = f"{row[0].strip().rstrip(':')} {head}"
                yield Pair(label, value, 0.9, evidence.spot_of(value, grid.spot))


def _periods(grid: Grid) -> bool:
    """Tell whether the first row has years above columns of values, and not beside labels."""
    header, *body = grid.rows
    years = [index for index, cell in enumerate(header) if index and _PERIOD.fullmatch(cell)]
    others = [cell for cell in header[1:] if cell.strip() and not _PERIOD.fullmatch(cell)]
    if not years or not body or _has_digits(others):
        return False
    besides = {index - 1 for index in years} - {0, *years}
    return not any(is_label(row[index]) for row in body for index in besides if index < len(row))


def _has_digits(cells: list[str]) -> bool:
    return any(c.isdigit() for cell in cells for c in cell)


def _is_amount(text: str) -> bool:
    return looks_like_value(text) or is_percent(text)


def _stacked(grid: Grid, evidence: Evidence) -> Iterator[Pair]:
    """Yield the pairs of a form's cells, which hold a label and the value below it."""
    cells = {cell for row in grid.rows for cell in row}
    inside = sorted(
        evidence.by_block.get(id(grid.spot.block), []), key=lambda piece: piece.spot.box[1]
    )
    for index, piece in enumerate(inside):
        below = _below(piece, inside, index)
        if below is not None and f"{piece.text} {below.text}" in cells and is_label(piece.text):
            yield Pair(piece.text, below.text, 0.85, below.spot)


def _side_by_side(grid: Grid, evidence: Evidence) -> Iterator[Pair]:
    """Yield neighbouring cells of a table without a header, such as a letterhead.

    Any cell may label the one to its right if that holds digits, unless a second value follows.
    """
    for row in grid.rows:
        for index, (label, value) in enumerate(itertools.pairwise(row)):
            after = next((cell for cell in row[index + 2 :] if cell.strip()), "")
            if (
                len(row) > 2
                and is_label(label)
                and _has_digits([value])
                and not _rivals(value, after)
            ):
                yield from with_rate(Pair(label, value, 0.85, evidence.spot_of(value, grid.spot)))


def _rivals(value: str, other: str) -> bool:
    """Tell whether two values beside one label could each be meant; a rate and its amount can't."""
    return _is_amount(value) and _is_amount(other) and is_percent(value) == is_percent(other)


def _is_key_table(grid: Grid) -> bool:
    """Tell whether the left one of two columns holds labels: distinct cells that are no values."""
    keys = [row[0] for row in grid.rows if row]
    two_wide = all(len(row) == 2 for row in grid.rows)
    return (
        two_wide
        and len(set(keys)) == len(keys)
        and all(is_label(key) for key in keys if key.strip())
    )


def _is_header(grid: Grid) -> bool:
    """Tell whether the first row is a header: words above a column of values, or two labels."""
    head, *body = (row[1] for row in grid.rows)
    if looks_like_value(head) or not body:
        return False
    return reads_as_label(head) or all(looks_like_value(cell) for cell in body)
