"""Fill an array of objects from the table that fits it.

Chooses the table, matches its columns to properties, and skips rows that are no items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from batcher.service.extraction.document_index import Evidence, Grid, joined_across_pages
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
    words_of,
)

SUMMARIES: Final = frozenset(
    "total subtotal sum vat tax shipping discount balance carried forward".split()
)
# Fraction of a column's filled cells that must be of the property's type; otherwise the column is
# another one.
CASTABLE: Final = 0.5
BY_HEADING: Final = 0.5  # weight of a table's heading, relative to a column's


def table_rows(
    array: Field, evidence: Evidence, vocabulary: Vocabulary, customs: Customs
) -> list[Mapping[str, Value]]:
    """Return a mapping of property to value for each item.

    Returns an empty list if no table has the columns, or two tables match equally well.
    """
    assert array.item is not None
    columns = Vocabulary(vocabulary.shared - {"item", "description"}, {**SYNONYMS, **COLUMNS})
    ranked = sorted(_ranked(array, evidence, columns, customs), key=lambda found: -found[0])
    if not ranked or (len(ranked) > 1 and ranked[1][0] == ranked[0][0]):
        return []
    _, grid, matched = ranked[0]
    return list(_items(grid, matched, evidence, customs))


_Matched = Mapping[int, tuple[Field, float]]  # by the column's index


def _ranked(
    array: Field, evidence: Evidence, vocabulary: Vocabulary, customs: Customs
) -> Iterator[tuple[float, Grid, _Matched]]:
    assert array.item is not None
    leaves = [child for child in array.item.children if child.kind not in ("object", "array")]
    for grid in joined_across_pages(evidence.grids):
        matched = _matched(array, leaves, grid, vocabulary, customs)
        if len(matched) >= min(2, len(leaves)) and matched:
            heading = vocabulary.closeness(
                grid.heading, phrase_of(array.name, (), array.title, array.description)
            )
            yield (
                round(sum(score for _, score in matched.values()) + BY_HEADING * heading, 2),
                grid,
                matched,
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
        if _measured(leaves[index], header[column], grid) and _castable(
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


def _measured(leaf: Field, header: str, grid: Grid) -> bool:
    """Tell whether a column's numbers are in what the property asks for, as far as that is said."""
    if leaf.kind not in ("number", "integer"):
        return True
    return fits(leaf, header, context=f"{grid.heading} {grid.above}")


def _castable(leaf: Field, cells: list[str], customs: Customs) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    good = sum(cast(cell, leaf, customs) is not MISSING for cell in filled)
    return good >= CASTABLE * len(filled)


def _items(
    grid: Grid, matched: _Matched, evidence: Evidence, customs: Customs
) -> Iterator[Mapping[str, Value]]:
    header, *body = grid.rows
    for row in body:
        if (
            row == header
            or _is_summary(row)
            or not any(row[column].strip() for column in matched if column < len(row))
        ):
            continue
        found: dict[str, Value] = {}
        for column, (leaf, score) in matched.items():
            cell = row[column] if column < len(row) else ""
            value: Any = cast(cell, leaf, customs)
            if leaf.kind in ("number", "integer") and not fits(leaf, "", cell):
                continue
            if value is not MISSING:
                found[leaf.name] = Value(value, score, ((evidence.spot_of(cell, grid.spot), cell),))
        yield found


def _is_summary(row: list[str]) -> bool:
    """Tell whether a row is a sum at the table's end: summary words, and most of the row empty."""
    filled = [cell for cell in row if cell.strip()]
    words = set(words_of(filled[0])) if filled else set()
    return len(filled) < max(2, len(row)) and bool(words) and words <= SUMMARIES
