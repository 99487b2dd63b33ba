"""Fill a schema's fields from what a document shows; a field that isn't surely there stays None.

A label's value goes to the one field it names best. If two fields, or two different values, fit
equally well, the field stays empty: a wrong answer is worse than none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from batcher.service.extraction.columns import rows_of_arrays, table_rows
from batcher.service.extraction.document_index import Evidence, spot_of_block
from batcher.service.extraction.found import Tree, Value
from batcher.service.extraction.heuristics import KINDS_OF_PAPER, Unlabelled
from batcher.service.extraction.measures import fits
from batcher.service.extraction.pairs import Pair, pairs_of
from batcher.service.extraction.schema import Field
from batcher.service.extraction.values import MISSING, Customs, cast, customs_of, is_percent
from batcher.service.extraction.words import (
    THRESHOLD,
    Vocabulary,
    phrase_for,
    words_of,
    words_of_name,
)

# The pattern that a value must match if a word of its field's name is a key here.
FORMS: Final = {
    **dict.fromkeys(
        ("phone", "telephone", "tel", "fax", "mobile"),
        re.compile(r"^[^\d]{0,12}(?:\d\D{0,3}){5,16}$"),
    ),
    **dict.fromkeys(("email", "mail"), re.compile(r"^\S+@\S+\.\w+$")),
    **dict.fromkeys(
        ("website", "url", "homepage"), re.compile(r"^(?:https?://)?[\w-]+(?:\.[\w-]+)+(?:/\S*)?$")
    ),
}
EXPLICIT: Final = 1.0  # strength of a pair with a colon in one line
EVEN: Final = 0.02  # scores that differ by less are equally good
RATES: Final = frozenset({"rate", "percent", "percentage", "share"})
SUMS: Final = frozenset("amount total subtotal price sum balance fee tax vat cost due".split())
NUMBERED: Final = frozenset({"number", "id"})
BIRTHS: Final = frozenset({"birth", "born", "dob", "birthday", "birthdate"})
DATED: Final = frozenset({"date", "day"})
ENUMERATED: Final = 0.9  # factor for items that are separated only by commas in a text
# factor for items of a list below a heading, since how far the heading applies is unclear
LISTED: Final = 0.9
_NUMBERED: Final = re.compile(r"\A\d{1,3}[.)]\s+")  # the number of a list's item
_ISO_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_NONE: Final = re.compile(r"no [^\W\d]", re.IGNORECASE)  # a label that denies the field


@dataclass(frozen=True, slots=True)
class _Claim:
    score: float
    leaf: int
    pair: int
    value: Any


def fill(schema: Field, evidence: Evidence) -> dict[str, Any]:
    """Return a dict in the schema's shape with a `Value` at each leaf."""
    filling = _Filling(schema, evidence)
    tree = filling.tree(schema)
    assert isinstance(tree, dict)
    return tree


