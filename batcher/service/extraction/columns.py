"""Fill an array of objects from the table that fits it.

Chooses the table, matches its columns to properties, and skips rows that are no items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from batcher.service.extraction.document_index import Evidence, Grid, Spot
from batcher.service.extraction.found import Value
from batcher.service.extraction.measures import fits
from batcher.service.extraction.schema import Field
from batcher.service.extraction.values import MISSING, Customs, cast
from batcher.service.extraction.words import (
    COLUMNS,
    SYNONYMS,
    THRESHOLD,
    Vocabulary,
    phrase_of,
)

# Meanings of a row that sums up the rows above it, and of one that does so with most of it empty.
TOTALS: Final = frozenset({"total", "subtotal", "sum"})
SUMMARIES: Final = TOTALS | frozenset({"tax", "balance", "carried", "forward"})
# What is added to a sum, or an item like others before there is a sum.
EXTRAS: Final = frozenset({"shipping", "discount"})
# Fraction of a column's filled cells that must be of the property's type; otherwise the column is
# another one.
CASTABLE: Final = 0.5
_MEANINGS: Final = Vocabulary()  # of a sum in any words
BY_HEADING: Final = 0.5  # weight of a table's heading, relative to a column's


_Matched = Mapping[int, tuple[Field, float]]  # by the column's index


@dataclass(frozen=True, slots=True)
class Choice:
    """The table that fits an array best; `heading` is how well its heading names the array."""

    grid: Grid
    matched: _Matched
    heading: float


def rows_of_arrays(
    arrays: Iterable[Field], evidence: Evidence, vocabulary: Vocabulary, customs: Customs
) -> dict[tuple[str, ...], list[Mapping[str, Value]]]:
    """Return the items of each array by its path; a table answers one array only.

    That is the one that its heading names, else the one with more properties in it, else none.
    """
    found = {array.path: _choice(array, evidence, vocabulary, customs) for array in arrays}
    chosen = {path: choice for path, choice in found.items() if choice is not None}
    return {
        path: list(_items(chosen[path].grid, chosen[path].matched, evidence, customs))
        if path in chosen and _is_first(path, chosen)
        else []
        for path in found
    }


def _is_first(path: tuple[str, ...], chosen: Mapping[tuple[str, ...], Choice]) -> bool:
    own = chosen[path]
    return all(
        _claim(own) > _claim(other)
        for rival, other in chosen.items()
        if rival != path and other.grid is own.grid
    )


def _claim(choice: Choice) -> tuple[float, int]:
    named = choice.heading if choice.heading >= THRESHOLD else 0.0
    return named, len(choice.matched)


def table_rows(
    array: Field, evidence: Evidence, vocabulary: Vocabulary, customs: Customs
) -> list[Mapping[str, Value]]:
    """Return a mapping of property to value for each item.

    Returns an empty list if no table has the columns, or two tables match equally well.
    """
    choice = _choice(array, evidence, vocabulary, customs)
    return list(_items(choice.grid, choice.matched, evidence, customs)) if choice else []


def _choice(
    array: Field, evidence: Evidence, vocabulary: Vocabulary, customs: Customs
) -> Choice | None:
    columns = Vocabulary(vocabulary.shared - {"item", "description"}, {**SYNONYMS, **COLUMNS})
    ranked = sorted(_ranked(array, evidence, columns, customs), key=lambda found: -found[0])
    if not ranked or (len(ranked) > 1 and ranked[1][0] == ranked[0][0]):
        return None
    return ranked[0][1]


def _ranked(
    array: Field, evidence: Evidence, vocabulary: Vocabulary, customs: Customs
) -> Iterator[tuple[float, Choice]]:
    assert array.item is not None
    leaves = [child for child in array.item.children if child.kind not in ("object", "array")]
    for grid in evidence.tables:
        matched = _matched(array, leaves, grid, vocabulary, customs)
        if len(matched) >= min(2, len(leaves)) and matched:
            heading = vocabulary.closeness(
                grid.heading, phrase_of(array.name, (), array.title, array.description)
            )
            yield (
                round(sum(score for _, score in matched.values()) + BY_HEADING * heading, 2),
                Choice(grid, matched, heading),
            )


def _matched(
    array: Field, leaves: list[Field], grid: Grid, vocabulary: Vocabulary, customs: Customs
) -> _Matched:
    """Assign each column to the property that its header names best, each property at most once."""
    header, *body = grid.rows
    scored = [
        (_naming(cell, array, leaf, vocabulary), column, index)
        for column, cell in enumerate(header)
        for index, leaf in enumerate(leaves)
        if cell.strip()
    ]
    found: dict[int, tuple[Field, float]] = {}
    taken: set[int] = set()
    for score, column, index in sorted(scored, reverse=True):
        if score < THRESHOLD or column in found or index in taken:
            continue
        rivals = [one for one in scored if one[0] == score and one != (score, column, index)]
        if any(
            (c == column) != (i == index) and c not in found and i not in taken
            for _, c, i in rivals
        ):
            # Two headers fit one property equally well, or one header two properties: don't guess.
            continue
        context = f"{grid.heading} {grid.above}"
        if fits(leaves[index], header[column], context=context) and _castable(
            leaves[index], [row[column] for row in body if column < len(row)], customs
        ):
            found[column] = (leaves[index], score)
            taken.add(index)
    return found


def _naming(header: str, array: Field, leaf: Field, vocabulary: Vocabulary) -> float:
    """Score a header by the property's own name; for "name" the array's name fits as well."""
    phrases = [phrase_of(leaf.name, (), leaf.title, leaf.description)]
    if leaf.name == "name":
        phrases.append(phrase_of("name", (array.name,), leaf.title, leaf.description))
    return max(vocabulary.closeness(header, phrase) for phrase in phrases)


def _castable(leaf: Field, cells: list[str], customs: Customs) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    good = sum(cast(cell, leaf, customs) is not MISSING for cell in filled)
    return good >= CASTABLE * len(filled)


def _items(
    grid: Grid, matched: _Matched, evidence: Evidence, customs: Customs
) -> Iterator[Mapping[str, Value]]:
    header = grid.rows[0]
    summed_up = False
    for number, row in enumerate(grid.rows):
        summed_up = summed_up or _is_total(row)
        if number == 0 or row == header or _is_summary(row, EXTRAS if summed_up else frozenset()):
            continue
        found = dict(_cells(row, matched, grid.spot_of_row(number), evidence, customs))
        if found:
            yield found


def _cells(
    row: list[str], matched: _Matched, spot: Spot, evidence: Evidence, customs: Customs
) -> Iterator[tuple[str, Value]]:
    for column, (leaf, score) in matched.items():
        cell = row[column] if column < len(row) else ""
        value: Any = cast(cell, leaf, customs)
        if value is not MISSING and fits(leaf, "", cell):
            yield leaf.name, Value(value, score, ((evidence.spot_of(cell, spot), cell),))


def _is_total(row: list[str]) -> bool:
    first = next((cell for cell in row if cell.strip()), "")
    words = set(_MEANINGS.meaning(first))
    return bool(words) and words <= TOTALS


def _is_summary(row: list[str], more: frozenset[str]) -> bool:
    """Tell whether a row is a sum: it says so first, and a mere part of one has gaps."""
    filled = [cell for cell in row if cell.strip()]
    words = set(_MEANINGS.meaning(filled[0])) if filled else set()
    if not words:
        return False
    return _is_total(row) or (len(filled) < max(2, len(row)) and words <= SUMMARIES | more)