@dataclass
class _Filling:
    schema: Field
    evidence: Evidence
    customs: Customs = field(init=False)
    vocabulary: Vocabulary = field(init=False)
    pairs: list[Pair] = field(init=False)
    values: Mapping[tuple[str, ...], Value] = field(init=False)
    rows: Mapping[tuple[str, ...], list[Mapping[str, Value]]] = field(init=False)
    names: frozenset[frozenset[str]] = field(init=False)
    today: str = field(default_factory=lambda: date.today().isoformat())

    def __post_init__(self) -> None:
        self.customs = customs_of(_texts(self.evidence))
        self.pairs = list(pairs_of(self.evidence))
        self.vocabulary = Vocabulary(shared=frozenset(_shared_words(self.schema, self.evidence)))
        leaves = list(self.schema.leaves())
        self.names = frozenset(
            frozenset(words)
            for leaf in leaves
            for words in (words_of_name(leaf.name), words_of(leaf.title))
            if words
        )
        found = dict(zip((leaf.path for leaf in leaves), self._labelled(leaves), strict=True))
        alone = Unlabelled(self.evidence, self.pairs, self.customs, self.vocabulary)
        self.values = {
            leaf.path: found[leaf.path] if _is_there(found[leaf.path]) else alone.value(leaf)
            for leaf in leaves
        }

        objects = [
            array
            for array in self.schema.arrays()
            if array.item is not None and array.item.kind == "object"
        ]
        self.rows = rows_of_arrays(objects, self.evidence, self.vocabulary, self.customs)

    def tree(self, node: Field) -> Tree:
        match node.kind:
            case "object":
                return {child.name: self.tree(child) for child in node.children}
            case "array":
                return self._array(node)
        return self.values[node.path]

    # --- one value for one label ------------------------------------------------------------------

    def _labelled(self, leaves: list[Field]) -> Iterator[Value]:
        claims = self._claims(leaves)
        wanted_by: dict[int, list[_Claim]] = {}
        for claim in claims:
            wanted_by.setdefault(claim.pair, []).append(claim)
        best: dict[int, float] = {}
        for claim in claims:
            best.setdefault(claim.leaf, claim.score)
        granted = [claim for claim in claims if _is_best(claim, wanted_by[claim.pair], best)]
        granted_to: dict[int, list[_Claim]] = {}
        for claim in granted:
            granted_to.setdefault(claim.leaf, []).append(claim)
        for index in range(len(leaves)):
            yield _agreed(granted_to.get(index, []), self.pairs)

    def _claims(self, leaves: list[Field]) -> list[_Claim]:
        """Return which field could take which pair's value, the best score first."""
        return sorted(self._each_claim(leaves), key=lambda claim: -claim.score)

    def _each_claim(self, leaves: list[Field]) -> Iterator[_Claim]:
        named = _Named(leaves, self.vocabulary)
        for number, pair in enumerate(self.pairs):
            if self._is_next_label(pair):
                continue
            for index, closeness in named.by(pair.label):
                leaf = leaves[index]
                value = cast(pair.value, leaf, self.customs) if _plausible(leaf, pair) else MISSING
                if value is not MISSING and not self._is_to_come(leaf, value):
                    yield _Claim(closeness * pair.strength, index, number, value)

    def _is_to_come(self, leaf: Field, value: Any) -> bool:
        """Tell whether a date of birth lies in the future: of a year in two figures the century is
        unknown.
        """
        born = BIRTHS & {*words_of_name(leaf.name), *words_of(leaf.title)}
        return (
            bool(born)
            and isinstance(value, str)
            and _ISO_DAY.match(value) is not None
            and (value > self.today)
        )

    def _is_next_label(self, pair: Pair) -> bool:
        """Tell whether a pair without a colon has another field's name where a value should be."""
        return pair.strength < EXPLICIT and frozenset(words_of(pair.value)) in self.names

    # --- arrays -----------------------------------------------------------------------------------

    def _array(self, node: Field) -> list[Any]:
        item = node.item
        assert item is not None
        if item.kind == "object":
            return [_row_tree(item, row) for row in self.rows[node.path]]
        if item.kind == "array":
            return []
        return list(self._scalars(node, item))

    def _scalars(self, node: Field, item: Field) -> Iterator[Value]:
        """Yield the items of an array of scalars.

        They come from a column of that name, else list items under a heading of that name, else a
        label's value with commas.
        """
        column = replace(
            node,
            item=Field(
                (*node.path, node.name),
                "object",
                children=(replace(item, path=(*node.path, node.name)),),
            ),
        )
        rows = table_rows(column, self.evidence, self.vocabulary, self.customs)
        if rows:
            yield from (row[node.name] for row in rows if node.name in row)
            return
        listed = list(self._listed(node, item))
        yield from listed or self._enumerated(node, item)

    def _listed(self, node: Field, item: Field) -> Iterator[Value]:
        below = 0.0
        for block in self.evidence.blocks:
            if block["type"] in ("Title", "Section Header") or block["content"].rstrip().endswith(
                ":"
            ):
                below = self.vocabulary.closeness(block["content"], phrase_for(node))
            elif block["type"] == "List Item" and below >= THRESHOLD:
                value = cast(_NUMBERED.sub("", block["content"]), item, self.customs)
                if value is not MISSING:
                    yield Value(value, below * LISTED, ((spot_of_block(block), block["content"]),))

    def _enumerated(self, node: Field, item: Field) -> Iterator[Value]:
        whole = replace(node, kind="string", item=None)
        found = _agreed(self._claims([whole]), self.pairs)
        if found.value is None:
            return
        for part in re.split(r"\s*[;,]\s+", found.value):
            value = cast(part, item, self.customs)
            if value is not MISSING:
                yield Value(value, found.score * ENUMERATED, found.spots)


class _Named:
    """Finds the fields that a label names, looking only at those that share a word with it."""

    def __init__(self, leaves: list[Field], vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._phrases = [phrase_for(leaf) for leaf in leaves]
        self._found: dict[str, list[tuple[int, float]]] = {}
        self._by_key: dict[str, list[int]] = {}
        for index, phrase in enumerate(self._phrases):
            for key in vocabulary.keys_of(phrase):
                self._by_key.setdefault(key, []).append(index)

    def by(self, label: str) -> list[tuple[int, float]]:
        """Return the indexes of the fields that a label names, each with how well it does."""
        if label not in self._found:
            self._found[label] = list(self._scored(label))
        return self._found[label]

    def _scored(self, label: str) -> Iterator[tuple[int, float]]:
        keys = self._vocabulary.keys(label)
        for index in sorted({index for key in keys for index in self._by_key.get(key, ())}):
            closeness = self._vocabulary.closeness(label, self._phrases[index])
            if closeness >= THRESHOLD:
                yield index, closeness


def _is_there(value: Value) -> bool:
    return value.value is not None


def _shared_words(schema: Field, evidence: Evidence) -> Iterator[str]:
    """Yield words that distinguish little.

    These are words in the names of several fields, in the schema's title, and names of kinds of
    paper in the document's short headings.
    """
    names = Counter(word for leaf in schema.children for word in set(words_of_name(leaf.name)))
    yield from (word for word, times in names.items() if times > 1 and word not in DATED | SUMS)
    yield from words_of(schema.title)
    for block in evidence.blocks:
        if block["type"] in ("Title", "Section Header") and len(block["content"].split()) <= 2:
            yield from KINDS_OF_PAPER & set(words_of(block["content"])) - SUMS


def _plausible(leaf: Field, pair: Pair) -> bool:
    """Check what the field's name says about its value where its type doesn't."""
    words = {*words_of_name(leaf.name), *words_of(leaf.title)}
    if any(word in words and not form.search(pair.value) for word, form in FORMS.items()):
        return False
    if leaf.kind == "boolean" and _NONE.match(pair.label):
        return False
    if is_percent(pair.value) != bool(words & RATES):
        return False
    if leaf.kind in ("number", "integer") and not words & RATES:
        return fits(leaf, pair.label, pair.value, pair.context)
    if leaf.kind not in ("string", "any") or leaf.enum:
        return True
    if words & NUMBERED and re.fullmatch(r"\D{0,4}[\d.,']+[.,]\d\d\D{0,4}", pair.value):
        return False  # an amount is no number or ID of something
    return any(c.isdigit() for c in pair.value) or not words & (NUMBERED | SUMS | DATED)


def _is_best(claim: _Claim, rivals: list[_Claim], best: Mapping[int, float]) -> bool:
    """Tell whether no other field has an equal claim to the pair.

    A rival that has a better pair of its own doesn't count.
    """
    return all(
        rival.leaf == claim.leaf
        or rival.score < claim.score - EVEN
        or best[rival.leaf] > rival.score + EVEN
        for rival in rivals
    )


def _agreed(claims: list[_Claim], pairs: list[Pair]) -> Value:
    """Return the best claim's value, or an empty one if an equally good claim differs."""
    if not claims:
        return Value()
    best = claims[0]
    even = [claim for claim in claims if claim.score >= best.score - EVEN]
    if any(claim.value != best.value for claim in even):
        return Value()
    spots = tuple((pairs[claim.pair].spot, pairs[claim.pair].value) for claim in even)
    return Value(best.value, min(1.0, best.score), spots[:3])


def _row_tree(item: Field, row: Mapping[str, Value]) -> Tree:
    return {child.name: _cell_tree(child, row) for child in item.children}


def _cell_tree(child: Field, row: Mapping[str, Value]) -> Tree:
    match child.kind:
        case "object":
            return _row_tree(child, {})
        case "array":
            return []
    return row.get(child.name, Value())


def _texts(evidence: Evidence) -> Iterator[str]:
    yield from (line.text for line in evidence.lines)
    yield from (cell for grid in evidence.grids for row in grid.rows for cell in row)
